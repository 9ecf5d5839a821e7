"""Puts each comment of a text at the node that it stands beside, so that formatting keeps it in its place."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, get_args

from netspec.base.text import Source
from netspec.frontend.syntax import BARE, Bracket, Entry, File, Node, Pair, Section, Trivia

Comments = Sequence[tuple[int, str]]
ENTRIES = get_args(Entry)
CLOSING = re.compile(r"[)\]]")


def attach_comments(source: Source, file: File, comments: Comments) -> File:
    """The file with each comment at a node: behind it on its line, else before the next, else after the last inside the same brackets.

    Empty lines between entries and between pairs are noted too.
    """
    placed = _Placing(source, comments).inside(file, 0, len(comments))
    assert isinstance(placed, File), "a node stays of its class"
    return placed


@dataclass
class _Gathered:
    """What stands beside one node."""

    leading: list[str] = field(default_factory=list)
    trailing: str = ""
    after: list[str] = field(default_factory=list)

    def trivia(self) -> Trivia:
        if not (self.leading or self.trailing or self.after):
            return BARE
        return Trivia(tuple(self.leading), self.trailing, tuple(self.after))


class _Placing:
    """The comments of one text, by number, with the offsets where they begin."""

    def __init__(self, source: Source, comments: Comments) -> None:
        self.text = source.text
        self.comments = comments
        self.offsets = [at for at, _ in comments]

    def inside(self, node: Node, first: int, last: int) -> Node:
        """The node with the comments number `first` to `last` (excluded), all of which stand inside it, at its parts."""
        if first == last and not isinstance(node, (File, Section)):
            return node
        parts = sorted(_parts(node), key=lambda part: part.span.start)
        if not parts:
            return replace(node, trivia=Trivia(tuple(text for _, text in self.comments[first:last])))
        beside = [_Gathered() for _ in parts]
        made: dict[int, Node] = {}
        for number, part in enumerate(parts):
            begin = bisect_left(self.offsets, part.span.start, first, last)
            end = bisect_left(self.offsets, part.span.end, begin, last)
            previous = parts[number - 1] if number else None
            own = self._gap(previous, beside[number - 1], first, begin, part.span.start)
            if own and not number and isinstance(node, Bracket) and self.text.find("\n", node.span.start, own[0][0]) < 0:
                node, own = replace(node, trivia=Trivia(opening=own[0][1])), own[1:]
            beside[number].leading += self._texts(node, previous, own, part)
            made[id(part)] = self.inside(part, begin, end)
            first = end
        rest = self._texts(node, parts[-1], self._gap(parts[-1], beside[-1], first, last, len(self.text)), None)
        if isinstance(node, (File, Section)):
            node = replace(node, tail=tuple(rest))
        else:
            beside[-1].after += rest
        return _rebuilt(node, {key: _beside(made[key], one) for key, one in zip(map(id, parts), beside, strict=True)})

    def _gap(self, previous: Node | None, behind: _Gathered, first: int, last: int, end: int) -> Comments:
        """Of the comments between two parts, those for the part that begins at `end`; the others go to `previous`: one that stands on its
        line, and those before a bracket that closes."""
        if first == last or previous is None:
            return self.comments[first:last]
        closer = self._closer(previous.span.end, first, last, end)
        if self.offsets[first] < closer and self.text.find("\n", previous.span.end, self.offsets[first]) < 0:
            behind.trailing = self.comments[first][1]
            first += 1
        outside = bisect_left(self.offsets, closer, first, last)
        if closer < end:
            behind.after += [text for _, text in self.comments[first:outside]]
            first = outside
        return self.comments[first:last]

    def _closer(self, at: int, first: int, last: int, end: int) -> int:
        """Where a bracket closes between two parts (of a def, of `res[...](proj)`); `end` where none does."""
        for start, text in self.comments[first:last]:
            found = CLOSING.search(self.text, at, start)
            if found:
                return found.start()
            at = start + len(text)
        found = CLOSING.search(self.text, at, end)
        return found.start() if found else end

    def _texts(self, node: Node, previous: Node | None, own: Comments, following: Node | None) -> list[str]:
        """The texts of comments before a part; of an entry or a pair, with an empty text for each place that has empty lines."""
        if not isinstance(node, (File, Section)):
            return [text for _, text in own]
        texts: list[str] = []
        end = previous.span.end if previous is not None and isinstance(previous, (Pair, *ENTRIES)) else None
        for at, text in own:
            texts += [*self._empty_line(end, at), text]
            end = at + len(text)
        if following is not None:
            texts += self._empty_line(end, following.span.start)
        return texts

    def _empty_line(self, end: int | None, start: int) -> list[str]:
        """An empty text where empty lines lie between what ends, perhaps with a comment, and what begins."""
        first = self.text.find("\n", end, start) if end is not None else -1
        return [""] if first >= 0 and self.text.find("\n", first + 1, start) >= 0 else []


def _beside(node: Node, found: _Gathered) -> Node:
    trivia = found.trivia()
    if trivia is BARE:
        return node
    return replace(node, trivia=replace(trivia, leading=(*trivia.leading, *node.trivia.leading), opening=node.trivia.opening))


def _parts(node: Node) -> Iterator[Node]:
    """The nodes of which a node is made."""
    for name in _fields(type(node)):  # type: ignore[arg-type]  # mypy takes the hash of a node for that of its class
        yield from _nodes(getattr(node, name))


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from _nodes(one)


def _rebuilt(node: Node, parts: Mapping[int, Node]) -> Node:
    """The node with other parts, by the identity of those that it has."""
    changed = {name: _with(getattr(node, name), parts) for name in _fields(type(node))}  # type: ignore[arg-type]  # mypy takes the hash of a node for that of its class
    return replace(node, **changed)


def _with(value: Any, parts: Mapping[int, Node]) -> Any:
    if isinstance(value, Node):
        return parts[id(value)]
    return tuple(_with(one, parts) for one in value) if isinstance(value, tuple) else value


@cache
def _fields(kind: type[Node]) -> tuple[str, ...]:
    """The fields that may hold nodes."""
    return tuple(one.name for one in fields(kind) if one.name not in ("span", "key_span", "trivia", "tail"))
