"""The beginning of a sweep: the spec and its data looked at, the study made, joined or gone on with, its trials put into it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspec.base.errors import DataError, SpecError, UsageError
from netspec.base.text import Source
from netspec.frontend.program import Overrides, Program
from netspec.frontend.space import Choice, Interval, Space, Tried
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.check import diagnosed
from netspec.graph.counts import Counts
from netspec.model import Model
from netspec.train.resume import EPOCHS, SHOWN, differences
from netspec.ui.sweep.crew import miss_all
from netspec.ui.sweep.order import Order, own_storage
from netspec.ui.sweep.storage import open_storage, optuna
from netspec.ui.sweep.study import ABOUT, READY, add_trials, numbered, pruner, sampler, take_up

TRIALS = 20
"""Where neither --trials nor a grid says how many."""
MOST_POINTS = 10_000
READY_SECONDS = 30
"""How long a study may take to be filled by the process that made it."""


@dataclass(frozen=True)
class Looked:
    """What the file and its data say: the program, the ends of its net, the data's fingerprint, the figures that can be compared."""

    program: Program
    counts: Counts
    data: str
    metrics: tuple[str, ...]


def look(file: Path, overrides: Overrides, allow: Sequence[Path]) -> Looked:
    """Reads file and data. Raises SpecError with all that is wrong, values of the search too; UsageError where there is nothing to
    search; DataError, also without validation rows."""
    source = source_of(file)
    program, found = diagnosed(source, overrides)
    if program is None:
        raise SpecError([one for one in found if one.severity == "error"])
    program = load(source, overrides)
    if not program.search:
        given = [*overrides.lets, *overrides.keys]
        fixed = f"all its keys are given values ({', '.join(given)})" if load(source).search else "it has no search section"
        help_text = "search { train.lr = log(1e-4, 1e-1) }"
        raise UsageError(f"{file}: there is nothing to search: {fixed}; write for example {help_text}")
    model = Model(program)
    splits = model.splits_of_data(allow)
    if splits.validation is None:
        raise DataError(f"{file}: a sweep compares trials on validation rows, and there are none: write data {{ split = 80% / 10% / 10% }}")
    graph = model.graph
    metrics = ("val_loss",) if graph.head.target == "value" else ("val_accuracy", "val_loss")
    counted = {"outputs": graph.classes} if graph.head.target == "value" else {"classes": graph.classes}
    return Looked(program, Counts(tuple(graph.input.shape), **counted), splits.fingerprint, metrics)


def most_epochs(program: Program) -> int:
    """The most that a trial may have."""
    searched = program.search.get(EPOCHS)
    if isinstance(searched, Interval):
        return int(searched.high)
    return max(map(int, searched.values)) if isinstance(searched, Choice) else program.train.epochs


def grid(space: Space) -> list[dict[str, Tried]]:
    """Every combination of candidates, the last key changing fastest. Raises UsageError where they cannot be counted out."""
    axes: list[Sequence[Tried]] = []
    for key, candidates in space.items():
        if isinstance(candidates, Choice):
            axes.append(candidates.values)
        elif candidates.whole and not candidates.log:
            axes.append(range(int(candidates.low), int(candidates.high) + 1))
        else:
            raise UsageError(f"--sampler grid counts out every value, and {key} = {candidates} has no end of them: write choice(...)")
        if len(axes[-1]) > MOST_POINTS:
            raise UsageError(f"--sampler grid: {key} = {candidates} has {len(axes[-1])} values; at most {MOST_POINTS} are counted out")
    points = 1
    for axis in axes:
        points *= len(axis)
    if points > MOST_POINTS:
        raise UsageError(f"--sampler grid: there are {points} combinations; at most {MOST_POINTS} are counted out")
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]


def enter(order: Order, looked: Looked, trials: int | None) -> tuple[Any, Any]:
    """The study with its trials in it, and its database. Raises UsageError where it is of another spec, other data or
    another figure, or has more trials than asked for."""
    found = optuna()
    storage = open_storage(order, take_up)
    _require_own_folder(order, storage)
    direction = "maximize" if order.maximizes else "minimize"
    about = {"spec": as_text(looked.program), "data": looked.data, "metric": order.metric, "sampler": order.sampler}
    given = {"storage": storage, "sampler": sampler(order), "pruner": pruner(order)}
    points = grid(looked.program.search) if order.sampler == "grid" else None
    if points is not None and trials is not None and trials > len(points):
        raise UsageError(f"--trials {trials}: the grid has {len(points)} combinations")
    try:
        study, is_new = found.create_study(study_name=order.study, direction=direction, **given), True
        study.set_user_attr(ABOUT, about)
    except found.exceptions.DuplicatedStudyError:
        study, is_new = found.load_study(study_name=order.study, **given), False
        _wait_for(study)
        if ABOUT not in study.user_attrs and not study.get_trials(deepcopy=False):
            study.set_user_attr(ABOUT, about)  # who made it ended at once
        _require_same(order, looked, study)
    known = len({one.user_attrs["trial"] for one in numbered(study)})
    total = trials or (known if not is_new else len(points) if points is not None else TRIALS) or TRIALS
    if total < known:
        raise UsageError(
            f"--trials {total}: counts all trials of a study, and {order.study} has {known}; leave it out to end those that are left"
        )
    add_trials(study, total, points)
    study.set_user_attr(READY, True)
    miss_all(order, study, storage)
    return study, storage


def _require_own_folder(order: Order, storage: Any) -> None:
    """Raises UsageError for the folder of another study: its best spec and its table would be written over."""
    if order.storage != own_storage(order.trials):
        return
    others = optuna().get_all_study_names(storage)
    if others and order.study not in others:
        raise UsageError(
            f"{order.folder}: is the folder of the study {others[0]}; --study {others[0]} goes on with that one, "
            f"and {order.study} takes a --dir of its own"
        )


def as_text(program: Program) -> str:
    """The program with all that is settled, and what is searched."""
    pairs = "; ".join(f"{key} = {candidates}" for key, candidates in program.search.items())
    return f"{program.resolved}search {{ {pairs} }}\n"


def _wait_for(study: Any) -> None:
    """Another process has just made the study, and fills it."""
    end = time.monotonic() + READY_SECONDS
    while not study.user_attrs.get(READY) and time.monotonic() < end:
        time.sleep(0.1)


def _require_same(order: Order, looked: Looked, study: Any) -> None:
    about: Mapping[str, str] | None = study.user_attrs.get(ABOUT)
    name = f"the study {order.study}"
    if about is None:
        raise UsageError(f"{name} is none of netspec's; give another --study")
    try:
        began = load(Source(about["spec"]))
    except SpecError:
        raise UsageError(f"{name} is of another version of netspec; give another --study") from None
    changed = [f"{key}: {a} -> {b}" for key, a, b in _searched(began, looked.program) if a != b]
    if about["metric"] != order.metric:
        changed.append(f"--metric: {about['metric']} -> {order.metric}")
    if (about["sampler"] == "grid") != (order.sampler == "grid"):
        changed.append(f"--sampler: {about['sampler']} -> {order.sampler}")
    changed += differences(began, looked.program, looked.counts)
    if changed:
        changed[SHOWN:] = [f"... and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
        lines = "\n  ".join(changed)
        advice = "Give the changed one a study of its own: --study NAME"
        raise UsageError(f"{name} is of another spec, and takes trials of its own alone:\n  {lines}\n{advice}")
    if about["data"] != looked.data:
        raise DataError(
            f"{name} is of other data (SHA-256 {about['data'][:12]}..., here {looked.data[:12]}...): its trials cannot be compared"
        )


def _searched(a: Program, b: Program) -> list[tuple[str, str, str]]:
    """What differs in the searches, and the epochs, which a run may have more of and a trial not."""
    keys = dict.fromkeys((*a.search, *b.search))
    found = [(f"search.{key}", *(str(one.search.get(key, "nothing")) for one in (a, b))) for key in keys]
    return [(key, first, second) for key, first, second in [*found, (EPOCHS, str(a.train.epochs), str(b.train.epochs))]]
