"""Arguments that a program leaves to the number of its classes or outputs."""

from __future__ import annotations

from netspec.base.errors import SpecError
from netspec.base.text import Span
from netspec.catalog.layers.affine import Affine
from netspec.frontend.program import Program
from netspec.graph.check import to_graph
from netspec.graph.counts import split_head


def counted_arguments(program: Program) -> frozenset[tuple[Span, str]]:
    """The words of calls, with the arguments that follow from the counts and are no defaults: the width of the last affine. Without an
    input shape, or with shapes that do not fit, it is told from the chain alone."""
    try:
        graph = to_graph(program)
    except SpecError:
        return _from_chain(program)
    changed = set()
    for node in graph.nodes:
        if node.call is not None:
            fields = type(node.layer).model_fields
            changed |= {(node.call.span, name) for name in fields if getattr(node.layer, name) != getattr(node.call.layer, name)}
    return frozenset(changed) | _from_chain(program)


def _from_chain(program: Program) -> frozenset[tuple[Span, str]]:
    for call in reversed(split_head(program)[0]):
        if isinstance(call.layer, Affine):
            return frozenset() if "width" in call.explicit else frozenset({(call.span, "width")})
        if not call.layer.keeps_shape:
            break
    return frozenset()
