"""Where a shape comes from, in the words of a message."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import Problem
from netspec.base.text import Source, Span
from netspec.frontend.program import Call, Program
from netspec.graph.graph import Node, Value


def diagnostic(program: Program, found: Problem, call: Call | None, span: Span | None = None) -> Diagnostic:
    """The bare fact with its place: the argument at fault, else the layer, else the key of a section."""
    if span is None and call is not None:
        span = call.arguments.get(found.argument, call.span) if found.argument else call.name_span
    notes = call.notes if call is not None else ()
    source = call.source if call is not None else program.source
    place = span or program.spans.get("net")
    return Diagnostic(found.code, found.message, source, place, label=found.label, notes=notes, help=found.help)


def origin(value: Value, nodes: Sequence[Node], source: Source) -> str:
    """`pool (line 8)`: the layer that a value comes from, past what is implied or changes nothing, with its file where that is not
    `source`; `the input`."""
    while True:
        node = next((one for one in nodes if one.output == value), None)
        if node is None:
            return "the input"
        call = node.call
        if call is not None and node.layer.name != "id":
            word = "proj" if call.projects else node.layer.name
            file = "" if call.source is source else f"{call.source.path}, "
            return f"{word} ({file}line {call.source.position(call.name_span.start)[0]})"
        value = node.input


def with_origin(found: Problem, value: Value, nodes: Sequence[Node], source: Source) -> Problem:
    """The fact, with the layer that the shape comes from."""
    message = f"{found.message}, from {origin(value, nodes, source)}"
    return Problem(found.code, message, help=found.help, argument=found.argument, label=found.label)
