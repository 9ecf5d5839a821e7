"""What a word of the catalogue or a key of a section is, by the place where it stands."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from netspec.base.entry import Entry
from netspec.base.layer import Layer
from netspec.catalog.registry import entries, entry_of
from netspec.frontend.program import TrainSection
from netspec.frontend.search import FORMS
from netspec.frontend.sections import SECTION_MODELS
from netspec.frontend.words import NOUNS, accepts_words, contract_of, written

SEARCH_CALLS = {name: meaning for name, (_, meaning) in FORMS.items()}


def layer_of(name: str) -> type[Layer] | None:
    """The layer of that name."""
    return entry_of(Layer, name)  # type: ignore[type-abstract]  # a contract, looked up by


def entry_named(name: str, contract: type[Entry] | None) -> type[Entry] | None:
    """The catalogue's entry of that name: of a contract where one is asked for, else of the first that has the name, layers first."""
    found = (entry_of(one, name) for one in ([contract] if contract else NOUNS))
    return next((entry for entry in found if entry is not None), None)


def called(name: str, in_section: bool) -> type[Entry] | None:
    """The entry that a call stands for: in a section not the layer, where something else has the name."""
    others = (entry_of(contract, name) for contract in list(NOUNS)[1:]) if in_section else ()
    return next((entry for entry in others if entry is not None), None) or entry_named(name, None)


def contract_at(info: FieldInfo | None) -> type[Entry] | None:
    """The kind of entry that a field takes."""
    return None if info is None else contract_of(info.annotation)


def section_field(section: str, key: str) -> FieldInfo | None:
    """A key of a section; `lr` of train is that of the optimizer where none is named."""
    model = SECTION_MODELS.get(section)
    if model is TrainSection and key == "lr":
        adam = TrainSection.model_validate({}).optimizer
        return type(adam).model_fields["lr"]
    return None if model is None else model.model_fields.get(key)


def dotted_field(key: str) -> FieldInfo | None:
    """What `affine.width` of defaults names."""
    name, _, argument = key.partition(".")
    layer = layer_of(name)
    return None if layer is None else layer.model_fields.get(argument)


def default_of(info: FieldInfo) -> str | None:
    """The default as the language writes it; None where there is none."""
    if info.is_required() or info.default is None:
        return None
    return written(info.get_default(call_default_factory=True))


def words_of(info: FieldInfo) -> list[str]:
    """The bare words that a field takes: `true`, `same`, names of a choice."""
    found = _choices(info.annotation)
    default = info.default
    if accepts_words(info.annotation) and isinstance(default, str) and default.isidentifier() and default not in found:
        found.append(default)
    return found


def _choices(annotation: Any) -> list[str]:
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _choices(part)]


def entries_for(info: FieldInfo) -> list[type[Entry]]:
    """The catalogue's entries that a field takes."""
    contract = contract_at(info)
    return [] if contract is None else list(entries(contract).values())
