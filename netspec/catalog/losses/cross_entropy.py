"""Cross-entropy of exclusive classes, from logits."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netspec.base.kinds import Target
from netspec.base.loss import Loss


class SmoothedCrossEntropy(Loss):
    """loss = log(sum over c of exp(s[c])) - sum over c of t[c] s[c], mean over the batch, where t is 1 - e at the label, and e / C more at
    every class, for the label smoothing e.

    Shapes: s (N, C), labels (N,). Gradient: softmax(s) - t.
    Source: Szegedy and others, Rethinking the inception architecture for computer vision, 2016.
    """

    name: ClassVar[str] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="share of a label that all classes get alike")] = 0.1
    target: ClassVar[Target] = "class"

    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any, label_smoothing: Any) -> Any:
        top = scores[0]
        classes = 0.0
        for c in range(scores.size):
            top = scores[c] if scores[c] > top else top
            classes += 1.0
        wanted = scores[label] - top
        below = 0.0
        total = 0.0
        for c in range(scores.size):
            weight = np.exp(scores[c] - top)
            below += scores[c] - top
            gradient[c] = weight
            total += weight
        mixed = label_smoothing / classes
        share = scale / total
        for c in range(scores.size):
            gradient[c] = gradient[c] * share - scale * mixed
        gradient[label] -= scale * (1.0 - label_smoothing)
        return np.log(total) - (1.0 - label_smoothing) * wanted - mixed * below

    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        e, classes = self.label_smoothing, scores.shape[1]
        targets = (1 - e) * np.eye(classes)[labels] + e / classes
        return float(np.mean(np.logaddexp.reduce(scores, axis=1) - (targets * scores).sum(axis=1)))


class CrossEntropy(Loss):
    """loss = log(sum over c of exp(s[c])) - s[label], mean over the batch; the largest logit is taken out first, so nothing overflows.

    Shapes: s (N, C), labels (N,). Gradient: softmax(s) - onehot(label).
    Source: Good, Rational decisions, 1952; the shift is the usual log-sum-exp.
    """

    name: ClassVar[str] = "cross_entropy"
    target: ClassVar[Target] = "class"
    smoothed: ClassVar[type[Loss] | None] = SmoothedCrossEntropy

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
