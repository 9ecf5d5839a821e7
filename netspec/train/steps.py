"""How the steps of a training loop are made: all rows of a batch in this process, or shared with others."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netspec.base.mapped import RowReader
from netspec.plan.network import Network
from netspec.plan.plan import Plan
from netspec.plan.shared import SharedSteps
from netspec.train.callbacks import StopTraining
from netspec.train.evaluate import Scored, score, scored
from netspec.train.feed import Window
from netspec.train.team import Team

STOPPING = tuple(number for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)) if number is not None)
"""What ends training after the running steps: Ctrl-C, a polite kill, a terminal that closes."""


class Steps(Protocol):
    """What the loop leaves to whoever makes the steps."""

    def piece(self, plan: Plan) -> int:
        """How many steps are made before the next look at what else is to be done, at most."""

    def train(
        self, plan: Plan, window: Window, starts: NDArray[np.int64], counts: NDArray[np.int64], scalars: NDArray[np.float64],
        losses: NDArray[np.float64],
    ) -> int:  # fmt: skip
        """Steps on the bound rows of a window; returns how many were done: fewer where a loss is not finite, or training is to end."""

    def score(self, x: NDArray[Any] | RowReader, y: NDArray[Any], index: NDArray[np.int64]) -> Scored:
        """Scores and loss of rows, as `evaluate.score`."""

    def tell(self, hook: Callable[..., None], *given: Any) -> None:
        """Calls what hears of training. Raises StopTraining where that asks for it, at once or from `heed`."""

    def heed(self, signalled: int | None, *, agree: bool = False) -> int | None:
        """The signal by which training is to end. With `agree`, at an epoch's end, what each process has heard until now counts. Raises
        StopTraining."""

    def even_out(self) -> None:
        """At an epoch's end: what a process has of its own becomes the same in all."""


class Alone:
    """Many steps in one native call."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def piece(self, plan: Plan) -> int:
        return plan.pace.steps()

    def train(
        self, plan: Plan, window: Window, starts: NDArray[np.int64], counts: NDArray[np.int64], scalars: NDArray[np.float64],
        losses: NDArray[np.float64],
    ) -> int:  # fmt: skip
        return plan.train(window.epoch, window.rows, starts, counts, scalars, losses)

    def score(self, x: NDArray[Any] | RowReader, y: NDArray[Any], index: NDArray[np.int64]) -> Scored:
        return score(self.network, x, y, index)

    def tell(self, hook: Callable[..., None], *given: Any) -> None:
        hook(*given)

    def heed(self, signalled: int | None, *, agree: bool = False) -> int | None:
        return signalled

    def even_out(self) -> None:
        pass


class Together:
    """Each step with the other ranks of a team, which all make the same decisions: what ends training on one of them is told to all."""

    def __init__(self, network: Network, team: Team, signalled: Callable[[], int | None]) -> None:
        self.network, self.team, self.signalled = network, team, signalled
        self._made: SharedSteps | None = None
        self._wish = ""
        """Why a hook of this rank asked for the end."""
        self._told = np.zeros(len(STOPPING) + 1)
        """How many ranks have heard each signal, and how many wish to stop."""

    def _flags(self) -> list[float]:
        heard = self.signalled()
        return [*(float(heard == number) for number in STOPPING), float(bool(self._wish))]

    def piece(self, plan: Plan) -> int:
        """That of rank 0, as a sum to which the others add nothing, and no broadcast: rank 0 too must wait here, with patience, for a rank
        that still reads the rows of the piece; else it would in the first step, without."""
        steps = np.array([float(plan.pace.steps() if self.team.leads else 0)])
        with self.team.patient():
            self.team.add(steps)
        return int(steps[0])

    def train(
        self, plan: Plan, window: Window, starts: NDArray[np.int64], counts: NDArray[np.int64], scalars: NDArray[np.float64],
        losses: NDArray[np.float64],
    ) -> int:  # fmt: skip
        if self._made is None or self._made.plan is not plan:
            self._made = SharedSteps(plan, self.team.share, self.team)
        began = time.perf_counter()
        done, flags = self._made.train(window.epoch, window.order, window.rows, starts, counts, scalars, losses, self._flags)
        plan.pace.note(done, max(time.perf_counter() - began, 1e-9))
        self._told += flags[: len(self._told)]
        return done

    def score(self, x: NDArray[Any] | RowReader, y: NDArray[Any], index: NDArray[np.int64]) -> Scored:
        share, count = self.team.share, len(index)
        own = slice(share.first(count), share.first(count, share.rank + 1))
        found, total = self.network.test_scores(x, self.network.labels_to_layout(y), index[own])
        scores, losses = np.zeros((count, *found.shape[1:]), found.dtype), np.array([total])
        scores[own] = found
        self.team.add(scores)
        self.team.add(losses)
        return scored(self.network, scores, y[index], float(losses[0]))

    def tell(self, hook: Callable[..., None], *given: Any) -> None:
        try:
            hook(*given)
        except StopTraining as stop:
            self._wish = str(stop) or "a callback asked for it"

    def heed(self, signalled: int | None, *, agree: bool = False) -> int | None:
        if agree:
            flags = np.array(self._flags())
            with self.team.patient():  # rank 0 may have a file system to wait for, or a callback
                self.team.add(flags)
            self._told += flags
        heard = [number for number, told in zip(STOPPING, self._told, strict=False) if told]
        if self._told[-1] and not heard:
            raise StopTraining(self._wish or "rank 0 asked for it")
        return heard[0] if heard else None

    def even_out(self) -> None:
        store, team = self.network.store, self.team
        if not team.share.statistics:
            store.state.flat[:] /= team.size  # each has taken averages of its own rows: their mean
            team.add(store.state.flat)
        for array in (store.parameters, store.state, *store.slots.values()):
            team.take_from_first(array.flat)
