"""Convolution of each channel with a filter of its own, one row of pixels, as LLVM vector IR: a vector of channels at a time, sums in
registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from netspec.kernels.simd import Simd
from netspec.kernels.tile import I64, Vectors, intrinsic_of, outlined, over_channels, repeat

PIXELS = 8  # whose sums stand in registers at once: enough to hide how long a multiply-add takes
ARGUMENTS = ("source", "pixel", "row", "filters", "height", "width", "target", "pixels", "channels")


class _Row:
    """The function being built: its arguments by name, and places in elements."""

    def __init__(self, module: ir.Module, v: Vectors, name: str) -> None:
        self.function = outlined(module, name, len(ARGUMENTS))
        self.p = dict(zip(ARGUMENTS, self.function.args, strict=True))
        self.b, self.v = ir.IRBuilder(self.function.append_basic_block("entry")), v

    def load(self, name: str, places: list[Any], mask: Any) -> Any:
        return self.v.load(self.b, self.place(name, places), mask)

    def place(self, name: str, places: list[Any]) -> Any:
        total = places[0]
        for more in places[1:]:
            total = self.b.add(total, more)
        return self.b.gep(self.b.inttoptr(self.p[name], self.v.pointer), [total])

    def seen(self, q: Any, h: Any, w: Any) -> list[Any]:
        """Where pixel q's window has its row h and column w."""
        b, p = self.b, self.p
        return [b.mul(q, p["pixel"]), b.mul(h, p["row"]), b.mul(w, p["channels"])]

    def tap(self, h: Any, w: Any) -> Any:
        return self.b.mul(self.b.add(self.b.mul(h, self.p["width"]), w), self.p["channels"])

    def over_pixels(self, body: Any, carried: list[Any]) -> list[Any]:
        """`body(first pixel, how many, values)` over runs of PIXELS pixels, then one by one."""
        b, pixels = self.b, self.p["pixels"]
        done = b.and_(pixels, I64(-PIXELS))
        carried = repeat(b, done, carried, lambda q, values: body(q, PIXELS, values), PIXELS)
        return repeat(b, b.sub(pixels, done), carried, lambda i, values: body(b.add(done, i), 1, values))


def _forward(module: ir.Module, v: Vectors) -> ir.Function:
    name = f"depthwise_{v.suffix}"
    if name in module.globals:
        return module.globals[name]
    row = _Row(module, v, name)
    b, p = row.b, row.p

    def channels(c: Any, mask: Any) -> None:
        def pixels(q: Any, count: int, _: list[Any]) -> list[Any]:
            def column(h: Any, w: Any, sums: list[Any]) -> list[Any]:
                weight = row.load("filters", [row.tap(h, w), c], mask)
                numbers = [row.load("source", [*row.seen(b.add(q, I64(i)), h, w), c], mask) for i in range(count)]
                return [v.fma(b, number, weight, total) for number, total in zip(numbers, sums, strict=True)]

            def line(h: Any, sums: list[Any]) -> list[Any]:
                return repeat(b, p["width"], sums, lambda w, values: column(h, w, values))

            for i, total in enumerate(repeat(b, p["height"], [v.zero] * count, line)):
                v.store(b, total, row.place("target", [b.mul(b.add(q, I64(i)), p["channels"]), c]), mask)
            return []

        row.over_pixels(pixels, [])

    over_channels(b, v, p["channels"], channels)
    b.ret_void()
    return row.function


def _gradient(module: ir.Module, v: Vectors) -> ir.Function:
    name = f"depthwise_gradient_{v.suffix}"
    if name in module.globals:
        return module.globals[name]
    row = _Row(module, v, name)
    b, p = row.b, row.p

    def channels(c: Any, mask: Any) -> None:
        def tap(h: Any, w: Any) -> None:
            def pixels(q: Any, count: int, sums: list[Any]) -> list[Any]:
                new = list(sums)
                for i in range(count):
                    here = b.add(q, I64(i))
                    slope = row.load("target", [b.mul(here, p["channels"]), c], mask)
                    new[i] = v.fma(b, row.load("source", [*row.seen(here, h, w), c], mask), slope, new[i])
                return new

            at = row.place("filters", [row.tap(h, w), c])
            sums = row.over_pixels(pixels, [v.load(b, at, mask), *[v.zero] * (PIXELS - 1)])
            while len(sums) > 1:
                sums = [b.fadd(x, y) for x, y in zip(sums[::2], sums[1::2], strict=True)]
            v.store(b, sums[0], at, mask)

        def line(h: Any, _: list[Any]) -> list[Any]:
            def column(w: Any, _: list[Any]) -> list[Any]:
                tap(h, w)
                return []

            return repeat(b, p["width"], [], column)

        repeat(b, p["height"], [], line)

    over_channels(b, v, p["channels"], channels)
    b.ret_void()
    return row.function


def make_depthwise(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `depthwise((source, pixel, row, filters, height, width, target, pixels, channels))`: a row of `pixels` results, each of
    `channels` adjacent numbers; windows `pixel` elements apart, their rows `row` elements; filters [height][width][channels]."""
    v = Vectors(simd, itemsize)
    return intrinsic_of(len(ARGUMENTS), lambda module: _forward(module, v))


def make_depthwise_gradient(simd: Simd, itemsize: int) -> Any:
    """The intrinsic `depthwise_gradient`, arguments as above: adds to the filters what a row of gradients at `target` gives them."""
    v = Vectors(simd, itemsize)
    return intrinsic_of(len(ARGUMENTS), lambda module: _gradient(module, v))
