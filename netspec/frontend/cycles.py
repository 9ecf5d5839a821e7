"""Refuses defs that call each other in a circle, and shows the circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.ties import tied_names
from netspec.frontend.used import names_in, nodes_in
from netspec.frontend.values import Definition


def check_cycles(definitions: Mapping[str, Definition], source: Source) -> None:
    """Raises LimitError at the call that closes a circle of defs."""
    calls = {name: _calls(definition.node, definitions) for name, definition in definitions.items()}
    done: set[str] = set()
    for start in definitions:
        path = {start: None}  # a dict for its order
        waiting = [iter(calls[start].items())]
        while path:
            step = next(waiting[-1], None)
            if step is None:
                done.add(path.popitem()[0])
                waiting.pop()
                continue
            name, node = step
            if name in path:
                names = list(path)
                circle = " -> ".join([*names[names.index(name) :], name])
                message = f"a def may not call itself: {circle}"
                raise LimitError([Diagnostic("NS805", message, source, node.span, help="write a repeat instead, such as [...]x4")])
            if name not in done:
                path[name] = None
                waiting.append(iter(calls[name].items()))


def _calls(node: syntax.Def, definitions: Mapping[str, Definition]) -> dict[str, syntax.Node]:
    parameters = {parameter.name.text for parameter in node.parameters}
    others = set(map(id, chain(tied_names(node), _copied(node))))  # points, and values of repeats, may have the name of a def
    found: dict[str, syntax.Node] = {}
    for name, word in names_in(node):
        if name in definitions and name not in parameters and id(word) not in others:
            found.setdefault(name, word)
    return found


def _copied(node: syntax.Def) -> Iterator[syntax.Node]:
    """The words that stand for a value of a repeat: c in `[conv(c)]x(c: 8, 16)`."""
    for one in nodes_in(node):
        if isinstance(one, syntax.Repeated) and isinstance(one.times, syntax.Over):
            yield from (word for name, word in names_in(one.unit) if name == one.times.name.text)
