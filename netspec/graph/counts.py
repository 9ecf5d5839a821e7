"""What is known about the ends of a net before it is built: from the text's own words, from the caller, from the data."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.dataset import Facts
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import Problem, SpecError
from netspec.base.kinds import Head, Target
from netspec.base.shape import Shape, show, size
from netspec.base.text import Source, Span
from netspec.catalog.layers.linear import Linear
from netspec.frontend.program import Call, Program


@dataclass(frozen=True)
class Counts:
    """The shape of an input row, and how many classes or outputs there are."""

    input: Shape
    classes: int | None = None
    outputs: int | None = None


def split_head(program: Program) -> tuple[list[Call], Head, Call | None]:
    """The calls before the head, and the head; `linear` where the chain names none. A layer may have a form as a head (sigmoid)."""
    calls = list(program.net)
    if calls:
        last = calls[-1].layer
        if isinstance(last, Head):
            return calls[:-1], last, calls[-1]
        if last.head_form is not None:
            form = last.head_form()
            if isinstance(form, Head):
                return calls[:-1], form, calls[-1]
    return calls, Linear(), None


CALLERS = ("input", "classes", "outputs")
"""Words that a caller may give instead of the text."""


def key_error(program: Program, found: Problem) -> SpecError:
    """The bare fact at the key of the program that it is about; at the words of a caller where the key is a caller's."""
    word, source = found.argument or "", program.source
    span = program.spans.get(word)
    given = getattr(program, word, None) if word in CALLERS and span is None else None
    if given is not None:
        text = f"{word} {show(given) if isinstance(given, tuple) else given}"
        source, span = Source(text, f"<{word}>"), Span(0, len(text))
    span = span or program.spans.get("data") or program.spans.get("net")
    return SpecError([Diagnostic(found.code, found.message, source, span, help=found.help)])


def counts_of(program: Program, facts: Facts | None = None) -> Counts | None:
    """Input shape and counts from the program's own words and the data's facts; None where nothing gives an input shape.

    Facts of a built-in source are known without reading it. Raises SpecError (NS6xx) where the two contradict each other.
    """
    head = split_head(program)[1]
    if facts is None and program.data is not None and program.data.source is not None:
        facts = program.data.source.facts()
    if facts is None:
        return None if program.input is None else Counts(_prepared(program, program.input), program.classes, program.outputs)
    try:
        check_facts(facts, input=program.input, classes=program.classes, outputs=program.outputs, target=head.target)
    except Problem as found:
        raise key_error(program, found) from None
    if head.target == "value":
        return Counts(_prepared(program, facts.shape), program.classes, program.outputs or facts.outputs)
    return Counts(_prepared(program, facts.shape), program.classes or facts.classes, program.outputs)


def _prepared(program: Program, row: Shape) -> Shape:
    """What the net gets of a row of that shape."""
    return program.data.prepared_shape(row) if program.data is not None else row


def _advice(given: Shape, found: Shape) -> str:
    if len(found) == 3 and given == (found[2], *found[:2]):
        return "the rows have their channels last: x.transpose(0, 3, 1, 2) puts them first"
    if size(given) == size(found):
        return f"reshape the rows: x.reshape(-1, {', '.join(map(str, given))}), or write input {show(found)}"
    return f"write input {show(found)}, or leave it out"


def check_facts(facts: Facts, *, input: Shape | None, classes: int | None, outputs: int | None, target: Target) -> None:  # noqa: A002  the word of the language
    """Raises Problem NS601 (classes), NS602 (outputs) or NS603 (input) where what the spec gives contradicts what the data is."""
    if input is not None and tuple(input) != facts.shape:
        raise Problem(
            "NS603",
            f"input {show(input)} contradicts the data, whose rows are {show(facts.shape)}",
            help=_advice(tuple(input), facts.shape),
            argument="input",
        )
    if target != "value" and classes is not None and facts.classes is not None and classes != facts.classes:
        raise Problem(
            "NS601",
            f"classes {classes} contradicts the data, which has {facts.classes} classes",
            help=f"write classes {facts.classes}, or leave it out",
            argument="classes",
        )
    if target == "value" and outputs is not None and facts.outputs is not None and outputs != facts.outputs:
        raise Problem(
            "NS602",
            f"outputs {outputs} contradicts the data, which has {facts.outputs} for each row",
            help=f"write outputs {facts.outputs}, or leave it out",
            argument="outputs",
        )
