"""A report as one page of HTML: jinja2 fills in the templates beside this file, and escapes every text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netspec.base.extras import library
from netspec.ui.curves import COLOURS
from netspec.ui.svg import dark_rules

TEMPLATES = Path(__file__).parent
LONGEST_TEXT = 200_000
"""Letters of one text on a page."""
BIDI = {chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that turn the direction of what follows: a name with one would change how its neighbours read."""
DARK_COLOURS = ("#5aa9e6", "#ff8a4c", "#2fc79a", "#e79ac4", "#a6dcfa", "#f5c04a", "#ffffff", "#a8b0b8")
"""What each of COLOURS is on a dark page: brighter, and as far apart."""


def page(template: str, **given: Any) -> bytes:
    """The page, the same bytes for the same content."""
    jinja2 = library("jinja2", "report")
    markup = library("markupsafe", "report").Markup
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, markup) or not isinstance(value, str) else cleaned(value),
    )  # fmt: skip
    environment.filters["drawn"] = markup  # of SVG that this package made, its texts escaped
    series = list(enumerate(zip(COLOURS, DARK_COLOURS, strict=True)))
    text: str = environment.get_template(template).render(**given, series=series, dark_rules=dark_rules(".net "))
    return text.encode("utf-8", errors="replace")


def cleaned(text: str) -> str:
    """Without characters that a page cannot hold or that change how others are read, and not longer than a page can bear."""
    cut = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
    return "".join(one if _is_plain(one) else "\ufffd" for one in cut)


def _is_plain(one: str) -> bool:
    return one in "\n\t" or (one >= " " and not "\x7f" <= one <= "\x9f" and not "\ud800" <= one <= "\udfff" and one not in BIDI)
