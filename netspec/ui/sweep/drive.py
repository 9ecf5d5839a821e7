"""The sweep itself: workers are started while trials wait, missed when they die, and ended by a signal or when time is up."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from netspec.base.errors import Interrupted, NetspecError
from netspec.train.loop import Signals
from netspec.ui.sweep.crew import Crew, Worker, miss
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.storage import optuna, quietly
from netspec.ui.sweep.study import care_for, forsaken, numbered

LOOK_SECONDS = 1.0
"""Between two looks at the study, which other machines change."""
TICK_SECONDS = 0.2
FORSAKEN_SECONDS = 10.0
"""For so long nobody may care for a trial, before it is taken up."""
MOST_FRUITLESS = 5
"""Workers in a row that may die before any of them takes a trial."""


class LostWorkersError(NetspecError):
    """Workers died, and what they were to do could not be done."""

    exit_code = 7


class StoppedError(NetspecError):
    """A worker met what is no trial's fault: the sweep ends, with the worker's words and code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


class Watcher(Protocol):
    """Hears how the sweep goes on."""

    def looked(self, workers: Sequence[Worker]) -> None:
        """About once a second: the study may have changed."""

    def heard(self, worker: Worker, event: dict[str, Any]) -> None:
        """A worker has begun a trial, or come to the end of an epoch or a trial."""

    def lost(self, worker: Worker, trial: int | None) -> None:
        """A worker is gone, and had not said so."""


@dataclass
class Drive:
    """One process of a sweep, with workers of its own. `waits` asks whether trials wait or run anywhere."""

    order: Order
    study: Any
    storage: Any
    crew: Crew
    watcher: Watcher
    fruitless: int = 0
    lost: int = 0
    """Workers that died."""
    _looked_at: float = field(default=0.0)
    _checked_at: float = field(default=0.0)
    _forsaken: dict[int, float] = field(default_factory=dict)
    """Since when attempts have been."""

    def run(self, seconds: float | None) -> bool:
        """Until every trial has come to an end, here or elsewhere; False where the time was up before. Raises Interrupted after a signal,
        StoppedError, LostWorkersError. No worker is left behind, and no trial of theirs is held."""
        signals = Signals()
        end = None if seconds is None else time.monotonic() + seconds
        try:
            with signals.noted():
                while self._go_on():
                    if signals.number is not None:
                        self._stop()
                        word = signal.Signals(signals.number).name
                        raise Interrupted(signals.number, f"stopped by {word}")
                    if end is not None and time.monotonic() >= end:
                        self._stop()
                        return False
            return True
        except (StoppedError, LostWorkersError):
            self._stop()
            raise
        finally:
            self.crew.kill()

    def _go_on(self) -> bool:
        """One turn; False where nothing is left to do."""
        for worker, event in self.crew.events(TICK_SECONDS if self._looked_at else 0.0):
            if event["event"] == "error":
                raise StoppedError(event["message"], event["code"])
            if event["event"] == "trial":
                self.fruitless = 0
            self.watcher.heard(worker, event)
        for worker in self.crew.gone():
            self._miss(worker)
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS and self.crew.workers:
            return True
        self._looked_at = now
        if now - self._checked_at >= self.order.heartbeat:
            self._checked_at = now
            with quietly():
                optuna().storages.fail_stale_trials(self.study)
        self._care(now)
        states = optuna().trial.TrialState
        waiting, running = (len(numbered(self.study, [one])) for one in (states.WAITING, states.RUNNING))
        while waiting > sum(one.trial is None for one in self.crew.workers) and len(self.crew.workers) < self.crew.size:
            self.crew.start()
        self.watcher.looked(self.crew.workers)
        if waiting or running or self.crew.workers:
            return True
        return bool(self._forsaken)

    def _care(self, now: float) -> None:
        """Takes up trials that have been forsaken for some time."""
        found = {one.number: one for one in forsaken(self.study)}
        self._forsaken = {number: self._forsaken.get(number, now) for number in found}
        for number, since in self._forsaken.items():
            if now - since >= FORSAKEN_SECONDS:
                care_for(self.study, found[number])

    def _miss(self, worker: Worker) -> None:
        """A worker has ended: well, by its own words, or it died."""
        for one, event in self.crew.events(0.01):  # what it said last
            if event["event"] == "error":
                raise StoppedError(event["message"], event["code"])
            self.watcher.heard(one, event)
        if worker.process.returncode == 0:
            return
        self.lost += 1
        self.fruitless += not worker.took
        trial = miss(self.order, self.study, self.storage, worker)
        self.watcher.lost(worker, trial)
        if self.fruitless >= MOST_FRUITLESS:
            said = worker.said()
            raise LostWorkersError(
                f"{MOST_FRUITLESS} workers in a row {death(worker)} before they took a trial{f': {said}' if said else ''}"
            )

    def _stop(self) -> None:
        for worker in self.crew.stop():
            miss(self.order, self.study, self.storage, worker, "interrupted")


def death(worker: Worker) -> str:
    """`died of SIGKILL`, `ended with code 1`."""
    code = worker.process.returncode
    try:
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    except ValueError:
        return f"died of signal {-code}"
