"""The mean absolute error."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Target
from netspec.base.loss import Loss


class L1(Loss):
    """loss = |s - y|, mean over all elements.

    Shapes: s, y (N, K), images as rows of all their elements. Gradient: the sign of s - y, 0 where they are equal.
    Source: least absolute deviations, Boscovich 1757.
    """

    name: ClassVar[str] = "l1"
    target: ClassVar[Target] = "value"
    per_element: ClassVar[bool] = True

    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        total = 0.0
        for k in range(scores.size):
            off = scores[k] - label[k]
            gradient[k] = scale if off > 0.0 else (-scale if off < 0.0 else 0.0)
            total += np.abs(off)
        return total

    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        return float(np.mean(np.maximum(scores, labels) - np.minimum(scores, labels)))
