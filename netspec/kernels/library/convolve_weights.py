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
    """gradient [groups][F / groups / PANEL][KH][KW * C / groups][PANEL] (+)= the share of one image. `panels`: room for a panel of dy,
    (OH * OW, PANEL), used where its columns are not a whole number of vectors."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, out, out_height, out_width, kernel_height, kernel_width, groups = g[0], g[3], g[4], g[5], g[6], g[7], g[17]
    own, wide = channels // groups, out // groups
    runs = 1 if groups == 1 else kernel_width
    depth = kernel_width * own // runs
    image = padded_image(x, g, scratch, ITEMSIZE)
    pixels = out_height * out_width
    tiles = (depth + TILE_ROWS - 1) // TILE_ROWS
    line = gradient
    for group in range(groups):
        for f in range(0, wide, PANEL):
            width = min(PANEL, wide - f)
            vectors = (width + LANES - 1) // LANES
            tail = width - LANES * (vectors - 1)
            columns, step = dy + (group * wide + f) * ITEMSIZE, out
            if out % LANES != 0 or wide % LANES != 0:
                pack_rows((columns, out, pixels, width, panels, PANEL))
                columns, step = panels, PANEL
            for h in range(kernel_height):
                for k in range(runs):
                    start = image + ((h * g[13] + k) * channels + group * own) * ITEMSIZE
                    for t in range(tiles):
                        r0 = depth * t // tiles
                        rows = depth * (t + 1) // tiles - r0
                        where = (start + r0 * ITEMSIZE, channels * g[9], g[8] * g[13] * channels, columns, step, out_width * step)
                        target = (line + r0 * PANEL * ITEMSIZE, PANEL, out_width, out_height, tail, accumulate, columns, np.int64(0))
                        tile_m(rows, vectors, (*where, *target))
                    line += depth * PANEL * ITEMSIZE


@cfunc(KERNEL, **OPTIONS)
def collect_filters(p, task, tasks, worker):
    """Words: control, parts (parts, rows, PANEL) with the rows of `image_grad_weights`, dW (F, C / groups, KH, KW), geometry, number of
    parts; added in order, into the first part. Tasks share the rows."""
    g = words(p[3], GEOMETRY_WORDS)
    out, groups, taps = g[3], g[17], g[6] * g[7]
    own, wide = g[0] // groups, out // groups
    depth, panels = own * taps, (wide + PANEL - 1) // PANEL
    rows = groups * panels * depth
    gradient = floats(p[2], out * depth)
    for row in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
        at = p[1] + row * PANEL * ITEMSIZE
        total = floats(at, PANEL)
        for part in range(1, p[4]):
            more = floats(at + part * rows * PANEL * ITEMSIZE, PANEL)
            for lane in range(PANEL):
                total[lane] += more[lane]
        group, panel, place = row // depth // panels, row // depth % panels, row % depth
        first = panel * PANEL
        target = ((group * wide + first) * own + place % own) * taps + place // own
        for lane in range(min(PANEL, wide - first)):
            gradient[target + lane * depth] = total[lane]
