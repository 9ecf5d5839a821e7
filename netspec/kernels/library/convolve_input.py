"""Gradient of a convolution's input, one image, and its flipped filters: the forward tile with one sub-filter for each residue of the
stride. Geometry words as in convolve.py with dy as the image: 0 F, 1 OH, 2 OW, 3 C, 4 H, 5 W, 6 KH, 7 KW, 8 SH, 9 SW, 10 KH - 1,
11 KW - 1, 12 OHP, 13 OWP (padded sides), 14 whether there are margins, 15 top, 16 left, 17 groups.
"""

import numpy as np
from numba import cfunc, njit, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, TILE_ROWS, floats, tile_k
from netspec.kernels.native import GEOMETRY_WORDS, INLINE, KERNEL, OPTIONS, clear_bytes, padded_image, words

WORD = types.int64


@njit(**INLINE)
def clear_columns(target, step, count, channels):
    for q in range(count):
        clear_bytes(target + q * step * ITEMSIZE, channels * ITEMSIZE)


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_grad_input(dy, filters, dx, geometry, scratch, first, last):
    """Rows first..last of dx (H, W, C) of one image from dy (OH, OW, F). filters: for each residue (a, b) of the stride
    [groups][C / groups / PANEL][taps][taps * F / groups][PANEL]; scratch (OHP, OWP, F), zero at its margins, which are KH - 1 rows and
    KW - 1 columns before dy."""
    g = words(geometry, GEOMETRY_WORDS)
    out, channels, width, kernel_height, kernel_width, row_stride, column_stride = g[0], g[3], g[5], g[6], g[7], g[8], g[9]
    margin_rows, margin_columns, padded_width, top, left, groups = g[10], g[11], g[13], g[15], g[16], g[17]
    own, wide = channels // groups, out // groups
    image = padded_image(dy, g, scratch, ITEMSIZE)
    panels = (own + PANEL - 1) // PANEL
    outer, ldc, no = padded_width * out, column_stride * channels, np.int64(0)
    offset = 0
    for a in range(row_stride):
        taps_down = max(0, (kernel_height - a + row_stride - 1) // row_stride)
        for b in range(column_stride):
            taps_across = max(0, (kernel_width - b + column_stride - 1) // column_stride)
            run = taps_across * wide
            runs = 1 if groups == 1 else max(taps_across, 1)
            depth = run // runs
            x0 = left + (b - left) % column_stride
            count = (left + width - x0 + column_stride - 1) // column_stride
            tiles = (count + TILE_ROWS - 1) // TILE_ROWS
            for y_padded in range(top + first + (a - top - first) % row_stride, top + last, row_stride):
                line = dx + (y_padded - top) * width * channels * ITEMSIZE
                if run == 0 or taps_down == 0:
                    clear_columns(line + (x0 - left) * channels * ITEMSIZE, column_stride * channels, count, channels)
                    continue
                row = (y_padded - a) // row_stride - (taps_down - 1) + margin_rows
                panel = filters + offset * ITEMSIZE
                for group in range(groups):
                    for f in range(0, own, PANEL):
                        columns = min(PANEL, own - f)
                        vectors = (columns + LANES - 1) // LANES
                        tail = columns - LANES * (vectors - 1)
                        for t in range(tiles):
                            q = count * t // tiles
                            pixels = count * (t + 1) // tiles - q
                            x_padded = x0 + q * column_stride
                            column = (x_padded - b) // column_stride - (taps_across - 1) + margin_columns
                            source = image + ((row * padded_width + column) * out + group * wide) * ITEMSIZE
                            target = line + ((x_padded - left) * channels + group * own + f) * ITEMSIZE
                            for k in range(runs):
                                part = panel + k * depth * PANEL * ITEMSIZE
                                where = (source + k * out * ITEMSIZE, out, outer, part, PANEL, run * PANEL, target, ldc)
                                tile_k(pixels, vectors, (*where, depth, taps_down, tail, k, part, no))
                        panel += taps_down * run * PANEL * ITEMSIZE
            offset += groups * panels * taps_down * run * PANEL


@cfunc(KERNEL, **OPTIONS)
def pack_flipped(p, task, tasks, worker):
    """Words: control, W (F, C / groups, KH, KW), flipped (see image_grad_input), geometry."""
    g = words(p[3], GEOMETRY_WORDS)
    out, channels, kernel_height, kernel_width, row_stride, column_stride, groups = g[0], g[3], g[6], g[7], g[8], g[9], g[17]
    own, wide = channels // groups, out // groups
    w = floats(p[1], out * own * kernel_height * kernel_width)
    panels = (own + PANEL - 1) // PANEL
    offset = 0
    for a in range(row_stride):
        taps_down = max(0, (kernel_height - a + row_stride - 1) // row_stride)
        for b in range(column_stride):
            taps_across = max(0, (kernel_width - b + column_stride - 1) // column_stride)
            run = taps_down * taps_across * wide
            packed = floats(p[2] + offset * ITEMSIZE, groups * panels * run * PANEL)
            for channel in range(channels):
                group, c = channel // own, channel % own
                base, lane = (group * panels + c // PANEL) * run * PANEL, c % PANEL
                for i in range(taps_down):
                    for j in range(taps_across):
                        kh, kw = a + row_stride * (taps_down - 1 - i), b + column_stride * (taps_across - 1 - j)
                        for f in range(wide):
                            packed[base + ((i * taps_across + j) * wide + f) * PANEL + lane] = w[
                                (((group * wide + f) * own + c) * kernel_height + kh) * kernel_width + kw
                            ]
            offset += groups * panels * run * PANEL
