"""One state of a text and all that is known of it, each part found when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import SpecError
from netspec.base.text import Source, Span
from netspec.frontend import syntax
from netspec.frontend.format import value_text
from netspec.frontend.parse import parse
from netspec.frontend.values import Scope, Value, evaluate, show, string_of
from netspec.graph.check import diagnose
from netspec.graph.graph import Node
from netspec.ui.language.names import Imported, Names, names_of
from netspec.ui.language.survey import Survey, survey
from netspec.ui.language.unfinished import readable

Reader = Callable[[Path], Source | None]
"""The text of a file, as it is in the editor or on disk; None where there is none."""
MOST_FILES = 32
"""Files that the `use` entries of one text may bring."""


def no_files(_path: Path) -> Source | None:
    return None


@dataclass(frozen=True)
class Analysis:
    """A text with plain line ends, and what it says."""

    source: Source
    read: Reader = field(default=no_files, compare=False)

    @cached_property
    def diagnostics(self) -> list[Diagnostic]:
        """Every finding."""
        return diagnose(self.source)

    @cached_property
    def parsed(self) -> syntax.File | None:
        """The tree; None where the text does not parse."""
        try:
            return parse(self.source)
        except SpecError:
            return None

    @cached_property
    def file(self) -> syntax.File:
        """The tree; of a text that does not parse that of its entries that do."""
        return self.parsed or readable(self.source)

    @property
    def uses(self) -> list[syntax.Use]:
        """The entries that bring other files."""
        return [entry for entry in self.file.entries if isinstance(entry, syntax.Use)]

    @cached_property
    def imported(self) -> dict[str, Imported]:
        """The defs that `use` brings, by name."""
        found: dict[str, Imported] = {}
        self._import(self.file, self.source.path, found, set())
        return found

    @property
    def used_files(self) -> dict[str, Span]:
        """The files that the text uses, and those that these use, with the words of the `use` that brings them."""
        found: dict[str, Span] = {}
        for use in self.uses:
            seen: set[Path] = set()
            self._import(syntax.File((use,)), self.source.path, {}, seen)
            found = {**dict.fromkeys(map(str, seen), use.path.span), **found}
        return found

    @cached_property
    def names(self) -> Names:
        return names_of(self.file, self.imported)

    @cached_property
    def survey(self) -> Survey:
        """The layers with their shapes, as far as they are known."""
        return survey(self.file, self.source)

    def used_path(self, entry: syntax.Use, near: str | None = None) -> Path | None:
        """The file that a `use` names, from the folder of the text, or the working folder for a text without a file."""
        text, path = string_of(entry.path), near or self.source.path
        if not text.endswith(".net") or "\0" in text:
            return None
        return (Path(path).parent if path.endswith(".net") else Path.cwd()) / text

    def _import(self, file: syntax.File, near: str, found: dict[str, Imported], seen: set[Path]) -> None:
        for entry in file.entries:
            path = self.used_path(entry, near) if isinstance(entry, syntax.Use) else None
            if path is None or path in seen or len(seen) >= MOST_FILES:
                continue
            seen.add(path)
            source = self.read(path)
            if source is None:
                continue
            other = readable(source)
            self._import(other, str(path), found, seen)
            found |= {e.name.text: Imported(str(path), e, at) for at, e in enumerate(other.entries) if isinstance(e, syntax.Def)}

    # what the words of the text stand for

    def value_of(self, let: syntax.Let) -> str:
        """A `let`'s value as the language writes it, worked out where that is possible."""
        values: dict[str, tuple[int, Value]] = {}
        for index, entry in enumerate(self.file.entries):
            if isinstance(entry, syntax.Let):
                try:
                    value = evaluate(entry.value, Scope(self.source, values, index))
                except SpecError:
                    continue
                values.setdefault(entry.name.text, (index, value))
                if entry.name.text == let.name.text:
                    return show(value.content)
        return value_text(let.value)

    def nodes_at(self, span: Span) -> list[Node]:
        """The copies of the layer whose name stands there; of `res` the sums."""
        calls = ((node, node.call) for node in self.survey.nodes)
        return [node for node, call in calls if call and call.name_span == span and call.source is self.source and not call.projects]

    def with_flatten(self, node: Node) -> list[Node]:
        """A layer, behind the flatten that it implies for an image."""
        before = [one for one in self.survey.nodes if one.call is None and one.output in node.inputs]
        return [*before, node]
