"""A rate that falls when the loss no longer does."""

from __future__ import annotations

from math import ceil
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.duration import Duration, Length
from netspec.base.schedule import Progress, Rates, RateSchedule


class Plateau(RateSchedule):
    """lr factor^k, where k counts how often the loss stayed without progress for more than `patience` epochs in a row.

    The loss is that of the validation rows at each epoch's end, or of the training where there are none; it makes progress where it is
    below (1 - threshold) times the best one so far. After a fall patience begins anew, the best loss stays. A patience in updates counts
    the epochs that they begin. It goes on for as long as training goes on. Source: PyTorch's ReduceLROnPlateau.
    """

    name: ClassVar[str] = "plateau"
    patience: Annotated[Length, Field(description="epochs without progress that pass before the rate falls")] = Duration(3, "ep")
    factor: Annotated[float, Field(gt=0, le=1, description="of lr at each fall")] = 0.5
    threshold: Annotated[float, Field(ge=0, lt=1, description="by what share the loss must fall to make progress")] = 1e-4

    def rates(self, lr: float, progress: Progress) -> Rates:
        patience = ceil(progress.length(self.patience) / progress.steps_per_epoch) if progress.losses else 0
        best, waited, falls = np.inf, 0, 0
        for loss in progress.losses:
            waited = 0 if loss < best * (1 - self.threshold) else waited + 1
            best = loss if waited == 0 else best
            if waited > patience:
                waited, falls = 0, falls + 1
        return np.full(len(progress.updates), lr * self.factor**falls)
