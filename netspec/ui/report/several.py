"""Several runs on one page: their figures, what their specs say differently, their curves on shared axes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path

import numpy as np

from netspec.graph.compare import Comparison, Meaning, compare
from netspec.save.atomic import write_atomic
from netspec.save.run_folder import RunFolder
from netspec.ui.comparison import layer_rows
from netspec.ui.curves import FEW, limit_losses, limit_validated, smooth
from netspec.ui.report.charts import Chart, Key, Line, key_of, line_chart
from netspec.ui.report.facts import Facts, facts_of, figure, seconds_in_words
from netspec.ui.report.gather import column, widen_accuracy
from netspec.ui.report.page import page

FIGURES = (("accuracy", "accuracy"), ("r2", "R2"), ("loss", "loss"))
"""What runs are compared by: the first that all have."""
NOTHING = np.zeros(0)
LEAST = ("loss",)
"""Figures of which the lowest is the best."""


@dataclass(frozen=True)
class Compared:
    """A run with the name that tells it from the others, and what its spec means."""

    name: str
    folder: RunFolder
    meaning: Meaning


@dataclass(frozen=True)
class Row:
    """A run in the table. `link` leads to its own report, where there is one; `best` are the columns in which no other is better."""

    name: str
    link: str
    key: Key
    cells: tuple[str, ...]
    best: frozenset[int]


@dataclass(frozen=True)
class Layers:
    """What the net of a run has that the first one's has not, and the reverse: sign, layer, what, first, this."""

    name: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Page:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    settings: tuple[tuple[str, ...], ...]
    """A setting that differs, with its value in each run."""
    layers: tuple[Layers, ...]
    charts: tuple[Chart, ...]
    first: str


def write_comparison(path: Path, runs: Sequence[Compared]) -> None:
    """The page of several runs; `runs[0]` is what the specs of the others are compared with. Raises DataError, SaveError."""
    write_atomic(path, page("runs.html.j2", page=gather_page(runs, path.parent), names=[one.name for one in runs]))


def gather_page(runs: Sequence[Compared], place: Path) -> Page:
    """What the page says that will lie in `place`."""
    facts = [facts_of(one.folder) for one in runs]
    differences = [compare(runs[0].meaning, one.meaning) for one in runs[1:]]
    measures = [_Measure.of(name, title, facts) for name, title in FIGURES]
    kept = [one for one in measures if any(value is not None for value in one.values)]
    others = [_other_cells(run, told) for run, told in zip(runs, facts, strict=True)]
    rows = tuple(
        Row(
            run.name, _link(run.folder.path, place), key_of(Line(run.name, NOTHING, NOTHING, number)),
            (*(figure(one.values[number]) for one in kept), *others[number]),
            frozenset(at for at, one in enumerate(kept) if number in one.best),
        )
        for number, run in enumerate(runs)
    )  # fmt: skip
    settings = _settings(differences)
    layers = tuple(
        Layers(run.name, tuple(tuple(str(cell) for cell in row) for row in layer_rows(found.layers)))
        for run, found in zip(runs[1:], differences, strict=True)
        if found.layers
    )
    columns = (*(one.title for one in kept), "measured on", "best epoch", "parameters", "training rows", "time", "ended")
    return Page(columns, rows, tuple(settings), layers, tuple(_charts(facts, [run.name for run in runs])), runs[0].name)


# the table


@dataclass(frozen=True)
class _Measure:
    title: str
    values: tuple[float | None, ...]
    best: frozenset[int]

    @classmethod
    def of(cls, name: str, title: str, facts: Sequence[Facts]) -> _Measure:
        """The figure of each run at its end; of one that did not come to it that of its best epoch, on validation."""
        values = tuple(_value(one, name) for one in facts)
        known = [value for value in values if value is not None and isfinite(value)]
        splits = {_split(one) for one, value in zip(facts, values, strict=True) if value is not None}
        if len(known) < 2 or len(splits) > 1:  # figures of different rows do not compare
            return cls(title, values, frozenset())
        top = min(known) if name in LEAST else max(known)
        return cls(title, values, frozenset(at for at, value in enumerate(values) if value == top))


def _value(facts: Facts, name: str) -> float | None:
    if facts.figures:
        return facts.figures.get(name)
    found = facts.best[f"val_{name}"] if facts.best and f"val_{name}" in facts.best else None
    return None if found is None else float(found)


def _split(facts: Facts) -> str:
    return facts.split if facts.figures else "validation"


def _other_cells(run: Compared, facts: Facts) -> Iterator[str]:
    best, graph = facts.best, run.meaning.graph
    yield f"{_split(facts)}" if facts.figures or (best and best["val_loss"] is not None) else "-"
    yield f"{best['epoch']:,} of {facts.epochs[-1]['epoch']:,}" if best else "-"
    yield f"{graph.parameter_count:,}" if graph else "-"
    yield f"{facts.rows['train']:,}" if "train" in facts.rows else "-"
    yield seconds_in_words(facts.epochs[-1]["seconds"]) if facts.epochs else "-"
    yield "stopped early" if facts.stopped else "at its end" if facts.figures else "-"


def _link(folder: Path, place: Path) -> str:
    """The way from `place` to the run's own report, as an address; nothing where there is none."""
    target = folder / "report.html"
    if not target.is_file():
        return ""
    way = os.fsencode(os.path.relpath(target.resolve(), place.resolve()))
    return "./" + "".join(chr(one) if re.match(rb"[A-Za-z0-9_./~-]", bytes([one])) else f"%{one:02X}" for one in way)


# the specs


def _settings(differences: Sequence[Comparison]) -> Iterator[tuple[str, ...]]:
    """Each setting that is not the same in all runs, with the value in each."""
    told = [{one.key: one for one in found.settings} for found in differences]
    for key in dict.fromkeys(one.key for found in differences for one in found.settings):
        first = next(found[key].a for found in told if key in found)
        values = [first, *(found[key].b if key in found else first for found in told)]
        yield key, *(value if value is not None else "-" for value in values)


# curves


def _charts(facts: Sequence[Facts], names: Sequence[str]) -> Iterator[Chart]:
    runs = [(number, name, one.curves) for number, (name, one) in enumerate(zip(names, facts, strict=True)) if one.curves is not None]
    if not runs:
        return
    losses = [Line(name, run.steps, run.losses if len(run.steps) <= FEW else smooth(run.losses), number) for number, name, run in runs]
    every = [run.losses for _, _, run in runs]
    yield line_chart("Training loss, smoothed", losses, "step", "training", lambda axes: limit_losses(axes, every, []))
    for title, key in (("Validation loss", "val_loss"), ("Validation accuracy", "val_accuracy")):
        found = [(number, name, column(run, key)) for number, name, run in runs]
        lines = [Line(name, *points, number=number) for number, name, points in found if points is not None]
        if lines:
            validated = [line.y for line in lines]
            limit = widen_accuracy if key == "val_accuracy" else partial(limit_validated, runs=validated)
            yield line_chart(title, lines, "epoch", key.replace("_", "-"), limit)
