"""Figures of a net on rows with labels, in test form, without l2."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Head
from netspec.base.mapped import RowReader
from netspec.base.shape import size
from netspec.plan.network import Network


def accuracy(head: Head, scores: NDArray[Any], y: NDArray[Any]) -> float | None:
    """Share of right predictions (of single answers where a row has several); None for values. y encoded."""
    if head.target == "value":
        return None
    predicted = head.predict(scores)
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


def evaluate(network: Network, x: NDArray[Any] | RowReader, y: NDArray[Any], index: NDArray[np.int64] | None = None) -> dict[str, float]:
    """`{"loss", "accuracy"}`, or `{"loss", "r2", "mae", "rmse"}` for values, over the rows that `index` lists (None: all).

    x as the network takes it, y encoded (N, ...).
    """
    graph = network.graph
    scores, total = network.test_scores(x, network.labels_to_layout(y), index)
    factor = size(graph.output.shape) if graph.loss.per_element else 1
    wanted = y if index is None else y[index]
    figures = {"loss": total / max(len(wanted), 1) / factor}
    share = accuracy(graph.head, scores, wanted)
    return {**figures, "accuracy": share} if share is not None else {**figures, **regression_figures(scores, wanted)}
