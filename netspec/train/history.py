"""What training writes down: the loss of every step, a row for every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from netspec.base import html
from netspec.base.chart import Curve, chart
from netspec.base.errors import Interrupted
from netspec.base.figure import shown_figure
from netspec.base.html import Markup

COLUMNS = ("epoch", "step", "lr", "loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
_FORMATS = {"epoch": "{}", "step": "{}", "lr": "{:.4g}", "seconds": "{:.2f}"}
SHOWN = 10
"""Epochs that a printed history shows: the first and the last halves of them."""


@dataclass(repr=False)
class History:
    """`loss` holds the loss of each step (data loss plus l2), `epochs` a dict for each epoch with the keys of COLUMNS.

    `loss` of an epoch is the mean over its steps, `lr` the rate of its last step, `seconds` the time since training began. Accuracies
    are None for regression, validation figures None without validation. Of a run that was resumed, `loss` begins with the epoch that it
    went on in, `epochs` with the first. `stopped` says why the last fit ended before its last epoch,
    None where it did not. `pandas.DataFrame(history.epochs)` is a table of the epochs; printed, a history is a short one.
    """

    loss: list[float] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None

    @property
    def figures(self) -> list[float]:
        """The validation loss of each epoch, or its training loss where there is none: what a schedule may watch."""
        return [self.figure_of(row) for row in self.epochs]

    @staticmethod
    def figure_of(row: Mapping[str, Any]) -> float:
        """That figure of one epoch."""
        figure: float = row["loss"] if row["val_loss"] is None else row["val_loss"]
        return figure

    def to_dict(self) -> dict[str, list[Any]]:
        """The epochs by column: a list for each of COLUMNS, all of the same length."""
        return {column: [row[column] for row in self.epochs] for column in COLUMNS}

    def __str__(self) -> str:
        return "\n".join([*self._table(), self._totals()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table, and the curves."""
        return html.page(epochs_page(self.epochs, list(enumerate(self.loss, 1))), html.line(self._totals()))

    def _totals(self) -> str:
        ended = f"; stopped: {self.stopped}" if self.stopped else ""
        return f"{len(self.epochs)} epochs, {len(self.loss)} steps{ended}"

    def _table(self) -> list[str]:
        rows = table_of(self.epochs)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows if self.epochs]


def best_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of the epoch whose parameters are kept: best on validation (the earliest on a tie), the last without validation."""
    measured = [row for row in rows if row["val_loss"] is not None and isfinite(row["val_loss"])]
    if not measured:
        return rows[-1]
    if measured[-1]["val_accuracy"] is not None:
        return max(measured, key=lambda row: (row["val_accuracy"], -row["epoch"]))
    return min(measured, key=lambda row: (row["val_loss"], row["epoch"]))


def table_of(epochs: Sequence[Mapping[str, Any]], shown: int = SHOWN) -> list[list[str]]:
    """The names of the columns, without those that have no figure, and the rows of the first and the last epochs."""
    columns = [column for column in COLUMNS if any(row[column] is not None for row in epochs)]
    if len(epochs) <= shown:
        return [columns, *(_row(row, columns) for row in epochs)]
    half = shown // 2
    first, last = ([_row(row, columns) for row in some] for some in (epochs[:half], epochs[-half:]))
    return [columns, *first, ["..."] * len(columns), *last]


def epochs_page(epochs: Sequence[Mapping[str, Any]], losses: Sequence[tuple[int, float]] = (), shown: int = SHOWN) -> Markup:
    """The epochs as a table, and their curves; before there are two epochs the `losses` by step."""
    heads, *rows = table_of(epochs, shown)
    table = html.table([(head, "right") for head in heads], rows) if epochs else ""
    return html.joined(table, html.line(*_curves(epochs, losses)))


def _curves(epochs: Sequence[Mapping[str, Any]], losses: Sequence[tuple[int, float]]) -> Iterator[Markup]:
    if len(epochs) < 2:
        if len(losses) > 1:
            yield html.picture(chart([Curve("training", losses, html.BLUE)], "step", "loss"), f"loss of {len(losses)} steps")
        return
    for title, columns in (("loss", ("loss", "val_loss")), ("accuracy", ("train_accuracy", "val_accuracy"))):
        found = {column: [(row["epoch"], row[column]) for row in epochs if row[column] is not None] for column in columns}
        kinds = zip(found.values(), ("training", "validation"), (html.BLUE, html.ORANGE), strict=True)
        curves = [Curve(name, points, colour, dashed=name == "training") for points, name, colour in kinds if points]
        ends = (f"{curve.name} from {shown_figure(curve.points[0][1])} to {shown_figure(curve.points[-1][1])}" for curve in curves)
        if curves:
            yield html.picture(chart(curves, "epoch", title), f"{title}: {', '.join(ends)}")


def _row(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    return [_shown(column, row[column]) for column in columns]


def _shown(column: str, figure: Any) -> str:
    if figure is None:
        return ""
    return _FORMATS[column].format(figure) if column in _FORMATS else shown_figure(figure)


@contextmanager
def told_when_interrupted(history: History, name: str | None = None) -> Iterator[None]:
    """Says of an interrupted training where what was done is found, and how to go on; `name` is the caller's variable, if known."""
    try:
        yield
    except Interrupted as stopped:
        done = f"{len(history.epochs):,} epochs, {len(history.loss):,} steps"
        there, fit = ("the model's history", "its fit") if name is None else (f"{name}.history", f"{name}.fit")
        stopped.args = (f"{stopped}; {there} has what was done ({done}), and {fit} goes on from there",)
        raise
