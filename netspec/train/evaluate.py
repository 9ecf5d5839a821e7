"""Figures of a net on rows with labels, in test form, without l2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Head
from netspec.base.mapped import RowReader
from netspec.base.shape import size
from netspec.plan.network import Network
from netspec.train.metrics import TOP, by_class, figures
from netspec.train.normalize import Normalization, as_input


def accuracy(head: Head, scores: NDArray[Any], y: NDArray[Any], threshold: float | NDArray[Any] = 0.5) -> float | None:
    """Share of right predictions (of single answers where a row has several); None for values. y encoded."""
    if head.target == "value":
        return None
    predicted = head.predict(scores, threshold)
    return float(np.mean(predicted == y.reshape(predicted.shape)))


def regression_figures(predicted: NDArray[Any], y: NDArray[Any]) -> dict[str, float]:
    """r2 (mean over outputs of 1 - residual sum of squares / total sum of squares; 0 for an output that is constant), mae, rmse."""
    predicted = predicted.reshape(len(predicted), -1).astype(np.float64)
    wanted = y.reshape(len(y), -1).astype(np.float64)
    residual = ((wanted - predicted) ** 2).sum(axis=0)
    total = ((wanted - wanted.mean(axis=0)) ** 2).sum(axis=0)
    r2 = np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), np.where(residual > 0, 0.0, 1.0))
    return {
        "r2": float(r2.mean()),
        "mae": float(np.abs(wanted - predicted).mean()),
        "rmse": float(np.sqrt(((wanted - predicted) ** 2).mean())),
    }


PIECE_BATCHES = 16
"""Batches of the test form whose rows are converted together."""


@dataclass(frozen=True)
class Scored:
    """Scores (N, ...) of rows in test form, their encoded labels, and the mean loss, without l2 and without weights of classes."""

    head: Head
    scores: NDArray[Any]
    y: NDArray[Any]
    loss: float

    def headline(self, threshold: float | NDArray[Any] = 0.5) -> dict[str, float]:
        """`{"loss", "accuracy"}`, or `{"loss", "r2", "mae", "rmse"}` for values."""
        share = accuracy(self.head, self.scores, self.y, threshold)
        return {"loss": self.loss, **({"accuracy": share} if share is not None else regression_figures(self.scores, self.y))}

    def figures(self, threshold: float | NDArray[Any] = 0.5, top: int = TOP) -> dict[str, float]:
        """The headline and, for classes, the figures of `metrics.figures`."""
        if self.head.target == "value":
            return self.headline(threshold)
        with np.errstate(invalid="ignore", over="ignore"):  # of scores that are infinite the figures are NaN
            confidence = self.head.confidence(self.scores)
        found = by_class(self.head, self.scores, confidence, self.y, threshold)
        return {**self.headline(threshold), **figures(self.head, self.scores, confidence, self.y, found, top)}


def score(network: Network, x: NDArray[Any] | RowReader, y: NDArray[Any], index: NDArray[np.int64] | None = None) -> Scored:
    """Scores and loss of the rows that `index` lists (None: all). x as the network takes it, y encoded (N, ...)."""
    scores, total = network.test_scores(x, network.labels_to_layout(y), index)
    return scored(network, scores, y if index is None else y[index], total)


def scored(network: Network, scores: NDArray[Any], y: NDArray[Any], total: float) -> Scored:
    """Scores with their encoded labels and the sum of their losses."""
    graph = network.graph
    factor = size(graph.output.shape) if graph.loss.per_element else 1
    return Scored(graph.head, scores, y, total / max(len(y), 1) / factor)


def scores_of(network: Network, rows: NDArray[Any], normalization: Normalization | None) -> NDArray[Any]:
    """Scores of raw rows of the net's shape, normalised piece by piece."""
    step = PIECE_BATCHES * network.training.test.batch
    if len(rows) <= step:
        return network.test_scores(as_input(rows, normalization, network.dtype))[0]
    pieces = [rows[start : start + step] for start in range(0, len(rows), step)]
    return np.concatenate([network.test_scores(as_input(piece, normalization, network.dtype))[0] for piece in pieces])
