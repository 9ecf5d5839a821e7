"""Convolution of one image where each channel has a filter of its own, channels last: forward, the gradients of the input and of the
filters. Geometry words as in convolve.py, those of the input's gradient as in convolve_input.py.
"""

from numba import cfunc, types

from netspec.kernels.f32 import ITEMSIZE, depthwise, depthwise_gradient, floats
from netspec.kernels.native import (
    GEOMETRY_WORDS,
    KERNEL,
    OPTIONS,
    clear_bytes,
    copy_bytes,
    padded_image,
    padded_rows,
    share_end,
    share_start,
    words,
)  # fmt: skip

WORD = types.int64


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_forward(x, filters, y, geometry, scratch, first, last):
    """Rows first..last of y (OH, OW, C); filters [KH][KW][C]; scratch (HP, WP, C), zero at its margins."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, width = g[0], g[5]
    image = padded_rows(x, g, scratch, ITEMSIZE, first * g[8], (last - 1) * g[8] + g[6])
    row = g[13] * channels
    for r in range(first, last):
        source, target = image + r * g[8] * row * ITEMSIZE, y + r * width * channels * ITEMSIZE
        depthwise((source, g[9] * channels, row, filters, g[6], g[7], target, width, channels))


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_grad_input(dy, filters, dx, geometry, scratch, first, last):
    """Rows first..last of dx (H, W, C); filters [KH][KW][C], turned by half a turn; scratch (OHP, OWP, C): dy with as many zeros between
    its pixels as the stride skips, KH - 1 rows and KW - 1 columns from the corner."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, height, out_width, width = g[0], g[1], g[2], g[5]
    row = g[13] * channels
    image = scratch
    if g[14] == 0 or (g[8] == 1 and g[9] == 1):  # dy itself, or with margins alone
        image = padded_image(dy, g, scratch, ITEMSIZE)
    else:
        clear_bytes(scratch, g[12] * row * ITEMSIZE)
        for r in range(height):
            for q in range(out_width):
                place = (g[10] + r * g[8]) * row + (g[11] + q * g[9]) * channels
                copy_bytes(dy + (r * out_width + q) * channels * ITEMSIZE, scratch + place * ITEMSIZE, channels * ITEMSIZE)
    for r in range(first, last):
        source = image + ((r + g[15]) * row + g[16] * channels) * ITEMSIZE
        depthwise((source, channels, row, filters, g[6], g[7], dx + r * width * channels * ITEMSIZE, width, channels))


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_grad_weights(x, dy, gradient, geometry, scratch, panels, accumulate):
    """gradient [KH][KW][C] (+)= the share of one image."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, width = g[0], g[5]
    image = padded_image(x, g, scratch, ITEMSIZE)
    row = g[13] * channels
    if accumulate == 0:
        clear_bytes(gradient, g[6] * g[7] * channels * ITEMSIZE)
    for r in range(g[4]):
        source, slopes = image + r * g[8] * row * ITEMSIZE, dy + r * width * channels * ITEMSIZE
        depthwise_gradient((source, g[9] * channels, row, gradient, g[6], g[7], slopes, width, channels))


@cfunc(KERNEL, **OPTIONS)
def pack_filters(p, task, tasks, worker):
    """Words: control, W (C, 1, KH, KW), packed [KH][KW][C], geometry."""
    g = words(p[3], GEOMETRY_WORDS)
    channels, taps = g[0], g[6] * g[7]
    w, packed = floats(p[1], channels * taps), floats(p[2], channels * taps)
    for c in range(channels):
        for k in range(taps):
            packed[k * channels + c] = w[c * taps + k]


@cfunc(KERNEL, **OPTIONS)
def pack_flipped(p, task, tasks, worker):
    """Words: control, W (C, 1, KH, KW), packed [KH][KW][C] turned by half a turn, geometry."""
    g = words(p[3], GEOMETRY_WORDS)
    channels, taps = g[0], g[6] * g[7]
    w, packed = floats(p[1], channels * taps), floats(p[2], channels * taps)
    for c in range(channels):
        for k in range(taps):
            packed[(taps - 1 - k) * channels + c] = w[c * taps + k]


@cfunc(KERNEL, **OPTIONS)
def collect_filters(p, task, tasks, worker):
    """Words: control, parts (parts, KH, KW, C), dW (C, 1, KH, KW), geometry, number of parts; added in order. Tasks share the
    channels."""
    g = words(p[3], GEOMETRY_WORDS)
    channels, taps = g[0], g[6] * g[7]
    parts, gradient = floats(p[1], p[4] * channels * taps), floats(p[2], channels * taps)
    for c in range(share_start(channels, task, tasks, 1), share_end(channels, task, tasks, 1)):
        for k in range(taps):
            total = parts[k * channels + c]
            for part in range(1, p[4]):
                total += parts[(part * taps + k) * channels + c]
            gradient[c * taps + k] = total
