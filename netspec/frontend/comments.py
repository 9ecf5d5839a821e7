"""Puts comments and empty lines back beside the words they stand with, so that formatting keeps them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from netspec.base.text import Source, Span
from netspec.frontend.syntax import Chain, Def, Entry, File, Net, Pair, Run, Section, Trivia

Anchor = TypeVar("Anchor", Pair, Run)


@dataclass
class _Slot:
    """Comments gathered for one node."""

    span: Span
    leading: list[str] = field(default_factory=list)
    trailing: str = ""
    blank: bool = False

    def trivia(self) -> Trivia:
        return Trivia(tuple(self.leading), self.trailing, self.blank)


Comments = Sequence[tuple[int, str]]


def attach_comments(source: Source, file: File, comments: Comments) -> File:
    """The file with each comment at an entry, a pair or a run: behind it on its line, else before the next."""
    slots = [_Slot(entry.span) for entry in file.entries]
    tail: list[str] = []
    inside: list[list[tuple[int, str]]] = [[] for _ in slots]
    ends = [slot.span.end for slot in slots]
    for at, text in comments:
        index = bisect_right(ends, at)
        if index < len(slots) and slots[index].span.start < at:
            inside[index].append((at, text))
        elif index and _same_line(source, slots[index - 1].span.end, at):
            slots[index - 1].trailing = text
        elif index < len(slots):
            slots[index].leading.append(text)
        else:
            tail.append(text)
    entries = []
    for index, (entry, slot) in enumerate(zip(file.entries, slots, strict=True)):
        slot.blank = index > 0 and _blank_after(source, slots[index - 1].span.end)
        entries.append(_entry(source, entry, slot, inside[index]))
    return replace(file, entries=tuple(entries), tail=tuple(tail))


def _entry(source: Source, entry: Entry, slot: _Slot, comments: Comments) -> Entry:
    if isinstance(entry, Section):
        pairs, rest = _nodes(source, entry.pairs, comments)
        return replace(entry, pairs=pairs, tail=tuple(rest), trivia=slot.trivia())
    if isinstance(entry, (Net, Def)):
        runs, rest = _nodes(source, entry.chain.runs, comments)
        slot.leading += [*runs[0].trivia.leading, *rest]
        first = replace(runs[0], trivia=replace(runs[0].trivia, leading=()))
        return replace(entry, chain=Chain((first, *runs[1:]), span=entry.chain.span), trivia=slot.trivia())
    slot.leading += [text for _, text in comments]
    return replace(entry, trivia=slot.trivia())


def _nodes(source: Source, nodes: tuple[Anchor, ...], comments: Comments) -> tuple[tuple[Anchor, ...], list[str]]:
    """The pairs or runs of an entry with their comments, and what is left after the last."""
    slots = [_Slot(node.span) for node in nodes]
    rest: list[str] = []
    ends = [slot.span.end for slot in slots]
    for at, text in comments:
        index = bisect_right(ends, at)
        within = index < len(slots) and slots[index].span.start < at
        if not within and index and _same_line(source, slots[index - 1].span.end, at) and not slots[index - 1].trailing:
            slots[index - 1].trailing = text
        elif index < len(slots):
            slots[index].leading.append(text)
        else:
            rest.append(text)
    return tuple(replace(node, trivia=slot.trivia()) for node, slot in zip(nodes, slots, strict=True)), rest


def _same_line(source: Source, end: int, at: int) -> bool:
    return source.text.find("\n", end, at) < 0


def _blank_after(source: Source, end: int) -> bool:
    """Whether an empty line follows the line on which a node ends."""
    first = source.text.find("\n", end)
    second = source.text.find("\n", first + 1) if first >= 0 else -1
    return second >= 0 and not source.text[first:second].strip()
