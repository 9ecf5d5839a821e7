"""The head of a classifier over exclusive classes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Head, Target
from netspec.base.layer import BadSample, Sample


class Softmax(Head):
    """p[c] = exp(s[c]) / sum over k of exp(s[k]). The net gives the logits s; the head gives p when probabilities are asked for.

    Shapes: s (N, C), p (N, C); labels (N,) integers or one-hot rows (N, C); predictions (N,).
    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990.
    """

    name: ClassVar[str] = "softmax"
    target: ClassVar[Target] = "class"
    losses: ClassVar[tuple[str, ...]] = ("cross_entropy",)

    def scores(self, classes: int) -> int:
        return classes

    def predict(self, scores: NDArray[Any], threshold: float | NDArray[Any] = 0.5) -> NDArray[Any]:
        return np.asarray(scores.argmax(axis=1))

    def predict_proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Probabilities (N, C) in float64."""
        powers = np.exp(np.subtract(scores, scores.max(axis=1, keepdims=True), dtype=np.float64))
        powers /= powers.sum(axis=1, keepdims=True)
        return np.asarray(powers)

    def confidence(self, scores: NDArray[Any]) -> NDArray[Any]:
        below = np.subtract(scores, scores.max(axis=1, keepdims=True), dtype=np.float64)
        return np.asarray(below - np.log(np.exp(below).sum(axis=1, keepdims=True)))

    samples = (Sample("softmax", (10,)), Sample("softmax", (2,)))
    bad_samples = (
        BadSample("softmax", (3, 4, 4), "NS404", "softmax needs a vector"),
        BadSample("softmax(10)", (10,), "NS304", "softmax takes no arguments"),
    )
