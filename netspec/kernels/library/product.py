"""Blocked matrix product C (+)= A B of one task, any strides.

Loop nest: columns by BLOCK_COLUMNS, depth by BLOCK_DEPTH (a packed block of B stays in L2), rows by tiles (packed into L1), panels of B.
Edges are masks. Measured on AVX-512: 0.93-1.05 of MKL with both sides packed; B read in place at a row stride of 4 KB falls to a fifth.
"""

import numpy as np
from numba import cfunc, njit, types

from netspec.kernels.f32 import ITEMSIZE, LANES, PANEL, STRIP, TILE_ROWS, F, floats, pack_rows, pack_transposed, tile_m
from netspec.kernels.native import BLOCK_COLUMNS, BLOCK_DEPTH, INLINE, KERNEL, OPTIONS, ROWS, call_at, share_end, share_start, words

WORD = types.int64


@njit(**INLINE)
def pack_b(b, b_step, b_column, depth, first, last, to):
    """Columns first..last of B, `depth` deep, into panels [panel][depth][PANEL]."""
    for j in range(first, last, PANEL):
        width = min(PANEL, last - j)
        panel = to + (j - first) * depth * ITEMSIZE
        if b_column == 1:
            pack_rows((b + j * ITEMSIZE, b_step, depth, width, panel, PANEL))
        else:
            for n in range(0, width, LANES):
                for k in range(0, depth, LANES):
                    block = b + ((j + n) * b_column + k * b_step) * ITEMSIZE
                    pack_transposed(
                        (block, b_column, min(LANES, width - n), min(LANES, depth - k), panel + (k * PANEL + n) * ITEMSIZE, PANEL)
                    )


@njit(**INLINE)
def pack_a(a, a_row, a_step, rows, depth, to):
    """`rows` rows of A, `depth` deep, into a strip [depth][STRIP]."""
    if a_row == 1:
        pack_rows((a, a_step, depth, rows, to, STRIP))
    else:
        for m in range(0, rows, LANES):
            for k in range(0, depth, LANES):
                block = a + (m * a_row + k * a_step) * ITEMSIZE
                pack_transposed((block, a_row, min(LANES, rows - m), min(LANES, depth - k), to + (k * STRIP + m) * ITEMSIZE, STRIP))


@cfunc(types.void(*[WORD] * 13), **OPTIONS)
def multiply(a, a_row, a_step, b, b_step, b_column, c, ldc, rows, columns, depth, accumulate, work):
    """C (rows, columns) (+)= A (rows, depth) B (depth, columns): addresses in bytes, strides in elements.

    One of A's strides is 1, and one of B's. `work` has room for a strip and a block of B: see scratch_bytes in products.py.
    """
    strip = work
    panels = work + min(depth, BLOCK_DEPTH) * STRIP * ITEMSIZE
    if depth == 0 and accumulate == 0:
        for i in range(rows):
            floats(c + i * ldc * ITEMSIZE, columns)[:] = F(0)
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    for first in range(0, columns, BLOCK_COLUMNS):
        last = min(first + BLOCK_COLUMNS, columns)
        for k0 in range(0, depth, BLOCK_DEPTH):
            deep = min(BLOCK_DEPTH, depth - k0)
            pack_b(b + k0 * b_step * ITEMSIZE, b_step, b_column, deep, first, last, panels)
            add = 1 if k0 > 0 else accumulate
            for t in range(tiles):
                i = rows * t // tiles
                height = rows * (t + 1) // tiles - i
                pack_a(a + (i * a_row + k0 * a_step) * ITEMSIZE, a_row, a_step, height, deep, strip)
                for j in range(first, last, PANEL):
                    width = min(PANEL, last - j)
                    vectors = (width + LANES - 1) // LANES
                    panel = panels + (j - first) * deep * ITEMSIZE
                    target = c + (i * ldc + j) * ITEMSIZE
                    tile_m(height, vectors, (strip, STRIP, 0, panel, PANEL, 0, target, ldc, deep, 1, width - LANES * (vectors - 1), add))


@cfunc(KERNEL, **OPTIONS)
def product(p, task, tasks):
    """A whole product as a launch. Words: control, multiply, a, a_row, a_step, b, b_step, b_column, c, ldc, M, N, K (each -1 for the
    batch's rows), cuts of rows, columns, depth, elements between partial results, work, bytes of work a task."""
    rows = words(p[0], 8)[ROWS]
    multiply_at, a, a_row, a_step, b, b_step, b_column, c, ldc = p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9]
    m, n, k = (rows if p[10] < 0 else p[10]), (rows if p[11] < 0 else p[11]), (rows if p[12] < 0 else p[12])
    row_cuts, column_cuts, depth_cuts = p[13], p[14], p[15]
    part = task % depth_cuts
    column_task = task // depth_cuts % column_cuts
    row_task = task // depth_cuts // column_cuts
    i0, i1 = share_start(m, row_task, row_cuts, 1), share_end(m, row_task, row_cuts, 1)
    j0, j1 = share_start(n, column_task, column_cuts, PANEL), share_end(n, column_task, column_cuts, PANEL)
    k0, k1 = share_start(k, part, depth_cuts, LANES), share_end(k, part, depth_cuts, LANES)
    if i1 > i0 and j1 > j0:
        a_at = a + (i0 * a_row + k0 * a_step) * ITEMSIZE
        b_at = b + (k0 * b_step + j0 * b_column) * ITEMSIZE
        c_at = c + (part * p[16] + i0 * ldc + j0) * ITEMSIZE
        call_at(
            multiply_at,
            (a_at, a_row, a_step, b_at, b_step, b_column, c_at, ldc, i1 - i0, j1 - j0, k1 - k0, np.int64(0), p[17] + task * p[18]),
        )
