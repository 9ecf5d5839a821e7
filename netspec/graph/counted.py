"""Arguments that a program leaves to the number of its classes or outputs, or to a layer whose weights are shared."""

from __future__ import annotations

from netspec.base.errors import SpecError
from netspec.base.text import Span
from netspec.catalog.layers.affine import Affine
from netspec.frontend.program import Call, Program
from netspec.graph.check import to_graph
from netspec.graph.counts import split_head
from netspec.graph.nodes import last_affines

Place = tuple[str, Span, str]
"""A file, the word in it that names a layer, and the name of an argument."""


def counted_arguments(program: Program) -> frozenset[Place]:
    """The arguments of calls that are no defaults, but follow from something else; also those that shapes tell, where they are known."""
    counted = set(counted_in_chain(program))
    try:
        graph = to_graph(program)
    except SpecError:
        return frozenset(counted)
    for node in graph.nodes:
        if node.call is not None:
            fields = type(node.layer).model_fields
            held = node.call.layer
            counted |= {place_of(node.call, name) for name in fields if getattr(node.layer, name) != getattr(held, name, None)}
    return frozenset(counted)


def counted_in_chain(program: Program) -> frozenset[Place]:
    """Those that the chain alone tells: the width of a last affine, and of one that is tied."""
    calls = split_head(program)[0]
    last = {place_of(calls[at], "width") for at in last_affines(calls) if "width" not in calls[at].explicit}
    return frozenset(last | {place_of(call, "width") for call in calls if isinstance(call.layer, Affine) and call.layer.tie})


def place_of(call: Call, name: str) -> Place:
    """Where an argument of a call stands, or would."""
    source, span = call.named_at
    return source.path, span, name
