"""Copies of one layer in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

MOST_NAMED = 3
"""Copies whose names are all told."""


def named(copies: Sequence[str]) -> str:
    """Which layers are meant: `relu2`, `conv2, conv4`, `relu2 to relu9`, `conv2, conv4, ... conv8`. Tied copies have the first one's
    name."""
    if len(copies) == 1:
        return copies[0]
    names = list(dict.fromkeys(name.partition("#")[0] for name in copies))
    numbers = [int(re.sub(r".*\D", "", name) or 1) for name in names]
    if len(names) > 2 and all(after == before + 1 for before, after in pairwise(numbers)):
        return f"{names[0]} to {names[-1]}"
    return ", ".join(names) if len(names) <= MOST_NAMED else f"{names[0]}, {names[1]}, ... {names[-1]}"
