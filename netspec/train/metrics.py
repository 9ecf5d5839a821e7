"""How good predictions are, by figures that the field agrees on, from scores and encoded labels in NumPy.

Labels: `class` int64 (N,); `binary` (N, 1) or, with several answers a row, (N, K). Where a quotient is 0 / 0 it is 0, and ROC AUC is NaN
where only one class occurs, all as in scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.kinds import Head

TOP = 5
"""Of so many classes of largest score one is the label, where nobody says another number."""
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ByClass:
    """Figures by class, each (C,), or by answer (K,) where a row has several, which are not `exclusive`.

    `support` counts the rows of a class, `chosen` those that are predicted as it; `roc_auc` is one against the rest.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    roc_auc: Floats
    support: Counts
    chosen: Counts
    exclusive: bool

    @property
    def counted(self) -> NDArray[np.bool_]:
        """The classes that a mean over classes takes in: those that occur as a label or a prediction; of several answers all."""
        return np.asarray((self.support + self.chosen > 0) | (not self.exclusive))

    def macro(self) -> dict[str, float]:
        """Plain means over classes; of ROC AUC over those that it is defined for."""
        means = {name: _mean(getattr(self, name)[self.counted]) for name in ("precision", "recall", "f1")}
        return {**means, "roc_auc": _mean(self.roc_auc[~np.isnan(self.roc_auc)])}


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def by_class(
    head: Head, scores: NDArray[Any], confidence: NDArray[Any], y: NDArray[Any], threshold: float | NDArray[Any] = 0.5
) -> ByClass:  # fmt: skip
    """The figures of scores (N, C) of a head for classes, and of the head's confidence (N, classes) from them."""
    predicted = head.predict(scores, threshold)
    exclusive, classes = predicted.ndim == 1, confidence.shape[1]
    wanted = y.reshape(predicted.shape).astype(np.int64)
    answers = wanted[:, None] == np.arange(classes) if exclusive else wanted > 0
    if exclusive:
        hits, support, chosen = (np.bincount(some, minlength=classes) for some in (wanted[wanted == predicted], wanted, predicted))
    else:
        hits, support, chosen = (some.sum(axis=0) for some in (wanted & predicted, wanted, predicted))
    ranks = _ranks(scores, confidence, exclusive)
    auc = np.array([roc_auc(ranks[:, k], answers[:, k]) for k in range(classes)])
    f1 = _ratio(2 * hits, support + chosen)
    return ByClass(_ratio(hits, chosen), _ratio(hits, support), f1, auc, support, chosen, exclusive)


def _ranks(scores: NDArray[Any], confidence: NDArray[Any], exclusive: bool) -> NDArray[Any]:
    """Numbers (N, classes) that order rows as their confidence does, apart also where that has come to its end in floating point."""
    if not exclusive:
        return scores
    if confidence.shape[1] > 2:
        return confidence
    margin = scores[:, -1] if scores.shape[1] == 1 else np.subtract(scores[:, 1], scores[:, 0], dtype=np.float64)
    return np.stack([-margin, margin], axis=1)


def figures(
    head: Head, scores: NDArray[Any], confidence: NDArray[Any], y: NDArray[Any], found: ByClass, top: int = TOP
) -> dict[str, float]:  # fmt: skip
    """The figures in one number each: `f1` of class 1 where there are two classes, else the plain mean over classes; `top5` (or another
    number, `top`) where there are more exclusive classes than that; `roc_auc`, left out where it is undefined; `log_loss` where the head
    has probabilities."""
    two = found.exclusive and len(found.f1) == 2
    numbers = {"f1": float(found.f1[1]) if two else found.macro()["f1"]}
    if head.target == "class" and scores.shape[1] > top:
        numbers[f"top{top}"] = top_k_accuracy(scores, y, top)
    auc = found.macro()["roc_auc"]
    if not np.isnan(auc):
        numbers["roc_auc"] = auc
    if head.has_probabilities:
        numbers["log_loss"] = log_loss(scores, confidence, y)
    return numbers


def _ratio(part: Counts, whole: Counts) -> Floats:
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def confusion_matrix(head: Head, scores: NDArray[Any], y: NDArray[Any], threshold: float | NDArray[Any] = 0.5) -> Counts:
    """(C, C): how many rows have label i and prediction j. Where a row has several answers (K, 2, 2), such a matrix of 0 and 1 for each."""
    predicted = head.predict(scores, threshold)
    wanted: Counts = y.reshape(predicted.shape).astype(np.int64)
    if predicted.ndim == 2:
        return np.stack([_pairs(wanted[:, k], predicted[:, k], 2) for k in range(wanted.shape[1])])
    return _pairs(wanted, predicted, max(2, scores.shape[1]))


def _pairs(wanted: Counts, predicted: Counts, classes: int) -> Counts:
    return np.bincount(wanted * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def top_k_accuracy(scores: NDArray[Any], y: NDArray[Any], k: int) -> float:
    """Share of the rows whose label is among the k classes of largest score; of equal scores the lower class number counts as larger, as in
    a prediction."""
    own = np.take_along_axis(scores, y[:, None], axis=1)
    before = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < y[:, None]))
    return float(np.mean(before.sum(axis=1) < k))


def require_top(top: Any) -> int:
    """The number of classes, if it is one. Raises UsageError."""
    if isinstance(top, bool) or not isinstance(top, Integral) or top < 1:
        raise UsageError(f"top={top!r}: give a whole number of classes, at least 1")
    return int(top)


def roc_auc(confidence: NDArray[Any], positive: NDArray[Any]) -> float:
    """The probability that a row of the class has more confidence (N,) than one of the rest, a tie counting half; NaN where either is
    missing.

    Source: Hanley and McNeil, The meaning and use of the area under a receiver operating characteristic (ROC) curve, 1982.
    """
    ranked, own = np.sort(confidence), np.sort(confidence[positive.astype(bool)])
    count, rest = len(own), len(ranked) - len(own)
    if count == 0 or rest == 0:
        return float("nan")
    # rows of the class outdo one another in half of all pairs of them, so that they need not be told from the rest
    doubled = int(np.searchsorted(ranked, own, "left").sum()) + int(np.searchsorted(ranked, own, "right").sum()) - count * count
    return doubled / (2 * count * rest)


def log_loss(scores: NDArray[Any], confidence: NDArray[Any], y: NDArray[Any]) -> float:
    """Mean of -log p of the right answer, for confidence log p (N, C), over all answers where a row has several.

    Unlike the loss of training it smooths no labels. Scores (N, K) of several answers are logits, so that log(1 - p) = log p - s.
    """
    if y.shape[1:] not in ((), (1,)):
        return float(np.where(y > 0, -confidence, scores - confidence).mean()) + 0.0  # no -0.0
    return float(-np.take_along_axis(confidence, y.reshape(-1, 1).astype(np.int64), axis=1).mean()) + 0.0
