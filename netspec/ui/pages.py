"""The pages of diagnostics, kept as text in codes.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

FILE = Path(__file__).with_name("codes.md")


@dataclass(frozen=True)
class Page:
    """What one code means: `wrong` is a spec that gives it, `right` the same put right; both empty where no short text does."""

    code: str
    title: str
    text: str
    wrong: str = ""
    right: str = ""


@cache
def pages() -> dict[str, Page]:
    """Every page by its code, in the order of the file."""
    _, *parts = re.split(r"^# (?=\w+: )", FILE.read_text(encoding="utf-8"), flags=re.M)
    return {page.code: page for page in map(_page, parts)}


def _page(part: str) -> Page:
    head, _, body = part.partition("\n")
    code, _, title = head.partition(": ")
    text, _, examples = body.partition("wrong:\n")
    wrong, _, right = examples.partition("right:\n")
    return Page(code, title, text.strip(), dedent(wrong).strip("\n"), dedent(right).strip("\n"))
