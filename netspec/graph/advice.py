"""What to write so that two values have one shape; only what does that is advised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.base.errors import Problem
from netspec.base.kinds import Contraction
from netspec.base.shape import Shape, is_image
from netspec.catalog.layers.conv import Conv
from netspec.frontend.program import Call
from netspec.frontend.words import listing, written
from netspec.graph.graph import Node, Value
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
    return "use the same strides and pools in both, with pad=same"


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
