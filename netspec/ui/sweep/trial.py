"""One trial: its values drawn, its net trained into a run folder of its own, the figure of each epoch told to the study."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from netspec.base.errors import DataError, DivergedError, LimitError, SpecError, UsageError
from netspec.frontend.program import Program
from netspec.frontend.space import Tried
from netspec.pipeline import read, train
from netspec.save.run_folder import RunFolder, open_run_folder
from netspec.train.callbacks import StopTraining
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.storage import optuna
from netspec.ui.sweep.study import CODE, ENDED, EPOCHS, FOLDER, NUMBER, REASON, SECONDS, WORKER, suggested

Tell = Callable[..., None]
"""Says something to the process that started this one: an event, with its facts."""
PRUNED = "pruned"
EACH, FURTHER = 10, 1.2
"""The study is told each of the first epochs, then one of each stretch, which grows by this ratio: to tell it and to ask the pruner takes
20 ms of a database on a disk, and an epoch of a small net two."""
HOPELESS = (("limit", LimitError), ("invalid", SpecError), ("diverged", DivergedError))
"""What is wrong with the values of a trial, and with nothing else: the sampler learns to keep away from them."""


class Extra(Exception):  # noqa: N818  no error
    """A trial that the study made because none waited any more: it is none of the sweep's."""


def run_trial(order: Order, trial: Any, worker: str, tell: Tell) -> float:
    """Trains with the values that the study draws, and gives the figure of the epoch whose weights are kept.

    Raises Optuna's TrialPruned for a trial that is ended early, and for values that no net can be trained with; Interrupted or
    KeyboardInterrupt where the worker is to end; DataError, UsageError and SaveError, which are no trial's fault.
    """
    number = trial.user_attrs.get(NUMBER)
    if number is None:
        raise Extra
    earlier = dict(trial.user_attrs)
    trial.set_user_attr(WORKER, worker)
    program = read(Path(order.file), order.overrides)
    if program.resolved != order.resolved:
        raise UsageError(f"{order.file}: was changed while the sweep went on; put it back, or give the changed one a sweep of its own")
    values = suggested(trial, program.search)
    tell("trial", trial=number, attempt=trial.number, values=values)
    try:
        return _Trial(order, trial, number, values, tell, program).value(earlier)
    except (SpecError, DivergedError) as error:
        ended = next(word for word, kind in HOPELESS if isinstance(error, kind))
        _note(trial, ended, _first_line(error), error.exit_code)
        folder = RunFolder(order.trials / trial.user_attrs.get(FOLDER, ""))
        if folder.spec.exists():
            _note_length(trial, folder.read_epochs())
        else:
            trial.set_user_attr(FOLDER, None)  # what is no net has no run
        raise optuna().TrialPruned(str(error)) from None


def _note(trial: Any, ended: str, reason: str, code: int) -> None:
    for key, value in {ENDED: ended, REASON: reason, CODE: code}.items():
        trial.set_user_attr(key, value)


def _note_length(trial: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for key, column in {EPOCHS: "epoch", SECONDS: "seconds"}.items() if rows else ():
        trial.set_user_attr(key, rows[-1][column])


def _first_line(error: Exception) -> str:
    return error.diagnostics[0].message if isinstance(error, SpecError) else str(error).split(". ", maxsplit=1)[0]


@dataclass
class _Trial:
    order: Order
    trial: Any
    number: int
    values: Mapping[str, Tried]
    tell: Tell
    program: Program
    reported: set[int] = field(default_factory=set)

    def value(self, earlier: Mapping[str, Any]) -> float:
        """The figure of the trial. `earlier` is what was noted of it when another worker had it."""
        before = self._before(earlier)
        if before is not None:
            for row in before.read_epochs():
                self._report(row)
            if before.is_over:
                return self._finished(before, stopped_by(before) or "")
            try:
                return self._train(before, resume=True)
            except (DataError, UsageError):
                pass  # it is another process's, or damaged: anew, in a folder of its own
        return self._train(self._new_folder(), resume=False)

    def _before(self, earlier: Mapping[str, Any]) -> RunFolder | None:
        """The folder of the trial, where it was begun on this machine and holds a state."""
        name = earlier.get(FOLDER)
        if not isinstance(name, str) or not (self.order.trials / name / "spec.net").is_file():
            return None
        try:
            folder = open_run_folder(self.order.trials / name)
        except (DataError, UsageError):
            return None
        return folder if folder.state.is_file() else None

    def _new_folder(self) -> RunFolder:
        """A name that is free, or that of a run of this trial which was ended before there was anything in it to go on with."""
        names = (f"trial-{self.number:04d}{'' if attempt == 1 else f'-{attempt}'}" for attempt in count(1))
        return RunFolder(next(path for name in names if _is_free(path := self.order.trials / name)))

    def _train(self, folder: RunFolder, *, resume: bool) -> float:
        order = self.order
        overrides = order.overrides.with_values(self.values)
        if "train.threads" not in overrides.keys:
            overrides = overrides.with_values({"train.threads": order.threads})
        self.trial.set_user_attr(FOLDER, folder.path.name)
        where: dict[str, Any] = {"resume": folder.path} if resume else {"run_dir": folder.path}
        done = train(
            Path(order.file), overrides=overrides, allow=[Path(path) for path in order.allow], keep_losses=False, pictures=False,
            callbacks=[self._epoch], **where,
        )  # fmt: skip
        return self._finished(folder, done.history.stopped or "")

    def _epoch(self, model: Any, row: Mapping[str, Any]) -> None:
        """Reports an epoch, and ends training where the pruner wants that."""
        value = row[self.order.metric]
        last = model.program.train.epochs
        self.tell("epoch", trial=self.number, epoch=row["epoch"], epochs=last, metric=value)
        if self._report(row) and row["epoch"] < last and self.trial.should_prune():
            raise StopTraining(f"{PRUNED} by {self.order.pruner} after epoch {row['epoch']} of {last}")

    def _report(self, row: Mapping[str, Any]) -> bool:
        """Tells the study the figure of an epoch that it is to know, once; whether it was told."""
        value, epoch = row[self.order.metric], row["epoch"]
        if epoch in self.reported or not is_reported(epoch) or value is None or not math.isfinite(value):
            return False
        self.reported.add(epoch)
        self.trial.report(value, epoch)
        return True

    def _finished(self, folder: RunFolder, stopped: str) -> float:
        rows = folder.read_epochs()
        kept = best_row(rows)
        _note_length(self.trial, rows)
        if stopped.startswith(PRUNED):
            _note(self.trial, PRUNED, stopped, 0)
            raise optuna().TrialPruned(stopped)
        return float(kept[self.order.metric])


def is_reported(epoch: int) -> bool:
    """Whether the study is told the figure of an epoch: the same epochs in all trials, so that they can be compared."""
    return epoch <= EACH or int(math.log(epoch, FURTHER)) > int(math.log(epoch - 1, FURTHER))


def _is_free(path: Path) -> bool:
    """Whether nothing stands there; what holds no state, and no process trains in, is taken away."""
    folder = RunFolder(path)
    if path.is_dir() and not folder.state.exists():
        with suppress(UsageError, OSError), folder.held():
            shutil.rmtree(path)
    return not path.exists()


def best_row(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row of the epoch whose weights are kept: the best on validation, the earliest on a tie."""
    if rows[-1]["val_accuracy"] is not None:
        return max(rows, key=lambda row: (row["val_accuracy"], -row["epoch"]))
    return min(rows, key=lambda row: (row["val_loss"], row["epoch"]))


def stopped_by(folder: RunFolder) -> str | None:
    """Why the run that a folder holds ended before its last epoch, if it did."""
    reason = None
    for line in folder.events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event.get("event") in ("stopped", "resumed"):
            reason = event.get("reason")
    return reason
