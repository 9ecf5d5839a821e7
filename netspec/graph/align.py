"""The layers of two nets side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.shape import Shape

MOST_COMPARED = 4_000_000
"""Pairs of layers that are compared one by one; beyond, stretches of the same kinds are looked for."""


@dataclass(frozen=True)
class Point:
    """A layer in its place, and what there is to compare of it; what needs shapes is None where they are not known."""

    name: str
    kind: str
    arguments: Mapping[str, str]
    """Those that have a value of their own."""
    reads: tuple[str, ...]
    """The names of the layers whose values it takes; `input` is the row."""
    owners: tuple[str, ...] = ()
    """The names of the layers whose arrays it has."""
    output: Shape | None = None
    parameters: int | None = None
    flops: int | None = None
    implied: Mapping[str, str] = field(default_factory=dict)
    """What it takes for arguments without a value of their own."""

    @property
    def label(self) -> str | None:
        """Its name, where the text gives it; the projection of a skip has one of its own, which no text can give."""
        if re.fullmatch(r"proj\d+(#\d+)?", self.name):
            return "proj#"
        return None if re.fullmatch(rf"{re.escape(self.kind)}\d+(#\d+)?", self.name) else self.name

    @property
    def signature(self) -> tuple[Any, ...]:
        return self.kind, tuple(self.arguments.items()), self.label


Pairs = list[tuple[Point | None, Point | None]]


def aligned(a: list[Point], b: list[Point]) -> Pairs:
    """Layers side by side: as many as possible of one kind, and of those as many as possible that are equal; the others stand alone."""
    if len(a) * len(b) <= MOST_COMPARED:
        return _best(a, b)
    start = 0
    while start < min(len(a), len(b)) and a[start].signature == b[start].signature:
        start += 1
    alike = zip(a[:start], b[:start], strict=True)
    rest = a[start:], b[start:]
    return [*alike, *(_best(*rest) if len(rest[0]) * len(rest[1]) <= MOST_COMPARED else _by_kind(*rest))]


def _by_kind(a: list[Point], b: list[Point]) -> Pairs:
    """Long stretches of layers of one kind, where looking for the best is too much."""
    matcher = SequenceMatcher(None, [point.kind for point in a], [point.kind for point in b])
    pairs: Pairs = []
    for tag, start_a, end_a, start_b, end_b in matcher.get_opcodes():
        ours, theirs = a[start_a:end_a], b[start_b:end_b]
        pairs += zip(ours, theirs, strict=True) if tag == "equal" else [*((one, None) for one in ours), *((None, one) for one in theirs)]
    return pairs


def _best(a: list[Point], b: list[Point]) -> Pairs:
    """The common sequence of most worth, as early as it can be, for nets grow at their ends: Needleman and Wunsch, A general method
    applicable to the search for similarities, 1970."""
    worth = 2 * _equal([one.kind for one in a], [one.kind for one in b])
    worth += _equal([one.signature for one in a], [one.signature for one in b])
    best = np.zeros((len(a) + 1, len(b) + 1), np.int32)  # of what stands from a row and a column on
    for row in reversed(range(len(a))):
        here = np.maximum(best[row + 1, :-1], best[row + 1, 1:] + worth[row])
        best[row, :-1] = np.maximum.accumulate(here[::-1])[::-1]
    pairs: Pairs = []
    row = column = 0
    while row < len(a) and column < len(b):
        if worth[row, column] and best[row, column] == best[row + 1, column + 1] + worth[row, column]:
            pairs.append((a[row], b[column]))
            row, column = row + 1, column + 1
        elif best[row, column] == best[row + 1, column]:
            pairs.append((a[row], None))
            row += 1
        else:
            pairs.append((None, b[column]))
            column += 1
    return [*pairs, *((one, None) for one in a[row:]), *((None, one) for one in b[column:])]


def _equal(a: Sequence[Any], b: Sequence[Any]) -> NDArray[np.int32]:
    """1 where the two are equal, (len(a), len(b))."""
    numbers: dict[Any, int] = {}
    rows, columns = (np.array([numbers.setdefault(one, len(numbers)) for one in each], np.int32) for each in (a, b))
    found: NDArray[np.int32] = (rows[:, None] == columns[None, :]).astype(np.int32)
    return found
