"""The head of a regression."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.kinds import Head, Target
from netspec.base.layer import BadSample, Sample


class Linear(Head):
    """The last values as they are. A net without a head has this one.

    Shapes: values (N, ...), images included; labels of the same shape, or (N,) for one output; predictions (N, ...), or (N,) for one
    output. It has no probabilities.
    Source: least squares, Legendre 1805.
    """

    name: ClassVar[str] = "linear"
    target: ClassVar[Target] = "value"
    losses: ClassVar[tuple[str, ...]] = ("squared_error", "l1", "huber")
    has_probabilities: ClassVar[bool] = False

    def scores(self, classes: int) -> int:
        return classes

    def predict(self, scores: NDArray[Any], threshold: float | NDArray[Any] = 0.5) -> NDArray[Any]:
        return scores.reshape(len(scores)) if scores.shape[1:] == (1,) else np.asarray(scores)

    def predict_proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        raise UsageError("linear gives values, not probabilities: call predict")

    samples = (Sample("linear", (1,)), Sample("linear", (7,)), Sample("linear", (3, 5, 7)))
    bad_samples = (BadSample("linear(3)", (5,), "NS304", "linear takes no arguments"),)
