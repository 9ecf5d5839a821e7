"""What can be written at a cursor: entry words, layers, arguments, keys, values, names of the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic.fields import FieldInfo

from netspec.base.entry import Entry
from netspec.base.kinds import Merge, Normalization, RowNormalization
from netspec.base.text import Span
from netspec.catalog.registry import entries
from netspec.frontend import syntax
from netspec.frontend.bind import layers
from netspec.frontend.format import value_text
from netspec.frontend.sections import MORE_KEYS, SECTION_MODELS
from netspec.frontend.syntax import BLOCKS
from netspec.frontend.tokens import ENTRY_WORDS
from netspec.frontend.words import NOUNS, describe_field
from netspec.ui.language.analysis import Analysis
from netspec.ui.language.context import Context, Visible, context_at, visible_at
from netspec.ui.language.hover import def_text
from netspec.ui.language.lookup import SEARCH_CALLS, called, default_of, dotted_field, entries_for, layer_of, section_field, words_of
from netspec.ui.language.names import PROJ
from netspec.ui.language.pages import argument_page, code, entry_page, key_page, word_page

Kind = Literal["keyword", "layer", "call", "def", "let", "parameter", "argument", "key", "word", "point"]


@dataclass(frozen=True)
class Item:
    """One proposal: the words that replace those of `replaces`; `snippet` is the same with places to fill in, `${1:100}`."""

    label: str
    kind: Kind
    replaces: Span
    detail: str = ""
    text: str = ""
    snippet: str = ""
    page: str = ""


def complete(analysis: Analysis, offset: int) -> list[Item]:
    """The proposals at an offset, those that fit best first."""
    here = context_at(analysis.source, offset)
    if here.wanted == "nothing":
        return []
    seen = visible_at(analysis.source, offset)
    items = list(_proposals(analysis, here, seen))
    if analysis.source.text.startswith("(", offset):  # the brackets are there already
        items = [Item(**{**vars(item), "snippet": ""}) if item.snippet.endswith(")") else item for item in items]
    return list({(item.label, item.kind): item for item in items}.values())


def _proposals(analysis: Analysis, here: Context, seen: Visible) -> Iterator[Item]:
    match here.wanted:
        case "element":
            if here.may_end:
                yield from _entries(here)
            yield from _elements(analysis, here, seen)
        case "entry":
            yield from _entries(here)
        case "argument":
            yield from _arguments(analysis, here, seen)
        case "value":
            yield from _values(analysis, here, seen)
        case "key":
            yield from _keys(here, seen)
        case "reference":
            yield from _points(here, seen)
        case "number":
            yield from (item for item in _names(analysis, here, seen) if item.kind != "def")


def _entries(here: Context) -> Iterator[Item]:
    forms = {"let": "let ${1:name} = ${2:100}", "def": "def ${1:name}(${2:w}) = $0", "use": 'use "${1:blocks.net}"', "netspec": "netspec 1"}
    for word in sorted(ENTRY_WORDS):
        section = word in ("data", "train", "defaults", "search")
        snippet = forms.get(word, f"{word} {{ $0 }}" if section else f"{word} $0")
        yield Item(word, "keyword", here.prefix, snippet=snippet, page=word_page(word) or "")


# chains


def _elements(analysis: Analysis, here: Context, seen: Visible) -> Iterator[Item]:
    yield from _names(analysis, here, seen)
    for layer in layers().values():
        yield _entry(layer, here)
    yield from (Item(name, "layer", here.prefix, snippet=f"{name}[$0]", page=word_page(name) or "") for name in BLOCKS)


def _names(analysis: Analysis, here: Context, seen: Visible) -> Iterator[Item]:
    """Parameters, defs and lets that can be seen."""
    own = seen.own if here.sees_own else ()
    yield from (Item(name, "parameter", here.prefix, "a parameter" if here.entry == "def" else "one copy for each") for name in own)
    nodes = {one.name.text: one for one in reversed(analysis.file.entries) if isinstance(one, (syntax.Let, syntax.Def))}
    nodes |= {name: one.entry for name, one in analysis.imported.items() if name not in nodes}
    parameters = {name: tuple(p.name.text for p in node.parameters) for name, node in nodes.items() if isinstance(node, syntax.Def)}
    for name in [*seen.defs, *(name for name in analysis.imported if name not in seen.defs)]:
        names = seen.defs.get(name, parameters.get(name, ()))
        places = ", ".join(f"${{{at}:{one}}}" for at, one in enumerate(names[:1], 1))
        node = nodes.get(name)
        page = code(def_text(node)) if isinstance(node, syntax.Def) else ""
        yield Item(name, "def", here.prefix, f"{name}({', '.join(names)})", snippet=f"{name}({places})" if names else "", page=page)
    for name in seen.lets:
        node = nodes.get(name)
        yield Item(name, "let", here.prefix, f"= {value_text(node.value)}" if isinstance(node, syntax.Let) else "a let")


def _entry(entry: type[Entry], here: Context) -> Item:
    """An entry of the catalogue, with its positional argument to fill in."""
    noun = next((noun for contract, noun in NOUNS.items() if issubclass(entry, contract)), "")
    kind: Kind = "layer" if noun == "layer" else "call"
    return Item(entry.name, kind, here.prefix, noun, snippet=_call(entry), page=entry_page(entry))


def _call(entry: type[Entry]) -> str:
    """`affine(${1:100})`; empty where the name alone is what one writes."""
    if issubclass(entry, Merge):
        return f"{entry.name}($1 | ${{2:id}})"
    first = entry.positional()
    if first is None or (first == "eps" and issubclass(entry, (Normalization, RowNormalization))):
        return ""
    info = entry.model_fields[first]
    default = default_of(info)
    if default is None and not info.is_required():
        return ""
    return f"{entry.name}(${{1:{default if default is not None else first}}})"


# arguments, keys and values


def _arguments(analysis: Analysis, here: Context, seen: Visible) -> Iterator[Item]:
    if here.section == "search" and here.owner in SEARCH_CALLS:
        yield from _candidates(analysis, here, seen)
        return
    if here.owner in ("min", "max"):
        yield from _values(analysis, here, seen)
        return
    definition = seen.defs.get(here.owner)
    if definition is not None:
        yield from (_key(name, here, f"of {here.owner}", "", "argument") for name in definition if name not in here.given)
        if here.first:
            yield from _values(analysis, here, seen)
        return
    entry = called(here.owner, bool(here.section))
    if here.owner in BLOCKS:
        yield Item(PROJ, "word", here.prefix, page=word_page(PROJ) or "")
    if entry is None:
        return
    if here.first and entry.positional() is not None:
        yield from _values(analysis, here, seen)
    for name, info in entry.model_fields.items():
        if name not in here.given:
            yield _key(name, here, describe_field(info), argument_page(entry, name) or "", "argument")


def _key(name: str, here: Context, detail: str, page: str, kind: Kind) -> Item:
    between = "=" if kind == "argument" else " = "
    return Item(name, kind, here.prefix, detail, f"{name}{between}", page=page)


def _keys(here: Context, seen: Visible) -> Iterator[Item]:
    if here.owner == "defaults":
        layer, dot, _ = here.key.partition(".")
        for entry in filter(None, [layer_of(layer)] if dot else layers().values()):
            for name, info in entry.model_fields.items():
                if f"{entry.name}.{name}" not in here.given:
                    yield _key(f"{entry.name}.{name}", here, describe_field(info), argument_page(entry, name) or "", "key")
        return
    if here.owner == "search":
        yield from (_key(name, here, "a let", "", "key") for name in seen.lets if name not in here.given)
        for name in _keys_of("train"):
            if f"train.{name}" not in here.given:
                yield _key(f"train.{name}", here, "", key_page("train", name) or "", "key")
        return
    for name in _keys_of(here.owner):
        key = section_field(here.owner, name)
        if name not in here.given and key is not None:
            yield _key(name, here, describe_field(key), key_page(here.owner, name) or "", "key")


def _keys_of(section: str) -> list[str]:
    model = SECTION_MODELS.get(section)
    return [] if model is None else [*model.model_fields, *MORE_KEYS[section]]


def _field(here: Context) -> FieldInfo | None:
    """What the value at the cursor is for."""
    if here.owner == "defaults":
        return dotted_field(here.key)
    if here.owner in SECTION_MODELS:
        return section_field(here.owner, here.key)
    entry = called(here.owner, bool(here.section)) if here.owner else None
    key = here.key or (entry.positional() if entry else None)
    return entry.model_fields.get(key) if entry and key else None


def _values(analysis: Analysis, here: Context, seen: Visible) -> Iterator[Item]:
    if here.owner == "search":
        for name, text in SEARCH_CALLS.items():
            yield Item(name, "call", here.prefix, text, snippet=f"{name}($1)", page=word_page(name) or "")
        return
    if here.key == "tie":
        yield from _points(here, seen)
        return
    info = _field(here)
    if info is not None:
        yield from (Item(word, "word", here.prefix) for word in words_of(info))
        yield from (_entry(entry, here) for entry in entries_for(info))
    yield from (item for item in _names(analysis, here, seen) if item.kind != "def" or info is None)
    if info is None and here.entry in ("let", "def", "net", ""):
        yield from _anything(here)


def _candidates(analysis: Analysis, here: Context, seen: Visible) -> Iterator[Item]:
    """What a choice of the search may have among its values: what its key takes; of a `let` nothing is known but its own value."""
    info = section_field("train", here.pair.removeprefix("train.")) if here.pair.startswith("train.") else None
    if info is not None:
        yield from (Item(word, "word", here.prefix) for word in words_of(info))
        yield from (_entry(entry, here) for entry in entries_for(info))
    yield from _names(analysis, here, seen)
    if info is None and here.owner == "choice":
        yield from _anything(here)


def _points(here: Context, seen: Visible) -> Iterator[Item]:
    yield from (Item(name, "point", here.prefix, "a point of this chain") for name in seen.points)


def _anything(here: Context) -> Iterable[Item]:
    """A value of which nothing is known may be any entry of the catalogue."""
    for contract in NOUNS:
        yield from (_entry(entry, here) for entry in entries(contract).values())
