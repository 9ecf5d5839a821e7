"""What can be read of a text that does not parse: its whole entries; and the way from a place in one state of a text to another."""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token

from netspec.base.errors import SpecError
from netspec.base.text import Source, Span
from netspec.frontend import syntax
from netspec.frontend.parse import KEYWORDS, parse
from netspec.frontend.tokens import tokenize_unfinished


def readable(source: Source) -> syntax.File:
    """The file of a text; where it does not parse, of those of its entries that do, every word at its place."""
    try:
        return parse(source)
    except SpecError:
        text = _without_broken_entries(source)
    try:
        return parse(Source(text, source.path))
    except SpecError:
        return syntax.File(())


def _without_broken_entries(source: Source) -> str:
    """The text with blanks for what is no entry."""
    text, kept, at = source.text, [], 0
    for span in entry_spans(tokenize_unfinished(source).tokens):
        entry = text[span.start : span.end]
        if _parses(entry):
            kept += [_blank(text[at : span.start]), entry]
            at = span.end
    return "".join([*kept, _blank(text[at:])])


def _parses(entry: str) -> bool:
    try:
        parse(Source(entry))
    except SpecError:
        return False
    return True


def _blank(text: str) -> str:
    return "".join("\n" if letter == "\n" else " " for letter in text)


def entry_spans(tokens: tuple[Token, ...]) -> list[Span]:
    """From the word of each entry to the end of its last word."""
    starts = [at for at in range(len(tokens)) if begins_entry(tokens, at)]
    ends = [*(at - 1 for at in starts[1:]), *([len(tokens) - 1] if starts else [])]
    return [Span(tokens[start].start_pos or 0, tokens[end].end_pos or 0) for start, end in zip(starts, ends, strict=True)]


def begins_entry(tokens: tuple[Token, ...], at: int) -> bool:
    """Whether a word begins an entry: in `let net = 3` the second does not."""
    if tokens[at].type not in KEYWORDS:
        return False
    return (at == 0 or tokens[at - 1].type not in ("LET", "DEF")) and (at + 1 == len(tokens) or tokens[at + 1].type != "EQUAL")


@dataclass(frozen=True)
class Edit:
    """One state of a text and a later one, seen as a single replacement between a common beginning and a common end."""

    before: int
    """Letters of the common beginning."""
    old_end: int
    new_end: int
    """Where the common end begins in each."""

    @classmethod
    def between(cls, old: str, new: str) -> Edit:
        before = _shared(old, new)
        behind = _shared(old[before:][::-1], new[before:][::-1])
        return cls(before, len(old) - behind, len(new) - behind)

    def to_old(self, offset: int) -> int | None:
        """The place in the old text; None where it was not there."""
        return self._moved(offset, self.new_end, self.old_end)

    def to_new(self, span: Span) -> Span | None:
        """The same words in the new text; None where they have been changed."""
        start, end = self._moved(span.start, self.old_end, self.new_end), self._moved(span.end, self.old_end, self.new_end)
        return None if start is None or end is None or end - start != span.end - span.start else Span(start, end)

    def _moved(self, offset: int, end: int, other_end: int) -> int | None:
        if offset <= self.before:
            return offset
        return offset - end + other_end if offset >= end else None


def _shared(one: str, other: str) -> int:
    """How many letters two texts begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
