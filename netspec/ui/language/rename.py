"""A name of a text changed everywhere it is used, with the meaning of everything kept."""

from __future__ import annotations

import re

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
    if found.symbol.path:
        raise UsageError(f"`{found.text}` is defined in {found.symbol.path}; change it there")
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


def rename(analysis: Analysis, offset: int, name: str) -> list[Span]:
    """The words to replace. Raises UsageError for a name that cannot stand there, with the reason."""
    found = renamable(analysis, offset)
    if found.symbol is None or name == found.text:
        return []
    _check(name)
    clash = next((one for one in analysis.names.occurrences if one.text == name and _meets(analysis, found.symbol, one)), None)
    if clash is not None:
        line = analysis.source.position(clash.span.start)[0]
        raise UsageError(f"`{name}` already means something in this text (line {line}); choose another name")
    return [one.span for one in analysis.names.of(found.symbol)]


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
