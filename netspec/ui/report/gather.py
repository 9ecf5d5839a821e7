"""All that the report of one run says, from its folder, its net, and the rows that it was measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.figure import LARGEST_DRAWN, is_drawn
from netspec.base.shape import show
from netspec.base.units import flops_in_words
from netspec.save.run_folder import RunFolder
from netspec.ui.curves import FEW, Curves, limit_losses, smooth, widened
from netspec.ui.draw import draw
from netspec.ui.flow import flow
from netspec.ui.layer_table import Line as LayerLine
from netspec.ui.layer_table import layer_lines
from netspec.ui.report.charts import Chart, Line, line_chart, scatter
from netspec.ui.report.confusion import ByClass, by_class
from netspec.ui.report.facts import Facts, facts_of, figure, seconds_in_words
from netspec.ui.report.measured import Measured
from netspec.ui.report.mistakes import Mistakes, worst
from netspec.ui.summary import COLUMNS, summarize
from netspec.ui.svg import svg_inside

if TYPE_CHECKING:
    from netspec.model import Model

MOST_LAYER_LINES = 400
MOST_DRAWN = 200
"""Layers of a net whose picture is in the report: of more it takes long to draw, and to find anything in."""
LARGEST_PICTURE = 300_000
MOST_EPOCHS = 100
"""Rows of the table of epochs: of more the first and the last halves of them."""
SCATTERED = 500
MOST_ANSWERS = 200
"""Answers of a row that are listed one by one."""


@dataclass(frozen=True)
class Tile:
    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class RunReport:
    """The sections of the page; what is not known is empty."""

    facts: Facts
    headline: str
    state: str
    tiles: tuple[Tile, ...]
    charts: tuple[Chart, ...]
    epochs: tuple[tuple[str, ...], ...]
    measured: str
    figures: tuple[tuple[str, str], ...]
    classes: ByClass | None
    mistakes: Mistakes | None
    values: Chart | None
    layer_columns: tuple[str, ...]
    layers: tuple[LayerLine, ...]
    layers_left_out: int
    footer: str
    net: str
    note: str
    """Why there are no figures of rows, where there are none."""


def gather(folder: RunFolder, model: Model, measured: Measured | None, note: str = "") -> RunReport:
    """Raises DataError where the folder is damaged."""
    facts = facts_of(folder)
    summary = summarize(model.program, model.graph, model.plan)
    lines = tuple(layer_lines(summary.input, summary.rows, COLUMNS))
    graph = model.graph
    counted = "outputs" if graph.head.target == "value" else "classes"
    counted = counted if graph.classes > 1 else "output"
    headline = f"{show(graph.input.shape)} \u2192 {graph.classes:,} {counted}, {graph.head.name}, {graph.loss.name}"
    is_value = graph.head.target == "value"
    few = measured is not None and measured.classes is not None and len(measured.classes.labels) <= MOST_ANSWERS
    exclusive = measured is not None and measured.classes is not None and measured.classes.exclusive
    return RunReport(
        facts=facts,
        headline=headline,
        state=f"Training ended early: {facts.stopped}" if facts.stopped else "",
        tiles=tuple(_tiles(facts, measured, summary.parameters, flops_in_words(summary.flops))),
        charts=tuple(charts_of(facts.curves)) if facts.curves else (),
        epochs=tuple(_epochs(facts.epochs)),
        measured=f"{measured.split}, {len(measured.part):,} rows" if measured else "",
        figures=tuple((name, figure(value)) for name, value in measured.figures.items()) if measured else (),
        classes=by_class(measured.classes) if measured and measured.classes and (few or exclusive) else None,
        mistakes=worst(model, measured) if measured and len(measured.part) else None,
        values=_values(measured) if measured and is_value and len(measured.part) else None,
        layer_columns=("layer", "output", *COLUMNS),
        layers=lines[:MOST_LAYER_LINES],
        layers_left_out=len(lines[MOST_LAYER_LINES:]),
        footer=summary.footer(120),
        net=_picture(model, facts.name),
        note=note,
    )


def _picture(model: Model, name: str) -> str:
    """The net as an SVG; nothing where it is too large."""
    if len(model.graph.nodes) > MOST_DRAWN:
        return ""
    found = svg_inside(draw(flow(model.program, model.graph, model.plan, name)))
    return found if len(found) <= LARGEST_PICTURE else ""


# figures


HEADLINE = (("accuracy", "Accuracy"), ("r2", "R2"), ("loss", "Loss"))


def _tiles(facts: Facts, measured: Measured | None, parameters: int, flops: str) -> Iterator[Tile]:
    best = facts.best
    if measured is not None:
        for name, title in HEADLINE:
            if name in measured.figures:
                yield Tile(title, _large(measured.figures[name]), f"{measured.split}, {len(measured.part):,} rows")
    elif best is not None and best["val_loss"] is not None:
        if best["val_accuracy"] is not None:
            yield Tile("Accuracy", figure(best["val_accuracy"]), "validation")
        yield Tile("Loss", figure(best["val_loss"]), "validation")
    elif best is not None:
        yield Tile("Loss", figure(best["loss"]), "training")
    if best is not None:
        validated = best["val_accuracy"] if best["val_accuracy"] is not None else best["val_loss"]
        noun = "accuracy" if best["val_accuracy"] is not None else "loss"
        told = f"validation {noun} {figure(validated)}" if validated is not None else "the last, without validation"
        yield Tile("Best epoch", f"{best['epoch']} of {facts.epochs[-1]['epoch']}", told)
    yield Tile("Parameters", f"{parameters:,}", f"{flops} a row")
    if best is not None:
        yield Tile("Time", seconds_in_words(facts.epochs[-1]["seconds"]), f"{facts.epochs[-1]['step']:,} steps")
    if facts.rows:
        others = ", ".join(f"{name} {count:,}" for name, count in facts.rows.items() if name != "train")
        yield Tile("Training rows", f"{facts.rows.get('train', 0):,}", others)


def _large(value: float) -> str:
    """A figure in few letters."""
    return f"{value:,.0f}" if isfinite(value) and 1000 <= abs(value) < 1e7 else figure(value)


def _epochs(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for number, row in enumerate(rows):
        if len(rows) > MOST_EPOCHS and number == MOST_EPOCHS // 2:
            yield ("...",) * 8
        if MOST_EPOCHS // 2 <= number < len(rows) - MOST_EPOCHS // 2:
            continue
        figures = (figure(row[name]) for name in ("lr", "loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"))
        yield (f"{row['epoch']:,}", f"{row['step']:,}", *figures)


# charts


def charts_of(run: Curves) -> Iterator[Chart]:
    """The losses by step; of classes the accuracies by epoch."""
    lines = [Line("training", run.steps, run.losses)]
    if len(run.steps) > FEW:
        lines = [Line("training, single steps", run.steps, run.losses, kind="faint"), Line("training", run.steps, smooth(run.losses))]
    validated = column(run, "val_loss", "step")
    if validated is not None:
        lines.append(Line("validation", *validated, number=None))
    others = [] if validated is None else validated[1].tolist()
    yield line_chart("Loss", lines, "step", "loss", lambda axes: limit_losses(axes, [run.losses], others))
    accuracies = [("training", "train_accuracy", 0, "dashed"), ("validation", "val_accuracy", None, "solid")]
    found = [(name, column(run, key), number, kind) for name, key, number, kind in accuracies]
    shown = [Line(name, *points, number=number, kind=kind) for name, points, number, kind in found if points is not None]  # type: ignore[arg-type]
    if shown:
        yield line_chart("Accuracy", shown, "epoch", "accuracy", widen_accuracy)


def column(run: Curves, name: str, by: str = "epoch") -> tuple[NDArray[Any], NDArray[np.float64]] | None:
    """A column of the epochs, where it has figures."""
    points = [(row[by], row[name]) for row in run.epochs if row[name] is not None and is_drawn(row[name])]
    if not points:
        return None
    return np.array([x for x, _ in points], np.int64), np.array([y for _, y in points], np.float64)


def widen_accuracy(axes: Any) -> None:
    """At least a tenth of the scale, and an epoch to each side of a single one."""
    axes.set_xlim(*widened(axes.get_xlim(), 1.0))
    axes.set_ylim(*widened(axes.get_ylim(), 0.1))


def _values(measured: Measured) -> Chart | None:
    """Predictions beside true values, of evenly spaced rows where there are many."""
    head, scored = measured.scored.head, measured.scored
    wanted = scored.y.reshape(-1).astype(np.float64)
    predicted = head.predict(scored.scores).reshape(-1).astype(np.float64)
    at = np.unique(np.linspace(0, len(wanted) - 1, SCATTERED).round().astype(np.int64))
    finite = at[np.abs(predicted[at]) < LARGEST_DRAWN]
    if not len(finite):
        return None
    return scatter("Predicted and true values", wanted[finite], predicted[finite], ("true", "predicted"), "values")
