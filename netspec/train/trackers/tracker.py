"""What all trackers share: which steps they tell, what a run is called by, and that a tool which fails ends no training."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import NetspecError, UsageError
from netspec.frontend.program import Program
from netspec.frontend.resolved import data_keys, net_of, train_keys
from netspec.frontend.settled import settled_data, settled_train
from netspec.graph.counts import split_head
from netspec.save.atomic import write_atomic
from netspec.save.events import logged_places, spacing
from netspec.train.callbacks import Callback
from netspec.train.record import logged_of_epoch

LET = re.compile(r"^let (\w+) = (.+)$", re.MULTILINE)
LONGEST = 500
"""Letters of a parameter: what the tools take."""
LONGEST_ERROR = 500
"""Letters of an error."""


class TrackerWarning(UserWarning):
    """A tool failed, and hears no more of this run; or something of the environment was not followed."""


class Tracker(Callback):
    """Tells a tool the loss and the learning rate by step, the figures of each epoch, those of the rows that the run is measured on, and
    the settings of the resolved spec.

    `every` is the distance of the steps that are told; those that events.jsonl has, where it is left out. Steps are counted as in the
    history, so that a resumed run goes on where its curves ended.
    """

    name = ""

    def __init__(self, every: int | None = None) -> None:
        if every is not None and not (isinstance(every, int) and every >= 1):
            raise UsageError(f"{type(self).__name__}(every={every!r}): give a whole number of steps, 1 or more")
        self.every = every
        self._distance = 1
        self._told = 0
        self._is_open = False

    # what a tool does

    @abstractmethod
    def open(self, model: Any, folder: Path | None, step: int) -> None:
        """Before training, which goes on after `step` updates and writes `folder`, if any."""

    @abstractmethod
    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures of one step, by the names of results.csv; that of a single step is `step_loss`."""

    @abstractmethod
    def measured(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """The metrics of held-out rows."""

    @abstractmethod
    def close(self, error: BaseException | None) -> None:
        """After training; `error` is what ended it early."""

    def weights(self, model: Any, step: int) -> None:
        """At an epoch's end."""

    # hooks

    def on_begin(self, model: Any) -> None:
        running = model.running
        steps = running.steps_per_epoch
        epochs = running.epochs_done + running.schedule.epochs
        self._distance = self.every or spacing(steps, logged_of_epoch(epochs))
        try:
            self.open(model, running.folder, model.step_count)
        except NetspecError:
            raise
        except Exception as error:
            raise UsageError(f"{type(self).__name__}: {_line(error)}") from error
        self._is_open, self._told = True, running.steps_done

    def on_step(self, model: Any, step: int, losses: NDArray[np.float64]) -> None:
        self._tell(model)

    def _tell(self, model: Any) -> None:
        """The steps of the epoch that are done and were not told."""
        running = model.running
        done, first = running.steps_done, model.step_count - running.steps_done + 1
        places = logged_places(self._told, done, running.steps_per_epoch, self._distance)
        if self._is_open and places:
            rates = running.rates(first + places[0], places[-1] - places[0] + 1)[:: places.step].tolist()
            for place, rate in zip(places, rates, strict=True):
                self._try(self.write, first + place, {"step_loss": running.history.loss[place - done], "lr": rate})
        self._told = done

    def on_epoch(self, model: Any, row: dict[str, Any]) -> None:
        figures = {key: row[key] for key in ("loss", "train_accuracy", "val_loss", "val_accuracy", "epoch") if row[key] is not None}
        self._told = 0
        self._try(self.write, row["step"], figures)
        self._try(self.weights, model, row["step"])

    def on_measured(self, model: Any, split: str, metrics: dict[str, float]) -> None:
        self._try(self.measured, model.step_count, split, metrics)

    def on_end(self, model: Any, history: Any) -> None:
        self._try(self.close, None)

    def on_error(self, model: Any, error: BaseException) -> None:
        if model.running is not None:
            self._tell(model)
        self._try(self.close, error)

    def _try(self, call: Callable[..., None], *given: Any) -> None:
        """Training goes on without a tool that fails."""
        if not self._is_open:
            return
        try:
            call(*given)
        except Exception as error:
            self._is_open = False
            told = f"{type(self).__name__} failed, and is told no more of this run; training goes on: {_line(error)}"
            warnings.warn(told, TrackerWarning, stacklevel=2)

    # what is remembered of a run from one process to the next

    def remembered(self, folder: Path | None, step: int) -> dict[str, Any]:
        """What was noted in the folder of a run that goes on; nothing of a new one."""
        if folder is None or not step:
            return {}
        try:
            found = json.loads((folder / f"{self.name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def remember(self, folder: Path | None, facts: Mapping[str, str]) -> None:
        if folder is not None:
            write_atomic(folder / f"{self.name}.json", f"{json.dumps(facts, indent=2)}\n".encode())


def _line(error: BaseException) -> str:
    """An error of a tool in one line."""
    words = " ".join(str(error).split())
    if len(words) > LONGEST_ERROR:
        words = f"{words[:LONGEST_ERROR].rpartition(' ')[0] or words[:LONGEST_ERROR]} ..."
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def require_place(folder: Path, what: str, remedy: str) -> None:
    """Raises UsageError where nothing can be written into the folder, or into the one where it would be made."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UsageError(f"{what} cannot be written: {place}: {error.strerror}; {remedy}") from None


def settings_in_words(model: Any) -> dict[str, str | int | float | bool]:
    """Every setting of the resolved spec by its key (`train.batch`, `data.split`, `let` names, `train.lr`), numbers as numbers."""
    program: Program = model.program
    section = settled_train(program.train, split_head(program)[1])
    texts = {f"train.{key}": text for key, text in train_keys(section).items()}
    texts["train.lr"] = repr(program.train.optimizer.lr)
    if program.data is not None:
        texts |= {f"data.{key}": text for key, text in data_keys(settled_data(program.data)).items()}
    texts |= {f"let.{name}": text for name, text in LET.findall(program.resolved)}
    texts |= {"seed": str(model.network.store.seed), "parameters": str(model.graph.parameter_count), "net": net_of(program.resolved)}
    return {key: _value(text) for key, text in sorted(texts.items())}


def _value(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
