"""`tie = enc`, `tie = enc.T`: the arguments that name a point of a chain."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.base.layer import Layer
from netspec.base.tie import Tie
from netspec.catalog.registry import entry_of
from netspec.frontend import syntax
from netspec.frontend.used import nodes_in
from netspec.frontend.words import accepts


def points_in(node: syntax.Node) -> frozenset[str]:
    """The names that runs have in the node: `affine(100) @enc`."""
    return frozenset(one.label.text for one in nodes_in(node) if isinstance(one, syntax.Run) and one.label is not None)


def tied_name(owner: str, argument: syntax.Argument) -> syntax.Name | None:
    """The name that an argument of the layer `owner` gives where a point is asked for."""
    layer = entry_of(Layer, owner)  # type: ignore[type-abstract]  # the contract itself is never made
    info = layer.model_fields.get(argument.key.text) if layer is not None and argument.key is not None else None
    if info is None or not accepts(info.annotation, Tie):
        return None
    value = argument.value
    while isinstance(value, syntax.Group):
        value = value.inner
    return value if isinstance(value, syntax.Name) else None


def tied_names(node: syntax.Node) -> Iterator[syntax.Name]:
    """Those of all calls in the node."""
    for one in nodes_in(node):
        if isinstance(one, (syntax.Layer, syntax.CallValue)):
            yield from filter(None, (tied_name(one.name.text, argument) for argument in one.arguments or ()))
