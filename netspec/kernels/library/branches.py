"""Kernels where branches meet: gradients added up, channels side by side and apart again."""

from numba import cfunc, njit

from netspec.kernels.f32 import ITEMSIZE, floats
from netspec.kernels.native import INLINE, KERNEL, OPTIONS, ROWS, clear, copy, share_end, share_start, words


@njit(**INLINE)
def add_all(p, first, count, target):
    """target = sum of the arrays p[4], ..., in order, from element `first` on; p[3] of them."""
    total = floats(target + first * ITEMSIZE, count)
    if p[3] == 0:
        clear(total)
    else:
        copy(floats(p[4] + first * ITEMSIZE, count), total)
    for term in range(1, p[3]):
        more = floats(p[4 + term] + first * ITEMSIZE, count)
        for i in range(count):
            total[i] += more[i]


@cfunc(KERNEL, **OPTIONS)
def add_terms(p, task, tasks, worker):
    """Words: control, elements of a row, sum, how many terms, the terms."""
    rows = words(p[0], 8)[ROWS]
    first, last = share_start(rows, task, tasks, 1) * p[1], share_end(rows, task, tasks, 1) * p[1]
    for start in range(first, last, 4096):  # what is added stays in the nearest cache
        add_all(p, start, min(4096, last - start), p[2])


@cfunc(KERNEL, **OPTIONS)
def add_arrays(p, task, tasks, worker):
    """Words: control, elements, sum, how many arrays, the arrays."""
    first, last = share_start(p[1], task, tasks, 64), share_end(p[1], task, tasks, 64)
    for start in range(first, last, 4096):
        add_all(p, start, min(4096, last - start), p[2])


@cfunc(KERNEL, **OPTIONS)
def concatenate(p, task, tasks, worker):
    """Words: control, pixels of a row, y, channels of y, how many branches, and of each its x and its channels."""
    rows = words(p[0], 8)[ROWS]
    first, last = share_start(rows, task, tasks, 1) * p[1], share_end(rows, task, tasks, 1) * p[1]
    before = 0
    for branch in range(p[4]):
        x, channels = p[5 + 2 * branch], p[6 + 2 * branch]
        for r in range(first, last):
            copy(floats(x + r * channels * ITEMSIZE, channels), floats(p[2] + (r * p[3] + before) * ITEMSIZE, channels))
        before += channels


@cfunc(KERNEL, **OPTIONS)
def split(p, task, tasks, worker):
    """Words as those of `concatenate`, x being written from y; a branch whose x is 0 is left out."""
    rows = words(p[0], 8)[ROWS]
    first, last = share_start(rows, task, tasks, 1) * p[1], share_end(rows, task, tasks, 1) * p[1]
    before = 0
    for branch in range(p[4]):
        x, channels = p[5 + 2 * branch], p[6 + 2 * branch]
        if x != 0:
            for r in range(first, last):
                copy(floats(p[2] + (r * p[3] + before) * ITEMSIZE, channels), floats(x + r * channels * ITEMSIZE, channels))
        before += channels
