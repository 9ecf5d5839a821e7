"""Places in a text as editors count them: lines from 0, columns from 0 in code units of the encoding agreed upon."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from netspec.base.text import Span

Position = tuple[int, int]


def with_plain_ends(text: str) -> str:
    """The text with `\\n` at the end of every line, as the language reads it. Lines and columns stay the same, for an editor counts
    `\\r\\n`, `\\n` and `\\r` as one line end each."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def with_ends_of(original: str, text: str) -> str:
    """The text with the line ends of another, `\\r\\n` where that has any."""
    return text.replace("\n", "\r\n") if "\r\n" in original else text


def _in_utf8(letter: str) -> int:
    code = ord(letter)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


def _in_utf16(letter: str) -> int:
    return 1 if ord(letter) < 0x10000 else 2


def _in_utf32(_letter: str) -> int:
    return 1


UNITS: dict[str, Callable[[str], int]] = {"utf-8": _in_utf8, "utf-16": _in_utf16, "utf-32": _in_utf32}
"""Code units of a letter, by encoding; arithmetic, for half a surrogate pair cannot be encoded."""


class Lines:
    """The lines of a text with plain line ends, to go from code points to positions and back."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self._units = UNITS[encoding]
        self._starts = [0, *(at + 1 for at, letter in enumerate(text) if letter == "\n")]

    def position(self, offset: int) -> Position:
        """The line and column of a code point; of the nearest one where there is none."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        return line, sum(map(self._units, self.text[self._starts[line] : offset]))

    def range(self, span: Span) -> tuple[Position, Position]:
        """Both ends of a span."""
        return self.position(span.start), self.position(span.end)

    def offset(self, line: int, column: int) -> int:
        """The code point at a position. Behind the end of a line that is its end, inside a letter the letter's start."""
        if line < 0:
            return 0
        if line >= len(self._starts):
            return len(self.text)
        at, end = self._starts[line], self._end(line)
        while at < end and column >= self._units(self.text[at]):
            column -= self._units(self.text[at])
            at += 1
        return at

    def _end(self, line: int) -> int:
        return self._starts[line + 1] - 1 if line + 1 < len(self._starts) else len(self.text)
