"""The catalogue's words as attributes of the package: `ns.affine`, `ns.adam`, and every layer that a user defines."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.catalog.registry import FOLDERS, entries, entry_of
from netspec.frontend.builder_net import Word, word_net
from netspec.frontend.later import OTHER_WORDS, squeezed
from netspec.frontend.words import nearest


def word(name: str, others: Iterable[str]) -> Word:
    """The entry of that name. Raises AttributeError with the nearest name, of entries and of `others`, the package's own."""
    if any(entry_of(contract, name) is not None for contract in FOLDERS):
        return word_net(name, tuple(FOLDERS))
    known = [*vocabulary(), *others]
    other = OTHER_WORDS.get(squeezed(name))
    near = other if other in known else nearest(name, known)
    hint = f"; did you mean `{near}`?" if near else ""
    raise AttributeError(f"module 'netspec' has no attribute {name!r}{hint}")


def vocabulary() -> list[str]:
    """Every name of the catalogue."""
    return sorted({name for contract in FOLDERS for name in entries(contract)})
