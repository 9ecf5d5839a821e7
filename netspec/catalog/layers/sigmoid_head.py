"""The head of yes-no questions, written `sigmoid` as the last layer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Head, Target
from netspec.base.layer import BadSample, Sample


class SigmoidHead(Head):
    """p[k] = 1 / (1 + exp(-s[k])). The net gives the logits s; one logit stands for two classes, K for K labels of their own.

    Shapes: s (N, 1) or (N, K); labels 0/1, (N,), (N, 1) or (N, K), or (N, ...) of K elements, flattened; predictions 0/1, (N,) or
    (N, K), 1 where p exceeds the threshold; probabilities (N, 2) or (N, K).
    Source: Cox, The regression analysis of binary sequences, 1958.
    """

    name: ClassVar[str] = "sigmoid"
    target: ClassVar[Target] = "binary"
    losses: ClassVar[tuple[str, ...]] = ("bce",)

    def scores(self, classes: int) -> int:
        return 1 if classes == 2 else classes

    def predict(self, scores: NDArray[Any], threshold: float | NDArray[Any] = 0.5) -> NDArray[Any]:
        chosen = (_logistic(scores) > threshold).astype(np.int64)
        return chosen[:, 0] if chosen.shape[1] == 1 else chosen

    def predict_proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Probabilities in float64: (N, 2) of class 0 and 1 for one score, else (N, K)."""
        return _logistic(np.hstack([-scores, scores]) if scores.shape[1] == 1 else scores)

    def confidence(self, scores: NDArray[Any]) -> NDArray[Any]:
        both = np.hstack([-scores, scores]) if scores.shape[1] == 1 else scores
        return np.asarray(-np.logaddexp(0, -both.astype(np.float64)))

    samples = (Sample("sigmoid", (1,)), Sample("sigmoid", (5,)))
    bad_samples = (BadSample("sigmoid", (3, 4, 4), "NS404", "sigmoid needs a vector"),)


def _logistic(x: NDArray[Any]) -> NDArray[np.float64]:
    small = np.exp(-np.abs(x, dtype=np.float64))
    return np.asarray(np.where(x >= 0, 1, small) / (1 + small))
