"""A syntax tree as indented text."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from netspec.base.text import Span
from netspec.frontend.syntax import Trivia

INDENT = "  "


def tree(node: Any) -> str:
    """One line for each part: its class and what is short; longer parts below it, indented. Spans and comments are left out."""
    return "\n".join(_lines(node))


def _lines(node: Any) -> list[str]:
    if not is_dataclass(node):
        return [repr(node)]
    short, long = [], []
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, (Span, Trivia)) or value is None or value == () or value is False:
            continue
        if _is_plain(value):
            short.append(f"{field.name}={value!r}" if not _is_word(value) else f"{field.name}={value.text}")
        else:
            long.append((field.name, value))
    lines = [" ".join([type(node).__name__, *short])]
    for name, value in long:
        for part in value if isinstance(value, tuple) else (value,):
            first, *rest = _lines(part)
            lines += [f"{INDENT}{name}: {first}", *(f"{INDENT}{line}" for line in rest)]
    return lines


def _is_word(value: Any) -> bool:
    return type(value).__name__ == "Word"


def _is_plain(value: Any) -> bool:
    """Whether the value fits its parent's line: a text, a number, a word, names of a key."""
    if isinstance(value, tuple):
        return all(isinstance(part, str) for part in value)
    return not is_dataclass(value) or _is_word(value)
