"""Which rows go where: seeded splits by fraction or count, with the classes in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isclose

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError, Problem

STREAM = 0x5911_7000
"""Keeps the draws of a split apart from everything else that is seeded by the same number."""
NAMES = ("training", "validation", "test")


def part_sizes(split: Sequence[int | float], rows: int, name: str = "data") -> tuple[int, ...]:
    """Rows of each part. Whole numbers are rows; fractions are rounded so that parts which sum to 1 use every row.

    Raises Problem NS604 for a split that no data can have, DataError for one that these `rows` cannot have.
    """
    if not 1 <= len(split) <= 3:
        raise Problem(
            "NS604", f"split has {len(split)} parts; write training / validation / test, or training / validation", argument="split"
        )
    fractions = sum(part for part in split if isinstance(part, float))
    if fractions > 1 and not isclose(fractions, 1):
        raise Problem(
            "NS604", f"the parts of split sum to {fractions:.4g}, more than all rows", argument="split", help="for example 80% / 10% / 10%"
        )
    sizes: list[int] = []
    taken = 0.0
    for part in split:
        if isinstance(part, float):
            before, taken = taken, taken + part
            sizes.append(_rounded(taken * rows) - _rounded(before * rows))
        else:
            sizes.append(part)
    asked = " / ".join(f"{100 * part:.6g}%" if isinstance(part, float) else str(part) for part in split)
    if sum(sizes) > rows:
        raise DataError(f"{name}: split = {asked} asks for {sum(sizes)} rows, and there are {rows}")
    for label, count in zip(NAMES, sizes, strict=False):
        if count == 0:
            raise DataError(f"{name}: split = {asked} leaves no rows for {label}; there are {rows} rows")
    return tuple(sizes)


def split_rows(rows: int, sizes: Sequence[int], seed: int, classes: NDArray[np.int64] | None = None) -> list[NDArray[np.int64]]:
    """Row numbers of each part, in random order and disjoint; what is left over is in none.

    With `classes` (N,) each part holds every class in the proportion of the whole, to within about one row. The same arguments give the
    same parts. Stratification: the i-th of the n rows of a class, shuffled, gets the place (i + 1/2) / n; in the order of places, any
    stretch of rows holds the classes in proportion.
    """
    generator = np.random.default_rng([STREAM, seed & 0xFFFF_FFFF_FFFF_FFFF])
    order = generator.permutation(rows)
    if classes is not None:
        order = order[np.argsort(_places(classes[order]), kind="stable")]
    ends = np.cumsum([0, *sizes])
    return [generator.permutation(order[start:end]) for start, end in pairwise(ends)]


def _places(classes: NDArray[np.int64]) -> NDArray[np.float64]:
    by_class = np.argsort(classes, kind="stable")
    _, starts, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    rank = np.arange(len(classes)) - np.repeat(starts, counts)
    places = np.empty(len(classes))
    places[by_class] = (rank + 0.5) / np.repeat(counts, counts)
    return places


def _rounded(value: float) -> int:
    # a half is rounded up; the small term absorbs what 0.1 + 0.2 lacks
    return int(value + 0.5 + 1e-9)
