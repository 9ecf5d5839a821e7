"""The pipeline: each stage called once, in order. Text -> program -> graph -> groups -> launches -> plan -> training -> run."""

from __future__ import annotations

import hashlib
import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from netspec.base import html
from netspec.base.errors import DataError, Interrupted, UsageError
from netspec.base.html import Markup
from netspec.base.shape import Shape
from netspec.base.text import Source
from netspec.frontend.program import Overrides, Program
from netspec.frontend.text import AnySpec, source_of
from netspec.frontend.validate import load
from netspec.graph.check import NO_OVERRIDES, overrides_of, to_graph
from netspec.graph.counts import Counts
from netspec.graph.graph import Graph
from netspec.groups.groups import Grouping, group
from netspec.model import HELD_OUT, Model
from netspec.plan.network import TrainingPlan, training_plan
from netspec.save.announced import announced, place_of
from netspec.save.description import spec_of
from netspec.save.run_folder import find, open_run_folder
from netspec.save.state_dict import match
from netspec.save.weights import is_foreign, load_foreign, load_weights, read_header
from netspec.train.callbacks import Callback, Callbacks
from netspec.train.data import Part, Splits
from netspec.train.history import History
from netspec.train.loop import Monitor, Training
from netspec.train.normalize import Normalization
from netspec.train.record import Record, Resumed
from netspec.train.resume import (
    EPOCHS,
    differences,
    go_on_from,
    is_same_file,
    program_of_run,
    require_left,
    require_own,
    require_same,
    require_same_data,
    require_same_rates,
    takes_whole_batches,
)
from netspec.train.settings import settings_of
from netspec.train.shares import SharesWarning, idle
from netspec.train.state import apart, read_state, take_over_slots
from netspec.train.team import Team, team_of_world
from netspec.train.weights import Description, described, require_weights_of
from netspec.ui.report.write import report_run
from netspec.ui.results import results_page


def read(spec: AnySpec, overrides: Overrides = NO_OVERRIDES) -> Program:
    """A text, the file that a Path or a str ending in .net names, or a net built in Python, to a validated program. Raises SpecError,
    UsageError."""
    return load(source_of(spec), overrides)


@dataclass(frozen=True)
class Stages:
    """Every noun on the way to a plan; nothing is allocated or compiled."""

    program: Program
    graph: Graph
    groups: Grouping
    plan: TrainingPlan


def stages(program: Program, counts: Counts | None = None) -> Stages:
    """Program to plan. Raises SpecError."""
    graph = to_graph(program, counts)
    grouping = group(graph, program.train.fuse)
    plan = training_plan(grouping, settings_of(program))
    return Stages(program, graph, grouping, plan)


def compile(  # noqa: A001  the word of the interface
    spec: AnySpec, *, input: Shape | int | None = None, classes: int | None = None, outputs: int | None = None,  # noqa: A002
    train: str | None = None, dtype: str | None = None, seed: int | None = None, threads: int | None = None, fuse: bool | None = None,
    weights: str | Path | None = None, strict: bool = True, **lets: Any,
) -> Model:  # fmt: skip
    """A model from a text, from the file that a Path or a str ending in .net names, or from a net that was built in Python.

    `input` is the shape of one row; a whole number is a vector. `train` is what stands between the braces of a train section, and
    overrides the file's keys; dtype ("float32" or "float64"), seed, threads and fuse override the file's, whose own defaults are
    float32, 0, all cores, and true. Other keywords are let values by name.
    `weights` is a weights file or run folder, or a PyTorch state dict saved as safetensors, which goes in by shapes and the order of its
    names; with `strict=False` what matches is loaded and `model.unloaded` lists the rest.
    `input` and counts may be left out until the first `fit(X, y)`. Raises SpecError, LimitError, DataError, UsageError.
    """
    given = overrides_of(
        input=input, classes=classes, outputs=outputs, train=train, dtype=dtype, seed=seed, threads=threads, fuse=fuse, **lets
    )  # fmt: skip
    model = Model(read(spec, given))
    if isinstance(weights, Mapping):
        raise UsageError("weights are read from a file: safetensors.torch.save_file(net.state_dict(), 'state.safetensors') writes one")
    if weights is not None:
        load_into(model, Path(weights), strict)
    return model


def load_into(model: Model, path: Path, strict: bool) -> None:
    """Weights of another run into a model of this spec, which takes their shapes where it has none yet."""
    weights = find(path).weights
    if is_foreign(weights):
        model.unloaded = load_state_dict(model, weights, strict)
        return
    tensors, metadata = load_weights(weights)
    found = described(metadata, weights)
    model.build_as(found)
    model.unloaded = _loaded(model, tensors, found, weights, strict)


def load_state_dict(model: Model, path: Path, strict: bool = True, order: Sequence[str] = ()) -> list[str]:
    """Arrays of a PyTorch state dict into a model, by their shapes and the order of their names, or that of the modules where `order` has
    it; returns the names that got none. Raises DataError where `strict` with everything that does not fit, UsageError where the model has
    no shape yet."""
    graph = model.graph
    found = match(graph, load_foreign(path), order)
    if found.faults and strict:
        raise DataError(f"{path}: the state dict does not fit the spec:\n  " + "\n  ".join(found.faults))
    left_out = model.load_arrays(found.arrays, strict=strict)
    if found.statistics is not None:
        tensors = dict(zip(("normalization.shift", "normalization.scale"), found.statistics, strict=True))
        kind = model.program.data.statistics if model.program.data is not None else None
        model.learn({"normalization": Normalization.from_tensors(kind or "per_feature", tensors, graph.input.shape)})
    return left_out


def _loaded(model: Model, tensors: Mapping[str, NDArray[Any]], found: Description, path: Path, strict: bool) -> list[str]:
    try:
        return model.load_tensors(tensors, found, strict=strict)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _require_weights_of(program: Program, counts: Counts, declared: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Before anything is allocated: a file of a few bytes may carry the spec of a net of gigabytes."""
    try:
        require_weights_of(to_graph(program, counts), declared)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def restore(path: str | Path, *, allow: Sequence[Path] = ()) -> Model:
    """The model of a weights file or a run folder (its best weights, else its last). Raises UsageError, DataError.

    `allow` are folders beside the usual ones that the data may lie in, where the model is measured on what its file holds out.
    """
    model = restore_file(find(Path(path)).weights)
    model.allow = tuple(allow)
    return model


def restore_file(path: Path) -> Model:
    """The model of one weights file, built from the spec that it carries."""
    declared, metadata = read_header(path)
    found = described(metadata, path)
    shape = tuple(found.input)
    counts = Counts(shape, found.classes, found.outputs)
    program = load(spec_of(path, found), Overrides(shape, found.classes, found.outputs, found.seed))
    _require_weights_of(program, counts, apart(declared)[0], path)
    tensors = load_weights(path)[0]
    return _with_arrays(Model(program, counts), tensors, found, path)


def rebuilt(text: str, tensors: Mapping[str, NDArray[Any]], found: Description, path: Path) -> Model:
    """The model of a text, with the arrays and what else is known of it. `path` opens messages. Raises SpecError, DataError."""
    shape = tuple(found.input)
    program = load(Source(text), Overrides(shape, found.classes, found.outputs, found.seed))
    return _with_arrays(Model(program, Counts(shape, found.classes, found.outputs)), tensors, found, path)


def _with_arrays(model: Model, tensors: Mapping[str, NDArray[Any]], found: Description, path: Path) -> Model:
    """The model, standing where the one stood whose arrays these are."""
    own, others = apart(tensors)
    _loaded(model, own, found, path, True)
    if others:  # what training goes on with too
        take_over_slots(model.network, others)
    model.epochs_done, model.network.store.step = found.epoch, found.step
    return model


@dataclass(frozen=True)
class Run:
    """A finished training run: its folder, the model with its best parameters, the history, figures on held-out rows.

    `metrics` are of the test split, of the validation split where there is no test split, else of the training rows; `split` says which.
    `rows` counts those of each split, and under `unused` those that the spec's split leaves out. Of processes that have trained together
    each has the same; the one of rank 0 has written it.
    """

    path: Path
    model: Model
    history: History
    metrics: dict[str, float]
    split: str
    rows: dict[str, int]
    rank: int = 0

    def _repr_html_(self) -> str:
        """What a notebook shows: the figures that `netspec train` prints, and the curves."""
        found = results_page(self.model.program, self.history, self.rows, self.split, self.metrics)
        return html.page(html.line(html.bold("Run "), self.path), found, Markup(self.history._repr_html_()))


@dataclass(frozen=True)
class _Asked:
    """What `train` is asked for, whether the run begins or goes on. Its folder is `held` from where it is there."""

    spec: AnySpec
    overrides: Overrides
    allow: Sequence[Path]
    monitor: Monitor | None
    callbacks: Sequence[Callback | Callable[..., Any]]
    local_bn: bool
    keep_losses: bool
    pictures: bool
    team: Team | None
    held: ExitStack


@dataclass(frozen=True)
class _Prepared:
    """What a run trains with, before anything is written; `record` makes or opens its folder."""

    model: Model
    training: Training
    splits: Splits
    hooks: Callbacks
    overfit: int | None
    record: Callable[[], Record]


def train(
    spec: AnySpec, *, overrides: Overrides = NO_OVERRIDES, run_dir: Path | str | None = None, monitor: Monitor | None = None,
    allow: Sequence[Path] = (), overfit: int | None = None, resume: Path | str | None = None, keep_losses: bool = True,
    pictures: bool = True, local_bn: bool = False, callbacks: Sequence[Callback | Callable[..., Any]] = (), **keys: Any,
) -> Run:  # fmt: skip
    """Trains a file, or what was built in Python, on its own data and writes its run folder (`runs/<name>`, or `run_dir`, which must be
    new or empty).

    Other keywords are section keys and let values by name: `train("digits.net", **{"train.epochs": 5, "width": 64})`. `overfit` trains
    on that many rows alone, and measures on them. `resume` is the folder of a run of this spec that ended before its last epoch: training
    goes on from its last state, to the same bytes as a run that was never stopped, or with more epochs than it had. Without
    `keep_losses` the history has but the first and the last, and the memory of a long run does not grow. Without `pictures` the folder
    gets no curves and no report, which `netspec plot` and `netspec report` draw later. `callbacks` are those of `Model.fit`.

    Processes that were started together by `mpiexec` share every batch. bn takes the statistics of the whole batch, so that the run is that
    of one process up to rounding; with `local_bn` each process takes those of its own rows. What fails in one of them ends all, and
    callbacks are called in that of rank 0.
    Raises SpecError, DataError, UsageError, DivergedError, Interrupted.
    """
    given = with_keys(overrides, keys)
    if resume is not None and (run_dir is not None or overfit is not None):
        raise UsageError("a resumed run keeps its folder and its rows: leave out --run-dir and --overfit")
    team = team_of_world()
    heard, called = (monitor, callbacks) if team is None or team.leads else (None, ())
    folder = run_dir if resume is None else resume
    with ExitStack() as held:
        held.enter_context(announced(place_of(None if folder is None else Path(folder))))
        asked = _Asked(spec, given, allow, heard, called, local_bn, keep_losses, pictures, team, held)

        def prepare() -> _Prepared:
            if resume is not None:
                return _go_on(asked, Path(resume))
            return _begin(asked, overfit, Path(run_dir) if run_dir is not None else None)

        if team is not None:
            held.enter_context(team.guarded())
            return _run_together(asked, prepare, team)
        prepared = prepare()
        return _run(asked, prepared, prepared.record())


def _run_together(asked: _Asked, prepare: Callable[[], _Prepared], team: Team) -> Run:
    """A run of several processes, once it is sure that all have the same before them. Rank 0 writes."""
    prepared = team.everywhere(prepare, in_turn=True)
    team.require_same(
        {
            "version of netspec": (version("netspec"), UsageError),
            "spec": (f"{prepared.model.program.resolved}\n{prepared.model.network.store.seed}", UsageError),
            "data": (prepared.splits.fingerprint, DataError),
            "--local-bn": (str(team.share.statistics), UsageError),
            "weights to begin with": (_beginning(prepared.model), DataError),
        }
    )
    told = idle(team.share, min(prepared.model.program.train.batch, len(prepared.training.material)))
    if told is not None and team.leads:
        warnings.warn(told, SharesWarning, stacklevel=3)
    record = team.everywhere(lambda: prepared.record() if team.leads else None)
    path = Path(team.texts(str(record.folder.path) if record is not None else "")[0])
    done = _run(asked, prepared, record, path)
    team.everywhere(lambda: None)  # a rank that reads the folder next finds all of it
    return done


def _beginning(model: Model) -> str:
    """A digest of what training begins with: draws of another version of numpy, or the state of another folder, differ."""
    store = model.network.store
    arrays = (store.parameters.flat, store.state.flat, *(slot.flat for slot in store.slots.values()))
    digests = [hashlib.sha256(array.data).hexdigest() for array in arrays]
    return f"{model.epochs_done} {store.step} {' '.join(digests)}"


def _begin(asked: _Asked, overfit: int | None, run_dir: Path | None) -> _Prepared:
    """A run from its first step on."""
    program, team = read(asked.spec, asked.overrides), asked.team
    if team is not None:
        team.take_statistics(of_whole_batch=not asked.local_bn)
    model = Model(program, team=team)
    hooks = Callbacks(model, asked.callbacks)
    splits = model.splits_of_data(asked.allow)
    if overfit is not None:
        splits = only(splits, overfit)
    name = Path(program.source.path).stem if program.source.path != "<string>" else "run"
    epochs = program.train.epochs
    training = model.training_of(splits, epochs, monitor=asked.monitor, may_stop=overfit is None)

    def record() -> Record:
        made = Record.create(
            model, program, str(model.plan), splits.fingerprint, epochs=epochs, rows=splits.counts(), run_dir=run_dir, name=name,
            allow=asked.allow, overfit=overfit,
        )  # fmt: skip
        asked.held.enter_context(made.folder.held())
        if overfit is not None:
            made.event(event="overfit", rows=len(splits.train))  # which the spec does not say
        return made

    return _Prepared(model, training, splits, hooks, overfit, record)


def _go_on(asked: _Asked, run: Path) -> _Prepared:
    """The rest of a run that ended early."""
    folder, given, team = open_run_folder(run), asked.overrides, asked.team
    if team is None or team.leads:
        asked.held.enter_context(folder.held())  # nobody else moves the state
    state = read_state(folder.state)
    counts = Counts(tuple(state.found.input), state.found.classes, state.found.outputs)
    began, program = program_of_run(folder), read(asked.spec, given)
    require_own(began, state, counts, folder)
    same_file = is_same_file(program, folder)
    epochs = began.train.epochs if same_file and EPOCHS not in given.keys else program.train.epochs
    changed = differences(began, program, counts)
    if changed and same_file and given in (NO_OVERRIDES, Overrides(keys={EPOCHS: epochs})):
        program = program_of_run(folder, epochs)  # the run was begun with values of its own
    else:
        require_same(changed, folder)
        program = read(asked.spec, replace(given, keys={**given.keys, EPOCHS: epochs}))
    require_left(folder, state, epochs)
    if team is not None:
        team.take_statistics(of_whole_batch=takes_whole_batches(folder, asked.local_bn))
    model = Model(program, counts, team)
    hooks = Callbacks(model, asked.callbacks)
    splits = model.splits_of_data(asked.allow)
    require_same_data(splits, folder)
    overfit = state.position.overfit
    if overfit is not None:
        splits = only(splits, overfit)
    _loaded(model, state.own, state.found, folder.state, True)
    model.epochs_done, model.network.store.step = state.found.epoch, state.found.step
    training = model.training_of(splits, epochs - state.found.epoch, monitor=asked.monitor, may_stop=overfit is None)
    go_on_from(training, state, folder)
    require_same_rates(began, program, folder, training)
    resolved = None if epochs == began.train.epochs else program_of_run(folder, epochs).resolved
    record = Record.of(folder, model, program, epochs, overfit)
    record.resumed = Resumed(state.found.epoch, state.found.step, resolved)
    record.said = {"spec": state.found.spec, "path": state.found.path}
    return _Prepared(model, training, splits, hooks, overfit, lambda: record)


def _run(asked: _Asked, prepared: _Prepared, record: Record | None, path: Path | None = None) -> Run:
    """Trains to the end, measures, and writes the report. Without a record another process, whose folder `path` is, writes the run."""
    model, training, splits, hooks = prepared.model, prepared.training, prepared.splits, prepared.hooks
    training.keeps_losses = asked.keep_losses
    if record is not None:
        record.pictures = asked.pictures
    try:
        history = model.run_training(training, record, hooks)
    except Interrupted as error:
        if record is not None:
            run = shlex.quote(str(record.folder.path))
            error.add_note(f"netspec train --resume {run} goes on; netspec report {run} makes the report of what is there")
        raise
    found = model.measured(*held_out(splits, prepared.overfit))
    if record is not None:
        record.end(training, split=found.split, **found.figures)
        if record.pictures:
            report_run(record.folder, model, found)
        path = record.folder.path
    hooks.measured(found.split, found.figures)
    hooks.end(history)
    assert path is not None, "the folder of the process that writes"
    return Run(path, model, history, found.figures, found.split, splits.counts(), asked.team.rank if asked.team else 0)


def with_keys(overrides: Overrides, keys: Mapping[str, Any]) -> Overrides:
    """Overrides with more: dotted names are section keys, `seed` is the seed, all others let values. Raises UsageError for a whole section,
    which is given as `train=` to `compile` alone."""
    if "train" in keys:
        raise UsageError(f'train={keys["train"]!r}: write its keys by their names, as in **{{"train.epochs": 3}}')
    sections = {name: value for name, value in keys.items() if "." in name}
    lets = {name: value for name, value in keys.items() if "." not in name and name != "seed"}
    seed = keys.get("seed", overrides.seed)
    by = overrides.keys_by if not keys else "keywords"
    return replace(overrides, seed=seed, keys={**overrides.keys, **sections}, lets={**overrides.lets, **lets}, keys_by=by)


def held_out(splits: Splits, overfit: int | None = None) -> tuple[str, Part]:
    """The rows that a run is measured on: test, else validation, else train, and those where it learnt a few rows by heart."""
    for name in () if overfit is not None else HELD_OUT:
        rows: Part | None = getattr(splits, name)
        if rows is not None:
            return name, rows
    return "train", splits.train


def only(splits: Splits, rows: int) -> Splits:
    """The first training rows, to train on and to measure on."""
    few = splits.train.first(rows)
    return replace(splits, train=few, validation=few, test=None)
