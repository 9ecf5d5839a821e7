"""A rate that rises at the beginning, with another schedule behind."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.duration import Duration, Length
from netspec.base.schedule import Progress, Rates, RateSchedule


class Warmup(RateSchedule):
    """lr (t + 1) / T, t updates done of a duration of T; afterwards the schedule `then`, counted from there.

    Without `then` the rate stays at lr. The first factor is 1 / T, the last one 1. Where `then` has no duration of its own it takes the
    rest of the run. Source: Goyal et al., Accurate, large minibatch SGD, 2017, section 2.2.
    """

    name: ClassVar[str] = "warmup"
    duration: Annotated[Length, Field(description="until the rate is lr")] = Duration(1, "ep")
    then: Annotated[RateSchedule | None, Field(description="what follows; default: lr stays")] = None

    def rates(self, lr: float, progress: Progress) -> Rates:
        length = progress.length(self.duration)
        rising = lr * np.minimum((progress.updates + 1) / length, 1.0)
        if self.then is None:
            return rising
        return np.where(progress.updates < length, rising, self.then.rates(lr, progress.behind(self.duration)))
