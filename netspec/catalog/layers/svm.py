"""The head of a classifier trained with the multiclass hinge loss."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.kinds import Head, Target
from netspec.base.layer import BadSample, Sample


class Svm(Head):
    """The class with the largest score.

    Shapes: scores (N, C); labels (N,) integers or one-hot rows (N, C); predictions (N,). It has no probabilities.
    Source: Weston and Watkins, Support vector machines for multi-class pattern recognition, 1999.
    """

    name: ClassVar[str] = "svm"
    target: ClassVar[Target] = "class"
    losses: ClassVar[tuple[str, ...]] = ("hinge",)
    has_probabilities: ClassVar[bool] = False

    def scores(self, classes: int) -> int:
        return classes

    def predict(self, scores: NDArray[Any], threshold: float | NDArray[Any] = 0.5) -> NDArray[Any]:
        return np.asarray(scores.argmax(axis=1))

    def predict_proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        raise UsageError("svm gives scores, not probabilities: use the head softmax, or call predict")

    def confidence(self, scores: NDArray[Any]) -> NDArray[Any]:
        """By how much a class's score exceeds the largest of the others (N, C)."""
        ordered = np.sort(np.asarray(scores, np.float64), axis=1)
        others = np.where(np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None], ordered[:, -2:-1], ordered[:, -1:])
        return np.asarray(scores - others)

    samples = (Sample("svm", (10,)), Sample("svm", (2,)))
    bad_samples = (
        BadSample("svm", (3, 4, 4), "NS404", "svm needs a vector"),
        BadSample("svm(10)", (10,), "NS304", "svm takes no arguments"),
    )
