"""Branches that do not go together, in words; and the layer that makes a skip go with its body."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netspec.base.errors import Problem
from netspec.base.layer import Layer
from netspec.base.shape import Shape, is_image, show
from netspec.catalog.layers.affine import Affine
from netspec.catalog.layers.conv import Conv
from netspec.frontend.program import Call
from netspec.graph.advice import as_image, enlarging, kept_width, other_width, rounded, same_sides, strides, unpadded
from netspec.graph.graph import Node, Value
from netspec.graph.origin import origin

_PARAMETERS = re.compile(r"inside def \w+\(")


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
    steps = strides(skip.shape, body.shape)
    if steps is None:
        message = f"res: no stride of a 1x1 conv makes {show(body.shape[1:])} of {show(skip.shape[1:])}"
        label = f"the body gives {show(body.shape)}; the skip carries {show(skip.shape)}, from {origin(skip, nodes, call.source)}"
        raise Problem("NS416", message, label=label, help=_sides_of_body(body, skip, call, nodes))
    return Conv(filters=body.shape[0], kernel=(1, 1), stride=steps)


def _kind(shape: Shape) -> str:
    return f"an image {show(shape)}" if is_image(shape) else f"a vector of {show(shape)}"


def explained(found: Problem, call: Call, taken: Sequence[Value], nodes: Sequence[Node]) -> Problem:
    """A merge's fact with both ends: which branches, and where their shapes come from."""
    first = taken[0]
    at, other = next((place, value) for place, value in enumerate(taken) if _differs(value.shape, first.shape, found.code))
    if call.source.words(call.name_span) != "res":
        ends = ((1, first), (at + 1, other))
        label = "; ".join(f"branch {n} gives {show(value.shape)}, from {origin(value, nodes, call.source)}" for n, value in ends)
        help_text = _alike(call, at + 1, (first, other), nodes)
        help_text = f"{help_text}; nothing is broadcast" if found.code == "NS412" else help_text
        return Problem(found.code, found.message, label=label, help=help_text)
    label = f"the body gives {show(first.shape)}; the skip carries {show(other.shape)}, from {origin(other, nodes, call.source)}"
    return Problem(found.code, found.message, label=label, help=_advice(first, other, call, nodes))


def _differs(one: Shape, other: Shape, code: str) -> bool:
    """Of concat the channels may."""
    return (len(one), one[1:]) != (len(other), other[1:]) if code == "NS413" else one != other


def _alike(call: Call, number: int, ends: tuple[Value, Value], nodes: Sequence[Node]) -> str:
    """What gives branch 1 and the branch of that number one shape."""
    first, other = ends
    if len(first.shape) == len(other.shape) and first.shape[1:] == other.shape[1:]:
        width = kept_width(first, call, nodes)
        return f"end branch {number} in {f'conv({width}, kernel=1)' if is_image(first.shape) else f'affine({width})'}"
    if len(first.shape) == len(other.shape):
        return same_sides(call, {"branch 1": first, f"branch {number}": other}, nodes)
    image, vector, place = (first, other, number) if is_image(first.shape) else (other, first, 1)
    if call.layer.name == "mul" and is_image(image.shape):
        channels = image.shape[0]
        other_form = as_image(vector, image, call, nodes) if any(_PARAMETERS.search(note) for note in call.notes) else ""
        if other_form:
            return f"write branch {place} as {other_form}: the shape of a reshape is written in numbers, which fit one call alone"
        width = "" if vector.shape[0] == channels else f"affine({channels})-"
        return f"end branch {place} in {width}reshape({channels}x1x1)-{enlarging((channels, 1, 1), image.shape)}"
    return "make both vectors (flatten, globalpool) or both images (reshape)"


def _advice(body: Value, skip: Value, call: Call, nodes: Sequence[Node]) -> str:
    """What makes body and skip alike: a projection, or the body's last contraction with the skip's channels and stride 1, where that is
    all that keeps them apart."""
    if len(body.shape) != len(skip.shape):
        return "let the body keep the kind of its input: an image stays an image, a vector a vector"
    if is_image(body.shape) and strides(skip.shape, body.shape) is None:
        proj = "" if body.shape[0] == skip.shape[0] else ", and write res[...](proj)"
        return f"{_sides_of_body(body, skip, call, nodes)}{proj if unpadded(body, skip, call, nodes) else ''}"
    other = other_width(body, skip, nodes)
    return f"write res[...](proj){f', or {other}' if other else ''}"


def _sides_of_body(body: Value, skip: Value, call: Call, nodes: Sequence[Node]) -> str:
    """For a body whose height and width no projection gives."""
    kept, larger = unpadded(body, skip, call, nodes), enlarging(skip.shape, body.shape)
    if larger and not kept:
        width = "" if body.shape[0] == skip.shape[0] else f"-conv({kept_width(body, call, nodes)}, kernel=1)"
        return f"write add([...] | {larger}{width}), which enlarges the skip too"
    return (
        kept
        or rounded(body, skip, call, nodes)
        or "let the body keep height and width, or use stride or pool(window, pad=...) so that they are halved, rounded up"
    )
