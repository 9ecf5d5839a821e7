"""What words mean, as markdown: entries of the catalogue, their arguments, sections and keys, entry words."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from netspec.base.dataset import DataSource
from netspec.base.entry import Entry
from netspec.frontend.sections import SECTION_MODELS
from netspec.frontend.words import NOUNS, describe_field
from netspec.ui.entry_words import BLOCK_WORDS, SEARCH_WORDS, WORDS
from netspec.ui.language.lookup import default_of, section_field
from netspec.ui.verbs.layers import one_line, signature


def code(text: str, language: str = "netspec") -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


@cache
def entry_page(entry: type[Entry]) -> str:
    """All that the declaration says: what it is, formula and shapes, arguments."""
    noun = next((noun for contract, noun in NOUNS.items() if issubclass(entry, contract)), "")
    parts = [f"**{entry.name}** ({noun}): {one_line(entry)}", code(signature(entry)), formula(entry)]
    if entry.model_fields:
        parts.append("\n".join(f"- {field_line(name, info)}" for name, info in entry.model_fields.items()))
    return "\n\n".join(filter(None, parts))


@cache
def formula(entry: type[Entry]) -> str:
    """The entry's own words; of a data source those of its file, which say how the data must lie."""
    module = inspect.getmodule(entry) if issubclass(entry, DataSource) else None
    text = inspect.cleandoc((module.__doc__ if module else None) or entry.__doc__ or "")
    return code(text, "text") if text else ""


def field_line(name: str, info: FieldInfo) -> str:
    """`width = 100`: number of outputs (a whole number of at least 1)."""
    default = default_of(info)
    head = f"`{name} = {default}`" if default is not None else f"`{name}`"
    text = f"{info.description} ({describe_field(info)})" if info.description else describe_field(info)
    return f"{head}: {text}"


def field_page(owner: str, name: str, info: FieldInfo, is_entry: bool) -> str:
    """One argument of an entry, or one key of a section."""
    default = default_of(info)
    shown = f" = {default}" if default is not None else ""
    takes = f"Takes {describe_field(info)}."
    value = f"Default: `{default}`." if default is not None else "Must be given." if info.is_required() else "Not given by default."
    return "\n\n".join([f"**{name}{shown}**, {'an argument' if is_entry else 'a key'} of {owner}", info.description or "", takes, value])


def key_page(section: str, key: str) -> str | None:
    """One key of a section."""
    info = section_field(section, key)
    if info is None:
        return None
    if section == "train" and key == "lr":
        return "**lr**, a key of train\n\nThe learning rate of the optimizer; `lr = 1e-2` alone is adam's."
    return field_page(section, key, info, is_entry=False)


def argument_page(owner: type[BaseModel], key: str) -> str | None:
    """One argument of an entry."""
    info = owner.model_fields.get(key)
    return None if info is None else field_page(_name_of(owner), key, info, is_entry=True)


def word_page(word: str) -> str | None:
    """A word of the language; an entry word with the keys of its section."""
    found = WORDS.get(word) or BLOCK_WORDS.get(word) or SEARCH_WORDS.get(word)
    if found is None:
        return None
    parts = [f"**{word}**: {found[1]}", code(found[0])]
    model = SECTION_MODELS.get(word)
    if model is not None:
        parts.append("\n".join(f"- {field_line(key, info)}" for key, info in model.model_fields.items()))
    return "\n\n".join(parts)


def _name_of(model: Any) -> str:
    return str(model.name)
