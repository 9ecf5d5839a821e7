"""The register-tile kernel as LLVM vector IR, and the packers that feed it.

    C[m, n] (+)= sum over h, k of  A[m * row + k * step + h * outer] * B[h * b_outer + k * b_step + n]

for one tile of up to `rows` x `vectors` registers; all strides in elements, all pointers as int64 addresses. One kernel serves matrix
products (a single h), convolutions (h the kernel's row, k a run of KW * C numbers of the image), and gradients of weights (h the
image's row, k its pixels). A comes in two forms: `unit = "m"`, rows adjacent (packed panels, transposes), or `unit = "k"`, the inner
index adjacent (images in place). The last vector of a tile stores under a mask of `tail` lanes.

Each (height, vectors) is one outlined internal LLVM function, chosen by a switch: outlining keeps a kernel at 0.05 s to compile and
lets LLVM specialise on constant arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from netspec.kernels.simd import Simd

I1, I32, I64, VOID = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.VoidType()
ELEMENTS = {4: (ir.FloatType(), "f32"), 8: (ir.DoubleType(), "f64")}


class Vectors:
    """Vectors of one element type on one unit: their LLVM types, and loads, stores and splats."""

    def __init__(self, simd: Simd, itemsize: int) -> None:
        self.lanes = simd.lanes(itemsize)
        self.itemsize = itemsize
        self.element, element_name = ELEMENTS[itemsize]
        self.suffix = f"v{self.lanes}{element_name}"
        self.vector = ir.VectorType(self.element, self.lanes)
        self.mask = ir.VectorType(I1, self.lanes)
        self.indices = ir.VectorType(I32, self.lanes)
        self.pointer = self.element.as_pointer()
        self.vector_pointer = self.vector.as_pointer()
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)

    def splat(self, b: ir.IRBuilder, value: Any, kind: Any = None) -> Any:
        kind = kind or self.vector
        undefined = ir.Constant(kind, ir.Undefined)
        return b.shuffle_vector(b.insert_element(undefined, value, I32(0)), undefined, ir.Constant(self.indices, [0] * self.lanes))

    def first_lanes(self, b: ir.IRBuilder, count: Any) -> Any:
        """Mask of the first `count` (int64) lanes."""
        return b.icmp_signed("<", ir.Constant(self.indices, list(range(self.lanes))), self.splat(b, b.trunc(count, I32), self.indices))

    def load(self, b: ir.IRBuilder, pointer: Any, mask: Any = None) -> Any:
        place = b.bitcast(pointer, self.vector_pointer)
        if mask is None:
            return b.load(place, align=self.itemsize)
        kind = ir.FunctionType(self.vector, [self.vector_pointer, I32, self.mask, self.vector])
        function = cgutils.get_or_insert_function(b.module, kind, f"llvm.masked.load.{self.suffix}.p0")
        return b.call(function, [place, I32(self.itemsize), mask, self.zero])

    def store(self, b: ir.IRBuilder, value: Any, pointer: Any, mask: Any = None) -> None:
        place = b.bitcast(pointer, self.vector_pointer)
        if mask is None:
            b.store(value, place, align=self.itemsize)
            return
        kind = ir.FunctionType(VOID, [self.vector, self.vector_pointer, I32, self.mask])
        function = cgutils.get_or_insert_function(b.module, kind, f"llvm.masked.store.{self.suffix}.p0")
        b.call(function, [value, place, I32(self.itemsize), mask])

    def prefetch(self, b: ir.IRBuilder, pointer: Any, *, write: bool = False, level: int = 1) -> None:
        """Asks for the line at a pointer, for L1 or L2."""
        kind = ir.FunctionType(VOID, [self.pointer, I32, I32, I32])
        b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0"), [pointer, I32(int(write)), I32(4 - level), I32(1)])

    def hidden(self, b: ir.IRBuilder, pointer: Any) -> Any:
        """The pointer, behind an empty asm: LLVM does not know how it came about."""
        return b.asm(ir.FunctionType(self.pointer, [self.pointer]), "", "=r,0", [pointer], False)

    def fma(self, b: ir.IRBuilder, x: Any, y: Any, z: Any) -> Any:
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        # fmuladd, not fma: on a unit without fused multiply-add it becomes two instructions instead of a library call
        return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.fmuladd.{self.suffix}"), [x, y, z])


def outlined(module: ir.Module, name: str, arguments: int) -> ir.Function:
    """A function of int64 arguments that LLVM compiles once and does not copy into its callers."""
    function = ir.Function(module, ir.FunctionType(VOID, [I64] * arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    return function


def repeat(
    b: ir.IRBuilder, count: Any, carried: Sequence[Any], body: Callable[[Any, list[Any]], Sequence[Any]], step: int = 1
) -> list[Any]:
    """Emits `for i in range(0, count, step): values = body(i, values)` and returns the last values."""
    before, loop, after = b.block, b.append_basic_block("loop"), b.append_basic_block("after")
    b.cbranch(b.icmp_signed(">", count, I64(0)), loop, after)
    b.position_at_end(loop)
    i, old = b.phi(I64), [b.phi(value.type) for value in carried]
    new = body(i, old)
    following, last = b.add(i, I64(step)), b.block
    b.cbranch(b.icmp_signed("<", following, count), loop, after)
    b.position_at_end(after)
    i.add_incoming(I64(0), before)
    i.add_incoming(following, last)
    result = [b.phi(value.type) for value in carried]
    for phis in (old, result):
        for phi, start, value in zip(phis, carried, new, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(value, last)
    return result


def over_channels(b: ir.IRBuilder, v: Vectors, count: Any, body: Callable[[Any, Any], None]) -> None:
    """Emits `body(first, mask)` for each vector of `count` channels: whole ones without a mask, and the rest under one."""
    vectors = b.sdiv(count, I64(v.lanes))
    whole = b.mul(vectors, I64(v.lanes))

    def one(i: Any, _: list[Any]) -> list[Any]:
        body(b.mul(i, I64(v.lanes)), None)
        return []

    repeat(b, vectors, [], one)
    with b.if_then(b.icmp_signed("<", whole, count)):
        body(whole, v.first_lanes(b, b.sub(count, whole)))


TILE_ARGUMENTS = (
    "a",
    "stride",
    "outer",
    "b",
    "b_step",
    "b_outer",
    "c",
    "ldc",
    "depth",
    "height",
    "tail",
    "accumulate",
    "ahead",
    "ahead_step",
)
UNROLL = 2


def _build_tile(module: ir.Module, v: Vectors, rows: int, vectors: int, unit: str) -> ir.Function:
    """Emits the kernel of one size; `stride` is A's stride along the index that is not adjacent."""
    name = f"tile_{rows}x{vectors}_{v.suffix}_{unit}"
    if name in module.globals:
        return module.globals[name]
    function = outlined(module, name, len(TILE_ARGUMENTS))
    p = dict(zip(TILE_ARGUMENTS, function.args, strict=True))
    b = ir.IRBuilder(function.append_basic_block("entry"))
    a0, b0, c0 = (b.inttoptr(p[key], v.pointer) for key in ("a", "b", "c"))
    row, step = (I64(1), p["stride"]) if unit == "m" else (p["stride"], I64(1))
    mask = v.first_lanes(b, p["tail"])
    tiles = [(m, n) for m in range(rows) for n in range(vectors)]

    def c_at(m: int, n: int) -> Any:
        return b.gep(c0, [b.add(b.mul(I64(m), p["ldc"]), I64(n * v.lanes))])

    def c_mask(n: int) -> Any:
        return mask if n == vectors - 1 else None

    for m, n in tiles:  # C arrives while the loop runs
        v.prefetch(b, c_at(m, n), write=True)
    blocks = {key: function.append_basic_block(key) for key in ("load_c", "outer", "loop", "check", "rest", "outer_end", "done")}
    entry = b.block
    b.cbranch(b.icmp_signed("!=", p["accumulate"], I64(0)), blocks["load_c"], blocks["outer"])
    b.position_at_end(blocks["load_c"])
    old = {(m, n): v.load(b, c_at(m, n), c_mask(n)) for m, n in tiles}
    b.branch(blocks["outer"])

    b.position_at_end(blocks["outer"])
    h = b.phi(I64)
    sums = {tile: b.phi(v.vector) for tile in tiles}
    # Rows at a runtime stride: one pointer for three rows, hidden behind an empty asm; else LLVM's strength reduction walks the rows
    # with a chain of dependent adds, one a row, as long as the arithmetic itself (measured: 0.75 against 0.96 of the best rate).
    group = rows if unit == "m" else 3

    starts = [b.gep(a0, [b.add(b.mul(h, p["outer"]), b.mul(I64(g), row))]) for g in range(0, rows, group)]
    if unit == "k":
        starts = [v.hidden(b, pointer) for pointer in starts]
    b_start = b.gep(b0, [b.mul(h, p["b_outer"])])
    even = b.and_(p["depth"], I64(-UNROLL))
    b.cbranch(b.icmp_signed(">", even, I64(0)), blocks["loop"], blocks["rest"])
    outer_end_of_setup = b.block

    def multiply(acc: dict[Any, Any], pointers: list[Any], panel: Any, u: int) -> dict[Any, Any]:
        new = dict(acc)
        columns = [v.load(b, b.gep(panel, [b.add(b.mul(I64(u), p["b_step"]), I64(n * v.lanes))])) for n in range(vectors)]
        for m in range(rows):
            place = b.gep(pointers[m // group], [b.add(b.mul(I64(m % group), row), b.mul(I64(u), step))])
            value = v.splat(b, b.load(place))
            for n in range(vectors):
                new[m, n] = v.fma(b, value, columns[n], new[m, n])
        return new

    def inner_loop(block: str, count: Any, steps: int, after: str) -> tuple[list[Any], list[Any]]:
        """One loop over k by `steps`; returns its phis and their next values, in one order: k, panel, pointers, sums."""
        b.position_at_end(blocks[block])
        k, panel = b.phi(I64), b.phi(v.pointer)
        pointers = [b.phi(v.pointer) for _ in starts]
        acc = {tile: b.phi(v.vector) for tile in tiles}
        new = acc
        for u in range(steps):
            new = multiply(new, pointers, panel, u)
            v.prefetch(b, b.inttoptr(b.add(p["ahead"], b.mul(p["ahead_step"], b.add(k, I64(u)))), v.pointer), level=2)
        next_k = b.add(k, I64(steps))
        following = [next_k, b.gep(panel, [b.mul(p["b_step"], I64(steps))])]
        following += [b.gep(pointer, [b.mul(step, I64(steps))]) for pointer in pointers]
        b.cbranch(b.icmp_signed("<", next_k, count), blocks[block], blocks[after])
        phis = [k, panel, *pointers, *acc.values()]
        following += list(new.values())
        for phi, value in zip(phis, following, strict=True):
            phi.add_incoming(value, blocks[block])
        return phis, following

    fresh = [I64(0), b_start, *starts, *sums.values()]
    loop_phis, after_loop = inner_loop("loop", even, UNROLL, "check")
    for phi, value in zip(loop_phis, fresh, strict=True):
        phi.add_incoming(value, outer_end_of_setup)
    b.position_at_end(blocks["check"])
    b.cbranch(b.icmp_signed("<", even, p["depth"]), blocks["rest"], blocks["outer_end"])
    rest_phis, after_rest = inner_loop("rest", p["depth"], 1, "outer_end")
    for phi, value, start in zip(rest_phis, after_loop, fresh, strict=True):
        phi.add_incoming(value, blocks["check"])
        phi.add_incoming(start, outer_end_of_setup)

    b.position_at_end(blocks["outer_end"])
    final = {}
    for place, tile in enumerate(tiles, start=len(fresh) - len(tiles)):
        final[tile] = b.phi(v.vector)
        final[tile].add_incoming(after_loop[place], blocks["check"])
        final[tile].add_incoming(after_rest[place], blocks["rest"])
    next_h = b.add(h, I64(1))
    b.cbranch(b.icmp_signed("<", next_h, p["height"]), blocks["outer"], blocks["done"])
    h.add_incoming(I64(0), entry)
    h.add_incoming(I64(0), blocks["load_c"])
    h.add_incoming(next_h, blocks["outer_end"])
    for tile in tiles:
        sums[tile].add_incoming(v.zero, entry)
        sums[tile].add_incoming(old[tile], blocks["load_c"])
        sums[tile].add_incoming(final[tile], blocks["outer_end"])

    b.position_at_end(blocks["done"])
    for m, n in tiles:
        v.store(b, final[m, n], c_at(m, n), c_mask(n))
    b.ret_void()
    return function


def make_tile(simd: Simd, itemsize: int, unit: str) -> Any:
    """The intrinsic `tile(rows, vectors, (a, stride, outer, b, b_step, b_outer, c, ldc, depth, height, tail, accumulate, ahead,
    ahead_step))`, all int64.

    depth must be at least 1. At each k the line at ahead + k * ahead_step bytes is asked for: what comes next, or b again with a step
    of 0. Memory: B is read in whole vectors, so its panels end on a whole vector.
    """
    v = Vectors(simd, itemsize)
    sizes = [(m, n) for m in range(1, simd.rows + 1) for n in range(1, simd.vectors + 1)]

    @intrinsic
    def tile(_context: Any, rows: Any, vectors: Any, arguments: Any) -> Any:
        def codegen(context: Any, b: Any, signature: Any, values: Any) -> Any:
            members = [b.extract_value(values[2], place) for place in range(len(TILE_ARGUMENTS))]
            key = b.add(b.mul(values[0], I64(8)), values[1])
            end = b.append_basic_block("end")
            switch = b.switch(key, end)
            for m, n in sizes:
                block = b.append_basic_block(f"tile_{m}x{n}")
                switch.add_case(I64(m * 8 + n), block)
                b.position_at_end(block)
                b.call(_build_tile(b.module, v, m, n, unit), members)
                b.branch(end)
            b.position_at_end(end)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.UniTuple(types.int64, len(TILE_ARGUMENTS))), codegen

    return tile


def intrinsic_of(arguments: int, build: Callable[[ir.Module], ir.Function]) -> Any:
    """An intrinsic that takes a tuple of int64 and calls the outlined function that `build` emits."""

    @intrinsic
    def call(_context: Any, values: Any) -> Any:
        def codegen(context: Any, b: Any, signature: Any, given: Any) -> Any:
            b.call(build(b.module), [b.extract_value(given[0], place) for place in range(arguments)])
            return context.get_dummy_value()

        return types.void(types.UniTuple(types.int64, arguments)), codegen

    return call


def butterfly(b: ir.IRBuilder, v: Vectors, x: Any, y: Any, distance: int) -> tuple[Any, Any]:
    """Exchanges lanes of two vectors: the first result has x where the lane's number lacks the bit `distance`, and there what x has at
    that distance is the second's."""
    low = [lane if not lane & distance else v.lanes + (lane ^ distance) for lane in range(v.lanes)]
    high = [v.lanes + lane if lane & distance else lane | distance for lane in range(v.lanes)]
    return tuple(b.shuffle_vector(x, y, ir.Constant(v.indices, lanes)) for lanes in (low, high))


def _transposed(b: ir.IRBuilder, v: Vectors, rows: list[Any]) -> list[Any]:
    """Transpose of a square of lanes x lanes numbers in registers."""
    distance = 1
    while distance < v.lanes:
        new = list(rows)
        for place in range(v.lanes):
            if not place & distance:
                new[place], new[place | distance] = butterfly(b, v, rows[place], rows[place | distance], distance)
        rows = new
        distance *= 2
    return rows


def make_pack_transposed(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `pack_transposed((source, ld, rows, columns, target, target_ld))`: target[k, m] = source[m, k] for a block of at
    most lanes x lanes, turned in registers; whole vectors are stored, the lanes beyond `rows` with numbers that do not matter."""
    v = Vectors(simd, itemsize)

    def build(module: ir.Module) -> ir.Function:
        name = f"pack_transposed_{v.suffix}"
        if name in module.globals:
            return module.globals[name]
        function = outlined(module, name, 6)
        source, ld, rows, columns, target, target_ld = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        start, to, mask = b.inttoptr(source, v.pointer), b.inttoptr(target, v.pointer), v.first_lanes(b, columns)
        loaded = []
        for m in range(v.lanes):  # rows beyond the block read its last row again: in bounds, and never used
            place = b.select(b.icmp_signed("<", I64(m), rows), I64(m), b.sub(rows, I64(1)))
            loaded.append(v.load(b, b.gep(start, [b.mul(place, ld)]), mask))
        for k, column in enumerate(_transposed(b, v, loaded)):
            write, following = function.append_basic_block(f"write{k}"), function.append_basic_block(f"next{k}")
            b.cbranch(b.icmp_signed("<", I64(k), columns), write, following)
            b.position_at_end(write)
            v.store(b, column, b.gep(to, [b.mul(I64(k), target_ld)]))
            b.branch(following)
            b.position_at_end(following)
        b.ret_void()
        return function

    return intrinsic_of(6, build)


def make_pack_rows(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `pack_rows((source, ld, rows, width, target, target_ld))`: target[r, :] = source[r, :width], zero filled to
    target_ld, which is one vector or as many as a panel or a strip has. The columns behind them are asked for: the next block's, which
    the CPU cannot foresee where rows lie pages apart."""
    v = Vectors(simd, itemsize)
    most = max(simd.vectors, -(-simd.rows // v.lanes))

    def build(module: ir.Module) -> ir.Function:
        name = f"pack_rows_{v.suffix}"
        if name in module.globals:
            return module.globals[name]
        function = outlined(module, name, 6)
        source, ld, rows, width, target, target_ld = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        start, to = b.inttoptr(source, v.pointer), b.inttoptr(target, v.pointer)
        masks = [v.first_lanes(b, b.sub(width, I64(n * v.lanes))) for n in range(most)]
        entry, end = b.block, function.append_basic_block("end")
        switch = b.switch(target_ld, end)
        for vectors in range(1, most + 1):
            block = function.append_basic_block(f"vectors_{vectors}")
            switch.add_case(I64(vectors * v.lanes), block)
            b.position_at_end(block)
            r = b.phi(I64)
            read, write = b.gep(start, [b.mul(r, ld)]), b.gep(to, [b.mul(r, target_ld)])
            for n in range(vectors):
                v.store(b, v.load(b, b.gep(read, [I64(n * v.lanes)]), masks[n]), b.gep(write, [I64(n * v.lanes)]))
                v.prefetch(b, b.gep(read, [b.add(width, I64(n * v.lanes))]))
            following = b.add(r, I64(1))
            b.cbranch(b.icmp_signed("<", following, rows), block, end)
            r.add_incoming(I64(0), entry)
            r.add_incoming(following, block)
        b.position_at_end(end)
        b.ret_void()
        return function

    return intrinsic_of(6, build)
