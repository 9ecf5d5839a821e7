"""Convolution of one image, or some of its output rows, channels last, and its packed filters. No im2col.

The tile walks the padded image in place: outer index the kernel's row, inner index a run of KW * C numbers. An image is copied once
into a padded scratch (in L2) where there are margins. Gradients have files of their own, so that nets compile only what they use.

Geometry words: 0 C, 1 H, 2 W, 3 F, 4 OH, 5 OW, 6 KH, 7 KW, 8 SH, 9 SW, 10 top, 11 left, 12 HP, 13 WP (padded sides), 14 whether
there are margins.
"""

import numpy as np
from numba import cfunc, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, TILE_ROWS, floats, tile_k
from netspec.kernels.native import GEOMETRY_WORDS, KERNEL, OPTIONS, padded_rows, share_end, share_start, words

WORD = types.int64


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_forward(x, filters, y, geometry, scratch, first, last):
    """Rows first..last of y (OH, OW, F) of one image; filters [F / PANEL][KH][KW * C][PANEL]; scratch (HP, WP, C), zero at its margins."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, out, out_width, kernel_height, run = g[0], g[3], g[5], g[6], g[7] * g[0]
    row_step, column_step = g[8] * g[13] * channels, g[9] * channels
    image = padded_rows(x, g, scratch, ITEMSIZE, first * g[8], (last - 1) * g[8] + kernel_height)
    tiles = (out_width + TILE_ROWS - 1) // TILE_ROWS
    for f in range(0, out, PANEL):
        width = min(PANEL, out - f)
        vectors = (width + LANES - 1) // LANES
        tail = width - LANES * (vectors - 1)
        panel = filters + f * kernel_height * run * ITEMSIZE
        for r in range(first, last):
            for t in range(tiles):
                q = out_width * t // tiles
                pixels = out_width * (t + 1) // tiles - q
                a = image + (r * row_step + q * column_step) * ITEMSIZE
                c = y + ((r * out_width + q) * out + f) * ITEMSIZE
                outer, panel_outer = g[13] * channels, run * PANEL
                no = np.int64(0)
                where = (a, column_step, outer, panel, PANEL, panel_outer, c, out)
                tile_k(pixels, vectors, (*where, run, kernel_height, tail, no, panel, no))


@cfunc(KERNEL, **OPTIONS)
def pack_filters(p, task, tasks, worker):
    """Words: control, W (F, C, KH, KW), packed [F / PANEL][KH][KW * C][PANEL], geometry."""
    g = words(p[3], GEOMETRY_WORDS)
    channels, out, kernel_height, kernel_width = g[0], g[3], g[6], g[7]
    taps = kernel_height * kernel_width
    w = floats(p[1], out * channels * taps)
    packed = floats(p[2], (out + PANEL - 1) // PANEL * PANEL * channels * taps)
    for f in range(share_start(out, task, tasks, PANEL), share_end(out, task, tasks, PANEL)):
        base, lane = f // PANEL * taps * channels * PANEL, f % PANEL
        for c in range(channels):
            for k in range(taps):
                packed[base + (k * channels + c) * PANEL + lane] = w[(f * channels + c) * taps + k]
