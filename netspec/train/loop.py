"""The training loop: epochs of native steps, figures at each epoch's end, the best parameters kept, signals and progress heard."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DivergedError, Interrupted
from netspec.base.optimizer import Optimizer
from netspec.base.schedule import Progress, RateSchedule
from netspec.base.stopping import StoppingRule
from netspec.plan.network import Network, train_rows
from netspec.plan.plan import Plan
from netspec.train.callbacks import StopTraining
from netspec.train.fault import find_fault
from netspec.train.feed import Material, Window, feed_of
from netspec.train.history import History
from netspec.train.steps import STOPPING, Alone, Steps, Together
from netspec.train.team import Team

VECTOR = 64
ENDLESS = 1 << 50
"""Steps of an epoch whose length nobody knows: it never ends."""


class Monitor(Protocol):
    """Hears how training goes on. All calls come from the training thread."""

    def begin(self, *, first_epoch: int, epochs: int, steps_per_epoch: int, rows: int) -> None: ...

    def steps(self, *, epoch: int, step: int, loss: float, rows_per_second: float, done: int) -> None:
        """About ten times a second: `step` counts all updates, `done` the steps of this epoch."""

    def epoch(self, row: dict[str, Any]) -> None:
        """The epoch's row of the history."""

    def end(self) -> None: ...


@dataclass(frozen=True)
class Schedule:
    """How long and how: epochs, batches, the factor on lr after each epoch, rows sampled for the training accuracy, how the rate changes
    in a run of `run_epochs`."""

    optimizer: Optimizer
    epochs: int
    batch: int
    lr_decay: float = 1.0
    drop_last: bool = False
    monitor_rows: int = 1000
    rate: RateSchedule | None = None
    run_epochs: int = 1

    def scalars(
        self, first: int, count: int, epoch: int, steps_per_epoch: int = ENDLESS, losses: Sequence[float] = ()
    ) -> NDArray[np.float64]:
        """The optimiser's scalars of the updates `first`, ..., (count, names), lr first. Updates and epochs count from 1; `losses` are the
        figures of the epochs before."""
        # by whole vectors: NumPy may round the last few numbers of an array differently, and a piece of steps may end anywhere
        size = -(-count // VECTOR) * VECTOR
        updates = np.arange(first, first + size, dtype=np.float64)
        progress = Progress(updates - 1, steps_per_epoch, self.run_epochs * steps_per_epoch, losses)
        lr = np.full(size, float(self.optimizer.lr)) if self.rate is None else self.rate.rates(self.optimizer.lr, progress)
        table = self.optimizer.scalars(updates)  # type: ignore[arg-type]  # arithmetic, so arrays pass too
        columns = [lr * self.lr_decay ** (epoch - 1), *(np.broadcast_to(column, size) for column in table.values())]
        return np.ascontiguousarray(np.stack(columns, axis=1)[:count])


def batches(rows: int, batch: int, drop_last: bool, join_single: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and sizes of an epoch's batches. `join_single` joins a last batch of one row to the one before it."""
    starts = np.arange(0, rows, batch, dtype=np.int64)
    counts = np.minimum(batch, rows - starts)
    if counts[-1] < batch and drop_last and len(starts) > 1:
        return starts[:-1].copy(), counts[:-1].copy()
    if counts[-1] == 1 and join_single and len(starts) > 1:
        starts, counts = starts[:-1].copy(), counts[:-1].copy()
        counts[-1] += 1
    return starts, counts


CURES = "Usual cures: a smaller learning rate (train.lr), normalised inputs (data.normalize), bn, clip"


class Signals:
    """STOPPING noted instead of raised, so that a step is never torn; a second SIGINT interrupts at once. What is ignored, as `nohup` and
    a shell's background jobs have it, stays ignored."""

    def __init__(self) -> None:
        self.number: int | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {number: signal.getsignal(number) for number in STOPPING}
        # None: not installed by Python, which could not put it back
        before = {number: handler for number, handler in handlers.items() if handler not in (None, signal.SIG_IGN)}

        def note(number: int, _frame: Any) -> None:
            if self.number is not None and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.number = number

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@dataclass
class Best:
    """The parameters of the best epoch so far: highest accuracy, or lowest loss for values; the earliest on a tie. Before there is one,
    perhaps those that training began with, by which nothing but a net that diverged is restored."""

    score: float = -np.inf
    epoch: int = 0
    step: int = 0
    """Updates done by the end of that epoch."""
    parameters: NDArray[Any] | None = None
    state: NDArray[Any] | None = None

    @property
    def is_known(self) -> bool:
        """Whether an epoch was measured."""
        return self.epoch > 0

    def offer(self, network: Network, epoch: int, figures: dict[str, float]) -> bool:
        score = figures["accuracy"] if "accuracy" in figures else -figures["loss"]
        if not score > self.score or not math.isfinite(figures["loss"]):
            return False
        self.keep(network)
        self.score, self.epoch, self.step = score, epoch, network.store.step
        return True

    def keep(self, network: Network) -> None:
        """Takes a copy of the network's parameters and averages."""
        if self.parameters is None or self.state is None:
            self.parameters, self.state = network.store.parameters.flat.copy(), network.store.state.flat.copy()
        else:
            self.parameters[:], self.state[:] = network.store.parameters.flat, network.store.state.flat

    def arrays(self, network: Network) -> dict[str, NDArray[Any]]:
        """Views of those of the best epoch by the network's names; nothing before there is one."""
        if not self.is_known or self.parameters is None or self.state is None:
            return {}
        return {**network.store.parameters.over(self.parameters), **network.store.state.over(self.state)}

    def restore(self, network: Network) -> None:
        """Puts those of the best epoch in place, where there is one."""
        if self.is_known:
            self.put_back(network)

    def put_back(self, network: Network) -> None:
        """Puts in place what is kept."""
        if self.parameters is not None and self.state is not None:
            network.store.parameters.flat[:], network.store.state.flat[:] = self.parameters, self.state


EpochHook = Callable[[dict[str, Any]], None]
"""Called at an epoch's end with its row."""
StepsHook = Callable[[int, NDArray[np.float64]], None]
"""Called after each piece with the number of updates done and the losses (K,) of the piece's steps."""


class Training:
    """One call of fit: continues from the network's parameters, slots, step and `epochs_done`, in the middle of an epoch where
    `steps_done` of its steps are."""

    def __init__(
        self, network: Network, schedule: Schedule, train: Material, validation: Material | None, *, epochs_done: int = 0,
        monitor: Monitor | None = None, early_stop: StoppingRule | None = None, history: History | None = None, team: Team | None = None,
    ) -> None:  # fmt: skip
        self.network, self.schedule, self.material, self.validation = network, schedule, train, validation
        self.epochs_done, self.monitor, self.early_stop = epochs_done, monitor, early_stop
        self.folder: Path | None = None
        """The run folder that is written, if one is."""
        self.steps_done = 0
        """Of the epoch that is not over."""
        self.keeps_losses = True
        """Whether the history keeps the losses of epochs that are over, and not the first and last alone: of a long run they are many."""
        self.on_begin: Callable[[], None] | None = None
        self.on_steps: StepsHook | None = None
        self.on_epoch: EpochHook | None = None
        self.history = history if history is not None else History()
        self.first_row = len(self.history.epochs)
        """Of the history's epochs, the first that the stopping rule looks at."""
        self.best = Best()
        self.signals = Signals()
        self._steps: Steps = Alone(network) if team is None else Together(network, team, lambda: self.signals.number)
        self._figures: list[float] = []
        """Of the epochs before, for schedules."""
        self._starts, self._counts = batches(len(train), schedule.batch, schedule.drop_last, network.graph.normalizes_vectors)
        self._feed = feed_of(train, network.labels_to_layout(train.y), self._starts, self._counts, network.store.seed)
        self.steps_per_epoch = len(self._starts)
        self.began = time.perf_counter()
        """When training began, or would have to go on as long as it has."""

    @property
    def losses_of_epoch(self) -> list[float]:
        """The losses of the steps done of the epoch that is not over."""
        return self.history.loss[-self.steps_done :] if self.steps_done else []

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """The learning rates (count,) of updates of the epoch that is not over; the first update of all has the number 1."""
        return self.schedule.scalars(first, count, self.epochs_done + 1, self.steps_per_epoch, self._figures)[:, 0]

    def run(self) -> History:
        """Trains; the parameters are then those of the last step, and those of the best validation epoch are in `best`.

        A hook that raises StopTraining, or the stopping rule, ends it early. Raises DivergedError when a loss is not finite, Interrupted
        after SIGINT or SIGTERM; parameters are then those of the last step. `history.stopped` says why in all of these cases.
        """
        network, schedule = self.network, self.schedule
        plan = network.plan(train_rows(network.graph, network.settings), weighted=self.material.weights is not None)
        evaluation = network.plan(1, train=False)
        starts, counts = self._starts, self._counts
        if self.best.parameters is None:
            self.best.keep(network)  # until an epoch is better, those of the beginning
        if self.monitor:
            self.monitor.begin(
                first_epoch=self.epochs_done + 1, epochs=schedule.epochs, steps_per_epoch=self.steps_per_epoch, rows=len(self.material)
            )
        self.history.stopped = None
        try:
            with self.signals.noted():
                self._figures = self.history.figures
                if self.on_begin:
                    self._steps.tell(self.on_begin)
                self._stop_if_asked(self.epochs_done + 1, agree=True)
                if self.steps_done == 0 and self.first_row < len(self.history.epochs):
                    self._stop_if_no_better()  # a run that goes on, and had come to its end
                for epoch in range(self.epochs_done + 1, self.epochs_done + schedule.epochs + 1):
                    self._epoch(plan, epoch, starts, counts)
                    self._finish(epoch)
                self._require_measured()
        except StopTraining as stop:
            self.history.stopped = str(stop)
        except (DivergedError, Interrupted) as error:
            self.history.stopped = str(error)
            raise
        finally:
            plan.release()
            evaluation.release()
            if self.monitor:
                self.monitor.end()
        return self.history

    def _require_measured(self) -> None:
        """Raises DivergedError where no epoch left weights by which the validation rows have a loss."""
        if self.validation is not None and len(self.history.epochs) > self.first_row and not self.best.is_known:
            raise DivergedError(f"the loss of the validation rows is infinite or NaN after every epoch. {CURES}")

    def _bind(self, plan: Plan, window: Window) -> None:
        """Before every piece: a callback, or another thread, may have computed with the same plan between."""
        plan.bind(x=window.x, y=window.y, order=window.order)
        plan.bind_weights(window.weights)
        self.network.store.update_state(True)
        self.network.store.augment(True)

    def _epoch(self, plan: Plan, epoch: int, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """All steps of an epoch that are still to be done."""
        store, before = self.network.store, self._figures
        while (done := self.steps_done) < len(starts):
            window = self._feed.window(epoch, done)
            some = slice(done, min(done + self._steps.piece(plan), window.last))
            losses = np.zeros((some.stop - done, 2))
            scalars = self.schedule.scalars(store.step + 1, len(losses), epoch, self.steps_per_epoch, before)
            began = time.perf_counter()
            with self.network.lock:
                self._bind(plan, window)
                steps = self._steps.train(plan, window, starts[some] - window.offset, counts[some], scalars, losses)
            seconds = max(time.perf_counter() - began, 1e-9)
            self.history.loss.extend(losses[:steps, 0].tolist())
            self.steps_done += steps
            if steps < len(losses) and not math.isfinite(losses[steps, 0]):
                first = starts[done + steps] - window.offset
                self._diverged(epoch, float(losses[steps, 0]), window, slice(first, first + counts[done + steps]), bool(steps))
            if self.monitor:
                rate = float(counts[some].sum()) / seconds
                loss = float(losses[steps - 1, 0])
                self.monitor.steps(epoch=epoch, step=store.step, loss=loss, rows_per_second=rate, done=self.steps_done)
            self._stop_if_asked(epoch)
            if self.on_steps:
                self._steps.tell(self.on_steps, store.step, losses[:steps, 0].copy())

    def _finish(self, epoch: int) -> None:
        """The epoch's figures, its row, the best parameters."""
        self._stop_if_asked(epoch, agree=True)
        self._steps.even_out()
        # math.fsum: the same whatever pieces the steps came in
        mean_loss = math.fsum(self.history.loss[-self.steps_per_epoch :]) / self.steps_per_epoch
        step = self.network.store.step
        last = self.schedule.scalars(step, 1, epoch, self.steps_per_epoch, self._figures)
        row: dict[str, Any] = {"epoch": epoch, "step": step, "lr": float(last[0, 0]), "loss": mean_loss}
        row["train_accuracy"] = self._train_accuracy(epoch)
        held = self.validation
        figures = self._steps.score(held.x, held.y, held.index).headline() if held is not None else {}
        row["val_loss"], row["val_accuracy"] = figures.get("loss"), figures.get("accuracy")
        row["seconds"] = time.perf_counter() - self.began
        self.history.epochs.append(row)
        self._figures.append(self.history.figure_of(row))
        if figures:
            self.best.offer(self.network, epoch, figures)
        self.epochs_done, self.steps_done = epoch, 0
        if self.monitor:
            self.monitor.epoch(row)
        if self.on_epoch:
            self._steps.tell(self.on_epoch, row)
        if not self.keeps_losses:
            del self.history.loss[1:-1]
        self._stop_if_asked(epoch, agree=True)
        self._stop_if_no_better()

    def _stop_if_no_better(self) -> None:
        """Asks the stopping rule about the epochs of this run."""
        if self.early_stop is None:
            return
        reason = self.early_stop.reason(self.history.epochs[self.first_row :], self.network.graph.head.target == "value")
        if reason is not None:
            raise StopTraining(f"early_stop: {reason}")

    def _train_accuracy(self, epoch: int) -> float | None:
        """Accuracy on training rows sampled for this epoch (all of them where there are few)."""
        count = min(self.schedule.monitor_rows, len(self.material))
        if count == 0 or self.network.graph.head.target == "value":
            return None
        material, rows = self.material, self.material.index
        if count < len(material):
            generator = np.random.default_rng([self.network.store.seed & 0xFFFFFFFF, epoch, 1])
            rows = np.sort(generator.choice(rows, count, replace=False))
        return self._steps.score(material.x, material.y, rows).headline().get("accuracy")

    def _diverged(self, epoch: int, loss: float, window: Window, rows: slice, begun_well: bool) -> None:
        """Raises DivergedError for the next step, whose rows are those of `rows` in the window's order. `begun_well` where a step of the
        same piece went well."""
        step = self.network.store.step + 1
        order = window.order[rows]
        fault = find_fault(self.network, window.x[order], window.y[order], None if window.weights is None else window.weights[order])
        numbers = order if window.numbers is None else window.numbers[order]
        told = fault.in_words(numbers)
        raise DivergedError(
            f"the loss became {loss} at step {step} (epoch {epoch}); training stopped before that update. {told}"
            f"{CURES}", step=step, epoch=epoch, layer=fault.layer, rows=tuple(numbers[fault.rows].tolist()), begun_well=begun_well,
        )  # fmt: skip

    def _stop_if_asked(self, epoch: int, *, agree: bool = False) -> None:
        number = self._steps.heed(self.signals.number, agree=agree)
        if number is None:
            return
        raise Interrupted(number, f"stopped by {signal.Signals(number).name} in epoch {epoch}")
