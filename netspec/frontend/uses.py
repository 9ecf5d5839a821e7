"""`use "blocks.net"`: the defs of other files. They are read where they lie, beside the file that uses them; a file that is used in two
ways is read once; its `let`s are its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError, UsageError
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.frontend import limits, syntax
from netspec.frontend.cycles import check_cycles
from netspec.frontend.migrations import migrate
from netspec.frontend.names import check_definition, check_free, defined
from netspec.frontend.parse import parse
from netspec.frontend.report import Report
from netspec.frontend.text import source_of
from netspec.frontend.ties import points_in
from netspec.frontend.values import Definition, Scope, Value, evaluate, fail, string_of
from netspec.frontend.words import nearest


@dataclass(frozen=True)
class Used:
    """A file that a text uses: its text, the sha256 of that, its entries, and the values of its `let`s."""

    source: Source
    sha256: str
    file: syntax.File
    lets: Mapping[str, tuple[int, Value]]
    definitions: Mapping[str, Definition]
    """Its own, and those of the files that it uses itself."""


@dataclass
class Library:
    """The files that one text uses, each read once."""

    report: Report
    layers: Mapping[str, type[Layer]]
    main: Source
    """The text that uses them."""
    files: dict[Path, Used] = field(default_factory=dict)
    lacks_defs: bool = False
    """Whether a file could not be used, or not all of it, so that a name that is not known may be one of its defs."""
    reading: list[Path] = field(default_factory=list)
    """The files on the way from the first one to the one that is being read."""

    def __post_init__(self) -> None:
        if self.main.path.endswith(".net"):
            self.reading.append(Path(self.main.path).resolve())

    def definitions(self, entry: syntax.Use, source: Source) -> Mapping[str, Definition]:
        """The defs that a `use` brings. Raises SpecError where it names no file, or one that uses itself, or one that is wrong."""
        try:
            return self._used(entry, source).definitions
        except SpecError:
            self.lacks_defs = True
            raise

    def _used(self, entry: syntax.Use, source: Source) -> Used:
        path = self._path(entry, source)
        if path in self.reading:
            circle = " -> ".join(one.name for one in [*self.reading[self.reading.index(path) :], path])
            raise fail("NS215", f"a file may not use itself: {circle}", source, entry.path.span, help="move what both need to a third file")
        if path not in self.files:
            if len(self.files) >= limits.FILES:
                message = f"more than {limits.FILES} files are used"
                raise LimitError([Diagnostic("NS809", message, source, entry.path.span)])
            self.files[path] = self._read(path, entry, source)
        return self.files[path]

    def _path(self, entry: syntax.Use, source: Source) -> Path:
        """The real place of a used file: inside the folder of the file that uses it, or the working folder."""
        text = string_of(entry.path)
        folder = Path(source.path).parent if source.path.endswith(".net") else Path()
        try:
            found = (folder / text).resolve()
            allowed = [folder.resolve(), Path().resolve()]
            inside = any(found.is_relative_to(base) for base in allowed)
            there = inside and found.is_file()
        except (OSError, RuntimeError, ValueError):
            inside, there = True, False
        if not text.endswith(".net") or Path(text).is_absolute():
            message = f"`use` takes the path of a .net file, from the folder of this one; this is {entry.path.text}"
            name = "blocks" if not text or "." in text or Path(text).is_absolute() else text
            raise fail("NS214", message, source, entry.path.span, help=f'write use "{name}.net"')
        if not inside:
            message = f"{text} lies outside the folder of this file and the working folder"
            raise fail("NS214", message, source, entry.path.span, help="move it beside this file")
        if not there:
            where = "beside this one" if source.path.endswith(".net") else "in the working folder"
            near = nearest(text, sorted(path.name for path in folder.glob("*.net")))
            help_text = f'did you mean "{near}"?' if near else "the path goes from the folder of this file"
            raise fail("NS214", f"{text}: there is no such file {where}", source, entry.path.span, help=help_text)
        return found

    def _read(self, path: Path, entry: syntax.Use, source: Source) -> Used:
        folder = Path(source.path).parent if source.path.endswith(".net") else Path()
        try:
            own = source_of(folder / string_of(entry.path))
        except UsageError as error:
            raise fail("NS214", str(error), source, entry.path.span) from None
        self.reading.append(path)
        known = len(self.report.errors)
        try:
            return self._entries(migrate(parse(own)), own)
        finally:
            self.lacks_defs = self.lacks_defs or len(self.report.errors) > known
            self.reading.pop()

    def _entries(self, file: syntax.File, source: Source) -> Used:
        lets: dict[str, tuple[int, Value]] = {}
        definitions: dict[str, Definition] = {}
        later = {one.name.text: one.name.span for one in reversed(file.entries) if isinstance(one, syntax.Let)}
        broken: set[str] = set()
        points = points_in(file)
        for index, entry in enumerate(file.entries):
            scope = Scope(source, lets, index, later=later, broken=broken, definitions=definitions, points=points)
            with self.report.collecting():
                match entry:
                    case syntax.Let():
                        broken.add(entry.name.text)
                        check_free(entry, file, source, definitions, lets)
                        lets[entry.name.text] = index, evaluate(entry.value, scope)
                        broken.discard(entry.name.text)
                    case syntax.Def():
                        check_free(entry, file, source, definitions, lets)
                        check_definition(entry, source, self.layers)
                        definitions[entry.name.text] = defined(entry, index, scope)
                    case syntax.Use():
                        bring(definitions, self.definitions(entry, source), entry, index, source)
                    case syntax.Version():
                        pass
                    case _:
                        word = source.words(Span(entry.span.start, entry.span.end)).split()[0]
                        what = "a chain" if isinstance(entry, syntax.Net) else f"`{word}`"
                        message = f"a file that is used holds def, let and use, and here is {what}"
                        place = Span(entry.span.start, entry.span.start + len(word))
                        raise fail("NS216", message, source, place, help="keep the defs in a file of their own")
        check_cycles({name: one for name, one in definitions.items() if one.home.source is source}, source)
        return Used(source, hashlib.sha256(source.text.encode()).hexdigest(), file, lets, definitions)


def bring(own: dict[str, Definition], others: Mapping[str, Definition], entry: syntax.Use, index: int, source: Source) -> None:
    """Adds the defs of a used file, as of entry number `index`. Raises SpecError where a name is taken by another def."""
    errors = []
    for name, one in others.items():
        taken = own.get(name)
        if taken is None:
            own[name] = Definition(index, one.node, one.home)
        elif taken.node is not one.node:
            line = taken.home.source.position(taken.node.span.start)[0]
            message = f"{entry.path.text} brings a def `{name}`, and {taken.home.source.path} has one too (line {line})"
            errors.append(Diagnostic("NS206", message, source, entry.path.span, help="rename one of them"))
    if errors:
        raise SpecError(errors)
