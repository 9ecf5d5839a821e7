"""Every name of a text: what it stands for, where that is defined, and where else it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from netspec.base.entry import Entry
from netspec.base.layer import Layer
from netspec.base.text import Span
from netspec.frontend import syntax
from netspec.frontend.sections import SECTION_MODELS
from netspec.frontend.syntax import BLOCKS
from netspec.ui.language.lookup import SEARCH_CALLS, contract_at, dotted_field, entry_named, layer_of, section_field, words_of
from netspec.ui.language.points import chains_in

PROJ = "proj"
Kind = Literal["let", "def", "parameter", "variable", "point"]
Role = Literal["name", "entry", "choice", "argument", "key", "word", "file", "unknown"]


@dataclass(frozen=True)
class Symbol:
    """A name that a text defines. `place` tells those of one name apart: the number of the entry that a parameter or a point belongs
    to, where a repeat's list begins; `path` is the file of a name that `use` brings."""

    kind: Kind
    name: str
    place: int = -1
    path: str = ""


@dataclass(frozen=True)
class Occurrence:
    """A word with its meaning.

    Role `name`: a symbol. `entry`: a name of the catalogue. `choice`: one of the words that `info` takes. `argument`: a key of the call
    of `owner`. `key`: one of the section `section`. `word`: an entry word, `res`, `proj`. `file`: the path of a `use`. `node` is the part
    of the tree that it names, `index` the number of its entry.
    """

    span: Span
    text: str
    role: Role
    symbol: Symbol | None = None
    defines: bool = False
    entry: type[Entry] | None = None
    owner: type[BaseModel] | None = None
    section: str = ""
    info: FieldInfo | None = None
    node: syntax.Node | None = None
    index: int = -1


@dataclass(frozen=True)
class Imported:
    """A def that `use` brings, the file that it is in, and the number of its entry there."""

    path: str
    entry: syntax.Def
    index: int


@dataclass
class Names:
    """The occurrences of one text, in its order."""

    occurrences: list[Occurrence]
    definitions: dict[Symbol, syntax.Node]
    """The entry, parameter, repeat or run that defines a symbol."""

    def at(self, offset: int) -> Occurrence | None:
        """The word under a cursor; behind its last letter counts too, unless another begins there."""
        touching = [one for one in self.occurrences if one.span.start <= offset <= one.span.end]
        return max(touching, key=lambda one: (one.span.start, -one.span.end), default=None)

    def of(self, symbol: Symbol) -> list[Occurrence]:
        """All places of a symbol."""
        return [one for one in self.occurrences if one.symbol == symbol]

    def definition(self, symbol: Symbol, before: int | None = None) -> Occurrence | None:
        """Where a symbol is defined; of several places the last one that begins before an offset."""
        places = [one for one in self.of(symbol) if one.defines]
        earlier = [one for one in places if before is not None and one.span.start < before]
        return earlier[-1] if earlier else places[0] if places else None


def names_of(file: syntax.File, imported: Mapping[str, Imported] | None = None) -> Names:
    """The names of a file. `imported` are those that its `use` entries bring."""
    walk = _Walk(file, imported or {})
    for index, entry in enumerate(file.entries):
        walk.entry(entry, index)
    walk.found.sort(key=lambda one: (one.span.start, one.span.end))
    return Names(walk.found, walk.definitions)


Scope = Mapping[str, Symbol]
"""Parameters and the variables of repeats by name."""


@dataclass
class _Walk:
    """One pass over a file."""

    file: syntax.File
    imported: Mapping[str, Imported]
    found: list[Occurrence] = field(default_factory=list)
    definitions: dict[Symbol, syntax.Node] = field(default_factory=dict)
    index: int = -1
    lets: dict[str, syntax.Let] = field(init=False)
    defs: dict[str, syntax.Def] = field(init=False)
    points: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        entries = self.file.entries
        self.lets = {e.name.text: e for e in reversed(entries) if isinstance(e, syntax.Let)}
        self.defs = {e.name.text: e for e in reversed(entries) if isinstance(e, syntax.Def)}
        self.points = {}
        for index, entry in enumerate(entries):
            if isinstance(entry, (syntax.Net, syntax.Def)):
                for name in labels_in(entry.chain):
                    self.points.setdefault(name, []).append(index)

    def add(self, span: Span, text: str, role: Role, **more: object) -> None:
        self.found.append(Occurrence(span, text, role, index=self.index, **more))  # type: ignore[arg-type]  # its own fields

    def define(self, word: syntax.Word, symbol: Symbol, node: syntax.Node) -> None:
        self.definitions.setdefault(symbol, node)
        self.add(word.span, word.text, "name", symbol=symbol, defines=True, node=node)

    # entries

    def entry(self, entry: syntax.Entry, index: int) -> None:
        self.index = index
        start = entry.span.start
        match entry:
            case syntax.Version():
                self._word("netspec", start)
            case syntax.Use():
                self._word("use", start)
                self.add(entry.path.span, entry.path.text, "file", node=entry)
            case syntax.Let():
                self._word("let", start)
                self.define(entry.name, Symbol("let", entry.name.text), entry)
                self.value(entry.value, {}, None)
            case syntax.Def():
                self._word("def", start)
                self.define(entry.name, Symbol("def", entry.name.text), entry)
                scope = {one.name.text: Symbol("parameter", one.name.text, index) for one in entry.parameters}
                for one in entry.parameters:
                    self.define(one.name, scope[one.name.text], one)
                    if one.default is not None:
                        self.value(one.default, {}, None)
                self.chain(entry.chain, scope)
            case syntax.Setting():
                self.add(entry.word.span, entry.word.text, "word")
                self.value(entry.value, {}, None)
            case syntax.Net():
                if not entry.bare:
                    self._word("net", start)
                self.chain(entry.chain, {})
            case syntax.Section():
                self.add(entry.word.span, entry.word.text, "word")
                for pair in entry.pairs:
                    self.pair(entry.word.text, pair)

    def _word(self, word: str, start: int) -> None:
        self.add(Span(start, start + len(word)), word, "word")

    def pair(self, section: str, pair: syntax.Pair) -> None:
        key = ".".join(pair.key)
        if section == "defaults":
            name, _, argument = key.partition(".")
            layer = layer_of(name)
            self.add(Span(pair.key_span.start, pair.key_span.start + len(name)), name, "entry" if layer else "unknown", entry=layer)
            if argument:
                at = Span(pair.key_span.end - len(argument), pair.key_span.end)
                self.add(at, argument, "argument", owner=layer, node=pair)
            info = dotted_field(key)
        elif section == "search":
            if key in self.lets:
                self.add(pair.key_span, key, "name", symbol=self._global(key), node=pair)
            else:
                self.add(pair.key_span, key.removeprefix("train."), "key", section="train", node=pair)
            info = section_field("train", key.removeprefix("train.")) if key.startswith("train.") else None
            if isinstance(pair.value, syntax.CallValue) and pair.value.name.text in SEARCH_CALLS:
                self.add(pair.value.name.span, pair.value.name.text, "word", node=pair.value)
                for one in pair.value.arguments:
                    self.value(one.value, {}, info)
                return
        else:
            self.add(pair.key_span, key, "key", section=section, owner=SECTION_MODELS.get(section), node=pair)
            info = section_field(section, key)
        self.value(pair.value, {}, info)

    # chains

    def chain(self, chain: syntax.Chain, scope: Scope) -> None:
        for run in chain.runs:
            for item in run.items:
                self.item(item, scope)
            if run.label is not None:
                self.define(run.label, Symbol("point", run.label.text, self.index), run)

    def item(self, item: syntax.Item, scope: Scope) -> None:
        match item:
            case syntax.Layer():
                self.layer(item, scope)
            case syntax.Bracket():
                self.chain(item.chain, scope)
            case syntax.Block():
                self.add(item.name.span, item.name.text, "word" if item.name.text in BLOCKS else "unknown", node=item)
                self.chain(item.chain, scope)
                for argument in item.arguments or ():
                    self.add(argument.value.span, PROJ, "word" if is_proj(argument) else "unknown", node=item)
            case syntax.Branches():
                self._entry_or_def(item.name, Layer, item)
                for branch in item.chains:
                    self.chain(branch, scope)
            case syntax.Reference():
                self.add(item.name.span, item.name.text, "name", symbol=self._point(item.name.text), node=item)
            case syntax.Repeated():
                inner = scope
                if isinstance(item.times, syntax.Over):
                    symbol = Symbol("variable", item.times.name.text, item.span.start)
                    inner = {**scope, item.times.name.text: symbol}
                    self.define(item.times.name, symbol, item)
                    for value in item.times.values:
                        self.value(value, scope, None)
                else:
                    self.value(item.times.value, scope, None)
                self.item(item.unit, inner)

    def layer(self, item: syntax.Layer, scope: Scope) -> None:
        name = item.name.text
        held = scope.get(name) or (self._global(name) if self._holds_a_layer(name) else None)
        if held is not None:
            self.add(item.name.span, name, "name", symbol=held, node=item)
        else:
            self._entry_or_def(item.name, Layer, item)
        self.arguments(name, item.arguments, scope, Layer)

    def _holds_a_layer(self, name: str) -> bool:
        """Whether a word of a chain is a `let`, and not the layer or def that shares its name with a number."""
        entry = self.lets.get(name)
        if entry is None:
            return False
        return isinstance(entry.value, (syntax.Name, syntax.CallValue)) or (name not in self.defs and layer_of(name) is None)

    def _entry_or_def(self, word: syntax.Word, contract: type[Entry] | None, node: syntax.Node) -> None:
        """A word that is called: a def, or an entry of the catalogue."""
        name = word.text
        if name in self.defs or name in self.imported:
            self.add(word.span, name, "name", symbol=self._global(name), node=node)
            return
        entry = entry_named(name, contract)
        self.add(word.span, name, "entry" if entry else "unknown", entry=entry, node=node)

    def arguments(self, name: str, given: Sequence[syntax.Argument] | None, scope: Scope, contract: type[Entry] | None) -> None:
        """The keys and values of a call: keys are parameters of a def, or arguments of an entry."""
        brought = self.imported.get(name)
        definition = self.defs.get(name) or (brought.entry if brought else None)
        entry = None if definition else entry_named(name, contract)
        fields = entry.model_fields if entry else {}
        places = entry.positionals() if entry else ()
        for at, argument in enumerate(given or ()):
            key = argument.key.text if argument.key else places[at] if at < len(places) else ""
            if argument.key is not None:
                symbol = self._parameter(definition, key) if definition else None
                role: Role = "name" if symbol else "argument" if entry else "unknown"
                self.add(argument.key.span, key, role, symbol=symbol, owner=entry, node=argument)
            self.value(argument.value, scope, fields.get(key), tie=key in fields and key == "tie")

    def _parameter(self, definition: syntax.Def, key: str) -> Symbol | None:
        if key not in {one.name.text for one in definition.parameters}:
            return None
        brought = self.imported.get(definition.name.text)
        if brought is not None and brought.entry is definition:
            return Symbol("parameter", key, brought.index, brought.path)
        return Symbol("parameter", key, next(at for at, entry in enumerate(self.file.entries) if entry is definition))

    # values

    def value(self, node: syntax.Expression, scope: Scope, info: FieldInfo | None, tie: bool = False) -> None:
        """A value; `info` is the field that it is for, where there is one."""
        contract = contract_at(info)
        match node:
            case syntax.Name():
                self.name(node, scope, info, tie)
            case syntax.CallValue():
                if node.name.text not in ("min", "max"):
                    self._entry_or_def(node.name, contract, node)
                self.arguments(node.name.text, node.arguments, scope, contract)
            case syntax.Group():
                self.value(node.inner, scope, info, tie)
            case syntax.Negative():
                self.value(node.operand, scope, None)
            case syntax.Arithmetic():
                for part in (node.first, *(operand for _, operand in node.rest)):
                    self.value(part, scope, None)
            case syntax.SplitValue() | syntax.ListValue():
                for part in node.parts if isinstance(node, syntax.SplitValue) else node.items:
                    self.value(part, scope, info)

    def name(self, node: syntax.Name, scope: Scope, info: FieldInfo | None, tie: bool) -> None:
        span = Span(node.span.start, node.span.start + len(node.text))
        point = self._point(node.text) if tie or node.part is not None else None
        symbol = point or scope.get(node.text) or self._global(node.text)
        if symbol is not None:
            self.add(span, node.text, "name", symbol=symbol, node=node)
            return
        entry = entry_named(node.text, contract_at(info))
        role: Role = "entry" if entry else "choice" if info is not None and node.text in words_of(info) else "unknown"
        self.add(span, node.text, role, entry=entry, info=info, node=node)

    def _global(self, name: str) -> Symbol | None:
        """A `let` or `def`, of this file or of one that it uses."""
        if name in self.lets:
            return Symbol("let", name)
        if name in self.defs:
            return Symbol("def", name)
        brought = self.imported.get(name)
        if brought is None:
            return None
        return Symbol("def", name, path=brought.path)

    def _point(self, name: str) -> Symbol | None:
        """The point of that name in this entry: a def has its own. In a `let`, that of the only entry that has one."""
        places = self.points.get(name, [])
        if isinstance(self.file.entries[self.index], syntax.Let) and len(set(places)) == 1:
            return Symbol("point", name, places[0])
        return Symbol("point", name, self.index) if self.index in places else None


def is_proj(argument: syntax.Argument) -> bool:
    """Whether an argument of `res[...](proj)` is that word."""
    return argument.key is None and isinstance(argument.value, syntax.Name) and argument.value.text == PROJ


def labels_in(chain: syntax.Chain) -> list[str]:
    """The names that a chain gives to its points."""
    found: list[str] = []
    for run in chain.runs:
        for item in run.items:
            found += [name for inner in chains_in(item) for name in labels_in(inner)]
        if run.label is not None:
            found.append(run.label.text)
    return found
