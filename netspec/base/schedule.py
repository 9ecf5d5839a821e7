"""The contract of a learning-rate schedule: the rate of each update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netspec.base.duration import Duration
from netspec.base.entry import Entry

Rates = NDArray[np.float64]


@dataclass(frozen=True)
class Progress:
    """Where training stands: `updates` (n,) counts those done before each of the updates whose rates are asked for. An epoch has
    `steps_per_epoch` updates, the run `run_updates`, both perhaps infinite; `losses` are the figures of the epochs that are over."""

    updates: Rates
    steps_per_epoch: float
    run_updates: float
    losses: Sequence[float] = ()

    def length(self, duration: Duration | None) -> float:
        """A duration in updates; the whole run where none is given."""
        return self.run_updates if duration is None else duration.updates(self.steps_per_epoch)

    def share(self, duration: Duration | None) -> Rates:
        """How much of a duration is over, (n,) from 0 to 1."""
        return np.clip(self.updates / self.length(duration), 0.0, 1.0)

    def behind(self, duration: Duration) -> Progress:
        """The same counted from the end of a duration."""
        length = duration.updates(self.steps_per_epoch)
        epochs = int(length // self.steps_per_epoch)
        return replace(
            self,
            updates=np.maximum(self.updates - length, 0.0),
            run_updates=max(self.run_updates - length, 1.0),
            losses=self.losses[epochs:],
        )


class RateSchedule(Entry, ABC):
    """A file in catalog/schedules declares its formula, and what holds after its duration, in the docstring, and implements `rates`."""

    @abstractmethod
    def rates(self, lr: float, progress: Progress) -> Rates:
        """The learning rate of each update (n,), in float64; `lr` is the optimiser's. It depends on nothing but its arguments, so that
        training in several calls is training in one. NumPy functions on whole arrays."""
