"""Kernels for the last few columns of a product, where a tile's vectors along the columns would be mostly empty.

    C[m, n] (+)= sum over k of  A[m, k] * B[k, n]        for n < tail

Vectors run along the depth, where that is adjacent in A and B, or along A's rows, in a packed strip. Columns are taken QUAD at a time, so
that a row's results are a part of one vector. A result is the same sum in the same order wherever its row stands in a call.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llvmlite import ir

from netspec.kernels.simd import Simd
from netspec.kernels.tile import I32, I64, Vectors, butterfly, intrinsic_of, outlined, repeat

TAIL_ARGUMENTS = 10
QUAD = 4
WAYS = 2  # sums of a column along the rows, of even k and of odd k: eight in flight hide the latency of a multiply-add


def longest_tail(lanes: int) -> int:
    """The most columns that tail_of in library/product.py finds worth while at any depth: none on vectors of four lanes."""
    return max(lanes - QUAD, 0)


def _lesser(b: ir.IRBuilder, x: Any, y: Any) -> Any:
    return b.select(b.icmp_signed("<", x, y), x, y)


class _Results:
    """C of up to a quad of columns: a quad of sums is added to each of its rows, or replaces what was there."""

    def __init__(self, b: ir.IRBuilder, v: Vectors, quad: Vectors, c: Any, ldc: Any, rows: Any, columns: Any, accumulate: Any) -> None:
        self.b, self.v, self.quad, self.c, self.ldc, self.rows = b, v, quad, c, ldc, rows
        self.mask = quad.first_lanes(b, columns)
        self.old_mask = quad.first_lanes(b, b.select(b.icmp_signed("!=", accumulate, I64(0)), columns, I64(0)))

    def fetch(self, row: Any) -> None:
        """C arrives while the sums are made."""
        self.v.prefetch(self.b, self.b.gep(self.c, [self.b.mul(row, self.ldc)]), write=True)

    def put(self, row: Any, sums: Any, first: int) -> None:
        """The lanes of `sums` from `first` on are those of a row, if there is such a row."""
        b, quad = self.b, self.quad
        with b.if_then(b.icmp_signed("<", row, self.rows)):
            place = b.gep(self.c, [b.mul(row, self.ldc)])
            lanes = ir.Constant(quad.indices, list(range(first, first + quad.lanes)))
            value = b.shuffle_vector(sums, ir.Constant(self.v.vector, ir.Undefined), lanes)
            quad.store(b, b.fadd(quad.load(b, place, self.old_mask), value), place, self.mask)


def _summed(b: ir.IRBuilder, v: Vectors, vectors: list[Any]) -> Any:
    """Lane i is the sum of the lanes of vector i, of as many vectors as lanes."""
    distance = 1
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [b.fadd(*butterfly(b, v, x, y, distance)) for x, y in pairs]
        distance *= 2
    return vectors[0]


def _turned(b: ir.IRBuilder, v: Vectors, vectors: list[Any]) -> list[Any]:
    """A quad of vectors, one for each column, as vectors whose quads are rows, or back: row i is the quad i // QUAD of vector i % QUAD."""
    distance = 1
    while distance < len(vectors):
        for i in range(len(vectors)):
            if not i & distance:
                vectors[i], vectors[i | distance] = butterfly(b, v, vectors[i], vectors[i | distance], distance)
        distance *= 2
    return vectors


def _of_width(simd: Simd, itemsize: int) -> tuple[Vectors, Vectors]:
    """The unit's vectors, and those of a quad."""
    v = Vectors(simd, itemsize)
    return v, Vectors(replace(simd, width=min(QUAD, v.lanes) * itemsize), itemsize)


def make_pack_tail(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `pack_tail((source, ld, depth, tail, target, target_ld))`: target[n, k] = source[k, n]; whole vectors are stored, the
    lanes beyond `depth` with numbers that do not matter."""
    v, quad = _of_width(simd, itemsize)

    def build(module: ir.Module) -> ir.Function:
        name = f"pack_tail_{v.suffix}"
        if name in module.globals:
            return module.globals[name]
        function = outlined(module, name, 6)
        source, ld, depth, tail, target, target_ld = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        start, to = b.inttoptr(source, v.pointer), b.inttoptr(target, v.pointer)

        def joined(parts: list[Any]) -> Any:
            while len(parts) > 1:
                lanes = ir.Constant(ir.VectorType(I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count)))
                parts = [b.shuffle_vector(x, y, lanes) for x, y in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]

        def columns(n: Any, _: list[Any]) -> list[Any]:
            mask = quad.first_lanes(b, b.sub(tail, n))

            def block(k: Any, _: list[Any]) -> list[Any]:
                place, rows = b.gep(start, [b.add(b.mul(k, ld), n)]), []
                for lane in range(v.lanes):  # rows beyond the depth read its last row again
                    rows.append(quad.load(b, place, mask))
                    more = b.icmp_signed("<", b.add(k, I64(lane + 1)), depth)
                    place = b.gep(place, [b.select(more, ld, I64(0))])
                for j, column in enumerate(_turned(b, v, [joined(rows[i :: quad.lanes]) for i in range(quad.lanes)])):
                    with b.if_then(b.icmp_signed("<", b.add(n, I64(j)), tail)):
                        v.store(b, column, b.gep(to, [b.add(b.mul(b.add(n, I64(j)), target_ld), k)]))
                return []

            return repeat(b, depth, [], block, v.lanes)

        repeat(b, tail, [], columns, quad.lanes)
        b.ret_void()
        return function

    return intrinsic_of(6, build)


def make_tail_along_depth(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `tail_along_depth((a, a_row, b, b_column, c, ldc, depth, height, tail, accumulate))`: the depth is adjacent in A and
    in B, whose columns lie b_column apart. Nothing beyond the matrices is read."""
    v, quad = _of_width(simd, itemsize)
    rows = v.lanes // quad.lanes  # as many sums as lanes: in one vector at the end

    def build(module: ir.Module) -> ir.Function:
        name = f"tail_along_depth_{v.suffix}"
        if name in module.globals:
            return module.globals[name]
        function = outlined(module, name, TAIL_ARGUMENTS)
        a, a_row, b_at, b_column, c, ldc, depth, height, tail, accumulate = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        a0, b0, c0 = (b.inttoptr(address, v.pointer) for address in (a, b_at, c))
        whole = b.and_(depth, I64(-v.lanes))
        rest = b.sub(depth, whole)
        mask = v.first_lanes(b, rest)

        def multiply(pointers: list[Any], k: Any, mask: Any, sums: list[Any]) -> list[Any]:
            loaded = [v.load(b, b.gep(pointer, [k]), mask) for pointer in pointers]
            pairs = [(x, y) for x in loaded[:rows] for y in loaded[rows:]]
            return [v.fma(b, x, y, total) for (x, y), total in zip(pairs, sums, strict=True)]

        def columns(n: Any, _: list[Any]) -> list[Any]:
            results = _Results(b, v, quad, b.gep(c0, [n]), ldc, height, b.sub(tail, n), accumulate)
            # those beyond the last read the last again; why pointers are hidden: see tile.py
            runs = [b.gep(b0, [b.mul(_lesser(b, b.add(n, I64(j)), b.sub(tail, I64(1))), b_column)]) for j in range(quad.lanes)]

            def block(m: Any, _: list[Any]) -> list[Any]:
                at = [b.gep(a0, [b.mul(_lesser(b, b.add(m, I64(r)), b.sub(height, I64(1))), a_row)]) for r in range(rows)]
                for r in range(rows):
                    results.fetch(b.add(m, I64(r)))
                pointers = [v.hidden(b, pointer) for pointer in at + runs]
                sums = repeat(b, whole, [v.zero] * v.lanes, lambda k, sums: multiply(pointers, k, None, sums), v.lanes)
                sums = repeat(b, rest, sums, lambda _, sums: multiply(pointers, whole, mask, sums), v.lanes)
                total = _summed(b, v, sums)
                for r in range(rows):
                    results.put(b.add(m, I64(r)), total, r * quad.lanes)
                return []

            return repeat(b, height, [], block, rows)

        repeat(b, tail, [], columns, quad.lanes)
        b.ret_void()
        return function

    return intrinsic_of(TAIL_ARGUMENTS, build)


def make_tail_along_rows(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `tail_along_rows((a, stride, b, b_step, c, ldc, depth, height, tail, accumulate))`: A is a packed strip, B lies by
    rows. Memory: both are read in whole quads of columns and whole vectors of rows."""
    v, quad = _of_width(simd, itemsize)

    def build(module: ir.Module) -> ir.Function:
        name = f"tail_along_rows_{v.suffix}"
        if name in module.globals:
            return module.globals[name]
        function = outlined(module, name, TAIL_ARGUMENTS)
        a, stride, b_at, b_step, c, ldc, depth, height, tail, accumulate = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        a0, b0, c0 = (b.inttoptr(address, v.pointer) for address in (a, b_at, c))
        whole = b.and_(depth, I64(-WAYS))

        def multiply(x_at: Any, y_at: Any, sums: list[Any]) -> list[Any]:
            """At one k; `sums` of each column."""
            x = v.load(b, x_at)
            return [v.fma(b, x, v.splat(b, b.load(b.gep(y_at, [I64(j)]))), total) for j, total in enumerate(sums)]

        def step(ways: int, carried: list[Any]) -> list[Any]:
            """The next `ways` k; `carried`: pointers to A and B, and the sums way by way."""
            x_at, y_at, *sums = carried
            new = []
            for way in range(ways):
                new += multiply(x_at, y_at, sums[way * quad.lanes : (way + 1) * quad.lanes])
                x_at, y_at = b.gep(x_at, [stride]), b.gep(y_at, [b_step])
            return [x_at, y_at, *new, *sums[ways * quad.lanes :]]

        def columns(n: Any, _: list[Any]) -> list[Any]:
            results = _Results(b, v, quad, b.gep(c0, [n]), ldc, height, b.sub(tail, n), accumulate)

            def block(m: Any, _: list[Any]) -> list[Any]:
                for lane in range(v.lanes):
                    results.fetch(b.add(m, I64(lane)))
                carried = [b.gep(a0, [m]), b.gep(b0, [n]), *[v.zero] * (quad.lanes * WAYS)]
                carried = repeat(b, whole, carried, lambda _, carried: step(WAYS, carried), WAYS)
                carried = repeat(b, b.sub(depth, whole), carried, lambda _, carried: step(1, carried))
                even, odd = carried[2 : 2 + quad.lanes], carried[2 + quad.lanes :]
                rows = _turned(b, v, [b.fadd(x, y) for x, y in zip(even, odd, strict=True)])
                for lane in range(v.lanes):
                    results.put(b.add(m, I64(lane)), rows[lane % quad.lanes], lane // quad.lanes * quad.lanes)
                return []

            return repeat(b, height, [], block, v.lanes)

        repeat(b, tail, [], columns, quad.lanes)
        b.ret_void()
        return function

    return intrinsic_of(TAIL_ARGUMENTS, build)
