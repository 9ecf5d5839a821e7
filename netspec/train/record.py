"""A run on disk: the folder is filled as training goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from netspec.base.errors import DivergedError, Interrupted, NetspecError
from netspec.frontend.program import Program
from netspec.plan.network import Network
from netspec.save.atomic import SaveError
from netspec.save.environment import describe_environment
from netspec.save.run_folder import RunFolder, create_run_folder
from netspec.save.weights import save_weights
from netspec.train.loop import Best, Training
from netspec.train.source import resolved_from

LOGGED_STEPS = 1000
"""Steps of a run that events.jsonl holds, at most: all of a short one, else evenly spaced ones of each epoch, its last among them."""
LOGGED_OF_EPOCH = 20
"""Of an epoch of a run of many epochs, whose steps may then be more."""
SAVE_SECONDS = 1.0
"""Between two saves while training goes on: what a killed run can lose. A save flushes to disk three times, longer than a small epoch."""


class Saved(Protocol):
    """What gives the contents of a weights file."""

    @property
    def network(self) -> Network: ...

    def tensors(self, best: Best | None = None) -> dict[str, NDArray[Any]]: ...

    def metadata(self, epoch: int | None = None) -> dict[str, Any]: ...


@dataclass
class Record:
    """One run's folder and the model that it records."""

    folder: RunFolder
    model: Saved
    checkpoint_epochs: int | None = None
    """Every so many epochs the weights are kept for good."""
    logged: int = LOGGED_OF_EPOCH
    """Steps of an epoch that are logged."""
    _saved_at: float = -SAVE_SECONDS
    _best_epoch: int = -1

    @classmethod
    def create(
        cls, model: Saved, program: Program, plan: str, fingerprint: str | None, *, epochs: int, run_dir: Path | None = None,
        name: str = "run", allow: Sequence[Path] = (),
    ) -> Record:  # fmt: skip
        """A new folder, `run_dir` or else `runs/<name>`, with spec, plan and environment in it. `allow` is as for reading the data."""
        every = program.train.checkpoint
        logged = max(LOGGED_OF_EPOCH, LOGGED_STEPS // max(epochs, 1))
        record = cls(create_run_folder(name, run_dir), model, every.amount if every is not None else None, logged)
        folder, seed = record.folder, model.network.store.seed
        try:
            folder.write_spec(program.source.text, resolved_from(program, folder.path, seed, epochs, allow))
            folder.write_plan(plan + "\n")
            folder.write_environment(describe_environment(seed, model.network.threads, fingerprint, program.uses))
        except SaveError:
            record.discard_if_empty()
            raise
        return record

    def discard_if_empty(self) -> None:
        """Takes the folder away where it holds no weights: a run that could not be written leaves nothing behind."""
        if not self.folder.last.exists():
            shutil.rmtree(self.folder.path, ignore_errors=True)

    def finish(self, best: Best, stopped: str | None) -> None:
        """The weights of a run that has come to its end, and why where that was before its last epoch."""
        self.save(best)
        if stopped is not None:
            self.event(event="stopped", step=self.model.network.store.step, reason=stopped)

    def stopped(self, best: Best, error: NetspecError) -> None:
        """The weights of a run that ends early, and why; the error then names the folder."""
        self.save(best)
        self.event(event="stopped", step=self.model.network.store.step, reason=str(error))
        error.args = (f"{error}; the weights are saved in {self.folder.path}",)

    def epoch(self, row: Mapping[str, Any], losses: Sequence[float], best: Best) -> None:
        """The epoch's row, with losses of its steps; the weights too, where the last save is long enough ago."""
        self.folder.add_epoch(row)
        first, every = row["step"] - len(losses) + 1, -(-len(losses) // self.logged)
        places = range((len(losses) - 1) % every, len(losses), every)
        steps = ({"event": "step", "epoch": row["epoch"], "step": first + place, "loss": losses[place]} for place in places)
        self.folder.add_events([*steps, {"event": "epoch", **row}])
        if self.checkpoint_epochs is not None and row["epoch"] % self.checkpoint_epochs == 0:
            save_weights(self.folder.checkpoint(row["epoch"]), self.model.tensors(), self.model.metadata())
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self.save(best)

    def save(self, best: Best) -> None:
        """The last weights with the optimiser's state, and the best ones if they are newer than those saved. Without validation the last
        are the best."""
        model, store = self.model, self.model.network.store
        save_weights(self.folder.last, model.tensors(), model.metadata())
        slots = {f"{slot}.{name}": array for slot, arrays in store.slots.items() for name, array in arrays.items()}
        save_weights(self.folder.state, slots, model.metadata())
        if best.parameters is None or best.epoch != self._best_epoch:
            chosen = best if best.parameters is not None else None
            save_weights(self.folder.best, model.tensors(chosen), model.metadata(chosen.epoch if chosen else None))
            self._best_epoch = best.epoch
        self._saved_at = time.monotonic()

    def event(self, **event: Any) -> None:
        """A line of events.jsonl."""
        self.folder.add_events([event])


@contextmanager
def left_in(record: Record | None, training: Training) -> Iterator[None]:
    """Where training is interrupted or diverges its last weights are left in the record; a record that holds none yet when it cannot be
    written is taken away. The error goes on."""
    try:
        yield
    except (Interrupted, DivergedError) as error:
        if record:
            record.stopped(training.best, error)
        raise
    except SaveError:
        if record:
            record.discard_if_empty()
        raise
