"""Gradient of a convolution's weights, one image, and the sum of the tasks' parts: outer index the output row, inner index its pixels.
Geometry words as in convolve.py.
"""

import numpy as np
from numba import cfunc, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, TILE_ROWS, floats, pack_rows, tile_m
from netspec.kernels.native import GEOMETRY_WORDS, KERNEL, OPTIONS, padded_image, share_end, share_start, words

WORD = types.int64


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_grad_weights(x, dy, gradient, geometry, scratch, panels, accumulate):
    """gradient [F / PANEL][KH][KW * C][PANEL] (+)= the share of one image. `panels`: room for dy in panels [F / PANEL][OH * OW][PANEL],
    used where F is not a whole number of vectors."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, out, out_height, out_width, kernel_height, run = g[0], g[3], g[4], g[5], g[6], g[7] * g[0]
    image = padded_image(x, g, scratch, ITEMSIZE)
    pixels = out_height * out_width
    tiles = (run + TILE_ROWS - 1) // TILE_ROWS
    for f in range(0, out, PANEL):
        width = min(PANEL, out - f)
        vectors = (width + LANES - 1) // LANES
        tail = width - LANES * (vectors - 1)
        columns, step = dy + f * ITEMSIZE, out
        if out % LANES != 0:
            columns, step = panels, PANEL
            pack_rows((dy + f * ITEMSIZE, out, pixels, width, panels, PANEL))
        for h in range(kernel_height):
            for t in range(tiles):
                r0 = run * t // tiles
                rows = run * (t + 1) // tiles - r0
                a = image + (h * g[13] * channels + r0) * ITEMSIZE
                c = gradient + ((f // PANEL * kernel_height + h) * run + r0) * PANEL * ITEMSIZE
                outer = g[8] * g[13] * channels
                where = (a, channels * g[9], outer, columns, step, out_width * step, c, PANEL)
                tile_m(rows, vectors, (*where, out_width, out_height, tail, accumulate, columns, np.int64(0)))


@cfunc(KERNEL, **OPTIONS)
def collect_filters(p, task, tasks, worker):
    """Words: control, parts (parts, F / PANEL, KH, KW * C, PANEL), dW (F, C, KH, KW), geometry, number of parts; added in order, into the
    first part. Tasks share the rows of PANEL numbers."""
    g = words(p[3], GEOMETRY_WORDS)
    channels, out, taps = g[0], g[3], g[6] * g[7]
    depth = channels * taps
    rows = (out + PANEL - 1) // PANEL * depth
    gradient = floats(p[2], out * depth)
    for row in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
        at = p[1] + row * PANEL * ITEMSIZE
        total = floats(at, PANEL)
        for part in range(1, p[4]):
            more = floats(at + part * rows * PANEL * ITEMSIZE, PANEL)
            for lane in range(PANEL):
                total[lane] += more[lane]
        first, place = row // depth * PANEL, row % depth
        target = (first * channels + place % channels) * taps + place // channels
        for lane in range(min(PANEL, out - first)):
            gradient[target + lane * depth] = total[lane]
