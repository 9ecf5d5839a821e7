"""Images whose pixels are repeated, and the sums of their gradients; channels are the inner loop."""

from numba import cfunc

from netspec.kernels.f32 import ITEMSIZE, floats
from netspec.kernels.native import KERNEL, OPTIONS, ROWS, clear, copy, copy_bytes, share_end, share_start, words


@cfunc(KERNEL, **OPTIONS)
def upsample(p, task, tasks, worker):
    """Words: control, x, y, channels, height, width, copies of a pixel down, across."""
    count, channels, down, across = words(p[0], 8)[ROWS], p[3], p[6], p[7]
    pixel = channels * ITEMSIZE
    row, out_row = p[5] * pixel, p[5] * across * pixel
    for at in range(share_start(count, task, tasks, 1) * p[4], share_end(count, task, tasks, 1) * p[4]):
        target = p[2] + at * down * out_row
        for place in range(p[5] * across):
            copy(floats(p[1] + at * row + place // across * pixel, channels), floats(target + place * pixel, channels))
        for k in range(1, down):
            copy_bytes(target, target + k * out_row, out_row)


@cfunc(KERNEL, **OPTIONS)
def upsample_gradient(p, task, tasks, worker):
    """Words: as `upsample`, x and y their gradients."""
    count, channels, down, across = words(p[0], 8)[ROWS], p[3], p[6], p[7]
    pixel = channels * ITEMSIZE
    out_row = p[5] * across * pixel
    for at in range(share_start(count, task, tasks, 1) * p[4], share_end(count, task, tasks, 1) * p[4]):
        for w in range(p[5]):
            dx = floats(p[1] + (at * p[5] + w) * pixel, channels)
            clear(dx)
            for k in range(down):
                for place in range(w * across, (w + 1) * across):
                    dy = floats(p[2] + (at * down + k) * out_row + place * pixel, channels)
                    for c in range(channels):
                        dx[c] += dy[c]
