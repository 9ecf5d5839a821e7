"""A name changed everywhere it is used, in its text and in those that use it, with the meaning of everything kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.base.text import Span
from netspec.frontend import limits
from netspec.frontend.syntax import BLOCKS
from netspec.frontend.tokens import ENTRY_WORDS
from netspec.ui.language.analysis import Analysis
from netspec.ui.language.lookup import SEARCH_CALLS, layer_of
from netspec.ui.language.names import PROJ, Occurrence, Symbol

OTHER_WORDS = frozenset({"true", "false", "mod", "tied", "min", "max", *SEARCH_CALLS, *BLOCKS, PROJ})


def renamable(analysis: Analysis, offset: int) -> Occurrence:
    """The name under a cursor. Raises UsageError where there is none that can be changed here."""
    if analysis.parsed is None:
        raise UsageError("the text has an error of syntax, and names in that part would be missed; mend it first")
    found = analysis.names.at(offset)
    if found is None:
        raise UsageError("there is no name here")
    if found.symbol is None:
        raise UsageError(f"`{found.text}` is {_what(found)}; names of `let`, `def`, parameters and points can be changed")
    return found


def _what(found: Occurrence) -> str:
    match found.role:
        case "word":
            return "a word of the language"
        case "entry":
            return "a name of the catalogue"
        case "choice":
            return "one of the words that this key takes"
        case "key" | "argument":
            return f"{'a key' if found.role == 'key' else 'an argument'} that the language knows by this name"
        case _:
            return "not defined in this text"


@dataclass(frozen=True)
class Change:
    """The words of one text to replace."""

    analysis: Analysis
    spans: list[Span]


def rename(analysis: Analysis, offset: int, name: str, others: Iterable[Analysis] = ()) -> list[Change]:
    """The words to replace in this text, in the one that defines the name, and in those of `others` that use it from there. Raises
    UsageError for a name that cannot stand in one of them, with the reason."""
    found = renamable(analysis, offset)
    if found.symbol is None or name == found.text:
        return []
    _check(name)
    if found.symbol.kind not in ("def", "parameter"):
        _require_free(analysis, found.symbol, name, "this text")
        return [Change(analysis, [one.span for one in analysis.names.of(found.symbol)])]
    home = _home(analysis, found.symbol)
    symbol = replace(found.symbol, path="")
    texts = {_place(home): home, **{_place(one): one for one in (*others, analysis) if _place(one) != _place(home)}}
    changes = []
    for place, text in texts.items():
        own = symbol if text is home else _symbol_in(text, symbol, _place(home))
        spans = [] if own is None else [one.span for one in text.names.of(own)]
        if own is None or not (spans or own.kind == "def"):
            continue
        where = "this text" if text is analysis else place
        if text.parsed is None:
            raise UsageError(f"{where} uses `{found.text}` and has an error of syntax, where names would be missed; mend it first")
        if text is home or own.kind == "def":
            _require_free(text, own, name, where)
        changes += [Change(text, spans)] if spans else []
    return changes


def _place(analysis: Analysis) -> str:
    """The real path of a text's file; the text's own words for its place where it has none."""
    path = analysis.source.path
    return str(Path(path).resolve()) if path.endswith(".net") else path


def _home(analysis: Analysis, symbol: Symbol) -> Analysis:
    """The text that defines a name."""
    source = analysis.read(Path(symbol.path)) if symbol.path else None
    return analysis if source is None else Analysis(source, analysis.read)


def _symbol_in(analysis: Analysis, symbol: Symbol, home: str) -> Symbol | None:
    """What a def of another text, or a parameter of it, is in a text that uses it; None in one that does not."""
    for name, one in analysis.imported.items():
        is_it = name == symbol.name if symbol.kind == "def" else one.index == symbol.place
        if is_it and str(Path(one.path).resolve()) == home:
            return replace(symbol, path=one.path)
    return None


def _require_free(analysis: Analysis, symbol: Symbol, name: str, where: str) -> None:
    """Raises UsageError where the name means something in a text already, or is a def that it uses."""
    brought = analysis.imported.get(name)
    if brought is not None:
        raise UsageError(f"`{name}` is a def of {brought.path}, which {where} uses; choose another name")
    clash = next((one for one in analysis.names.occurrences if one.text == name and _meets(analysis, symbol, one)), None)
    if clash is not None:
        line = analysis.source.position(clash.span.start)[0]
        raise UsageError(f"`{name}` already means something in {where} (line {line}); choose another name")


def _check(name: str) -> None:
    """Raises UsageError for what no name can be."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
        raise UsageError(f"`{name}` is no name: letters of ASCII, digits and _ make one, and it begins with no digit")
    if len(name) > limits.NAME_LENGTH:
        raise UsageError(f"a name has at most {limits.NAME_LENGTH} letters; this has {len(name)}")
    if name in ENTRY_WORDS or name in OTHER_WORDS:
        raise UsageError(f"`{name}` is a word of the language; choose another name")
    if layer_of(name) is not None:
        raise UsageError(f"`{name}` is a layer; choose another name")


def _meets(analysis: Analysis, symbol: Symbol, other: Occurrence) -> bool:
    """Whether a word that stands in the text could be taken for the new name, or the new name for it.

    Keys of sections and of the catalogue's calls are apart from names. A parameter, a variable and a point meet what is in their own
    entry and what is defined for all; a `let` or `def` meets everything.
    """
    if other.role in ("key", "argument", "word", "file"):
        return False
    if symbol.kind in ("let", "def"):
        return True
    own = analysis.names.definition(symbol)
    return (own is not None and other.index == own.index) or (other.symbol is not None and other.symbol.kind in ("let", "def"))
