"""What can be read of a text that does not parse: its whole entries; and the way from a place in one state of a text to another."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

from lark import Token

from netspec.base.errors import SpecError
from netspec.base.text import Source, Span
from netspec.frontend import limits, syntax
from netspec.frontend.parse import KEYWORDS, parse
from netspec.frontend.tokens import tokenize_unfinished


def readable(source: Source) -> syntax.File:
    """The file of a text; where it does not parse, of those of its entries that do, every word at its place."""
    try:
        return parse(source)
    except SpecError:
        if len(source.text) > limits.SPEC_BYTES:
            return syntax.File(())
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
    """One state of a text and a later one: the parts that both have, as (start in the old, start in the new, letters)."""

    parts: tuple[tuple[int, int, int], ...]

    @classmethod
    def between(cls, old: str, new: str) -> Edit:
        """Lines that are the same, and in those that changed their common beginning and end."""
        olds, news = old.splitlines(True), new.splitlines(True)
        old_starts, new_starts = _starts(olds), _starts(news)
        parts: list[tuple[int, int, int]] = []
        for kind, at, end, there, new_end in SequenceMatcher(None, olds, news).get_opcodes():
            first, last, new_first, new_last = old_starts[at], old_starts[end], new_starts[there], new_starts[new_end]
            if kind == "equal":
                parts.append((first, new_first, last - first))
                continue
            before = _shared(old[first:last], new[new_first:new_last])
            behind = _shared(old[first + before : last][::-1], new[new_first + before : new_last][::-1])
            parts += [(first, new_first, before), (last - behind, new_last - behind, behind)]
        return cls(tuple(parts))

    def to_old(self, offset: int) -> int | None:
        """The place in the old text; None where it was not there."""
        return next((old + offset - new for old, new, count in self.parts if new <= offset < new + count), None)

    def to_new(self, span: Span) -> Span | None:
        """The same words in the new text; None where they have been changed."""
        moved = (new - old for old, new, count in self.parts if old <= span.start and span.end <= old + count)
        by = next(moved, None)
        return None if by is None else Span(span.start + by, span.end + by)


def _starts(lines: list[str]) -> list[int]:
    """Where each line begins, and where the last one ends."""
    return list(accumulate(map(len, lines), initial=0))


def _shared(one: str, other: str) -> int:
    """How many letters two texts begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
