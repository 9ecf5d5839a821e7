"""The Huber loss: squared near, absolute far."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netspec.base.kinds import Target
from netspec.base.loss import Loss


class Huber(Loss):
    """loss = d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), for d = s - y; mean over all elements.

    Shapes: s, y (N, K), images as rows of all their elements. Gradient: d, cut off at -delta and delta.
    Source: Huber, Robust estimation of a location parameter, 1964.
    """

    name: ClassVar[str] = "huber"
    delta: Annotated[float, Field(gt=0, description="where the loss turns from squared to absolute")] = 1.0
    target: ClassVar[Target] = "value"
    per_element: ClassVar[bool] = True

    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any, delta: Any) -> Any:
        total = 0.0
        for k in range(scores.size):
            off = scores[k] - label[k]
            cut = -delta if off < -delta else (delta if off > delta else off)  # this way round, a NaN reaches the loss
            gradient[k] = scale * cut
            total += cut * (off - 0.5 * cut)
        return total

    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        size = np.abs(scores - labels)
        return float(np.mean(np.where(size <= self.delta, size**2 / 2, self.delta * (size - self.delta / 2))))
