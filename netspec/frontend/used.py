"""The names that a text uses, as words: what could be a `let` of a caller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from netspec.frontend import syntax


def used_names(node: syntax.Node) -> frozenset[str]:
    """Every name that stands for a value or a layer anywhere in the node."""
    return frozenset(name for name, _ in names_in(node))


def names_in(node: syntax.Node) -> Iterator[tuple[str, syntax.Node]]:
    """The names with the words that they stand in, in reading order."""
    for one in nodes_in(node):
        if isinstance(one, syntax.Name):
            yield one.text, one
        elif isinstance(one, (syntax.Layer, syntax.CallValue)):
            yield one.name.text, one.name


def nodes_in(node: syntax.Node) -> Iterator[syntax.Node]:
    """The node and all inside it, in reading order."""
    waiting: list[Any] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            waiting += reversed(one)
        elif isinstance(one, syntax.Node):
            yield one
            waiting += [getattr(one, name) for name in _parts(type(one))]  # type: ignore[arg-type]  # mypy takes the hash of a node for that of its class


@cache
def _parts(kind: type[syntax.Node]) -> tuple[str, ...]:
    """The fields that may hold nodes, the last first."""
    return tuple(field.name for field in reversed(fields(kind)) if field.name not in ("span", "key_span", "trivia"))
