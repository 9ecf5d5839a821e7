"""One finding about a spec: what rule is broken, where, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netspec.base.text import Source, Span

WIDEST = 200
"""Characters of a source line that a message shows."""


@dataclass(frozen=True)
class Diagnostic:
    """A finding with a stable code (`NS...` for errors, `W...` for lint) at the exact words it is about.

    `label` stands behind the caret; `notes` say where the words come from (copy of a repeat, def); `help` says what to write.
    """

    code: str
    message: str
    source: Source | None = None
    span: Span | None = None
    label: str = ""
    notes: tuple[str, ...] = ()
    help: str | None = None

    @property
    def severity(self) -> str:
        return "warning" if self.code.startswith("W") else "error"

    @property
    def path(self) -> str:
        return self.source.path if self.source else "<string>"

    @property
    def line(self) -> int:
        return self._position()[0]

    @property
    def column(self) -> int:
        return self._position()[1]

    @property
    def end_column(self) -> int:
        """One past the last marked column of the first marked line."""
        if self.source is None or self.span is None:
            return 1
        line, column = self._position()
        end_line, end = self.source.position(self.span.end)
        return end if end_line == line else max(column, len(self.source.line(line)) + 1)

    def _position(self) -> tuple[int, int]:
        return self.source.position(self.span.start) if self.source and self.span else (1, 1)

    def as_json(self) -> dict[str, Any]:
        """The object that `check --json` prints; what stands behind the caret is the first of the notes."""
        notes = [*([self.label] if self.label else []), *self.notes]
        return {
            "code": self.code, "severity": self.severity, "message": self.message, "path": self.path, "line": self.line,
            "column": self.column, "end_column": self.end_column, "notes": notes, "help": self.help,
        }  # fmt: skip

    def __str__(self) -> str:
        """The text that `check` prints, without colour."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.source is not None and self.span is not None:
            gutter = max(4, len(str(self.line)) + 1)
            text, first, last = _window(self.source.line(self.line), self.column - 1, self.end_column - 1)
            marked = text[first:last]
            # tabs before the caret stay tabs, so that it stands under the words in any terminal
            lead = "".join("\t" if letter == "\t" else " " for letter in text[:first])
            lines.append(f"  --> {self.path}:{self.line}:{self.column}")
            lines.append(f"{self.line:>{gutter}} | {text}")
            lines.append(f"{'':>{gutter}} | {lead}{'^' * max(1, len(marked))} {self.label}".rstrip())
        elif self.source is not None:
            lines.append(f"  --> {self.path}")
        lines += [f"   = {note}" for note in self.notes]
        if self.help:
            lines.append(f"   = help: {self.help}")
        return "\n".join(lines)


def _window(text: str, first: int, last: int) -> tuple[str, int, int]:
    """The part of a line that is shown, and the marked columns in it: a very long line is cut around them."""
    if len(text) <= WIDEST:
        return text, first, last
    start = max(0, min(first - WIDEST // 4, len(text) - WIDEST))
    shown = text[start : start + WIDEST]
    before, after = "..." if start else "", "..." if start + WIDEST < len(text) else ""
    return f"{before}{shown}{after}", first - start + len(before), min(last - start, len(shown)) + len(before)
