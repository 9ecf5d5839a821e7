"""What a row counts in the loss: by its class, and as a caller says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError
from netspec.frontend.program import Program


def balanced(y: NDArray[Any], classes: int) -> NDArray[np.float64]:
    """Weights (classes,) by which each class that occurs in the encoded labels y counts as much as any other, and rows count 1 on average:
    rows / (classes that occur x rows of the class), as scikit-learn's `balanced`. A class that does not occur has weight 1.

    Source: King and Zeng, Logistic regression in rare events data, 2001.
    """
    counts = np.bincount(y.reshape(-1).astype(np.int64), minlength=classes)
    occurs = counts > 0
    return np.where(occurs, counts.sum() / (occurs.sum() * np.maximum(counts, 1)), 1.0)


def of_rows(class_weights: NDArray[np.float64], y: NDArray[Any]) -> NDArray[np.float64]:
    """The weight (N,) of each row with encoded labels y."""
    weights: NDArray[np.float64] = class_weights[y.reshape(-1).astype(np.int64)]
    return weights


def written_out(program: Program) -> NDArray[np.float64] | None:
    """The weights of classes that the text writes out."""
    weights = program.train.class_weights
    return np.asarray(weights, np.float64) if isinstance(weights, tuple) else None


def row_weights(sample_weight: Any, rows: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """A caller's weights (rows,) in `dtype`, None where there are none. Raises DataError for what is no weight."""
    if sample_weight is None:
        return None
    try:
        weights = np.ascontiguousarray(sample_weight, dtype)
    except (TypeError, ValueError):
        weights = np.empty(0, dtype)
    if weights.shape != (rows,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError(f"sample_weight: {rows} finite numbers of at least 0 are needed, one a row")
    return weights
