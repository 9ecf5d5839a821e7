"""The decision threshold of 0/1 labels: checked, and chosen on rows that were held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError, UsageError
from netspec.base.kinds import Head

DEFAULT = 0.5
Counts = NDArray[np.int64]

METRICS: Mapping[str, Callable[[Counts, Counts, int, int], NDArray[Any]]] = {
    "f1": lambda hits, chosen, ones, zeros: 2 * hits / (chosen + ones),
    "accuracy": lambda hits, chosen, ones, zeros: hits + zeros - (chosen - hits),
    "balanced_accuracy": lambda hits, chosen, ones, zeros: hits * zeros + (zeros - (chosen - hits)) * ones,
}
"""What is made largest, up to a constant factor: of the hits among the rows that are taken for 1, their number, and the rows of label 1 and
0. Whole numbers where that is enough, so that equals are equal."""


def checked(head: Head, threshold: Any, columns: int) -> float | NDArray[np.float64]:
    """The threshold, 1/2 for None. Raises UsageError where the head has none, and for anything but a number between 0 and 1, or one for
    each of several answers of a row."""
    if threshold is None:
        return DEFAULT
    if head.target != "binary":
        does = "gives values" if head.target == "value" else "takes the class with the largest score"
        raise UsageError(f"threshold: {head.name} {does} and has none; a decision threshold goes with the head sigmoid")
    try:
        numbers = np.asarray(threshold)
        fits = numbers.dtype.kind in "iuf" and numbers.shape in ((), (columns,)) and bool(((numbers > 0) & (numbers < 1)).all())
    except ValueError:
        fits = False
    if not fits:
        each = f", or {columns} of them, one for each label" if columns > 1 else ""
        raise UsageError(f"threshold={threshold!r}: give a number between 0 and 1{each}")
    return float(numbers) if numbers.ndim == 0 else numbers.astype(np.float64)


def best_thresholds(p: NDArray[np.float64], y: NDArray[Any], metric: str) -> float | NDArray[np.float64]:
    """`best_threshold` of probabilities p (N, 2) of one answer a row, y (N, 1); of each of several, p and y (N, K), as an array (K,)."""
    if y.shape[1:] == (1,):
        return best_threshold(p[:, 1], y[:, 0], metric)
    return np.array([best_threshold(p[:, k], y[:, k], metric) for k in range(p.shape[1])])


def best_threshold(p: NDArray[np.float64], y: NDArray[Any], metric: str) -> float:
    """The threshold in (0, 1) by which predictions `p > threshold` of labels y (0/1) have the largest `metric`, over all that can be told
    apart; it lies halfway between two probabilities, and of equally good ones nearest to 1/2.

    Raises UsageError for an unknown metric, DataError where only one label occurs.
    """
    if metric not in METRICS:
        raise UsageError(f"metric={metric!r}: a threshold is chosen by {', '.join(METRICS)}")
    labels = y.astype(bool)
    ones, zeros = int(labels.sum()), int((~labels).sum())
    if not ones or not zeros:
        raise DataError(f"y: every label is {int(bool(ones))}; a threshold is chosen on rows of both")
    order = np.argsort(-p, kind="stable")
    ranked, hits = p[order], np.cumsum(labels[order])
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # of runs of equal probabilities
    chosen = np.append(0, ends + 1)
    above, below = np.append(1.0, ranked[ends]), np.append(ranked[0], np.append(ranked[ends[1:]], 0.0))
    between = below + (above - below) / 2
    between = np.where(between < above, between, below)  # where there is no number between
    allowed = (between > 0) & (between < 1)
    quality = METRICS[metric](np.append(0, hits[ends]), chosen, ones, zeros)[allowed]
    best = between[allowed][quality == quality.max()]
    return float(best[np.argmin(np.abs(best - DEFAULT))])
