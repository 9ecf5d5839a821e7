"""A run on disk: the folder is filled as training goes on, so that it can be left alone, killed, and gone on with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from netspec.base.errors import DivergedError, Interrupted, UsageError
from netspec.frontend.program import Program
from netspec.frontend.resolved import net_of
from netspec.plan.network import Network
from netspec.save.atomic import SaveError, write_atomic
from netspec.save.environment import describe_environment
from netspec.save.events import logged_places, now, spacing
from netspec.save.run_folder import RunFolder, create_run_folder
from netspec.save.weights import as_bytes, save_weights
from netspec.train.history import best_row
from netspec.train.loop import Best, Training
from netspec.train.source import resolved_from
from netspec.train.state import position_of, state_tensors

LOGGED_STEPS = 1000
"""Steps of a run that events.jsonl holds, at most: all of a short one, else evenly spaced ones of each epoch, its last among them."""
LOGGED_OF_EPOCH, MOST_LOGGED = 20, 20_000
"""Of an epoch of a run of many epochs, whose steps may then be more; and of such a run, but for one of each epoch."""
SAVE_SECONDS = 1.0
"""Between two saves while training goes on, in the middle of an epoch too: what a killed run can lose."""
SAVE_SHARE = 0.05
"""Of the time that saving may take: where a save takes long, the next one waits longer."""
SMALL = 8 << 20
"""Bytes of a snapshot that may be made more often than it is saved, and stays in memory."""
SNAPSHOT_SHARE = 0.005
"""Of the time that such snapshots may take."""


def logged_of_epoch(epochs: int) -> int:
    """Steps of an epoch that are told, of a run of so many."""
    each = max(epochs, 1)
    return max(LOGGED_STEPS // each, min(LOGGED_OF_EPOCH, MOST_LOGGED // each), 1)


class Saved(Protocol):
    """What gives the contents of a weights file."""

    @property
    def network(self) -> Network: ...

    def tensors(self, best: Best | None = None) -> dict[str, NDArray[Any]]: ...

    def metadata(self, best: Best | None = None) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Snapshot:
    """The contents of the files of one moment, in the order in which they are written, and the updates done by then."""

    files: tuple[tuple[Path, bytes], ...]
    step: int
    best_epoch: int


@dataclass(frozen=True)
class Resumed:
    """Where a run goes on, and its resolved spec where that is to have more epochs."""

    epoch: int
    step: int
    resolved: str | None


@dataclass
class Record:
    """One run's folder and the model that it records.

    Weights are known to be good only when the next step's loss is finite. So what is saved in the middle of training is put together at
    one moment, a snapshot, and written after the steps that follow, if they went well: training that diverges never writes over good
    weights. Small snapshots are made more often than they are written, so that the good ones are recent.
    """

    folder: RunFolder
    model: Saved
    checkpoint_epochs: int | None = None
    """Every so many epochs the weights are kept for good."""
    logged: int = LOGGED_OF_EPOCH
    """Steps of an epoch that are logged."""
    overfit: int | None = None
    """The first rows that the run is trained on, where those are not all."""
    pictures: bool = True
    """Whether curves and report are drawn into the folder."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """What the metadata says instead of the model: where a resumed run's spec is from."""
    resumed: Resumed | None = None
    saved_step: int | None = None
    """Updates of the last weights that were written; None before there are any."""
    is_held: bool = False
    """Whether the folder is this process's already."""
    _of: int = 0
    """Epochs that the run is to have in all."""
    _told: int = 0
    """Of the steps of the epoch that is not over those whose events are written or wait."""
    _events: list[dict[str, Any]] = field(default_factory=list)
    """What waits for the epoch's row."""
    _waiting: Snapshot | None = None
    """The newest snapshot that is not written."""
    _good: Snapshot | None = None
    """The newest of which it is known that a step after it went well."""
    _taken_at: float = 0.0
    _spent: float = 0.0
    _bytes: int = 0
    """When the last was made, the seconds that took, and what it holds."""
    _saved_at: float = 0.0
    _interval: float = SAVE_SECONDS
    _best_epoch: int = -1
    """Of the best weights that this process has written."""

    @classmethod
    def create(
        cls, model: Saved, program: Program, plan: str, fingerprint: str | None, *, epochs: int, rows: Mapping[str, int],
        run_dir: Path | None = None, name: str = "run", allow: Sequence[Path] = (), overfit: int | None = None,
    ) -> Record:  # fmt: skip
        """A new folder, `run_dir` or else `runs/<name>`, with spec, plan and environment in it. `allow` is as for reading the data; `rows`
        counts those of each split."""
        record = cls.of(create_run_folder(name, run_dir), model, program, epochs, overfit)
        folder, seed = record.folder, model.network.store.seed
        try:
            folder.write_spec(program.source.text, resolved_from(program, folder.path, seed, epochs, allow))
            folder.write_plan(plan + "\n")
            network = model.network
            folder.write_environment(
                describe_environment(seed, network.threads, fingerprint, rows, program.uses, network.settings.share)
            )  # fmt: skip
        except SaveError:
            record.discard_if_empty()
            raise
        return record

    @classmethod
    def of(cls, folder: RunFolder, model: Saved, program: Program, epochs: int, overfit: int | None) -> Record:
        """Of a folder that is there, for a run of so many epochs."""
        every = program.train.checkpoint
        return cls(folder, model, every.amount if every is not None else None, logged_of_epoch(epochs), overfit)

    def discard_if_empty(self) -> None:
        """Takes the folder away where this process made it and nothing is in it yet: what could not be written leaves nothing behind."""
        if self.resumed is None and self.saved_step is None:
            shutil.rmtree(self.folder.path, ignore_errors=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the folder is this process's: nobody else trains into it, and who looks at it sees that somebody does."""
        with nullcontext() if self.is_held else self.folder.held():
            before, self.is_held = self.is_held, True
            try:
                yield
            finally:
                self.is_held = before

    @contextmanager
    def kept(self, training: Training) -> Iterator[None]:
        """While training: there are weights in the folder from the start, and where training ends early those that it leaves, and why. The
        error then names the folder, and goes on. A folder that cannot be written at all is taken away."""
        with self.held():
            self._of = training.epochs_done + training.schedule.epochs
            before = self.model.network.store.step
            try:
                if self.resumed is None:
                    self.event(event="begin", **self._beginning(training))
                    self._write(self._snapshot(training))
                else:
                    self._go_on(self.resumed, training)
                self._saved_at = self._taken_at = time.monotonic()
                yield
            except Interrupted as error:
                self.save(training)
                self._stopped(training, str(error), error.exit_code)
                error.args = (f"{error}; the weights are saved in {self.folder.path}",)
                raise
            except DivergedError as error:
                self._leave_good(training, error)
                self._stopped(training, str(error), error.exit_code)
                error.args = (f"{error}; the last good weights, of step {self.saved_step or 0}, are in {self.folder.path}",)
                raise
            except SaveError:
                self.discard_if_empty()
                raise
            except UsageError:  # of a callback that cannot begin: nothing was trained
                if self.resumed is None and self.model.network.store.step == before:
                    shutil.rmtree(self.folder.path, ignore_errors=True)
                raise

    def _beginning(self, training: Training) -> dict[str, Any]:
        """What the event says with which a run begins, or goes on."""
        found = self._metadata()
        spec = Path(found["path"]).name  # a run folder may be handed on: where the file lay is nobody's matter
        share = self.model.network.settings.share
        return {
            "time": now(), "spec": spec, "net": net_of(found["spec"]),
            "parameters": self.model.network.graph.parameter_count,
            "epochs": self._of, "steps_per_epoch": training.steps_per_epoch,
            "epochs_done": training.epochs_done, "steps_done": self.model.network.store.step - training.steps_done,
            **({"ranks": share.ranks} if share is not None else {}),
        }  # fmt: skip

    def _go_on(self, resumed: Resumed, training: Training) -> None:
        """Drops what came after the state that the run goes on from."""
        self.folder.keep_epochs(resumed.epoch, resumed.step)
        if resumed.resolved is not None:
            write_atomic(self.folder.resolved, resumed.resolved.encode())
        self.event(event="resumed", epoch=resumed.epoch, step=resumed.step, **self._beginning(training))
        self.saved_step = resumed.step

    def finish(self, training: Training) -> None:
        """The weights of a run that has come to its end, and why where that was before its last epoch."""
        self.save(training)
        if training.history.stopped is not None:
            self._stopped(training, training.history.stopped)

    def end(self, training: Training, **measured: Any) -> None:
        """All is done: the row of the epoch whose weights are kept, and what they were measured as."""
        rows = training.history.epochs[training.first_row :]
        done = {"epochs": rows[-1]["epoch"], "of": self._of, "best": best_row(rows)} if rows else {}
        self.event(event="end", time=now(), **done, **measured)

    def steps(self, training: Training) -> None:
        """After steps that went well: they are told, and the snapshot before them is good, and is written where the last save is long
        enough ago."""
        self._tell(training)
        now, self._good = time.monotonic(), self._waiting
        due = now - self._saved_at >= self._interval
        if due and self._good is not None:
            self._write(self._good)
            self._good = self._waiting = None
        elif due or (self._bytes <= SMALL and now - self._taken_at >= self._spent / SNAPSHOT_SHARE):
            self._waiting = self._snapshot(training)

    def epoch(self, row: Mapping[str, Any], training: Training) -> None:
        """The epoch's row, with the events of its last steps; a snapshot that was made at its end is made anew, with the row."""
        self.folder.add_epoch(row)
        self.folder.add_events([*self._events, {"event": "epoch", **row}])
        self._events, self._told = [], 0
        if self.checkpoint_epochs is not None and row["epoch"] % self.checkpoint_epochs == 0:
            save_weights(self.folder.checkpoint(row["epoch"]), self.model.tensors(), self._metadata())
        if self._waiting is not None and self._waiting.step == row["step"]:
            self._waiting = self._snapshot(training)

    def save(self, training: Training) -> None:
        """The state, the last weights, and the best ones if they are newer than those saved. Without validation the last are the best."""
        self._write(self._snapshot(training) if self.model.network.store.is_finite else self._waiting)

    def event(self, **event: Any) -> None:
        """A line of events.jsonl."""
        self.folder.add_events([event])

    def _tell(self, training: Training) -> None:
        """Adds the events of steps that are done and not told: at once, and not durably, for they can be told again. Those of the last
        piece of an epoch wait for its row."""
        done, step, steps = training.steps_done, self.model.network.store.step, training.steps_per_epoch
        places = logged_places(self._told, done, steps, spacing(steps, self.logged))
        if places:
            epoch, seconds = training.epochs_done + 1, round(time.perf_counter() - training.began, 3)
            rates = training.rates(step - done + 1 + places[0], places[-1] - places[0] + 1)[:: places.step].tolist()
            losses = training.history.loss[places[0] - done : places[-1] - done + 1 or None : places.step]
            self._events += [
                {"event": "step", "epoch": epoch, "step": step - done + 1 + place, "loss": loss, "lr": rate, "seconds": seconds}
                for place, loss, rate in zip(places, losses, rates, strict=True)
            ]
        self._told = done
        if self._events and done < steps:
            self.folder.add_events(self._events)
            self._events = []

    def _stopped(self, training: Training, reason: str, code: int = 0) -> None:
        self._tell(training)
        step = self.model.network.store.step
        self.folder.add_events([*self._events, {"event": "stopped", "time": now(), "step": step, "reason": reason, "code": code}])
        self._events = []

    def _leave_good(self, training: Training, error: DivergedError) -> None:
        """The newest weights that are known to be good, and the best ones."""
        self._write(self._waiting if error.begun_well else self._good)
        if training.best.is_known and training.best.epoch != self._best_epoch:
            write_atomic(*self._best_file(training.best))

    def _metadata(self, best: Best | None = None) -> dict[str, Any]:
        return {**self.model.metadata(best), **self.said}

    def _snapshot(self, training: Training) -> Snapshot:
        began = time.monotonic()
        model, folder, best, metadata = self.model, self.folder, training.best, self._metadata()
        tensors, position = model.tensors(), position_of(training, self.overfit)
        state = as_bytes(state_tensors(model.network, tensors, training), {**metadata, "position": position.model_dump()})
        files = [(folder.state, state), (folder.last, as_bytes(tensors, metadata))]
        if not best.is_known:
            files.append((folder.best, files[-1][1]))
        elif best.epoch != self._best_epoch:
            files.append(self._best_file(best))
        self._taken_at = time.monotonic()
        self._spent, self._bytes = self._taken_at - began, sum(len(content) for _, content in files)
        return Snapshot(tuple(files), model.network.store.step, best.epoch)

    def _best_file(self, best: Best) -> tuple[Path, bytes]:
        return self.folder.best, as_bytes(self.model.tensors(best), self._metadata(best))

    def _write(self, snapshot: Snapshot | None) -> None:
        if snapshot is None or snapshot.step < (self.saved_step or 0):
            return
        began = time.monotonic()
        self.folder.sync_results()
        for path, content in snapshot.files:
            with suppress(OSError):  # what is wrong is told by the write
                path.parent.mkdir(exist_ok=True)
            write_atomic(path, content)
        self.saved_step, self._best_epoch = snapshot.step, snapshot.best_epoch
        self._saved_at = time.monotonic()
        self._interval = max(SAVE_SECONDS, (self._spent + self._saved_at - began) / SAVE_SHARE)
