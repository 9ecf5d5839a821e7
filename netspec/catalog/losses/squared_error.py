"""The mean squared error."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Target
from netspec.base.loss import Loss


class SquaredError(Loss):
    """loss = (s - y)^2, mean over all elements, without a factor 1/2.

    Shapes: s, y (N, K), images as rows of all their elements. Gradient: 2 (s - y).
    Source: least squares, Legendre 1805.
    """

    name: ClassVar[str] = "squared_error"
    target: ClassVar[Target] = "value"
    per_element: ClassVar[bool] = True

    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        total = 0.0
        for k in range(scores.size):
            off = scores[k] - label[k]
            gradient[k] = 2.0 * scale * off
            total += off * off
        return total

    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        return float(np.linalg.norm(scores - labels) ** 2 / scores.size)
