"""Cross-entropy of exclusive classes, from logits."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Target
from netspec.base.loss import Loss


class CrossEntropy(Loss):
    """loss = log(sum over c of exp(s[c])) - s[label], mean over the batch; the largest logit is taken out first, so nothing overflows.

    Shapes: s (N, C), labels (N,). Gradient: softmax(s) - onehot(label).
    Source: Good, Rational decisions, 1952; the shift is the usual log-sum-exp.
    """

    name: ClassVar[str] = "cross_entropy"
    target: ClassVar[Target] = "class"

    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        top = scores[0]
        for c in range(scores.size):
            top = scores[c] if scores[c] > top else top
        wanted = scores[label] - top
        total = 0.0
        for c in range(scores.size):
            weight = np.exp(scores[c] - top)
            gradient[c] = weight
            total += weight
        share = scale / total
        for c in range(scores.size):
            gradient[c] *= share
        gradient[label] -= scale
        return np.log(total) - wanted

    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        total = np.logaddexp.reduce(scores, axis=1)
        return float(np.mean(total - scores[np.arange(len(scores)), labels]))
