"""Convolution of one image, or some of its output rows, channels last, and its packed filters. No im2col.

The tile walks the padded image in place: outer index the kernel's row, inner index a run of KW * C numbers. An image is copied once
into a padded scratch (in L2) where there are margins. Gradients have files of their own, so that nets compile only what they use.

Geometry words: 0 C, 1 H, 2 W, 3 F, 4 OH, 5 OW, 6 KH, 7 KW, 8 SH, 9 SW, 10 top, 11 left, 12 HP, 13 WP (padded sides), 14 whether
there are margins, 17 groups.
"""

import numpy as np
from numba import cfunc, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, TILE_ROWS, floats, tile_k
from netspec.kernels.native import GEOMETRY_WORDS, KERNEL, OPTIONS, padded_rows, share_end, share_start, words

WORD = types.int64


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_forward(x, filters, y, geometry, scratch, first, last):
    """Rows first..last of y (OH, OW, F) of one image; filters [groups][F / groups / PANEL][KH][KW * C / groups][PANEL]; scratch (HP, WP,
    C), zero at its margins."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, out, out_width, kernel_height, kernel_width, groups = g[0], g[3], g[5], g[6], g[7], g[17]
    own, wide = channels // groups, out // groups
    # a run of numbers that the window's rows share: all of a row's pixels, or where groups take turns in them one pixel
    runs = 1 if groups == 1 else kernel_width
    depth = kernel_width * own // runs
    row_step, column_step, outer, panel_outer = g[8] * g[13] * channels, g[9] * channels, g[13] * channels, kernel_width * own * PANEL
    image = padded_rows(x, g, scratch, ITEMSIZE, first * g[8], (last - 1) * g[8] + kernel_height)
    tiles = (out_width + TILE_ROWS - 1) // TILE_ROWS
    panel = filters
    no = np.int64(0)
    for group in range(groups):
        for f in range(0, wide, PANEL):
            width = min(PANEL, wide - f)
            vectors = (width + LANES - 1) // LANES
            tail = width - LANES * (vectors - 1)
            for r in range(first, last):
                for t in range(tiles):
                    q = out_width * t // tiles
                    pixels = out_width * (t + 1) // tiles - q
                    a = image + (r * row_step + q * column_step + group * own) * ITEMSIZE
                    c = y + ((r * out_width + q) * out + group * wide + f) * ITEMSIZE
                    for k in range(runs):
                        b = panel + k * depth * PANEL * ITEMSIZE
                        where = (a + k * channels * ITEMSIZE, column_step, outer, b, PANEL, panel_outer, c, out)
                        tile_k(pixels, vectors, (*where, depth, kernel_height, tail, k, b, no))
            panel += kernel_height * panel_outer * ITEMSIZE


@cfunc(KERNEL, **OPTIONS)
def pack_filters(p, task, tasks, worker):
    """Words: control, W (F, C / groups, KH, KW), packed as above, geometry."""
    g = words(p[3], GEOMETRY_WORDS)
    out, groups, taps = g[3], g[17], g[6] * g[7]
    own, wide = g[0] // groups, out // groups
    panels = (wide + PANEL - 1) // PANEL
    w = floats(p[1], out * own * taps)
    packed = floats(p[2], groups * panels * PANEL * own * taps)
    for f in range(share_start(out, task, tasks, 1), share_end(out, task, tasks, 1)):
        base, lane = (f // wide * panels + f % wide // PANEL) * taps * own * PANEL, f % wide % PANEL
        for c in range(own):
            for k in range(taps):
                packed[base + (k * own + c) * PANEL + lane] = w[(f * own + c) * taps + k]
