"""The defs of used files as words of the text that uses them, so that the text stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from netspec.frontend import syntax
from netspec.frontend.ties import tied_name
from netspec.frontend.values import Definition, Scope, show


def inlined(definition: Definition) -> syntax.Def:
    """The def with the values of its file's `let`s in their place, and without the comments before it."""
    parameters = frozenset(parameter.name.text for parameter in definition.node.parameters)
    node, home = definition.node, definition.home
    taken = tuple(replace(one, default=_written(one.default, home, frozenset())) for one in node.parameters)
    return replace(node, parameters=taken, chain=_written(node.chain, home, parameters), trivia=syntax.Trivia())


def _written(node: Any, home: Scope, taken: frozenset[str]) -> Any:
    """The node with every `let` written out but those that a parameter, in `taken`, stands before; names of points are left alone."""
    if isinstance(node, tuple):
        return tuple(_written(part, home, taken) for part in node)
    if not isinstance(node, syntax.Node) or isinstance(node, syntax.Word):
        return node
    if isinstance(node, syntax.Name) and node.part is not None:
        return node
    if isinstance(node, (syntax.Name, syntax.Layer)):
        name = node.text if isinstance(node, syntax.Name) else node.name.text
        held = None if name in taken or name in home.definitions else home.find(name)
        if held is not None:
            text = show(held.content)
            text = f"({text})" if text.startswith("-") else text
            return syntax.Literal("number", text) if isinstance(node, syntax.Name) else syntax.Layer(syntax.Word(text))
    if isinstance(node, syntax.Repeated) and isinstance(node.times, syntax.Over):
        inner = taken | {node.times.name.text}
        return replace(node, unit=_written(node.unit, home, inner), times=_written(node.times, home, taken))
    parts = {name: _written(getattr(node, name), home, taken) for name in _parts(node)}
    if isinstance(node, (syntax.Layer, syntax.CallValue)) and node.arguments is not None:
        before = zip(node.arguments, parts["arguments"], strict=True)
        parts["arguments"] = tuple(one if _is_point(node, one, home) else other for one, other in before)
    return replace(node, **parts)


def _is_point(node: syntax.Layer | syntax.CallValue, argument: syntax.Argument, home: Scope) -> bool:
    tied = tied_name(node.name.text, argument)
    return tied is not None and (tied.part is not None or tied.text in home.points)


def _parts(node: syntax.Node) -> list[str]:
    return [field.name for field in fields(node) if field.name not in ("span", "key_span", "trivia", "tail")]


def brought(definitions: Mapping[str, Definition], entry: int, own: Scope) -> list[syntax.Def]:
    """The defs that `use`, entry number `entry` of a text, brings into it, each behind those that it calls."""
    return [inlined(one) for one in definitions.values() if one.index == entry and one.home.source is not own.source]
