"""Gradient of a convolution's filters by F(2x2, 3x3), one image, and the sum of the tasks' parts. Geometry words as in winograd.py.

For each plane one product of the image's tiles (C, tiles) by those of the result's gradient (tiles, F); the planes of the sum over all
images become filters at the end.
"""

import numpy as np
from numba import cfunc, njit, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, TILE_ROWS, F, floats, gradient_to_planes, image_to_planes, tile_m
from netspec.kernels.native import INLINE, KERNEL, OPTIONS, PLANES, TILED_WORDS, clear_bytes, padded_image, share_end, share_start, words

WORD = types.int64


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_grad_weights(x, dy, gradient, geometry, scratch, dy_planes, accumulate):
    """gradient [16][F / PANEL][C][PANEL] (+)= the share of one image. scratch: the padded image, zero at its margins, and its planes;
    dy_planes: room for those of dy and for a pixel of zeros."""
    g = words(geometry, TILED_WORDS)
    channels, out, out_height, out_width, padded_width = g[0], g[3], g[4], g[5], g[13]
    down, across = (out_height + 1) // 2, (out_width + 1) // 2
    image = padded_image(x, g, scratch, ITEMSIZE)
    x_tile, x_plane, y_tile, y_plane = g[17], g[18], g[19], g[20]
    x_planes = scratch + g[16] * ITEMSIZE
    zeros = dy_planes + PLANES * y_plane * ITEMSIZE
    clear_bytes(zeros, y_tile * ITEMSIZE)
    panels = (out + PANEL - 1) // PANEL
    groups = (channels + TILE_ROWS - 1) // TILE_ROWS
    one, no = np.int64(1), np.int64(0)
    for start in range(0, down, g[15]):
        rows = min(g[15], down - start)
        tiles = rows * across
        for r in range(rows):
            i = 2 * (start + r)
            source = image + i * padded_width * channels * ITEMSIZE
            target = x_planes + r * across * x_tile * ITEMSIZE
            where = (source, padded_width * channels, channels, 2 * channels, target, 4 * x_plane, x_plane, x_tile)
            image_to_planes((*where, across, channels, no, no, no))
            source = dy + i * out_width * out * ITEMSIZE
            target = dy_planes + r * across * y_tile * ITEMSIZE
            where = (source, out_width * out, out, 2 * out, target, 4 * y_plane, y_plane, y_tile)
            gradient_to_planes((*where, across, out, out_height - i, out_width, zeros))
        add = one if start > 0 else accumulate
        for plane in range(PLANES):
            for f in range(0, out, PANEL):
                width = min(PANEL, out - f)
                vectors = (width + LANES - 1) // LANES
                tail = width - LANES * (vectors - 1)
                columns = dy_planes + (plane * y_plane + f) * ITEMSIZE
                for t in range(groups):
                    r0 = channels * t // groups
                    height = channels * (t + 1) // groups - r0
                    a = x_planes + (plane * x_plane + r0) * ITEMSIZE
                    c = gradient + ((plane * panels + f // PANEL) * channels + r0) * PANEL * ITEMSIZE
                    where = (a, x_tile, no, columns, y_tile, no, c, PANEL)
                    tile_m(height, vectors, (*where, tiles, one, tail, add, columns, no))


@njit(**INLINE)
def gradient_line(a, b, c, d):
    """G' u."""
    half = F(0.5)
    middle = half * (b + c)
    return a + middle, half * (b - c), middle + d


@njit(**INLINE)
def collect(u, lane, step, dw):
    """G' u G of one filter, dw (9,)."""
    l0 = gradient_line(u[lane], u[lane + step], u[lane + 2 * step], u[lane + 3 * step])
    l1 = gradient_line(u[lane + 4 * step], u[lane + 5 * step], u[lane + 6 * step], u[lane + 7 * step])
    l2 = gradient_line(u[lane + 8 * step], u[lane + 9 * step], u[lane + 10 * step], u[lane + 11 * step])
    l3 = gradient_line(u[lane + 12 * step], u[lane + 13 * step], u[lane + 14 * step], u[lane + 15 * step])
    for j in range(3):
        column = gradient_line(l0[j], l1[j], l2[j], l3[j])
        for i in range(3):
            dw[3 * i + j] = column[i]


@cfunc(KERNEL, **OPTIONS)
def collect_filters(p, task, tasks, worker):
    """Words: control, parts [parts][16][F / PANEL][C][PANEL], dW (F, C, 3, 3), geometry, number of parts; added in order, into the first
    part. Tasks share the rows of PANEL numbers."""
    g = words(p[3], TILED_WORDS)
    channels, out = g[0], g[3]
    rows = (out + PANEL - 1) // PANEL * channels
    plane_step = rows * PANEL
    for row in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
        for plane in range(PLANES):
            at = p[1] + (plane * plane_step + row * PANEL) * ITEMSIZE
            total = floats(at, PANEL)
            for part in range(1, p[4]):
                more = floats(at + part * PLANES * plane_step * ITEMSIZE, PANEL)
                for lane in range(PANEL):
                    total[lane] += more[lane]
        u = floats(p[1] + row * PANEL * ITEMSIZE, 15 * plane_step + PANEL)
        first, c = row // channels * PANEL, row % channels
        for lane in range(min(PANEL, out - first)):
            dw = floats(p[2] + ((first + lane) * channels + c) * 9 * ITEMSIZE, 9)
            collect(u, lane, plane_step, dw)
