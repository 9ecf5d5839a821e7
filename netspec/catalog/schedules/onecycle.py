"""A rate that rises to a maximum and falls far below where it began."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.duration import Length
from netspec.base.schedule import Progress, Rates, RateSchedule


class OneCycle(RateSchedule):
    """From max_lr / start to max_lr over the first `rise` of the updates, then to max_lr / start / end, each along half a cosine.

    The optimiser's lr is not used where max_lr is given. The first of T updates has the first rate, update `rise` T the maximum (of few
    updates none may lie there), the last one the last rate, which holds afterwards. Without a duration T is the whole run (train.epochs).
    Momentum is left alone. Source: Smith and Topin, Super-convergence, 2018, with cosines and the proportions of PyTorch's OneCycleLR.
    """

    name: ClassVar[str] = "onecycle"
    max_lr: Annotated[float | None, Field(gt=0, description="the highest rate; default: lr")] = None
    duration: Annotated[Length | None, Field(description="the whole cycle; default: the whole run")] = None
    rise: Annotated[float, Field(gt=0, lt=1, description="share of the duration until the maximum")] = 0.3
    start: Annotated[float, Field(ge=1, description="the maximum over the first rate")] = 25.0
    end: Annotated[float, Field(ge=1, description="the first rate over the last")] = 1e4

    @classmethod
    def positionals(cls) -> tuple[str, ...]:
        return ("max_lr", "duration")

    def rates(self, lr: float, progress: Progress) -> Rates:
        top = lr if self.max_lr is None else self.max_lr
        first = top / self.start
        last, length, t = first / self.end, progress.length(self.duration), progress.updates
        peak = self.rise * length - 1  # below 0 where the first update is behind the maximum
        up, down = np.clip(t / peak, 0, 1) if peak > 0 else np.ones(np.shape(t)), np.clip((t - peak) / (length - 1 - peak), 0, 1)
        return np.where(t <= peak, _between(first, top, up), _between(top, last, down))


def _between(one: float, other: float, share: Rates) -> Rates:
    """From one rate to the other along half a cosine."""
    return other + (one - other) * 0.5 * (1 + np.cos(np.pi * share))
