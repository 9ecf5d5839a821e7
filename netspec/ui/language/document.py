"""A text that is open in an editor: its present state, and the last one that could be parsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from netspec.base.text import Source, Span
from netspec.ui.language.analysis import Analysis, Reader
from netspec.ui.language.hover import Hover, hover
from netspec.ui.language.names import Symbol
from netspec.ui.language.positions import Lines, with_plain_ends
from netspec.ui.language.unfinished import Edit

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Words of a text; `path` is empty for those of the text itself."""

    span: Span
    path: str = ""


class Document:
    """The states of one text. `path` is its file's; a text that is not saved has none."""

    def __init__(self, path: str, text: str, read: Reader, encoding: str = "utf-16") -> None:
        self._path, self._read, self._encoding = path, read, encoding
        self.good: Analysis | None = None
        self.change(text)

    def change(self, text: str) -> None:
        """Takes a new text, as the editor has it."""
        now = getattr(self, "analysis", None)
        if now is not None and now.parsed is not None:
            self.good = now
        self.text = text
        self.analysis = Analysis(Source(with_plain_ends(text), self._path), self._read)
        self.lines = Lines(self.analysis.source.text, self._encoding)

    def refresh(self) -> None:
        """Forgets what other files say."""
        self.analysis = Analysis(self.analysis.source, self._read)

    def hover(self, offset: int) -> Hover | None:
        """What stands at an offset; in a text that does not parse, what stood there when it last did."""
        return self._looked_up(offset, _hover_in)

    def definition(self, offset: int) -> Place | None:
        """Where the name at an offset is defined, or the file that it names."""
        return self._looked_up(offset, _definition_in)

    def references(self, offset: int, declaration: bool) -> list[Span]:
        """The places of the name at an offset, in this text."""
        found = self.analysis.names.at(offset)
        if found is None or found.symbol is None:
            return []
        return [one.span for one in self.analysis.names.of(found.symbol) if declaration or not one.defines]

    def _looked_up(self, offset: int, look: Callable[[Analysis, int, Callable[[Span], Span | None]], T | None]) -> T | None:
        if self.analysis.parsed is None and self.good is not None:
            edit = Edit.between(self.good.source.text, self.analysis.source.text)
            before = edit.to_old(offset)
            found = None if before is None else look(self.good, before, edit.to_new)
            if found is not None:
                return found
        return look(self.analysis, offset, lambda span: span)


def _hover_in(analysis: Analysis, offset: int, moved: Callable[[Span], Span | None]) -> Hover | None:
    found = hover(analysis, offset)
    span = None if found is None else moved(found.span)
    return None if found is None or span is None else Hover(span, found.text)


def _definition_in(analysis: Analysis, offset: int, moved: Callable[[Span], Span | None]) -> Place | None:
    found = analysis.names.at(offset)
    if found is None:
        return None
    if found.role == "file":
        path = next((analysis.used_path(use) for use in analysis.uses if use.path.span == found.span), None)
        return Place(Span(0, 0), str(path)) if path is not None and analysis.read(path) is not None else None
    if found.symbol is None:
        return None
    if found.symbol.path:
        return _elsewhere(analysis, found.symbol)
    defined = analysis.names.definition(found.symbol, found.span.end)
    span = None if defined is None else moved(defined.span)
    return None if span is None else Place(span)


def _elsewhere(analysis: Analysis, symbol: Symbol) -> Place | None:
    brought = next((one for one in analysis.imported.values() if (one.path, one.index) == (symbol.path, symbol.place)), None)
    if symbol.kind == "parameter" and brought is not None:
        return Place(next(one.name.span for one in brought.entry.parameters if one.name.text == symbol.name), brought.path)
    brought = analysis.imported.get(symbol.name)
    return None if brought is None else Place(brought.entry.name.span, brought.path)


def path_of(found: str | None) -> str:
    """The path of an editor's text; `<string>` where it has none."""
    return str(Path(found)) if found else "<string>"
