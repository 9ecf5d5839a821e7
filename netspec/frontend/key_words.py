"""Keys of sections as a caller of Python writes them, for messages: what a caller takes for a keyword of its own."""

from __future__ import annotations

import json
from numbers import Number
from typing import Any

from netspec.frontend.builder_part import Built
from netspec.frontend.program import Overrides
from netspec.frontend.sections import SECTION_MODELS
from netspec.frontend.words import accepts_words, is_list, written


def as_given(key: str, value: Any, overrides: Overrides) -> str:
    """What to write in that call for a key such as `train.epochs` with that value."""
    if overrides.keys_by == "keywords":
        return f'write **{{"{key}": {_in_python(value)}}}'
    section, _, name = key.partition(".")
    if section != "train":
        return f"write it into the text: {section} {{ {_pair(section, name, value)} }}"
    before = f"{overrides.train.strip().rstrip(';')}; " if overrides.train else ""
    inside = before + _pair(section, name, value)
    quoted = repr(inside) if '"' in inside else f'"{inside}"'
    return f"write train={quoted}"


def _pair(section: str, name: str, value: Any) -> str:
    info = SECTION_MODELS[section].model_fields.get(name)
    is_word = info is not None and accepts_words(info.annotation) and not is_list(info.annotation) and isinstance(value, str)
    is_split = section == "data" and isinstance(value, tuple)
    return f"{name} = {written(value) if is_word or is_split else _in_text(value)}"


def _in_python(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value) if isinstance(value, Number) else "..."


def _in_text(value: Any) -> str:
    """A Python value as the language writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case Number() | str() | Built():
            return str(value)
        case tuple() | list():
            return ", ".join(map(_in_text, value))
        case _:
            return "..."
