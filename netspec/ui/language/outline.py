"""The entries of a text, with what stands in them, for an editor's outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from netspec.base.text import Span
from netspec.frontend import syntax
from netspec.frontend.format import chain_text, value_text

Kind = Literal["value", "chain", "section", "key", "layers", "file"]
LONGEST = 80
"""Letters of a detail."""


@dataclass(frozen=True)
class Outlined:
    """One line of an outline: `name_span` is where a jump goes, inside `span`."""

    name: str
    detail: str
    kind: Kind
    span: Span
    name_span: Span
    children: tuple[Outlined, ...] = ()


def outline(file: syntax.File) -> list[Outlined]:
    """The entries in the order of the text; under a chain its runs, under a section its keys."""
    found = []
    for entry in file.entries:
        line = _entry(entry)
        if line is not None:
            found.append(line)
    return found


def _entry(entry: syntax.Entry) -> Outlined | None:
    match entry:
        case syntax.Let():
            return Outlined(entry.name.text, _cut(value_text(entry.value)), "value", entry.span, entry.name.span)
        case syntax.Def():
            parameters = ", ".join(one.name.text for one in entry.parameters)
            return Outlined(entry.name.text, _cut(f"({parameters})"), "chain", entry.span, entry.name.span, _runs(entry.chain))
        case syntax.Setting():
            return Outlined(entry.word.text, _cut(value_text(entry.value)), "value", entry.span, entry.word.span)
        case syntax.Section():
            return Outlined(entry.word.text, "", "section", entry.span, entry.word.span, _pairs(entry.pairs))
        case syntax.Net():
            word = Span(entry.span.start, entry.span.start + (0 if entry.bare else len("net")))
            return Outlined("net", _cut(chain_text(entry.chain)), "chain", entry.span, word, _runs(entry.chain))
        case syntax.Use():
            return Outlined(f"use {entry.path.text}", "", "file", entry.span, entry.path.span)
    return None


def _pairs(pairs: Sequence[syntax.Pair]) -> tuple[Outlined, ...]:
    return tuple(Outlined(".".join(pair.key), _cut(value_text(pair.value)), "key", pair.span, pair.key_span) for pair in pairs)


def _runs(chain: syntax.Chain) -> tuple[Outlined, ...]:
    return tuple(Outlined(_cut(chain_text(syntax.Chain((run,)))), "", "layers", run.span, run.span) for run in chain.runs)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
