"""Images turned between channels first, as the interface has them, and channels last, as plans keep them."""

import numpy as np
from numba import cfunc, njit

from netspec.kernels.f32 import ITEMSIZE, LANES, floats, pack_transposed
from netspec.kernels.native import INLINE, KERNEL, OPTIONS, ROWS, START, share_end, share_start, words


@njit(**INLINE)
def transposed(x, y, rows, columns):
    """y (columns, rows) = x (rows, columns) transposed."""
    whole = rows // LANES * LANES
    for i in range(0, whole, LANES):
        for j in range(0, columns, LANES):
            block = x + (i * columns + j) * ITEMSIZE
            pack_transposed((block, columns, np.int64(LANES), min(LANES, columns - j), y + (j * rows + i) * ITEMSIZE, rows))
    source, target = floats(x, rows * columns), floats(y, rows * columns)
    for i in range(whole, rows):
        for j in range(columns):
            target[j * rows + i] = source[i * columns + j]


@cfunc(KERNEL, **OPTIONS)
def gather_images(p, task, tasks, worker):
    """Words: control, order, data (channels first), channels, pixels, batch (channels last): batch row r is data row order[start + r]."""
    control = words(p[0], 8)
    rows, size = control[ROWS], p[3] * p[4] * ITEMSIZE
    order = words(p[1] + control[START] * 8, rows)
    for r in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
        transposed(p[2] + order[r] * size, p[5] + r * size, p[3], p[4])


@cfunc(KERNEL, **OPTIONS)
def rearrange(p, task, tasks, worker):
    """Words: control, x, y, rows, columns of one image's matrix: each image transposed, pixels x channels to channels x pixels or back."""
    count = words(p[0], 8)[0]
    size = p[3] * p[4] * ITEMSIZE
    for n in range(share_start(count, task, tasks, 1), share_end(count, task, tasks, 1)):
        transposed(p[1] + n * size, p[2] + n * size, p[3], p[4])


@cfunc(KERNEL, **OPTIONS)
def reshape(p, task, tasks, worker):
    """Words: control, x, y, channels and pixels of x, those of y, scratch of a worker for an image in the interface's order."""
    count = words(p[0], 8)[0]
    size = p[3] * p[4] * ITEMSIZE
    middle = p[7] + worker * size
    for n in range(share_start(count, task, tasks, 1), share_end(count, task, tasks, 1)):
        transposed(p[1] + n * size, middle, p[4], p[3])
        transposed(middle, p[2] + n * size, p[5], p[6])
