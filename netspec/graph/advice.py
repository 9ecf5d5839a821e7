"""What to write so that two values have one shape; only what does that is advised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from netspec.base.errors import Problem
from netspec.base.kinds import Contraction, Pointwise, Window
from netspec.base.shape import Shape, is_image, show
from netspec.catalog.layers.affine import Affine
from netspec.catalog.layers.conv import Conv
from netspec.frontend.program import Call
from netspec.frontend.words import listing, written
from netspec.graph.graph import Node, Value, output_shape
from netspec.graph.origin import origin


def strides(larger: Shape, smaller: Shape) -> tuple[int, int] | None:
    """The smallest strides by which a window of 1 makes the sides of one image those of the other."""
    found = [_stride(side, wanted) for side, wanted in zip(larger[1:], smaller[1:], strict=True)]
    down, across = found
    return None if down is None or across is None else (down, across)


def _stride(side: int, wanted: int) -> int | None:
    stride = -(-side // wanted)
    found = [step for step in (stride, stride + 1) if -(-side // step) == wanted]
    return found[0] if found else None


def _times(smaller: Shape, larger: Shape) -> tuple[int, int] | None:
    """How often the sides of one image go into the other's, where they do."""
    whole = all(big % small == 0 for small, big in zip(smaller[1:], larger[1:], strict=True))
    return (larger[1] // smaller[1], larger[2] // smaller[2]) if whole and smaller[1:] != larger[1:] else None


def enlarging(smaller: Shape, larger: Shape) -> str:
    """`upsample(2)`, where that makes the sides of one image those of the other."""
    factor = _times(smaller, larger)
    return f"upsample({written(factor)})" if factor else ""


def same_sides(call: Call, ends: Mapping[str, Value], nodes: Sequence[Node]) -> str:
    """What gives two branches of images, by their names, one height and width, and one number of channels where `call` asks for it."""
    (one, first), (other, second) = ends.items()
    kept = unpadded(first, second, call, nodes) or unpadded(second, first, call, nodes)
    if kept:
        return kept
    if first.shape[1] < second.shape[1] or first.shape[2] < second.shape[2]:
        one, first, other, second = other, second, one, first
    larger, smaller = enlarging(second.shape, first.shape), strides(first.shape, second.shape)
    joined = call.layer.name == "concat" or first.shape[0] == second.shape[0]
    if larger and second.shape[1:] == (1, 1):
        width = "" if joined else f"conv({kept_width(first, call, nodes)}, kernel=1)-"
        return f"end {other} in {width}{larger}"
    if larger and joined:
        return f"end {other} in {larger}, or {one} in {larger.replace('upsample', 'pool')}"
    if smaller:
        return f"end {one} in conv({kept_width(second, call, nodes)}, kernel=1, stride={written(smaller)})"
    return rounded(first, second, call, nodes) or "use the same strides and pools in both"


MOST_TRIED = 500
"""Layers of a net whose shapes are tried for another input."""


def rounded(first: Value, second: Value, call: Call, nodes: Sequence[Node]) -> str:
    """The advice to take an input of other sides, where a pool on the way to one of two images drops a row or column of it: only such
    sides with which the two are alike."""
    pool = next((node for node in (*_path(second, nodes), *_path(first, nodes)) if _dropped(node)), None)
    start = next((value for node in nodes for value in node.inputs if value.index == 0), None)
    if pool is None or start is None or not is_image(start.shape) or len(nodes) > MOST_TRIED:
        return ""
    multiple = max(_reduction(first, nodes), _reduction(second, nodes))
    larger = [-(-side // multiple) * multiple for side in start.shape[1:]]
    several = [(start.shape[0], *(side + more * multiple for side in larger)) for more in range(3)]
    if not all(_alike_from(shape, (first.index, second.index), nodes) for shape in several):
        return ""
    was, now = _dropped(pool) or (0, 0)
    of = f"multiples of {multiple}, as in {show(several[0])}"
    return f"{origin(pool.output, nodes, call.source)} makes {now} of {was}, rounding down: take an input whose height and width are {of}"


def _reduction(value: Value, nodes: Sequence[Node]) -> int:
    """By how much the pools and strides on the way to an image divide height or width."""
    windows = [node for node in _path(value, nodes) if isinstance(node.layer, (Window, Conv)) and is_image(node.output.shape)]
    return prod(max(node.layer.geometry(node.input.shape).stride) for node in windows if isinstance(node.layer, (Window, Conv)))


def _path(value: Value, nodes: Sequence[Node]) -> Iterator[Node]:
    """The layers on the way to a value, the last first; of branches the first."""
    while (node := _producer(value, nodes)) is not None:
        yield node
        value = node.input


def _dropped(node: Node) -> tuple[int, int] | None:
    """A side that a pool takes and the one that it gives, where its windows do not fill the first; None where they fill both."""
    if not isinstance(node.layer, Window) or not is_image(node.output.shape):
        return None
    steps = node.layer.geometry(node.input.shape).stride
    sides = zip(node.input.shape[1:], node.output.shape[1:], steps, strict=True)
    return next(((was, now) for was, now, step in sides if was > now * step), None)


def _alike_from(shape: Shape, pair: tuple[int, int], nodes: Sequence[Node]) -> bool:
    """Whether two values, by their numbers, have the same sides where the input has that shape."""
    shapes = {0: shape}
    try:
        for node in nodes:
            shapes[node.output.index] = output_shape(node.layer, [shapes[value.index] for value in node.inputs])
    except Problem:
        return False
    one, other = (shapes[index] for index in pair)
    return one[1:] == other[1:]


def as_image(vector: Value, image: Value, call: Call, nodes: Sequence[Node]) -> str:
    """A branch from a mean over all pixels to a vector, as convolutions of one pixel that give what `image` is multiplied by; empty where
    it has other layers."""
    words: list[str] = []
    for node in _path(vector, nodes):
        if isinstance(node.layer, Affine):
            words.insert(0, f"conv({kept_width(node.output, call, nodes)}, kernel=1)")
        elif isinstance(node.layer, Pointwise) and node.call is not None:
            words.insert(0, node.call.source.words(node.call.span))
        elif len(node.input.shape) == 3 and len(node.output.shape) == 1 and node.layer.name == "globalpool":
            width = "" if vector.shape[0] == image.shape[0] else f"-conv({kept_width(image, call, nodes)}, kernel=1)"
            first = f"avgpool({written(node.input.shape[1:])})"
            return f"{'-'.join([first, *words])}{width}-{enlarging((image.shape[0], 1, 1), image.shape)}"
        elif node.layer.name != "id":
            return ""
    return ""


def unpadded(value: Value, other: Value, call: Call, nodes: Sequence[Node]) -> str:
    """The advice to leave `pad` out, where the paddings that are given alone make the sides of a value others than those of `other`."""
    found: list[str] = []
    while value.shape[1:] != other.shape[1:]:
        node = _producer(value, nodes)
        if node is None or not is_image(node.input.shape):
            return ""
        layer = node.layer
        if node.input.shape[1:] != value.shape[1:]:
            if not isinstance(layer, Conv) or node.call is None or "pad" not in node.call.explicit:
                return ""
            if _changed(node, pad="same")[1:] != node.input.shape[1:]:
                return ""
            found.insert(0, origin(value, nodes, call.source))
        value = node.input
    return f"leave `pad` out of {listing(list(dict.fromkeys(found)), 'and')}, so that height and width stay" if found else ""


def _producer(value: Value, nodes: Sequence[Node]) -> Node | None:
    return nodes[value.index - 1] if value.index else None  # value 0 is the input


def _changed(node: Node, **arguments: Any) -> Shape:
    """The shape that a layer gives with other arguments; empty where it cannot take them."""
    if getattr(node.layer, "tie", None):
        return ()
    try:
        return node.layer.model_copy(update=arguments).output_shape(node.input.shape)
    except Problem:
        return ()


def _last(value: Value, nodes: Sequence[Node]) -> Node | None:
    """The last contraction on the way to a value, past what keeps its shape."""
    while True:
        node = _producer(value, nodes)
        if node is None or isinstance(node.layer, Contraction) or node.input.shape != value.shape:
            return node if node is not None and isinstance(node.layer, Contraction) else None
        value = node.input


def _width(node: Node) -> str:
    """The words that give the width of a contraction; empty where none do."""
    if node.call is None:
        return ""
    key = node.layer.positional()
    span = node.call.arguments.get(key or "")
    return node.call.source.words(span) if span is not None else ""


def kept_width(value: Value, call: Call, nodes: Sequence[Node]) -> str:
    """The channels of a value: in the words that give them, where these mean the same at `call`."""
    node = _last(value, nodes)
    if node is None or node.call is None or node.call.source is not call.source or node.call.notes != call.notes:
        return str(value.shape[0])
    return _width(node) or str(value.shape[0])


def other_width(body: Value, skip: Value, nodes: Sequence[Node]) -> str:
    """How the last contraction of a body gives the shape of its skip; empty where it cannot."""
    node = _last(body, nodes)
    if node is None or node.output.index <= skip.index:
        return ""
    strided = is_image(body.shape) and node.output.shape[1:] != skip.shape[1:]
    stride = {"stride": (1, 1)} if strided else {}
    if _changed(node, **{node.layer.positional() or "": skip.shape[0]}, **stride) != skip.shape:
        return ""
    words = _width(node)
    named = bool(words) and not words.isdigit()
    told = f"{node.layer.name}({words if named else skip.shape[0]}{', stride=1' if strided else ''})"
    return f"{told} with {words} = {skip.shape[0]}" if named and body.shape[0] != skip.shape[0] else told
