"""The kernels of a normalization by statistics of columns, as text with places for the layer's own formula and the chain behind it."""

MOMENTS = """\
@njit(**INLINE)
def moments(x, columns, r0, r1, j0, width, mean, spread):
    # mean and sum of squared deviations of rows r0..r1, in two passes
    clear(mean)
    clear(spread)
    for r in range(r0, r1):
        row = floats(x + (r * columns + j0) * ITEMSIZE, width)
        for j in range(width):
            mean[j] += row[j]
    share = F(1) / F(max(r1 - r0, 1))
    for j in range(width):
        mean[j] *= share
    for r in range(r0, r1):
        row = floats(x + (r * columns + j0) * ITEMSIZE, width)
        for j in range(width):
            spread[j] += (row[j] - mean[j]) * (row[j] - mean[j])


@njit(**INLINE)
def merge(count, mean, spread, more, other_mean, other_spread):
    # statistics of `count` rows become those of `count + more` rows
    weight = F(more) / F(max(count + more, 1))
    cross = F(count) * weight
    for j in range(mean.size):
        shift = other_mean[j] - mean[j]
        mean[j] += shift * weight
        spread[j] += other_spread[j] + shift * shift * cross


@njit(**INLINE)
def settle(rows, spread, mean, inverse, running_mean, running_var, eps, keep, update):
    for j in range(mean.size):
        variance = spread[j] / F(max(rows, 1))
        inverse[j] = F(1) / np.sqrt(variance + eps)
        # rows that overflow end the step before its update, and leave the averages too; of a small batch a process may have no row
        if update and rows > 0 and np.isfinite(variance):
            running_mean[j] = keep * running_mean[j] + (F(1) - keep) * mean[j]
            running_var[j] = keep * running_var[j] + (F(1) - keep) * variance
"""

APPLY = """\
@njit(**INLINE)
def apply(p, control, r0, r1, j0, width, mean, inverse):
    columns = p[2]
    gamma, beta = floats(p[7] + j0 * ITEMSIZE, width), floats(p[8] + j0 * ITEMSIZE, width)
{setup}    for r in range(r0, r1):
        place = r * columns + j0
        x, y = floats(p[3] + place * ITEMSIZE, width), floats(p[4] + place * ITEMSIZE, width)
{row}        for j in range(width):
            v0 = {normalize}
{chain}            y[j] = v{last}
"""

FORWARD_STRIP = """\
@cfunc(KERNEL, **OPTIONS)
def strip(p, task, tasks, worker):
    control = words(p[0], 8)
    rows, columns = control[ROWS] * p[1], p[2]
    j0 = share_start(columns, task, tasks, PANEL)
    width = share_end(columns, task, tasks, PANEL) - j0
    if width <= 0:
        return
    mean, inverse = floats(p[5] + j0 * ITEMSIZE, width), floats(p[6] + j0 * ITEMSIZE, width)
    moments(p[3], columns, 0, rows, j0, width, mean, inverse)
    running_mean, running_var = floats(p[9] + j0 * ITEMSIZE, width), floats(p[10] + j0 * ITEMSIZE, width)
    settle(rows, inverse, mean, inverse, running_mean, running_var, F(as_double(p[11])), F(as_double(p[12])), control[UPDATE_STATE] != 0)
    apply(p, control, 0, rows, j0, width, mean, inverse)
"""

FORWARD_ROWS = """\
@cfunc(KERNEL, **OPTIONS)
def statistics(p, task, tasks, worker):
    control = words(p[0], 8)
    rows, columns = control[ROWS] * p[1], p[2]
    first, last = share_start(control[ROWS], task, tasks, 1) * p[1], share_end(control[ROWS], task, tasks, 1) * p[1]
    part = p[13] + task * 4 * columns * ITEMSIZE
    mean, spread = floats(part, columns), floats(part + columns * ITEMSIZE, columns)
    more_mean, more_spread = floats(part + 2 * columns * ITEMSIZE, columns), floats(part + 3 * columns * ITEMSIZE, columns)
    clear(mean)
    clear(spread)
    for r in range(first, last, p[14]):
        end = min(r + p[14], last)
        moments(p[3], columns, r, end, 0, columns, more_mean, more_spread)
        merge(r - first, mean, spread, end - r, more_mean, more_spread)


@njit(**INLINE)
def merge_all(p, rows, at, parts, stride, mean, spread):
    # the statistics of `rows` rows of the batch, of which each part has its share
    columns = p[2]
    clear(mean)
    clear(spread)
    for part in range(parts):
        first, last = share_start(rows, part, parts, 1) * p[1], share_end(rows, part, parts, 1) * p[1]
        own = at + part * stride * columns * ITEMSIZE
        merge(first, mean, spread, last - first, floats(own, columns), floats(own + columns * ITEMSIZE, columns))


@njit(**INLINE)
def settle_all(p, rows, mean, inverse, update):
    running_mean, running_var = floats(p[9], p[2]), floats(p[10], p[2])
    settle(rows * p[1], inverse, mean, inverse, running_mean, running_var, F(as_double(p[11])), F(as_double(p[12])), update)


@njit(**INLINE)
def merge_parts(p, control, mean, inverse, update):
    merge_all(p, control[ROWS], p[13], p[15], 4, mean, inverse)
    settle_all(p, control[ROWS], mean, inverse, update)
"""

FORWARD_IMAGES = """\
@cfunc(KERNEL, **OPTIONS)
def combine(p, task, tasks, worker):
    control = words(p[0], 8)
    merge_parts(p, control, floats(p[5], p[2]), floats(p[6], p[2]), control[UPDATE_STATE] != 0)
"""

FORWARD_SHARED = """\
@cfunc(KERNEL, **OPTIONS)
def part_of_batch(p, task, tasks, worker):
    # what this process's rows give, for all to merge
    own = p[17] + p[19] * 2 * p[2] * ITEMSIZE
    merge_all(p, words(p[0], 8)[ROWS], p[13], p[15], 4, floats(own, p[2]), floats(own + p[2] * ITEMSIZE, p[2]))


@cfunc(KERNEL, **OPTIONS)
def whole_batch(p, task, tasks, worker):
    control = words(p[0], 8)
    rows = control[ROWS] + control[OTHERS]
    mean, inverse = floats(p[5], p[2]), floats(p[6], p[2])
    merge_all(p, rows, p[17], p[18], 2, mean, inverse)
    settle_all(p, rows, mean, inverse, control[UPDATE_STATE] != 0)
"""

SPREAD_OUT = """\
@cfunc(KERNEL, **OPTIONS)
def spread_out(p, task, tasks, worker):
    control = words(p[0], 8)
    first, last = share_start(control[ROWS], task, tasks, 1) * p[1], share_end(control[ROWS], task, tasks, 1) * p[1]
    apply(p, control, first, last, 0, p[2], floats(p[5], p[2]), floats(p[6], p[2]))
"""

FORWARD_VECTORS = """\
@cfunc(KERNEL, **OPTIONS)
def merged(p, task, tasks, worker):
    # each task merges the few parts for itself, and the first one for backward
    control, columns = words(p[0], 8), p[2]
    own = p[16] + worker * 2 * columns * ITEMSIZE
    mean, inverse = floats(own, columns), floats(own + columns * ITEMSIZE, columns)
    merge_parts(p, control, mean, inverse, task == 0 and control[UPDATE_STATE] != 0)
    if task == 0:
        copy(mean, floats(p[5], columns))
        copy(inverse, floats(p[6], columns))
    apply(p, control, share_start(control[ROWS], task, tasks, 1), share_end(control[ROWS], task, tasks, 1), 0, columns, mean, inverse)
"""

TEST = """\
@cfunc(KERNEL, **OPTIONS)
def test(p, task, tasks, worker):
    control = words(p[0], 8)
    columns, j0, width = p[2], 0, p[2]
    # the running variance becomes the inverse deviation in scratch, each worker in its own
    inverse = floats(p[6] + worker * columns * ITEMSIZE, columns)
    variance = floats(p[10], columns)
    for j in range(columns):
        inverse[j] = F(1) / np.sqrt(variance[j] + F(as_double(p[11])))
    first, last = share_start(control[ROWS], task, tasks, 1) * p[1], share_end(control[ROWS], task, tasks, 1) * p[1]
    mean, gamma, beta = floats(p[9], columns), floats(p[7], columns), floats(p[8], columns)
{setup}    for r in range(first, last):
        x, y = floats(p[3] + r * columns * ITEMSIZE, columns), floats(p[4] + r * columns * ITEMSIZE, columns)
{row}        for j in range(columns):
            v0 = {normalize}
{chain}            y[j] = v{last}
"""

RUNNING = """\
@cfunc(KERNEL, **OPTIONS)
def running(p, task, tasks, worker):
    # the running values in the place of a batch's
    mean, inverse, running_mean, running_var = floats(p[5], p[2]), floats(p[6], p[2]), floats(p[9], p[2]), floats(p[10], p[2])
    for j in range(p[2]):
        mean[j] = running_mean[j]
        inverse[j] = F(1) / np.sqrt(running_var[j] + F(as_double(p[11])))
"""

BACKWARD = """\
@njit(**INLINE)
def reduce(p, control, part, r0, r1, j0, width, sum_dy, sum_dy_xhat):
    # dx holds the gradient behind the chain afterwards
    columns = p[2]
    mean, inverse = floats(p[6] + j0 * ITEMSIZE, width), floats(p[7] + j0 * ITEMSIZE, width)
    gamma, beta = floats(p[8] + j0 * ITEMSIZE, width), floats(p[9] + j0 * ITEMSIZE, width)
    clear(sum_dy)
    clear(sum_dy_xhat)
{setup}{sums}    for r in range(r0, r1):
        place = r * columns + j0
        x, dy, dx = floats(p[3] + place * ITEMSIZE, width), floats(p[4] + place * ITEMSIZE, width), floats(p[5] + place * ITEMSIZE, width)
{row}        for j in range(width):
            v0 = {normalize}
{values}            d{last} = {incoming}
{chain}            dx[j] = d0
            sum_dy[j] += d0
            sum_dy_xhat[j] += d0 * ((x[j] - mean[j]) * inverse[j])


@njit(**INLINE)
def finish(p, rows, r0, r1, j0, width, sum_dy, sum_dy_xhat):
    columns = p[2]
    mean, inverse, gamma = floats(p[6] + j0 * ITEMSIZE, width), floats(p[7] + j0 * ITEMSIZE, width), floats(p[8] + j0 * ITEMSIZE, width)
    share = F(as_double(p[16])) / F(max(rows, 1))  # 0 where the statistics are no function of x
    for r in range(r0, r1):
        place = r * columns + j0
        x, dx = floats(p[3] + place * ITEMSIZE, width), floats(p[5] + place * ITEMSIZE, width)
        for j in range(width):
            dx[j] = {gradient}
"""

BACKWARD_STRIP = """\
@cfunc(KERNEL, **OPTIONS)
def strip(p, task, tasks, worker):
    control = words(p[0], 8)
    rows, columns = control[ROWS] * p[1], p[2]
    j0 = share_start(columns, task, tasks, PANEL)
    width = share_end(columns, task, tasks, PANEL) - j0
    if width <= 0:
        return
    sum_dy, sum_dy_xhat = floats(p[11] + j0 * ITEMSIZE, width), floats(p[10] + j0 * ITEMSIZE, width)
    reduce(p, control, 0, 0, rows, j0, width, sum_dy, sum_dy_xhat)
    if p[12] != 0:
        finish(p, rows, 0, rows, j0, width, sum_dy, sum_dy_xhat)
"""

BACKWARD_ROWS = """\
@cfunc(KERNEL, **OPTIONS)
def reduce_rows(p, task, tasks, worker):
    control = words(p[0], 8)
    rows, columns = control[ROWS] * p[1], p[2]
    part = p[13] + task * 2 * columns * ITEMSIZE
    first, last = share_start(control[ROWS], task, tasks, 1) * p[1], share_end(control[ROWS], task, tasks, 1) * p[1]
    reduce(p, control, task, first, last, 0, columns, floats(part, columns), floats(part + columns * ITEMSIZE, columns))


@njit(**INLINE)
def add_all(p, parts_at, parts, sum_dy, sum_dy_xhat):
    columns = p[2]
    clear(sum_dy)
    clear(sum_dy_xhat)
    for part in range(parts):
        at = parts_at + part * 2 * columns * ITEMSIZE
        more, more_xhat = floats(at, columns), floats(at + columns * ITEMSIZE, columns)
        for j in range(columns):
            sum_dy[j] += more[j]
            sum_dy_xhat[j] += more_xhat[j]
"""

BACKWARD_IMAGES = """\
@cfunc(KERNEL, **OPTIONS)
def combine(p, task, tasks, worker):
    add_all(p, p[13], p[14], floats(p[11], p[2]), floats(p[10], p[2]))


@cfunc(KERNEL, **OPTIONS)
def finish_rows(p, task, tasks, worker):
    rows = words(p[0], 8)[ROWS]
    first, last = share_start(rows, task, tasks, 1) * p[1], share_end(rows, task, tasks, 1) * p[1]
    finish(p, rows * p[1], first, last, 0, p[2], floats(p[11], p[2]), floats(p[10], p[2]))
"""

BACKWARD_SHARED = """\
@cfunc(KERNEL, **OPTIONS)
def part_of_batch(p, task, tasks, worker):
    # the sums of this process's rows are its gradients, and its part of the sums over the batch
    columns, own = p[2], p[17] + p[19] * 2 * p[2] * ITEMSIZE
    sum_dy, sum_dy_xhat = floats(p[11], columns), floats(p[10], columns)
    add_all(p, p[13], p[14], sum_dy, sum_dy_xhat)
    copy(sum_dy, floats(own, columns))
    copy(sum_dy_xhat, floats(own + columns * ITEMSIZE, columns))


@cfunc(KERNEL, **OPTIONS)
def whole_batch(p, task, tasks, worker):
    add_all(p, p[17], p[18], floats(p[20], p[2]), floats(p[20] + p[2] * ITEMSIZE, p[2]))


@cfunc(KERNEL, **OPTIONS)
def finish_rows(p, task, tasks, worker):
    control = words(p[0], 8)
    first, last = share_start(control[ROWS], task, tasks, 1) * p[1], share_end(control[ROWS], task, tasks, 1) * p[1]
    rows = (control[ROWS] + control[OTHERS]) * p[1]
    finish(p, rows, first, last, 0, p[2], floats(p[20], p[2]), floats(p[20] + p[2] * ITEMSIZE, p[2]))
"""

BACKWARD_VECTORS = """\
@cfunc(KERNEL, **OPTIONS)
def finish_merged(p, task, tasks, worker):
    rows, columns = words(p[0], 8)[ROWS], p[2]
    own = p[15] + worker * 2 * columns * ITEMSIZE
    sum_dy, sum_dy_xhat = floats(own, columns), floats(own + columns * ITEMSIZE, columns)
    add_all(p, p[13], p[14], sum_dy, sum_dy_xhat)
    if task == 0:
        copy(sum_dy, floats(p[11], columns))
        copy(sum_dy_xhat, floats(p[10], columns))
    if p[12] != 0:
        finish(p, rows, share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1), 0, columns, sum_dy, sum_dy_xhat)
"""

BACKWARD_FROZEN = """\
@cfunc(KERNEL, **OPTIONS)
def frozen(p, task, tasks, worker):
    control, columns = words(p[0], 8), p[2]
    mean, inverse, gamma, beta = floats(p[6], columns), floats(p[7], columns), floats(p[8], columns), floats(p[9], columns)
    j0, width, part = 0, columns, task
{setup}{sums}    for r in range(share_start(control[ROWS], task, tasks, 1) * p[1], share_end(control[ROWS], task, tasks, 1) * p[1]):
        place = r * columns
        x, dy = floats(p[3] + place * ITEMSIZE, columns), floats(p[4] + place * ITEMSIZE, columns)
        dx = floats(p[5] + place * ITEMSIZE, columns)
{row}        for j in range(columns):
            v0 = {normalize}
{values}            d{last} = {incoming}
{chain}            dx[j] = {gradient}
"""
