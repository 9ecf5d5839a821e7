"""Convolution of one image, channels last: forward, gradient of the input, gradient of the weights. No im2col.

The tile walks the padded image in place. Forward: outer index the kernel's row, inner index a run of KW * C numbers. Gradient of the
input: the same with flipped weights, one sub-filter for each residue of the stride. Gradient of the weights: outer index the output
row, inner index its pixels. Images are copied once into a padded scratch (in L2) where there are margins.

Geometry words: 0 C, 1 H, 2 W, 3 F, 4 OH, 5 OW, 6 KH, 7 KW, 8 SH, 9 SW, 10 top, 11 left, 12 HP, 13 WP (padded sides), 14 whether
there are margins, 15 OHP, 16 OWP (sides of the padded gradient).
"""

import numpy as np
from numba import cfunc, njit, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, TILE_ROWS, F, floats, pack_rows, pack_transposed, tile_k, tile_m
from netspec.kernels.native import INLINE, KERNEL, OPTIONS, ROWS, START, share_end, share_start, words

WORD = types.int64
GEOMETRY_WORDS = 17


@njit(**INLINE)
def copy_rows(source, source_step, target, target_step, rows, count):
    """`rows` runs of `count` elements; steps in elements."""
    for r in range(rows):
        floats(target + r * target_step * ITEMSIZE, count)[:] = floats(source + r * source_step * ITEMSIZE, count)


@njit(**INLINE)
def padded_image(x, g, scratch):
    """The image with its margins: x itself where there are none, else its copy inside the zeroed scratch."""
    if g[14] == 0:
        return x
    channels, height, width = g[0], g[1], g[2]
    copy_rows(x, width * channels, scratch + (g[10] * g[13] + g[11]) * channels * ITEMSIZE, g[13] * channels, height, width * channels)
    return scratch


@cfunc(types.void(*[WORD] * 5), **OPTIONS)
def image_forward(x, filters, y, geometry, scratch):
    """y (OH, OW, F) of one image; filters [F / PANEL][KH][KW * C][PANEL]; scratch (HP, WP, C), zero at its margins."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, out, out_height, out_width, kernel_height, run = g[0], g[3], g[4], g[5], g[6], g[7] * g[0]
    row_step, column_step = g[8] * g[13] * channels, g[9] * channels
    image = padded_image(x, g, scratch)
    tiles = (out_width + TILE_ROWS - 1) // TILE_ROWS
    for f in range(0, out, PANEL):
        width = min(PANEL, out - f)
        vectors = (width + LANES - 1) // LANES
        tail = width - LANES * (vectors - 1)
        panel = filters + f * kernel_height * run * ITEMSIZE
        for r in range(out_height):
            for t in range(tiles):
                q = out_width * t // tiles
                pixels = out_width * (t + 1) // tiles - q
                a = image + (r * row_step + q * column_step) * ITEMSIZE
                c = y + ((r * out_width + q) * out + f) * ITEMSIZE
                outer, panel_outer = g[13] * channels, run * PANEL
                tile_k(pixels, vectors, (a, column_step, outer, panel, PANEL, panel_outer, c, out, run, kernel_height, tail, np.int64(0)))


@njit(**INLINE)
def clear_columns(target, step, count, channels):
    for q in range(count):
        floats(target + q * step * ITEMSIZE, channels)[:] = F(0)


@cfunc(types.void(*[WORD] * 5), **OPTIONS)
def image_grad_input(dy, filters, dx, geometry, scratch):
    """dx (H, W, C) of one image from dy (OH, OW, F). filters: for each residue (a, b) of the stride [C / PANEL][taps][taps * F][PANEL];
    scratch (OHP, OWP, F), zero at its margins, which are KH - 1 rows and KW - 1 columns before dy."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, height, width, out = g[0], g[1], g[2], g[3]
    kernel_height, kernel_width, row_stride, column_stride, top, left, padded_width = g[6], g[7], g[8], g[9], g[10], g[11], g[16]
    margin_rows, margin_columns = kernel_height - 1, kernel_width - 1
    copy_rows(
        dy, g[5] * out, scratch + (margin_rows * padded_width + margin_columns) * out * ITEMSIZE, padded_width * out, g[4], g[5] * out
    )
    panels = (channels + PANEL - 1) // PANEL
    offset = 0
    for a in range(row_stride):
        taps_down = max(0, (kernel_height - a + row_stride - 1) // row_stride)
        for b in range(column_stride):
            taps_across = max(0, (kernel_width - b + column_stride - 1) // column_stride)
            run = taps_across * out
            x0 = left + (b - left) % column_stride
            count = (left + width - x0 + column_stride - 1) // column_stride
            tiles = (count + TILE_ROWS - 1) // TILE_ROWS
            for y_padded in range(top + (a - top) % row_stride, top + height, row_stride):
                line = dx + (y_padded - top) * width * channels * ITEMSIZE
                if run == 0 or taps_down == 0:
                    clear_columns(line + (x0 - left) * channels * ITEMSIZE, column_stride * channels, count, channels)
                    continue
                row = (y_padded - a) // row_stride - (taps_down - 1) + margin_rows
                for f in range(0, channels, PANEL):
                    columns = min(PANEL, channels - f)
                    vectors = (columns + LANES - 1) // LANES
                    tail = columns - LANES * (vectors - 1)
                    panel = filters + (offset + f * taps_down * run) * ITEMSIZE
                    for t in range(tiles):
                        q = count * t // tiles
                        pixels = count * (t + 1) // tiles - q
                        x_padded = x0 + q * column_stride
                        column = (x_padded - b) // column_stride - (taps_across - 1) + margin_columns
                        source = scratch + (row * padded_width + column) * out * ITEMSIZE
                        target = line + ((x_padded - left) * channels + f) * ITEMSIZE
                        outer, panel_outer, ldc = padded_width * out, run * PANEL, column_stride * channels
                        tile_k(
                            pixels, vectors, (source, out, outer, panel, PANEL, panel_outer, target, ldc, run, taps_down, tail, np.int64(0))
                        )
            offset += panels * taps_down * run * PANEL


@cfunc(types.void(*[WORD] * 7), **OPTIONS)
def image_grad_weights(x, dy, gradient, geometry, scratch, panels, accumulate):
    """gradient [F / PANEL][KH][KW * C][PANEL] (+)= the share of one image. `panels`: room for dy in panels [F / PANEL][OH * OW][PANEL],
    used where F is not a whole number of vectors."""
    g = words(geometry, GEOMETRY_WORDS)
    channels, out, out_height, out_width, kernel_height, run = g[0], g[3], g[4], g[5], g[6], g[7] * g[0]
    image = padded_image(x, g, scratch)
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
                tile_m(
                    rows,
                    vectors,
                    (a, channels * g[9], outer, columns, step, out_width * step, c, PANEL, out_width, out_height, tail, accumulate),
                )


@cfunc(KERNEL, **OPTIONS)
def pack_filters(p, task, tasks):
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


@cfunc(KERNEL, **OPTIONS)
def pack_flipped(p, task, tasks):
    """Words: control, W (F, C, KH, KW), flipped (see image_grad_input), geometry."""
    g = words(p[3], GEOMETRY_WORDS)
    channels, out, kernel_height, kernel_width, row_stride, column_stride = g[0], g[3], g[6], g[7], g[8], g[9]
    w = floats(p[1], out * channels * kernel_height * kernel_width)
    panels = (channels + PANEL - 1) // PANEL
    offset = 0
    for a in range(row_stride):
        taps_down = max(0, (kernel_height - a + row_stride - 1) // row_stride)
        for b in range(column_stride):
            taps_across = max(0, (kernel_width - b + column_stride - 1) // column_stride)
            run = taps_down * taps_across * out
            packed = floats(p[2] + offset * ITEMSIZE, panels * run * PANEL)
            for c in range(channels):
                base, lane = c // PANEL * run * PANEL, c % PANEL
                for i in range(taps_down):
                    for j in range(taps_across):
                        kh, kw = a + row_stride * (taps_down - 1 - i), b + column_stride * (taps_across - 1 - j)
                        for f in range(out):
                            packed[base + ((i * taps_across + j) * out + f) * PANEL + lane] = w[
                                ((f * channels + c) * kernel_height + kh) * kernel_width + kw
                            ]
            offset += panels * run * PANEL


@cfunc(KERNEL, **OPTIONS)
def collect_filters(p, task, tasks):
    """Words: control, parts (parts, F / PANEL, KH, KW * C, PANEL), dW (F, C, KH, KW), geometry, number of parts; added in order."""
    g = words(p[3], GEOMETRY_WORDS)
    channels, out, taps = g[0], g[3], g[6] * g[7]
    size = (out + PANEL - 1) // PANEL * PANEL * channels * taps
    parts = floats(p[1], p[4] * size)
    gradient = floats(p[2], out * channels * taps)
    for f in range(share_start(out, task, tasks, 1), share_end(out, task, tasks, 1)):
        base, lane = f // PANEL * taps * channels * PANEL, f % PANEL
        for c in range(channels):
            for k in range(taps):
                place = base + (k * channels + c) * PANEL + lane
                total = parts[place]
                for part in range(1, p[4]):
                    total += parts[part * size + place]
                gradient[(f * channels + c) * taps + k] = total


@njit(**INLINE)
def transposed(x, y, rows, columns):
    """y (columns, rows) = x (rows, columns) transposed."""
    whole = rows // LANES * LANES
    for i in range(0, whole, LANES):
        for j in range(0, columns, LANES):
            block = x + (i * columns + j) * ITEMSIZE
            pack_transposed((block, columns, np.int64(LANES), min(LANES, columns - j), y + (j * rows + i) * ITEMSIZE, rows))
    source, target = floats(x, rows * columns), floats(y, rows * columns)
    for i in range(whole, rows):
        for j in range(columns):
            target[j * rows + i] = source[i * columns + j]


@cfunc(KERNEL, **OPTIONS)
def gather_images(p, task, tasks):
    """Words: control, order, data (channels first), channels, pixels, batch (channels last): batch row r is data row order[start + r]."""
    control = words(p[0], 8)
    rows, size = control[ROWS], p[3] * p[4] * ITEMSIZE
    order = words(p[1] + control[START] * 8, rows)
    for r in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
        transposed(p[2] + order[r] * size, p[5] + r * size, p[3], p[4])


@cfunc(KERNEL, **OPTIONS)
def rearrange(p, task, tasks):
    """Words: control, x, y, rows, columns of one image's matrix: each image transposed, pixels x channels to channels x pixels or back."""
    count = words(p[0], 8)[0]
    size = p[3] * p[4] * ITEMSIZE
    for n in range(share_start(count, task, tasks, 1), share_end(count, task, tasks, 1)):
        transposed(p[1] + n * size, p[2] + n * size, p[3], p[4])
