"""The transforms of Winograd's minimal filtering F(2x2, 3x3), as LLVM vector IR: tiles of an image to 16 planes and back.

A 3x3 convolution of stride 1 takes 36 multiplications for 2x2 pixels; between the transforms, which only add, 16 are left: one product
of (tiles, C) by (C, F) for each place of a 4x4 tile. In one dimension, with input d (4,), filter g (3,) and output y (2,):

    y = A' [(G g) * (B' d)],    dg = G' [(A dy) * (B' d)]

    B' = 1 0 -1 0    0 1 1 0    0 -1 1 0    0 1 0 -1
    A' = 1 1 1 0    0 1 -1 -1
    G  = 1 0 0    1/2 1/2 1/2    1/2 -1/2 1/2    0 0 1

Source: Lavin and Gray, Fast algorithms for convolutional neural networks, 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from netspec.kernels.simd import Simd
from netspec.kernels.tile import I64, Vectors, intrinsic_of, outlined, over_channels, repeat

Line = list[Any]
"""Vectors along one side of a tile."""


def _image_line(b: ir.IRBuilder, d: Line) -> Line:
    """B' d."""
    return [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[1], d[3])]


def _result_line(b: ir.IRBuilder, m: Line) -> Line:
    """A' m."""
    return [b.fadd(b.fadd(m[0], m[1]), m[2]), b.fsub(b.fsub(m[1], m[2]), m[3])]


def _gradient_line(b: ir.IRBuilder, y: Line) -> Line:
    """A y."""
    return [y[0], b.fadd(y[0], y[1]), b.fsub(y[0], y[1]), b.fneg(y[1])]


def _both_sides(b: ir.IRBuilder, line: Callable[[ir.IRBuilder, Line], Line], tile: list[Line]) -> list[Line]:
    across = [line(b, row) for row in tile]
    down = [line(b, list(column)) for column in zip(*across, strict=True)]
    return [list(row) for row in zip(*down, strict=True)]


ARGUMENTS = (
    "source", "source_row", "source_column", "source_tile", "target", "target_row", "target_column", "target_tile",
    "tiles", "count", "height", "width", "spare",
)  # fmt: skip


def _make(simd: Simd, itemsize: int, name: str, line: Callable[[ir.IRBuilder, Line], Line], sides: tuple[int, int], pixels: str) -> Any:
    """The intrinsic over `tiles` tiles side by side, `count` channels each: one tile's element (i, j) lies i rows and j columns from its
    corner, in elements. Of the side that `pixels` names, the 2x2 pixels, only `height` rows and `width` columns of all tiles are there:
    the others are read from and written to `spare`, an address with room for the channels."""
    v = Vectors(simd, itemsize)

    def build(module: ir.Module) -> ir.Function:
        full_name = f"winograd_{name}_{v.suffix}"
        if full_name in module.globals:
            return module.globals[full_name]
        function = outlined(module, full_name, len(ARGUMENTS))
        p = dict(zip(ARGUMENTS, function.args, strict=True))
        b = ir.IRBuilder(function.append_basic_block("entry"))
        spare = b.inttoptr(p["spare"], v.pointer)

        def places(t: Any, side: str, size: int) -> list[Line]:
            corner = b.gep(b.inttoptr(p[side], v.pointer), [b.mul(t, p[f"{side}_tile"])])
            found = []
            for i in range(size):
                row = []
                for j in range(size):
                    place = b.gep(corner, [b.add(b.mul(I64(i), p[f"{side}_row"]), b.mul(I64(j), p[f"{side}_column"]))])
                    if side == pixels:
                        column = b.add(b.mul(t, I64(size)), I64(j))
                        inside = b.and_(b.icmp_signed("<", I64(i), p["height"]), b.icmp_signed("<", column, p["width"]))
                        place = b.select(inside, place, spare)
                    row.append(place)
                found.append(row)
            return found

        def one_tile(t: Any, _: list[Any]) -> list[Any]:
            sources, targets = places(t, "source", sides[0]), places(t, "target", sides[1])

            def channels(first: Any, lanes: Any) -> None:
                tile = [[v.load(b, b.gep(place, [first]), lanes) for place in row] for row in sources]
                for row, numbers in zip(targets, _both_sides(b, line, tile), strict=True):
                    for place, number in zip(row, numbers, strict=True):
                        v.store(b, number, b.gep(place, [first]), lanes)

            over_channels(b, v, p["count"], channels)
            return []

        repeat(b, p["tiles"], [], one_tile)
        b.ret_void()
        return function

    return intrinsic_of(len(ARGUMENTS), build)


def make_image_to_planes(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `image_to_planes((source, source_row, source_column, source_tile, target, target_row, target_column, target_tile,
    tiles, count, height, width, spare))`: B' d B of each 4x4 tile."""
    return _make(simd, itemsize, "image", _image_line, (4, 4), "")


def make_planes_to_result(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `planes_to_result`, arguments as above: A' m A, 2x2 pixels of each tile."""
    return _make(simd, itemsize, "result", _result_line, (4, 2), "target")


def make_gradient_to_planes(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `gradient_to_planes`, arguments as above: A dy A' of each 2x2 pixels; `spare` holds zeros."""
    return _make(simd, itemsize, "gradient", _gradient_line, (2, 4), "source")
