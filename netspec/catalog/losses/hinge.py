"""The multiclass hinge loss."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Target
from netspec.base.loss import Loss


class Hinge(Loss):
    """loss = sum over c != label of max(0, s[c] - s[label] + 1), mean over the batch.

    Shapes: s (N, C), labels (N,). Gradient: 1 for each c inside the margin, and minus their number for the label.
    Source: Weston and Watkins, Support vector machines for multi-class pattern recognition, 1999.
    """

    name: ClassVar[str] = "hinge"
    target: ClassVar[Target] = "class"

    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        wanted = scores[label]
        total = 0.0
        inside = 0.0
        for c in range(scores.size):
            margin = 0.0 if c == label else scores[c] - wanted + 1.0
            counted = 0.0 if margin <= 0.0 else 1.0  # this way round, a NaN reaches the loss
            gradient[c] = counted * scale
            total += 0.0 if margin <= 0.0 else margin
            inside += counted
        gradient[label] = -scale * inside
        return total

    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        wanted = np.take_along_axis(scores, labels[:, None], axis=1)
        return float(np.maximum(0, scores - wanted + 1).sum(axis=1).mean() - 1)
