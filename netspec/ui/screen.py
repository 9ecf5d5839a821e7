"""What is common to everything printed: where colour may be, JSON, sizes in words, diagnostics."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from typing import Any, TextIO

from netspec.base.diagnostic import Diagnostic
from netspec.base.figure import shown_figure

RED, YELLOW, BLUE, BOLD, PLAIN = "\033[1;31m", "\033[1;33m", "\033[34m", "\033[1m", "\033[0m"
GREEN, CYAN = "\033[32m", "\033[36m"


def has_colour(stream: TextIO) -> bool:
    """Colour is for terminals, and not where NO_COLOR is set or the terminal has none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


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


def coloured(text: str) -> str:
    """The text of a diagnostic with its severity, its place and its carets in colour."""
    lines = text.split("\n")
    tint = YELLOW if text.startswith("warning") else RED
    lines[0] = re.sub(r"^(\w+\[\w+\])(.*)$", rf"{tint}\1{PLAIN}{BOLD}\2{PLAIN}", lines[0])
    for at, line in enumerate(lines[1:], 1):
        if re.match(r"^ +\| [ \t]*\^", line):
            lines[at] = re.sub(r"(\^+.*)$", rf"{tint}\1{PLAIN}", line)
        elif line.startswith("  -->"):
            lines[at] = f"{BLUE}{line}{PLAIN}"
    return "\n".join(lines)


def figures_in_words(figures: Mapping[str, float | None], width: int = 80) -> str:
    """`loss 0.0712  accuracy 0.9833`, broken where a line would be longer."""
    lines = [""]
    for name, value in figures.items():
        if value is not None:
            longer = f"{lines[-1]}  {name} {shown_figure(value)}".strip()
            lines = [*lines[:-1], longer] if len(longer) <= width else [*lines, f"{name} {shown_figure(value)}"]
    return "\n".join(lines)


def bytes_in_words(count: float) -> str:
    """`1.5 MB`; powers of 1000."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB"))


def flops_in_words(count: float) -> str:
    """`30.7 MFLOP`; powers of 1000."""
    return _scaled(count, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"))


def short_count(count: float) -> str:
    """`30.7M`; powers of 1000."""
    return _scaled(count, ("", "k", "M", "G", "T"), "")


def _scaled(count: float, units: tuple[str, ...], gap: str = " ") -> str:
    place = 0
    while count >= 999.5 and place < len(units) - 1:
        count, place = count / 1000, place + 1
    number = f"{count:.0f}" if place == 0 or count >= 99.95 else f"{count:.1f}"
    return f"{number}{gap}{units[place]}"
