"""A rate that falls along half a cosine."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.duration import Length
from netspec.base.schedule import Progress, Rates, RateSchedule


class Cosine(RateSchedule):
    """lr (end + (1 - end) (1 + cos(pi t / T)) / 2), t updates done of a duration of T.

    Afterwards it stays at lr end. Without a duration T is the whole run (train.epochs). Source: Loshchilov and Hutter, SGDR: stochastic
    gradient descent with warm restarts, 2017, equation 5, without restarts.
    """

    name: ClassVar[str] = "cosine"
    duration: Annotated[Length | None, Field(description="until the end; default: the whole run")] = None
    end: Annotated[float, Field(ge=0, le=1, description="share of lr at the end")] = 0.0

    def rates(self, lr: float, progress: Progress) -> Rates:
        return lr * (self.end + (1 - self.end) * 0.5 * (1 + np.cos(np.pi * progress.share(self.duration))))
