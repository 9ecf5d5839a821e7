"""Weighted rows as plain ones, in an order that does not depend on the caller's.

scikit-learn's words: a row of weight 0 is as good as not there, and one of weight 3 as three of it. With batches, bn
and dropout that is so where such a row really is three. So a row of weight w is trained on in round(w) copies, at least one, whose losses
count w / round(w) each: whole weights give exactly the rows repeated, others the same share of the whole loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.train.split import part_sizes, split_rows

MOST = 10
"""Copies for each row, on average: larger weights are scaled down together, so that no epoch grows beyond it."""


@dataclass(frozen=True)
class Rows:
    """Rows x (N, ...) with encoded labels y (N, ...), and what each counts in the loss: the product of its own weight and its class's,
    `weights` (N, 2)."""

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)

    @property
    def products(self) -> NDArray[np.float64]:
        """What each row counts (N,)."""
        return np.asarray(self.weights.prod(axis=1))

    def at(self, index: NDArray[np.int64]) -> Rows:
        """The rows that `index` lists."""
        return Rows(self.x[index], self.y[index], self.weights[index])


def in_own_order(rows: Rows) -> Rows:
    """Those rows that count at all, sorted by their bytes: the same rows give the same training in whatever order they come."""
    counted = rows.at(np.flatnonzero(rows.products > 0)) if (rows.products == 0).any() else rows
    return counted.at(np.lexsort((_as_bytes(counted.weights), _as_bytes(counted.y), _as_bytes(counted.x))))


def in_copies(rows: Rows) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]:
    """x and y with each row as often as its weights say, and the factors on the losses of these copies; None where all are 1.

    A class's weight makes copies of each copy that the row's own weight makes: rows that are repeated come to the same.
    """
    wanted = rows.products
    if (wanted == 1).all():
        return rows.x, rows.y, None
    share = MOST * len(rows) / wanted.sum()
    if share < 1:
        wanted = wanted * share
    copies = np.maximum(1, np.rint(wanted[:, None] if share < 1 else rows.weights)).prod(axis=1).astype(np.int64)
    places, factors = np.repeat(np.arange(len(rows)), copies), np.repeat(wanted / copies, copies)
    return rows.x[places], rows.y[places], None if (factors == 1).all() else factors


def held_out(rows: Rows, fraction: Any, seed: int) -> tuple[Rows, Rows]:
    """The rows without a random fraction, and that fraction; the classes of single labels in proportion. Raises UsageError, DataError."""
    share = float(fraction) if isinstance(fraction, Real) else 0.0
    if not 0 < share < 1:
        raise UsageError(f"validation_fraction={fraction!r}: give a share of the rows between 0 and 1, or None")
    classes = rows.y if rows.y.ndim == 1 and rows.y.dtype.kind == "i" else None
    train, held = split_rows(len(rows), part_sizes((1 - share, share), len(rows), "X"), seed, classes)
    return rows.at(np.sort(train)), rows.at(np.sort(held))


def balanced(y: NDArray[np.int64], weights: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Factors (classes,) by which all classes of some weight weigh alike, and the whole as much as before."""
    sums = np.bincount(y, weights, minlength=classes)
    occurs = sums > 0
    return np.where(occurs, sums.sum() / (occurs.sum() * np.where(occurs, sums, 1)), 1.0)


def by_label(given: Mapping[Any, Any], classes: NDArray[Any]) -> NDArray[np.float64]:
    """Weights (classes,) from a mapping by label; 1 for what it leaves out. Raises ValueError for labels that there are not, and for what
    is no weight."""
    known = classes.tolist()
    foreign = [label for label in given if label not in known]
    if foreign:
        raise ValueError(f"class_weight: the labels {foreign} are none of the classes {known}")
    weights = np.array([given.get(label, 1.0) for label in known], np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"class_weight={given!r}: weights are finite numbers of at least 0")
    return weights


def _as_bytes(array: NDArray[Any]) -> NDArray[np.void]:
    """Each row as one value that sorts by its bytes."""
    flat = np.ascontiguousarray(array.reshape(len(array), -1))
    return flat.view(np.dtype((np.void, flat.shape[1] * flat.dtype.itemsize))).reshape(-1)
