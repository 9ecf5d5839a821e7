"""Completion in cells that begin with `%%netspec`: what the language server proposes in files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from netspec.base.text import Source
from netspec.ui.language.analysis import Analysis
from netspec.ui.language.complete import complete

IDENTIFIER = "netspec"
FIRST = 1000
"""Priority before the matchers of Python, which know no text of this language."""


def offer(shell: Any, first_line: str, options: Sequence[str]) -> None:
    """IPython then proposes what fits in cells that begin with `first_line`; `options` are those of that line. Nothing before IPython 8.6,
    whose matchers see one line alone."""
    completer = import_module("IPython.core.completer")
    if not hasattr(completer, "context_matcher"):
        return

    def match(context: Any) -> dict[str, Any]:
        text: str = context.full_text
        if not (text.startswith(first_line) and text[len(first_line) : len(first_line) + 1].isspace()):
            return {"completions": []}
        if context.cursor_line == 0:
            start = context.text_until_cursor.split(" ")[-1]
            found = [(one, "option") for one in options if one.startswith(start)]
        else:
            found, start = proposals(text, context.cursor_line, context.cursor_position)
        words = [completer.SimpleCompletion(label, type=kind) for label, kind in found]
        return {"completions": words, "matched_fragment": start, "suppress": True, "ordered": True}

    shell.Completer.custom_matchers.append(completer.context_matcher(identifier=IDENTIFIER, priority=FIRST)(match))


def withdraw(shell: Any) -> None:
    """Takes that back."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [one for one in matchers if getattr(one, "matcher_identifier", "") != IDENTIFIER]


def proposals(cell: str, line: int, column: int) -> tuple[list[tuple[str, str]], str]:
    """(label, kind) of what can stand at a place of the cell, counted from 0, and the letters of it that stand there already."""
    text = f"#{cell[1:]}"  # the first line is none of the language's
    offset = sum(len(one) + 1 for one in text.split("\n")[:line]) + column
    items = complete(Analysis(Source(text, "cell")), offset)
    starts = [(text[item.replaces.start : offset], item) for item in items]
    found: list[tuple[str, str]] = [(item.label, item.kind) for start, item in starts if item.label.startswith(start)]
    return found, starts[0][0] if starts else ""
