"""A rate that falls by a factor at equal distances."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.duration import Duration, Length
from netspec.base.schedule import Progress, Rates, RateSchedule


class Step(RateSchedule):
    """lr factor^floor(t / every), t updates done.

    It goes on falling for as long as training goes on. Source: the stairs of Krizhevsky, Sutskever and Hinton, ImageNet classification
    with deep convolutional neural networks, 2012, at fixed distances.
    """

    name: ClassVar[str] = "step"
    every: Annotated[Length, Field(description="from one fall to the next")] = Duration(10, "ep")
    factor: Annotated[float, Field(gt=0, le=1, description="of lr at each fall")] = 0.1

    def rates(self, lr: float, progress: Progress) -> Rates:
        return lr * self.factor ** np.floor(progress.updates / progress.length(self.every))
