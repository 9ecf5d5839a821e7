"""Training steps whose batches several processes share: each computes its part of the rows, the gradients are added up, all update alike.

A process's gradients are those of its rows' losses over the number of all rows, so that their sum is the gradient of the batch's mean
loss. Behind them in the same buffer goes what else all have to know of a step: the loss, and whether some process is to stop. Launches
that exchange something (statistics of bn over the whole batch) end a run of waves; the next one begins when every part is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netspec.kernels.context import TAIL, Share
from netspec.kernels.native import FIRST, OTHERS, ROWS, SCALARS, START
from netspec.plan.plan import Plan, shuffle, thread_pool

FLAGS = TAIL - 1
"""Numbers that each process may put behind its gradients and loss; what all get is their sum."""


class Collective(Protocol):
    """What the processes of a run do together; each call ends when all have made it."""

    def add(self, values: NDArray[Any]) -> None:
        """Each process's array becomes the sum of all."""

    def gather(self, parts: NDArray[Any]) -> None:
        """Row r of (ranks, n) becomes that of process r."""


class SharedSteps:
    """The steps of one plan, on the rows that are bound to it."""

    def __init__(self, plan: Plan, share: Share, collective: Collective) -> None:
        self.plan, self.share, self.collective = plan, share, collective
        self._gradients = plan.array("gradients")
        waves = plan.layout.waves
        self._ends: dict[int, list[NDArray[Any]]] = {}
        """By wave, what is exchanged after it."""
        for number, wave in enumerate(waves):
            launches = plan.layout.lowered.launches[wave.first : wave.last]
            found = [plan.array(launch.exchanged.name).reshape(share.ranks, -1) for launch in launches if launch.exchanged is not None]
            if found:
                self._ends[number + 1] = found
        self._update = next((number for number, wave in enumerate(waves) if wave.section == "update"), len(waves))
        self._last = len(waves)

    def train(
        self, epoch: int, order: NDArray[np.int64], rows: NDArray[np.int64], starts: NDArray[np.int64], counts: NDArray[np.int64],
        scalars: NDArray[np.float64], losses: NDArray[np.float64], flags: Callable[[], Sequence[float]],
    ) -> tuple[int, NDArray[np.float64]]:  # fmt: skip
        """As `Plan.train`, step by step, with the `order` that is bound; `flags` is asked in each, for at most FLAGS numbers. A step after
        which some flag is not 0 is the last one. Returns how many steps were done and the sums of the flags. The parameters must be the
        same in all processes."""
        plan, store = self.plan, self.plan.store
        control, threads = store.control, plan.pace.threads
        summed = np.zeros(FLAGS)
        try:
            with thread_pool(threads):
                for step, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
                    if start == 0 and epoch >= 0:
                        shuffle(order, rows, store.seed, epoch)
                    first = self.share.first(count)
                    own = self.share.first(count, self.share.rank + 1) - first
                    control[ROWS], control[START], control[FIRST], control[OTHERS] = own, start + first, first, count - own
                    control[SCALARS : SCALARS + scalars.shape[1]] = scalars[step].view(np.int64)
                    self._compute(threads)
                    losses[step], summed = self._add(flags())
                    if not np.isfinite(losses[step, 0]):
                        return step, summed
                    plan.run_waves(self._update, self._last, threads)
                    store.step += 1
                    if summed.any():
                        return step + 1, summed
        finally:
            control[FIRST] = control[OTHERS] = 0
        return len(starts), summed

    def _compute(self, threads: int) -> None:
        """Forward, loss and backward of this process's rows."""
        begin = 0
        for end, exchanged in self._ends.items():
            self.plan.run_waves(begin, end, threads)
            for parts in exchanged:
                self.collective.gather(parts)
            begin = end
        self.plan.run_waves(begin, self._update, threads)

    def _add(self, flags: Sequence[float]) -> tuple[tuple[float, float], NDArray[np.float64]]:
        """Gradients, loss and flags become those of all; returns the loss (total, data part) and the flags."""
        total, data = self.plan.array("loss").view(np.float64)[:2].tolist()
        tail = self._gradients[-TAIL:]
        tail[:] = 0
        tail[0], tail[1 : 1 + len(flags)] = data, flags
        self.collective.add(self._gradients)
        whole = float(tail[0])
        return (whole + (total - data), whole), tail[1:].astype(np.float64)
