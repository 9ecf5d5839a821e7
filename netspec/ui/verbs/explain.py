"""`netspec explain CODE`: the page of a diagnostic."""

from __future__ import annotations

import textwrap
from typing import Any

from netspec.base.errors import UsageError
from netspec.catalog.registry import entry_of
from netspec.frontend.explain import codes, page
from netspec.frontend.words import NOUNS, nearest
from netspec.ui.screen import print_json

WIDTH = 78


def run(code: str | None, *, json: bool) -> int:
    """Prints one page, or without a code the title of each. Raises UsageError for a code that is none."""
    if code is None:
        titles = {known: title_of(page(known) or "") for known in codes()}
        if json:
            print_json([{"code": known, "title": title} for known, title in titles.items()])
        else:
            print("\n".join(f"{known:<6} {title}" for known, title in titles.items()))
        return 0
    text = page(code)
    if text is None:
        near = f"NS{code}" if f"NS{code}" in codes() else nearest(code.upper(), codes())
        hint = f"did you mean {near}? " if near else ""
        raise UsageError(f"there is no diagnostic {code}; {hint}{_elsewhere(code)}`netspec explain` lists all")
    if json:
        print_json({"code": code.strip().upper(), "title": title_of(text), "text": text})
    else:
        print(as_read(text))
    return 0


def _elsewhere(name: str) -> str:
    """For a name of the catalogue."""
    known: Any = (entry_of(contract, name) for contract in NOUNS)
    return f"`netspec layers {name}` explains {name}; " if any(known) else ""


def title_of(text: str) -> str:
    """The first line, without its mark and code."""
    return text.split("\n", 1)[0].partition(": ")[2]


def as_read(text: str) -> str:
    """Markdown as plain text of 78 columns: no marks, examples indented."""
    lines: list[str] = []
    quoted = False
    for line in text.removeprefix("# ").rstrip().split("\n"):
        if line.startswith("```"):
            quoted = not quoted
        elif quoted:
            lines.append(f"    {line}".rstrip())
        else:
            lines += textwrap.wrap(line, WIDTH) or [""]
    return "\n".join(line for at, line in enumerate(lines) if line or lines[at - 1])
