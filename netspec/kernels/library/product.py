"""Blocked matrix product C (+)= A B of one task, any strides.

Loop nest: columns by blocks of BLOCK_ELEMENTS, depth by BLOCK_DEPTH (a packed block of B stays in L2), rows by tiles (packed into L1),
panels of B. Edges are masks; a few columns behind whole vectors, the tail, have kernels of their own. Rows of A are read in place unless
they share a few sets of the cache (5 % faster than packed: the first panel waits for them while it computes), B where few tiles would use
its packed form or its rows are short: at a row stride of 4 KB many tiles would fall to a fifth. One row at a time streams B by its rows.
"""

import numpy as np
from numba import cfunc, njit, types

from netspec.kernels.f32 import (
    ITEMSIZE,
    LANES,
    LONGEST_TAIL,
    PANEL,
    ROW_VECTORS,
    STRIP,
    TILE_ROWS,
    floats,
    pack_rows,
    pack_tail,
    pack_transposed,
    tail_along_depth,
    tail_along_rows,
    tile_k,
    tile_m,
    tile_row,
)
from netspec.kernels.native import (
    BLOCK_DEPTH,
    BLOCK_ELEMENTS,
    CACHE_LINE,
    INLINE,
    KERNEL,
    OPTIONS,
    ROWS,
    SET_STRIDE,
    address_of,
    call_at,
    clear_bytes,
    share_end,
    share_start,
    words,
)
from netspec.kernels.tail import QUAD

WORD = types.int64
SHORT_ROW = 1024  # bytes: rows of B that lie no farther apart are read in place
DEPTH_CUTS = 15  # the word of a product that says into how many parts its depth is cut
STREAMS = 21  # the word of a product that counts the arrays which `finish` reads
FEW_ROWS = 2 * TILE_ROWS  # of A: a packed block of B would not be read often enough


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


@njit(**INLINE)
def tail_of(columns, depth, a_step):
    """How many of the last columns no tile computes. Their sums have an order of their own, so this follows from the sizes alone, and
    `rows`, which tasks share, is none of them."""
    tail, deep = columns % LANES, min(depth, BLOCK_DEPTH)
    if tail > LONGEST_TAIL:
        return 0
    taken = (tail + QUAD - 1) // QUAD * QUAD
    # measured against one more vector of a tile: sums across lanes cost as much as 6 * LANES of the depth, a strip's transpose as LANES of
    # it; a panel's first vector costs as LANES columns along the depth or 3/4 of these along rows, its second as half of them
    cost, gain = taken * (deep + LANES), deep * LANES * 3 // 4
    if a_step == 1:
        cost, gain = taken * (deep + 6 * LANES), deep * LANES
    if columns % PANEL >= LANES:
        gain = deep * LANES // 2
    return tail if cost <= gain else 0


@njit(**INLINE)
def add_row(a, b, b_step, c, columns, depth):
    """c (columns,) += a (depth,) B, B's rows contiguous, in the order of the tile kernels: in registers where they hold a row, else eight
    rows of B at a time."""
    vectors = (columns + LANES - 1) // LANES
    if vectors <= ROW_VECTORS and depth > 0:
        zero, one, tail = np.int64(0), np.int64(1), columns - LANES * (vectors - 1)
        tile_row(one, vectors, (a, zero, zero, b, b_step, zero, c, zero, depth, one, tail, one, b, zero))
        return
    total = floats(c, columns)
    whole = depth // 8 * 8
    x = floats(a, depth)
    step = b_step * ITEMSIZE
    for k in range(0, whole, 8):
        at = b + k * step
        b0, b1, b2, b3 = floats(at, columns), floats(at + step, columns), floats(at + 2 * step, columns), floats(at + 3 * step, columns)
        at += 4 * step
        b4, b5, b6, b7 = floats(at, columns), floats(at + step, columns), floats(at + 2 * step, columns), floats(at + 3 * step, columns)
        x0, x1, x2, x3, x4, x5, x6, x7 = x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        for j in range(columns):
            half = (((total[j] + x0 * b0[j]) + x1 * b1[j]) + x2 * b2[j]) + x3 * b3[j]
            total[j] = (((half + x4 * b4[j]) + x5 * b5[j]) + x6 * b6[j]) + x7 * b7[j]
    for k in range(whole, depth):
        row = floats(b + k * step, columns)
        for j in range(columns):
            total[j] += x[k] * row[j]


@cfunc(types.void(*[WORD] * 18), **OPTIONS)
def multiply(a, a_row, a_step, b, b_step, b_column, c, c_row, ldc, rows, columns, depth, accumulate, work, finish, p, i0, j0):
    """C (rows, columns) (+)= A (rows, depth) B (depth, columns): addresses in bytes, strides in elements.

    One of A's strides is 1, and one of B's. `work` has room for a strip, the tail and a block of B: see work_bytes in products.py. Where
    `finish` is not 0 it is called as finish(p, address, ldc, row, height, column, width) for each block of C as it becomes complete, rows
    and columns counted from i0, j0; C then need not be kept: with c_row 0 all row tiles share the memory of the first (else c_row is
    ldc), for depths of one block.
    """
    if rows == 1 and b_column == 1 and a_step == 1 and finish == 0:  # no tail: packing it makes one row take 1.15 times as long
        if accumulate == 0:
            clear_bytes(c, columns * ITEMSIZE)
        add_row(a, b, b_step, c, columns, depth)
        return
    tail = tail_of(columns, depth, a_step)
    tiled = columns - tail
    deepest = min(depth, BLOCK_DEPTH)
    tail_run = (deepest + LANES - 1) // LANES * LANES
    strip = work
    tail_runs = strip + deepest * STRIP * ITEMSIZE
    panels = tail_runs + tail_run * LONGEST_TAIL * ITEMSIZE
    in_place = b_column == 1 and (b_step * ITEMSIZE <= SHORT_ROW or rows <= FEW_ROWS)
    a_in_place = a_step == 1 and a_row * ITEMSIZE % SET_STRIDE != 0
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    parts = words(p, DEPTH_CUTS + 1)[DEPTH_CUTS] if p != 0 else np.int64(1)
    apart = (b_step if b_column == 1 else b_column) * ITEMSIZE  # bytes from one run of B in memory to the next
    block_columns = max(BLOCK_ELEMENTS // max(min(depth, BLOCK_DEPTH), 1) // PANEL, 1) * PANEL
    streams = words(p, STREAMS + 1)[STREAMS] if finish != 0 and c_row == 0 and columns == ldc and columns <= block_columns else 0
    for first in range(0, columns, block_columns):
        last = min(first + block_columns, columns)
        if depth == 0 and accumulate == 0:
            for i in range(rows):
                clear_bytes(c + (i * c_row + first) * ITEMSIZE, (last - first) * ITEMSIZE)
        for k0 in range(0, max(depth, 1), BLOCK_DEPTH):
            deep = min(BLOCK_DEPTH, depth - k0)
            if not in_place:
                pack_b(b + k0 * b_step * ITEMSIZE, b_step, b_column, deep, first, last, panels)
            tail_at, tail_step = b + (k0 * b_step + tiled * b_column) * ITEMSIZE, b_step
            if a_step == 1:
                tail_step = b_column
                if tail > 0 and last == columns and b_column == 1:
                    pack_tail((tail_at, b_step, deep, tail, tail_runs, tail_run))
                    tail_at, tail_step = tail_runs, tail_run
            elif not in_place:
                tail_at, tail_step = panels + ((tiled // PANEL * PANEL - first) * deep + tiled % PANEL) * ITEMSIZE, PANEL
            add = 1 if k0 > 0 else accumulate
            panels_a_row = (min(last, tiled) - first + PANEL - 1) // PANEL
            lines = np.int64(0)
            if k0 + deep < depth or parts > 1:  # rows of B behind these: of this task, or of the next part of the depth
                across = last - first if b_column == 1 else min(BLOCK_DEPTH, depth - k0 - deep)
                lines = (across * ITEMSIZE + CACHE_LINE - 1) // CACHE_LINE
            for t in range(tiles):
                i = rows * t // tiles
                height = rows * (t + 1) // tiles - i
                block = c + (i * c_row + first) * ITEMSIZE
                if deep > 0:
                    a_at = a + (i * a_row + k0 * a_step) * ITEMSIZE
                    if not a_in_place:
                        pack_a(a_at, a_row, a_step, height, deep, strip)
                    if tail > 0 and last == columns:
                        tail_c = c + (i * c_row + tiled) * ITEMSIZE
                        if a_step == 1:
                            tail_along_depth((a_at, a_row, tail_at, tail_step, tail_c, ldc, deep, height, tail, add))
                        else:
                            tail_along_rows((strip, STRIP, tail_at, tail_step, tail_c, ldc, deep, height, tail, add))
                    for j in range(first, min(last, tiled), PANEL):
                        width = min(PANEL, tiled - j)
                        vectors = (width + LANES - 1) // LANES
                        rest = width - LANES * (vectors - 1)
                        panel, step = panels + (j - first) * deep * ITEMSIZE, PANEL
                        if in_place:
                            panel, step = b + (k0 * b_step + j) * ITEMSIZE, b_step
                        target = block + (j - first) * ITEMSIZE
                        ahead, ahead_step = panel, np.int64(0)
                        turn = t * panels_a_row + (j - first) // PANEL
                        if turn < lines:  # the block of B behind this one: a column of its cache lines with each panel
                            ahead, ahead_step = b + (k0 + deep) * b_step * ITEMSIZE + first * b_column * ITEMSIZE + turn * CACHE_LINE, apart
                        if streams > 0:  # what the next block's finish reads: a part of one array with each panel
                            number, portions = j // PANEL, ((tiled + PANEL - 1) // PANEL + streams - 1) // streams
                            run = height * ldc * ITEMSIZE // portions
                            start = words(p, STREAMS + 1 + streams)[STREAMS + 1 + number % streams]
                            ahead = start + (i0 + i + height) * ldc * ITEMSIZE + number // streams * run
                            ahead_step = run // deep
                        if a_in_place:
                            tile_k(height, vectors, (a_at, a_row, 0, panel, step, 0, target, ldc, deep, 1, rest, add, ahead, ahead_step))
                        else:
                            tile_m(height, vectors, (strip, STRIP, 0, panel, step, 0, target, ldc, deep, 1, rest, add, ahead, ahead_step))
                if finish != 0 and k0 + BLOCK_DEPTH >= depth:
                    call_at(finish, (p, block, ldc, i0 + i, height, j0 + first, last - first))


@cfunc(KERNEL, **OPTIONS)
def product(p, task, tasks, worker):
    """A whole product as a launch. Words: control, multiply, a, a_row, a_step, b, b_step, b_column, c, ldc, M, N, K (each -1 for the
    batch's rows), cuts of rows, columns, depth, elements between partial results, work, bytes of work a worker, finish (see multiply; it
    gets these words), elements of C a worker where C is not kept (else 0), how many arrays `finish` reads, and where each of these starts
    for row 0: see `multiply`."""
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
        c_at, c_row = c + (part * p[16] + i0 * ldc + j0) * ITEMSIZE, ldc
        if p[20] != 0:
            c_at, c_row = c + worker * p[20] * ITEMSIZE, np.int64(0)
        sizes = (i1 - i0, j1 - j0, k1 - k0)
        where = (a_at, a_row, a_step, b_at, b_step, b_column, c_at, c_row, ldc)
        call_at(multiply_at, (*where, *sizes, np.int64(0), p[17] + worker * p[18], p[19], address_of(p), i0, j0))
