"""One finding about a spec: what rule is broken, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netspec.base import html
from netspec.base.html import Markup
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
        lines = [f"{self.severity}[{self.code}]: {self.message}", *self._excerpt(), *(f"   = {note}" for note in self.notes)]
        if self.help:
            lines.append(f"   = help: {self.help}")
        return "\n".join(lines)

    def _excerpt(self) -> list[str]:
        """The place, the line of the text, and a line with carets under the words."""
        if self.source is None:
            return []
        if self.span is None:
            return [f"  --> {self.path}"]
        gutter = max(4, len(str(self.line)) + 1)
        text, first, last = _window(self.source.line(self.line), self.column - 1, self.end_column - 1)
        marked = text[first:last]
        # tabs before the caret stay tabs, so that it stands under the words in any terminal
        lead = "".join("\t" if letter == "\t" else " " for letter in text[:first])
        return [
            f"  --> {self.path}:{self.line}:{self.column}",
            f"{self.line:>{gutter}} | {text}",
            f"{'':>{gutter}} | {lead}{'^' * max(1, len(marked))} {self.label}".rstrip(),
        ]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython prints; Python's own repr is as ever."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """What a notebook shows: the same words, with colours."""
        tint = html.ORANGE if self.severity == "warning" else html.RED
        head = html.line(html.bold(f"{self.severity}[{self.code}]", tint), ": ", html.bold(self.message))
        shown = self._excerpt()
        gutter, caret, label = shown.pop().partition("^") if len(shown) > 1 else ("", "", "")
        marks = html.joined("\n", gutter, html.bold(caret + label, tint)) if caret else ""
        excerpt = [html.code(html.joined(html.joined(*shown, by="\n"), marks))] if shown else []
        notes = [html.line("= ", note, style=html.FAINT) for note in self.notes]
        help_text = [html.line("= ", html.bold("help"), ": ", self.help)] if self.help else []
        return html.page(html.element("div", html.joined(head, *excerpt, *notes, *help_text), "margin: 2px 0 10px 0"))


class Diagnostics(list[Diagnostic]):
    """Findings, errors first; a list like any other, which IPython shows as `netspec check` does."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("\n\n".join([*map(str, self), counted_in_words(self)]))

    def _repr_html_(self) -> str:
        counted = html.line(html.bold(counted_in_words(self), "" if self else html.GREEN))
        return html.page(*(Markup(one._repr_html_()) for one in self), counted)


def counted_in_words(found: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or `fine`."""
    counts = {word: sum(one.severity == word for one in found) for word in ("error", "warning")}
    return ", ".join(f"{count} {word}{'s' * (count > 1)}" for word, count in counts.items() if count) or "fine"


def _window(text: str, first: int, last: int) -> tuple[str, int, int]:
    """The part of a line that is shown, and the marked columns in it: a very long line is cut around them."""
    if len(text) <= WIDEST:
        return text, first, last
    start = max(0, min(first - WIDEST // 4, len(text) - WIDEST))
    shown = text[start : start + WIDEST]
    before, after = "..." if start else "", "..." if start + WIDEST < len(text) else ""
    return f"{before}{shown}{after}", first - start + len(before), min(last - start, len(shown)) + len(before)
