"""What is common to everything printed: where colour may be, JSON, sizes in words, diagnostics."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from netspec.base.colour import coloured, spelt_out
from netspec.base.diagnostic import Diagnostic
from netspec.base.figure import shown_figure


def has_colour(stream: TextIO) -> bool:
    """Colour is for terminals, and not where NO_COLOR is set or the terminal has none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def has_dots() -> bool:
    """Whether the terminal can be expected to show braille and lines."""
    if os.environ.get("TERM") in ("linux", "dumb"):
        return False
    try:
        "\u28ff\u2524\u2501\u2026".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def say(text: object, stream: TextIO | None = None) -> None:
    """An answer, on stdout if no other stream is given: whatever names of files hold, nothing moves the terminal's cursor. Programs that
    need such a name to the letter read --json."""
    print(spelt_out(str(text)), file=stream)


@contextmanager
def shown_meanwhile(text: str) -> Iterator[None]:
    """A line on stderr for as long as the block takes."""
    _rewrite_line(text)
    try:
        yield
    finally:
        _rewrite_line("")


def _rewrite_line(text: str) -> None:
    with suppress(OSError):  # a terminal that is gone
        print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)


def print_json(value: Any, *, one_line: bool = False) -> None:
    """One JSON document on stdout; NaN and infinities, which JSON lacks, as null."""
    print(json.dumps(plain(value), indent=None if one_line else 2, allow_nan=False), flush=one_line)


def plain(value: Any) -> Any:
    """The value in what JSON has: NumPy's numbers as Python's, tuples as lists, NaN as None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        if str(value.dtype) == "float32":  # the shortest digits that are the same float32 again
            value = value.astype(str).astype(float)
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_diagnostic(diagnostic: Diagnostic, stream: TextIO) -> None:
    """A finding, with a blank line behind it."""
    text = str(diagnostic)
    print(f"{coloured(text) if has_colour(stream) else text}\n", file=stream)


def figures_in_words(figures: Mapping[str, float | None], width: int = 80) -> str:
    """`loss 0.0712  accuracy 0.9833`, broken where a line would be longer."""
    lines = [""]
    for name, value in figures.items():
        if value is not None:
            longer = f"{lines[-1]}  {name} {shown_figure(value)}".strip()
            lines = [*lines[:-1], longer] if len(longer) <= width else [*lines, f"{name} {shown_figure(value)}"]
    return "\n".join(lines)
