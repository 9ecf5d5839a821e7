"""Binary cross-entropy, from logits."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Target
from netspec.base.loss import Loss


class Bce(Loss):
    """loss = max(s, 0) - s y + log(1 + exp(-|s|)), mean over all N K elements.

    The stable form of -y log p - (1 - y) log(1 - p) with p = 1 / (1 + exp(-s)). Shapes: s, y (N, K). Gradient: p - y.
    Source: Cox, The regression analysis of binary sequences, 1958.
    """

    name: ClassVar[str] = "bce"
    target: ClassVar[Target] = "binary"
    per_element: ClassVar[bool] = True

    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        total = 0.0
        for k in range(scores.size):
            s = scores[k]
            small = np.exp(-np.abs(s))
            total += (s if s > 0.0 else 0.0) - s * label[k] + np.log1p(small)
            gradient[k] = scale * ((1.0 if s >= 0.0 else small) / (1.0 + small) - label[k])
        return total

    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        return float(np.mean(labels * np.logaddexp(0, -scores) + (1 - labels) * np.logaddexp(0, scores)))
