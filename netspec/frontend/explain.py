"""The pages of diagnostics, one small text a code."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).with_name("explain")


def codes() -> list[str]:
    """Every code that has a page, in order."""
    return sorted(path.stem for path in _FOLDER.glob("*.md"))


def page_path(code: str) -> Path | None:
    """The file of a code's page; None where there is none."""
    code = code.strip().upper()
    path = _FOLDER / f"{code}.md"
    return path if re.fullmatch(r"(NS|W)\d{3}", code) and path.is_file() else None


def page(code: str) -> str | None:
    """The page of a code, as markdown; None where there is none."""
    path = page_path(code)
    return path.read_text(encoding="utf-8") if path else None
