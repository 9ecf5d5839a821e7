"""Branches that do not go together, in words; and the layer that makes a skip go with its body."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.base.errors import Problem
from netspec.base.kinds import Contraction
from netspec.base.layer import Layer
from netspec.base.shape import Shape, is_image, show
from netspec.catalog.layers.affine import Affine
from netspec.catalog.layers.conv import Conv
from netspec.frontend.program import Call
from netspec.graph.graph import Node, Value
from netspec.graph.origin import origin


def projection(call: Call, skip: Value, body: Value, nodes: Sequence[Node]) -> Layer:
    """The layer that gives a skip the shape of its body: affine for vectors, a 1x1 conv for images, strided where the body's is smaller.
    Raises Problem where none does."""
    if len(skip.shape) != len(body.shape):
        code, message = "NS416", f"res: the body gives {_kind(body.shape)}, and the skip carries {_kind(skip.shape)}"
        raise Problem(
            code, message, label=f"the skip comes from {origin(skip, nodes, call.source)}", help="let the body keep the kind of its input"
        )
    if not is_image(skip.shape):
        return Affine(width=body.shape[0])
    strides = [_stride(side, wanted) for side, wanted in zip(skip.shape[1:], body.shape[1:], strict=True)]
    if None in strides:
        message = f"res: no stride of a 1x1 conv makes {show(body.shape[1:])} of {show(skip.shape[1:])}"
        label = f"the body gives {show(body.shape)}; the skip carries {show(skip.shape)}, from {origin(skip, nodes, call.source)}"
        raise Problem("NS416", message, label=label, help="use stride or pool(window, pad=...) so that sides are halved, rounded up")
    down, across = strides
    assert down is not None
    assert across is not None
    return Conv(filters=body.shape[0], kernel=(1, 1), stride=(down, across))


def _kind(shape: Shape) -> str:
    return f"an image {show(shape)}" if is_image(shape) else f"a vector of {show(shape)}"


def _stride(side: int, wanted: int) -> int | None:
    """The smallest stride by which a window of 1 leaves `wanted` places of `side`."""
    stride = -(-side // wanted)
    found = [step for step in (stride, stride + 1) if -(-side // step) == wanted]
    return found[0] if found else None


def explained(found: Problem, call: Call, taken: Sequence[Value], nodes: Sequence[Node]) -> Problem:
    """A merge's fact with both ends: which branches, and where their shapes come from."""
    first = taken[0]
    at, other = next((place, value) for place, value in enumerate(taken) if _differs(value.shape, first.shape, found.code))
    if call.source.words(call.name_span) != "res":
        ends = ((1, first), (at + 1, other))
        label = "; ".join(f"branch {n} gives {show(value.shape)}, from {origin(value, nodes, call.source)}" for n, value in ends)
        help_text = f"{_alike(at + 1, first.shape, other.shape)}; nothing is broadcast" if found.code == "NS412" else found.help
        return Problem(found.code, found.message, label=label, help=help_text)
    label = f"the body gives {show(first.shape)}; the skip carries {show(other.shape)}, from {origin(other, nodes, call.source)}"
    return Problem(found.code, found.message, label=label, help=_advice(first, other, nodes))


def _alike(branch: int, wanted: Shape, shape: Shape) -> str:
    """What gives a branch the shape of the first one."""
    if len(wanted) != len(shape):
        return "make both vectors (flatten, globalpool) or both images (reshape)"
    if wanted[1:] != shape[1:]:
        return "use the same strides and pools in both, with pad=same"
    return f"end branch {branch} in {f'conv({wanted[0]}, kernel=1)' if is_image(shape) else f'affine({wanted[0]})'}"


def _differs(one: Shape, other: Shape, code: str) -> bool:
    """Of concat the channels may."""
    return (len(one), one[1:]) != (len(other), other[1:]) if code == "NS413" else one != other


def _advice(body: Value, skip: Value, nodes: Sequence[Node]) -> str:
    """What makes body and skip alike: a projection, or the body's last contraction with the skip's channels and stride 1, where that is
    all that keeps them apart."""
    proj = "write res[...](proj)"
    start = next((place for place, node in enumerate(nodes) if node.output == skip), -1)
    inside = nodes[start + 1 :]
    last = next((node for node in reversed(inside) if isinstance(node.layer, Contraction)), None)
    if len(body.shape) != len(skip.shape):
        return "let the body keep the kind of its input: an image stays an image, a vector a vector"
    smaller = [node for node in inside if node.input.shape[1:] != node.output.shape[1:]]
    if last is None or smaller not in ([], [last]):
        return proj
    strided = ", stride=1" if smaller else ""
    return f"{proj}, or {last.layer.name}({skip.shape[0]}{strided})"
