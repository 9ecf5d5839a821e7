"""`netspec explain CODE`: the page of a diagnostic."""

from __future__ import annotations

import textwrap
from dataclasses import asdict

from netspec.base.errors import UsageError
from netspec.frontend.words import nearest
from netspec.ui.pages import Page, pages
from netspec.ui.screen import print_json

WIDTH = 78


def run(code: str | None, *, json: bool) -> int:
    """Prints one page, or without a code the list of all."""
    if code is None:
        if json:
            print_json([{"code": page.code, "title": page.title} for page in pages().values()])
        else:
            print("\n".join(f"{page.code:<6} {page.title}" for page in pages().values()))
        return 0
    page = pages().get(code.upper())
    if page is None:
        near = nearest(code.upper(), pages())
        hint = f"did you mean {near}? " if near else ""
        raise UsageError(f"there is no diagnostic {code}; {hint}`netspec explain` lists all")
    if json:
        print_json(asdict(page))
    else:
        print(page_text(page))
    return 0


def page_text(page: Page) -> str:
    """The page as it is read."""
    parts = [f"{page.code}: {page.title}", textwrap.fill(page.text, WIDTH)]
    if page.wrong:
        parts += [f"wrong:\n{textwrap.indent(page.wrong, '    ')}", f"right:\n{textwrap.indent(page.right, '    ')}"]
    return "\n\n".join(parts)
