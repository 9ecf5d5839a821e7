"""A source text and places in it. Lines and columns count from 1, in code points."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Span:
    """Code points `start` (included) to `end` (excluded) of one source."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """The text of one spec and where it came from; `<string>` when it has no file."""

    text: str
    path: str = "<string>"

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(at + 1 for at, letter in enumerate(self.text) if letter == "\n")]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a code point, both from 1."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its line end."""
        start = self._line_starts[number - 1]
        end = self._line_starts[number] - 1 if number < len(self._line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def words(self, span: Span) -> str:
        """The text that a span covers."""
        return self.text[span.start : span.end]
