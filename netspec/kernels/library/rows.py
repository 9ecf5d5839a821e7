"""Kernels over rows and flat buffers that are the same for every net: the batch, sums of columns, l2, the loss total."""

from numba import cfunc, njit

from netspec.kernels.f32 import ITEMSIZE, F, floats
from netspec.kernels.native import (
    INLINE,
    KERNEL,
    OPTIONS,
    OTHERS,
    ROWS,
    START,
    as_double,
    clear,
    copy_bytes,
    doubles,
    fetch,
    share_end,
    share_start,
    words,
)

AHEAD = 4  # rows that are asked for before their turn


@cfunc(KERNEL, **OPTIONS)
def gather(p, task, tasks, worker):
    """Words: control, order, data, elements of a row, batch, 0 where tasks share rows, else of what the borders of their columns are
    multiples, elements between the batch's rows: batch row r is data row order[start + r]."""
    control = words(p[0], 8)
    rows, size, step = control[ROWS], p[3] * ITEMSIZE, p[6] * ITEMSIZE
    order = words(p[1] + control[START] * 8, rows)
    if p[5] != 0:
        first = share_start(p[3], task, tasks, p[5]) * ITEMSIZE
        last = share_end(p[3], task, tasks, p[5]) * ITEMSIZE
        for r in range(rows):  # short pieces far apart: the CPU sees no stream
            fetch(p[2] + order[min(r + AHEAD, rows - 1)] * size + first, last - first)
            copy_bytes(p[2] + order[r] * size + first, p[4] + r * step + first, last - first)
    else:
        for r in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
            copy_bytes(p[2] + order[r] * size, p[4] + r * step, size)


@cfunc(KERNEL, **OPTIONS)
def gather_classes(p, task, tasks, worker):
    """Words: control, order, class numbers (int64), batch's class numbers."""
    control = words(p[0], 8)
    rows = control[ROWS]
    order, labels, batch = words(p[1] + control[START] * 8, rows), p[2], words(p[3], rows)
    for r in range(rows):
        batch[r] = words(labels + order[r] * 8, 1)[0]


@njit(**INLINE)
def add_rows(x, first, last, columns, total):
    """total[c] = sum over rows first..last of x[:, c]."""
    sums = floats(total, columns)
    clear(sums)
    for r in range(first, last):
        row = floats(x + r * columns * ITEMSIZE, columns)
        for c in range(columns):
            sums[c] += row[c]


@cfunc(KERNEL, **OPTIONS)
def column_sums(p, task, tasks, worker):
    """Words: control, x, columns, rows of x a batch row, parts (tasks, columns)."""
    rows = words(p[0], 8)[ROWS] * p[3]
    add_rows(p[1], share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1), p[2], p[4] + task * p[2] * ITEMSIZE)


@cfunc(KERNEL, **OPTIONS)
def add_parts(p, task, tasks, worker):
    """Words: control, parts (count, columns), columns, count, sum (columns,)."""
    add_rows(p[1], 0, p[3], p[2], p[4])


SUMS = {**INLINE, "fastmath": {"contract", "reassoc"}}  # sums in several lanes: LLVM may reorder these alone
LANES_OF_SUM = 64


@njit(**SUMS)
def sum_of_squares(w):
    total = F(0)
    for i in range(w.size):
        total += w[i] * w[i]
    return total


@cfunc(KERNEL, **OPTIONS)
def squares(p, task, tasks, worker):
    """Words: control, w, count, parts (tasks,) float64: each task's sum of w**2, by blocks of 4,096 numbers."""
    first, last = share_start(p[2], task, tasks, LANES_OF_SUM), share_end(p[2], task, tasks, LANES_OF_SUM)
    total = 0.0
    for start in range(first, last, 4096):
        total += sum_of_squares(floats(p[1] + start * ITEMSIZE, min(4096, last - start)))
    doubles(p[3] + task * 8, 1)[0] = total


@njit(**SUMS)
def sum_of_regularized_squares(g, w, rate):
    total = F(0)
    for i in range(g.size):
        total += (g[i] + rate * w[i]) * (g[i] + rate * w[i])
    return total


@cfunc(KERNEL, **OPTIONS)
def gradient_squares(p, task, tasks, worker):
    """Words: control, first parameter, count, g of these, runs (start, end, whether weights, factor on lr), their number, all parameters,
    l2 rate (float), parts (tasks,) float64: each task's sum of (g + rate w)**2 over the runs, by blocks of 4,096 numbers."""
    first = p[1] + share_start(p[2], task, tasks, LANES_OF_SUM)
    last = p[1] + share_end(p[2], task, tasks, LANES_OF_SUM)
    total = 0.0
    for r in range(p[5]):
        run = words(p[4] + r * 32, 4)
        rate = F(run[2]) * F(as_double(p[7]))
        end = min(last, run[1])
        for start in range(max(first, run[0]), end, 4096):
            count = min(4096, end - start)
            g, w = floats(p[3] + (start - p[1]) * ITEMSIZE, count), floats(p[6] + start * ITEMSIZE, count)
            total += sum_of_regularized_squares(g, w, rate)
    doubles(p[8] + task * 8, 1)[0] = total


@cfunc(KERNEL, **OPTIONS)
def regularize(p, task, tasks, worker):
    """Words: control, w, g, count, rate (float): g += rate w."""
    rate = F(as_double(p[4]))
    first, last = share_start(p[3], task, tasks, LANES_OF_SUM), share_end(p[3], task, tasks, LANES_OF_SUM)
    w, g = floats(p[1] + first * ITEMSIZE, last - first), floats(p[2] + first * ITEMSIZE, last - first)
    for i in range(last - first):
        g[i] += rate * w[i]


@cfunc(KERNEL, **OPTIONS)
def total_loss(p, task, tasks, worker):
    """Words: control, loss by row, result (float64: total, data part), factor on the mean (float), squares (parts,) float64, parts,
    half the rate (float): the mean of the rows' losses and the l2 term, added in order. Of a batch that several processes share it is the
    sum of the losses of these rows, over the number of all."""
    control = words(p[0], 8)
    rows = control[ROWS]
    losses = floats(p[1], rows)
    total = 0.0
    for r in range(rows):
        total += losses[r]
    data = total / max(rows + control[OTHERS], 1) * as_double(p[3])
    squares = 0.0
    for part in range(p[5]):
        squares += doubles(p[4], p[5])[part]
    result = doubles(p[2], 2)
    result[0] = data + as_double(p[6]) * squares
    result[1] = data
