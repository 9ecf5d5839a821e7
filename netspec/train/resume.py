"""Whether a run may go on: the same spec, the same data, epochs that are left; and what it goes on with."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.base.errors import DataError, SpecError, UsageError
from netspec.base.schedule import Progress
from netspec.base.text import Source
from netspec.frontend.program import Overrides, Program
from netspec.frontend.validate import load
from netspec.frontend.words import written
from netspec.graph.check import to_graph
from netspec.graph.compare import Difference, Meaning, compare
from netspec.graph.counts import Counts
from netspec.save.environment import OWN_ROWS
from netspec.save.run_folder import RunFolder
from netspec.train.data import Splits
from netspec.train.loop import Training
from netspec.train.state import State, take_over_progress, take_over_slots

EPOCHS = "train.epochs"
FREE = (EPOCHS, "train.threads")
"""Settings that a run may go on with otherwise. So may the places of its data, which is known by its contents."""
SHOWN = 12
"""Differences that a refusal lists."""


def differences(began: Program, wanted: Program, counts: Counts) -> list[str]:
    """What `wanted` says differently from the program that a run began with, each in a line: neither epochs and threads nor the places
    of the data, nor what a sweep would try."""
    comparison = compare(Meaning(began, to_graph(began, counts)), Meaning(wanted, to_graph(wanted, counts)))
    found = []
    for change in comparison.layers:
        point = change.b or change.a
        assert point is not None, "a change is of a layer"
        found += [_line(f"{point.name}: {one.key}", one) for one in change.differences] or [f"{point.name}: {change.kind}"]
    paths = {f"data.{key}" for one in (began, wanted) if one.data and one.data.source for key in one.data.source.path_keys}
    changed = [one for one in comparison.settings if one.key not in FREE and one.key not in paths]
    return found + [_line(one.key, one) for one in changed if not one.key.startswith("search.")]


def require_same(found: list[str], folder: RunFolder) -> None:
    """Raises UsageError with the differences, where there are any."""
    if found:
        more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        lines = "\n  ".join([*found[:SHOWN], *more])
        raise UsageError(
            f"{folder.path}: the run was begun with another spec, and goes on with its own alone:\n  {lines}\n"
            "Train the changed spec as a run of its own, or leave the file and --set out: netspec train --resume RUN"
        )


def require_own(began: Program, state: State, counts: Counts, folder: RunFolder) -> None:
    """Raises DataError where the state carries another spec than the run's."""
    try:
        changed = differences(began, load(Source(state.found.spec), Overrides(seed=state.found.seed)), counts)
    except SpecError as error:
        changed = [error.diagnostics[0].message]
    if changed:
        raise DataError(f"{folder.state}: is of another spec than the run: {changed[0]}")


def is_same_file(program: Program, folder: RunFolder) -> bool:
    """Whether the file, and those that it uses, are those that the run was begun with, which may have been given other values."""
    try:
        given = folder.spec.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return given == program.source.text and dict(program.uses) == folder.read_environment().get("uses", {})


def require_same_data(splits: Splits, folder: RunFolder) -> None:
    """Raises DataError where the data is not the run's."""
    before = folder.read_environment()
    if not isinstance(before.get("rows"), dict):
        raise DataError(f"{folder.environment}: missing or damaged; it tells whether the data is still the same")
    if before.get("data") == splits.fingerprint:
        return
    then, now = before["rows"], splits.counts()
    told = f"rows then: {_counts(then)}; now: {_counts(now)}" if then != now else "as many rows as then, with other values in them"
    raise DataError(
        f"{folder.path}: the data has changed since the run was begun ({told}; SHA-256 then {str(before.get('data'))[:12]}..., "
        f"now {splits.fingerprint[:12]}...). A run goes on with its own data alone"
    )


def takes_whole_batches(folder: RunFolder, local_bn: bool) -> bool:
    """Whether bn takes the statistics of the whole batch, as it did when the run was begun. Raises UsageError where `local_bn` asks for
    something else."""
    whole = folder.read_environment().get("bn") != OWN_ROWS
    if whole and local_bn:
        raise UsageError(
            f"{folder.path}: the run was begun with bn by the statistics of the whole batch, and goes on with them: leave out --local-bn"
        )
    return whole


def require_left(folder: RunFolder, state: State, epochs: int) -> None:
    """Raises UsageError where no epoch is left to train, and the run has come to its end."""
    done = state.found.epoch
    if epochs > done or (epochs == done and not folder.is_over):
        return
    finished = f"the run has finished its {done} epochs" if epochs == done else f"the run has already trained {done} epochs"
    raise UsageError(f"{folder.path}: {finished}; --epochs {max(done + 1, 2 * done)} trains on, to so many in all")


def require_same_rates(began: Program, program: Program, folder: RunFolder, training: Training) -> None:
    """Raises UsageError where another number of epochs would have changed the learning rate of updates that are done."""
    rate, lr = program.train.schedule, program.train.optimizer.lr
    if rate is None or began.train.epochs == program.train.epochs:
        return
    updates = np.arange(training.network.store.step, dtype=np.float64)
    each, losses = training.steps_per_epoch, tuple(training.history.figures)
    then, now = (
        rate.rates(lr, Progress(updates, each, epochs * each, losses)) for epochs in (began.train.epochs, program.train.epochs)
    )  # fmt: skip
    if not np.array_equal(then, now):
        raise UsageError(
            f"{folder.path}: train.schedule = {written(rate)} depends on the length of the run, so that {program.train.epochs} epochs are "
            f"another run than {began.train.epochs} from the first steps on; train it anew, or give the schedule a duration of its own"
        )


def go_on_from(training: Training, state: State, folder: RunFolder) -> None:
    """Puts training where the state stands: losses, rows, best parameters, steps of the epoch. Raises DataError where state and results
    do not fit."""
    done = state.found.epoch
    rows = [row for row in folder.read_epochs() if row["epoch"] <= done]
    if [row["epoch"] for row in rows] != list(range(1, done + 1)):
        raise DataError(f"{folder.results}: damaged: the rows of epochs 1 to {done} are needed, and it has {len(rows)} of them")
    each = training.steps_per_epoch
    if state.found.step != done * each + state.position.steps or state.position.best_epoch > done:
        raise DataError(f"{folder.state}: damaged: step {state.found.step} is none of epoch {done + 1}, of {each} steps each")
    try:
        take_over_slots(training.network, state.others)
        take_over_progress(training, state)
    except DataError as error:
        raise DataError(f"{folder.state}: {error}") from None
    training.history.epochs[:] = rows
    training.first_row = 0
    training.began -= rows[-1]["seconds"] if rows else 0.0


def program_of_run(folder: RunFolder, epochs: int | None = None) -> Program:
    """The program that a run was begun with, or the same for so many epochs. Raises DataError where it is missing or no text."""
    try:
        source = Source(folder.resolved.read_text(encoding="utf-8"), str(folder.resolved))
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{folder.resolved}: missing or damaged") from None
    try:
        return load(source, Overrides(keys={} if epochs is None else {EPOCHS: epochs}))
    except SpecError as error:
        raise DataError(f"{folder.resolved}: damaged: {error.diagnostics[0].message}") from None


def _line(key: str, one: Difference) -> str:
    return f"{key}: {one.a or 'nothing'} -> {one.b or 'nothing'}"


def _counts(rows: dict[str, Any]) -> str:
    parts = ("train", "validation", "test", "unused")
    return ", ".join(f"{name} {rows[name]}" for name in parts if name in rows) or "not known"
