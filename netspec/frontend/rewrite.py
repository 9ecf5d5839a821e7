"""A syntax tree with parts of it changed: places of words and comments stay where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

from netspec.frontend import syntax

NodeT = TypeVar("NodeT", bound=syntax.Node)
Change = Callable[[syntax.Node], syntax.Node]


def rewritten(node: NodeT, change: Change) -> NodeT:
    """The tree with `change` applied to every node, the parts of a node before itself. `change` gives back what it leaves alone."""
    found: NodeT = _changed(node, change)
    return found


def _changed(value: Any, change: Change) -> Any:
    if isinstance(value, tuple):
        parts = tuple(_changed(one, change) for one in value)
        return parts if any(one is not other for one, other in zip(parts, value, strict=True)) else value
    if not isinstance(value, syntax.Node):
        return value
    held = {one.name: getattr(value, one.name) for one in fields(value) if one.name not in ("span", "key_span", "trivia")}
    made = {name: _changed(part, change) for name, part in held.items()}
    new = {name: part for name, part in made.items() if part is not held[name]}
    return change(replace(value, **new) if new else value)
