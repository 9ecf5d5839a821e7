"""Lines of a bounded width from a text that may break in places, with comments, each of which ends its line.

A comment moves no further than to the nearest place where the text may break, and that place then does break: reading the lines and laying
them out again gives the same lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

WIDTH = 100
INDENT = 4


@dataclass(frozen=True, slots=True)
class Own:
    """A comment that stood on a line of its own, or an empty text for an empty line."""

    text: str


@dataclass(frozen=True, slots=True)
class Trail:
    """A comment that stood behind words."""

    text: str


@dataclass(eq=False, slots=True)
class Line:
    """A place where a line may end; `flat` stands there where it does not. `closes` where a closing bracket follows; `rather_not` where
    what stands before should break first."""

    flat: str
    closes: bool = False
    rather_not: bool = False
    suffix: str = ""
    """The comment behind the line that ends here."""
    own: list[str] = field(default_factory=list)
    """The lines of comments between this line's end and the next words."""

    @property
    def forced(self) -> bool:
        return bool(self.suffix) or any(self.own)


@dataclass(eq=False, slots=True)
class Group:
    """On one line where it fits; else all its places break."""

    parts: list[Doc]
    forced: bool = False


@dataclass(eq=False, slots=True)
class Fill:
    """As many parts on each line as fit; the places between them break one by one, and what follows the first break is indented."""

    parts: list[Doc]
    """A part, a Line, a part, a Line, ..."""
    forced: bool = False


@dataclass(eq=False, slots=True)
class Nest:
    """What it holds is indented where lines break in it."""

    parts: list[Doc]


Doc = str | Own | Trail | Line | Group | Fill | Nest | list["Doc"]


def flat(doc: Doc) -> str:
    """All on one line, without comments."""
    return "".join(leaf if isinstance(leaf, str) else leaf.flat for leaf in _leaves(doc) if isinstance(leaf, (str, Line)))


def lay_out(doc: Doc) -> list[str]:
    """The lines, at most WIDTH columns wide where that can be, comments aside."""
    before, suffix = _settle(doc)
    _mark_forced(doc)
    lines = _Lines()
    lines.write(doc)
    if suffix:
        lines.lines[-1] += f"  {suffix}"
    return [*before, *lines.lines]


def _leaves(doc: Doc) -> Iterator[str | Own | Trail | Line]:
    """Words, comments and places in order."""
    waiting: list[Doc] = [doc]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (str, Own, Trail, Line)):
            yield one
        else:
            waiting += reversed(one if isinstance(one, list) else one.parts)


def _settle(doc: Doc) -> tuple[list[str], str]:
    """Gives each comment to a place, which then breaks; those before the first words and the one behind the last are the answer."""
    before: list[str] = []
    into, marks, at_word = before, list[Own | Trail](), 0
    for leaf in _leaves(doc):
        if isinstance(leaf, Line):
            later, leaf.suffix = _divided(marks, at_word, into)
            into, marks, at_word = leaf.own, later, 0
        elif isinstance(leaf, (Own, Trail)):
            marks.append(leaf)
        elif leaf:
            at_word = len(marks)
    _, suffix = _divided(marks, len(marks), into)
    return before, suffix


def _divided(marks: list[Own | Trail], at_word: int, into: list[str]) -> tuple[list[Own | Trail], str]:
    """Of the comments between two places: those for the lines after the second one, and the one behind the words; the others go `into` the
    lines before the words. `at_word` counts those before the last word."""
    end = len(marks)
    while end > at_word and isinstance(marks[end - 1], Own):
        end -= 1
    suffix = end > 0 and isinstance(marks[end - 1], Trail)
    into += [mark.text for mark in marks[: end - suffix]]
    return marks[end:], marks[end - 1].text if suffix else ""


def _mark_forced(doc: Doc) -> bool:
    """Marks the groups that cannot stand on one line, because a comment stands in them."""
    if isinstance(doc, Line):
        return doc.forced
    if isinstance(doc, (str, Own, Trail)):
        return False
    parts = [_mark_forced(part) for part in (doc if isinstance(doc, list) else doc.parts)]
    forced = any(parts)
    if isinstance(doc, (Group, Fill)):
        doc.forced = forced
    return forced


@dataclass(frozen=True, slots=True)
class _Rest:
    """A Fill of which the parts from the place number `at` on are still to be written; `broken` where one before did break."""

    fill: Fill
    at: int
    broken: bool


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is still to be written; `on_line` where its places do not break."""

    doc: Doc | _Rest
    indent: int
    on_line: bool


class _Lines:
    """The lines so far; the last grows."""

    def __init__(self) -> None:
        self.lines = [""]
        self.waiting: list[_Waiting] = []

    def write(self, doc: Doc) -> None:
        self.waiting = [_Waiting(doc, 0, False)]
        while self.waiting:
            one = self.waiting.pop()
            match one.doc:
                case str():
                    self.lines[-1] += one.doc
                case Line():
                    self._place(one.doc, one.indent, one.on_line)
                case list():
                    self._push(one.doc, one.indent, one.on_line)
                case Nest():
                    self._push(one.doc.parts, one.indent + INDENT, one.on_line)
                case Group():
                    self._push(one.doc.parts, one.indent, one.on_line or self._fits(self._left(), one.doc))
                case Fill() if one.on_line:
                    self._push(one.doc.parts, one.indent, True)
                case Fill():
                    self.waiting += [_Waiting(_Rest(one.doc, 1, False), one.indent, False), _Waiting(one.doc.parts[0], one.indent, False)]
                case _Rest():
                    self._fill(one.doc, one.indent)

    def _push(self, docs: Sequence[Doc], indent: int, on_line: bool) -> None:
        self.waiting += [_Waiting(doc, indent, on_line) for doc in reversed(docs)]

    def _left(self) -> int:
        return WIDTH - len(self.lines[-1])

    def _place(self, line: Line, indent: int, on_line: bool) -> None:
        """The end of a line, or what stands there instead. Comments before a closing bracket stand with what is inside."""
        if on_line:
            self.lines[-1] += line.flat
            return
        self.lines[-1] = self.lines[-1].rstrip()
        if line.suffix:
            self.lines[-1] += f"  {line.suffix}"
        margin = " " * (indent + INDENT if line.closes else indent)
        self.lines += [f"{margin}{text}" if text else "" for text in line.own]
        self.lines.append(" " * indent)

    def _fill(self, rest: _Rest, indent: int) -> None:
        """The next place of a fill and the part behind it."""
        parts, at = rest.fill.parts, rest.at
        if at >= len(parts):
            return
        line, part, last = parts[at], parts[at + 1], at + 2 >= len(parts)
        assert isinstance(line, Line), "places stand between the parts"
        deeper = indent if rest.broken else indent + INDENT
        room = self._left() - len(line.flat)
        on_line = self._fits(room, part, last) or (not self._fits(WIDTH - deeper, part, last) and _head(part) <= room)
        on_line = on_line and not line.forced
        indent = indent if on_line else deeper
        self._place(line, indent, on_line)
        self.waiting += [_Waiting(_Rest(rest.fill, at + 2, rest.broken or not on_line), indent, False), _Waiting(part, indent, False)]

    def _fits(self, room: int, doc: Doc, last: bool = True) -> bool:
        """Whether all of it stands in `room` columns, with what follows on its line where it is the `last` before something else."""
        if _forced(doc):
            return False
        for leaf in _leaves(doc):
            if isinstance(leaf, (str, Line)):
                room -= len(leaf if isinstance(leaf, str) else leaf.flat)
                if room < 0:
                    return False
        return not last or self._rest_fits(room)

    def _rest_fits(self, room: int) -> bool:
        """Whether what waits stands in `room` columns, up to the next place that may break."""
        for one in reversed(self.waiting):
            if isinstance(one.doc, _Rest):
                if one.doc.at < len(one.doc.fill.parts):
                    return True
                continue
            for leaf in _leaves(one.doc):
                if isinstance(leaf, Line) and not one.on_line and (leaf.forced or not leaf.rather_not):
                    return True
                room -= len(leaf) if isinstance(leaf, str) else len(leaf.flat) if isinstance(leaf, Line) else 0
                if room < 0:
                    return False
        return True


def _forced(doc: Doc) -> bool:
    if isinstance(doc, (str, Own, Trail)):
        return False
    if isinstance(doc, (Line, Group, Fill)):
        return doc.forced
    return any(map(_forced, doc if isinstance(doc, list) else doc.parts))


def _head(doc: Doc) -> int:
    """The columns of the words before the first place that may break."""
    width = 0
    for leaf in _leaves(doc):
        if isinstance(leaf, Line):
            break
        width += len(leaf) if isinstance(leaf, str) else 0
    return width
