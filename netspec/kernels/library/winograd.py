"""Convolution of one image, or some of its output rows, by F(2x2, 3x3), channels last: see kernels/transforms.py for its arithmetic.

Rows of tiles go through in blocks that stay in L2: the padded image's 4x4 tiles to 16 planes (tiles, C), for each plane one product with
the transformed filters, and the planes (tiles, F) of the result back to 2x2 pixels each.

Geometry words as in convolve.py, 12 HP and 13 WP those that the tiles cover, and 15 rows of tiles in a block, 16 elements of the scratch
before the planes; 17 elements from one tile of x's planes to the next, 18 from one plane to the next, 19 and 20 the same of y's.
"""

import numpy as np
from numba import cfunc, njit, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, TILE_ROWS, F, floats, image_to_planes, planes_to_result, tile_k
from netspec.kernels.native import INLINE, KERNEL, OPTIONS, PLANES, TILED_WORDS, padded_rows, share_end, share_start, words

WORD = types.int64


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_forward(x, filters, y, geometry, scratch, first, last):
    """Rows first..last of y (OH, OW, F) of one image, `first` even; filters [16][F / PANEL][C][PANEL]; scratch: the padded image (HP, WP,
    C), zero at its margins, and the planes."""
    g = words(geometry, TILED_WORDS)
    channels, out, out_height, out_width, padded_width = g[0], g[3], g[4], g[5], g[13]
    down, across = (last + 1) // 2, (out_width + 1) // 2
    image = padded_rows(x, g, scratch, ITEMSIZE, first, 2 * down + 2)
    x_tile, x_plane, y_tile, y_plane = g[17], g[18], g[19], g[20]
    x_planes = scratch + g[16] * ITEMSIZE
    y_planes = x_planes + PLANES * x_plane * ITEMSIZE
    spare = y_planes + PLANES * y_plane * ITEMSIZE
    panels = (out + PANEL - 1) // PANEL
    one, no = np.int64(1), np.int64(0)
    for start in range(first // 2, down, g[15]):
        rows = min(g[15], down - start)
        tiles = rows * across
        groups = (tiles + TILE_ROWS - 1) // TILE_ROWS
        for r in range(rows):
            source = image + 2 * (start + r) * padded_width * channels * ITEMSIZE
            target = x_planes + r * across * x_tile * ITEMSIZE
            where = (source, padded_width * channels, channels, 2 * channels, target, 4 * x_plane, x_plane, x_tile)
            image_to_planes((*where, across, channels, no, no, spare))
        for plane in range(PLANES):
            for f in range(0, out, PANEL):
                width = min(PANEL, out - f)
                vectors = (width + LANES - 1) // LANES
                tail = width - LANES * (vectors - 1)
                panel = filters + (plane * panels + f // PANEL) * channels * PANEL * ITEMSIZE
                for t in range(groups):
                    q = tiles * t // groups
                    height = tiles * (t + 1) // groups - q
                    a = x_planes + (plane * x_plane + q * x_tile) * ITEMSIZE
                    c = y_planes + (plane * y_plane + q * y_tile + f) * ITEMSIZE
                    where = (a, x_tile, no, panel, PANEL, no, c, y_tile)
                    tile_k(height, vectors, (*where, channels, one, tail, no, panel, no))
        for r in range(rows):
            source = y_planes + r * across * y_tile * ITEMSIZE
            i = 2 * (start + r)
            target = y + i * out_width * out * ITEMSIZE
            where = (source, 4 * y_plane, y_plane, y_tile, target, out_width * out, out, 2 * out)
            planes_to_result((*where, across, out, out_height - i, out_width, spare))


@njit(**INLINE)
def filter_line(a, b, c):
    """G g."""
    half = F(0.5)
    return a, half * (a + c + b), half * (a + c - b), c


@njit(**INLINE)
def spread(w0, w1, w2, w3, w4, w5, w6, w7, w8, to, step):
    """G g G' of one filter: its number of each plane, the planes `step` elements apart."""
    packed = floats(to, 15 * step + 1)
    first, second, third = filter_line(w0, w1, w2), filter_line(w3, w4, w5), filter_line(w6, w7, w8)
    for j in range(4):
        column = filter_line(first[j], second[j], third[j])
        for i in range(4):
            packed[(4 * i + j) * step] = column[i]


@cfunc(KERNEL, **OPTIONS)
def pack_filters(p, task, tasks, worker):
    """Words: control, W (F, C, 3, 3), packed [16][F / PANEL][C][PANEL], geometry. Tasks share the channels."""
    g = words(p[3], TILED_WORDS)
    channels, out = g[0], g[3]
    step = (out + PANEL - 1) // PANEL * PANEL * channels
    for c in range(share_start(channels, task, tasks, 1), share_end(channels, task, tasks, 1)):
        for f in range(out):
            w = floats(p[1] + (f * channels + c) * 9 * ITEMSIZE, 9)
            place = (f // PANEL * channels + c) * PANEL + f % PANEL
            spread(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], p[2] + place * ITEMSIZE, step)


@cfunc(KERNEL, **OPTIONS)
def pack_flipped(p, task, tasks, worker):
    """Words: control, W (C, F, 3, 3), packed [16][F / PANEL][C][PANEL] of the filters turned by half a turn, geometry of the gradient's
    convolution: from C channels, those of the result, to F, those of the input. Tasks share the channels."""
    g = words(p[3], TILED_WORDS)
    channels, out = g[0], g[3]
    step = (out + PANEL - 1) // PANEL * PANEL * channels
    for c in range(share_start(channels, task, tasks, 1), share_end(channels, task, tasks, 1)):
        for f in range(out):
            w = floats(p[1] + (c * out + f) * 9 * ITEMSIZE, 9)
            place = (f // PANEL * channels + c) * PANEL + f % PANEL
            spread(w[8], w[7], w[6], w[5], w[4], w[3], w[2], w[1], w[0], p[2] + place * ITEMSIZE, step)
