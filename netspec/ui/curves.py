"""The picture of training: loss by step and accuracy by epoch, of one or several runs on shared axes. Drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.extras import installed, library
from netspec.base.figure import is_drawn
from netspec.save.run_folder import RunFolder, open_run_folder
from netspec.ui.picture import write_picture

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
"""M. Okabe and K. Ito's palette, which colour-blind readers can tell apart; yellow, too pale for lines, is grey."""
STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MARKS = ("o", "s", "^", "D")
"""With more runs than colours, the colours come again with other dashes and marks."""
SMOOTHED = 60
"""The bell curve that smooths is as wide (its standard deviation) as the steps' number divided by this."""
WIDEST = 100
"""Steps of that width at most."""
FEW = 40
"""Steps or epochs that can be told apart: each then has its mark, and losses need no smoothing."""
WIDE = 30
"""From this ratio of the highest loss to the lowest on, losses are drawn on a logarithmic scale."""
MANY = 1000
"""From this ratio on only powers of ten are marked there."""
KINDS = ({"linestyle": (0, (4, 2)), "linewidth": 1.3, "markerfacecolor": "white"}, {"linestyle": "-", "linewidth": 1.8, "zorder": 3})
"""How training and validation figures are drawn."""
GREY = "#555555"
VALIDATED = "#222222"
"""The loss on validation rows beside a single run's own."""


@dataclass(frozen=True)
class Curves:
    """What a run has to show: finite losses (K,) of logged steps (K,), at least one, and its rows of results.csv."""

    name: str
    steps: NDArray[np.int64]
    losses: NDArray[np.float64]
    epochs: Sequence[dict[str, Any]]

    @property
    def has_accuracy(self) -> bool:
        return any(row["train_accuracy"] is not None or row["val_accuracy"] is not None for row in self.epochs)


def read_curves(path: Path, name: str) -> Curves:
    """Of a run folder, or of the one that a weights file lies in. Raises UsageError where there is none, or no epoch was finished."""
    inside = path.is_file() and path.parent.name == "weights"
    if path.is_file() and not inside:
        raise UsageError(f"{path}: a weights file outside a run folder has no curves; give the run folder")
    if not path.exists():
        raise UsageError(f"{path}: no such run folder")
    return curves_of(open_run_folder(path.parent.parent if inside else path), name)


def curves_of(folder: RunFolder, name: str) -> Curves:
    """Raises UsageError where the run has no epoch yet."""
    epochs, steps = folder.read_epochs(), [(step, loss) for step, loss in folder.read_steps() if is_drawn(loss)]
    if not epochs or not steps:
        raise UsageError(f"{folder.path}: the run has no finished epoch, and so no curves")
    return Curves(name, np.array([step for step, _ in steps], np.int64), np.array([loss for _, loss in steps], np.float64), epochs)


def draw_run(folder: RunFolder) -> None:
    """Puts curves.png into a run's folder where matplotlib is installed and an epoch was finished. Raises SaveError."""
    if folder.results.exists() and installed("matplotlib"):
        draw_curves([curves_of(folder, folder.path.resolve().name)], folder.path / "curves.png")


def names_of(paths: Sequence[Path]) -> list[str]:
    """What tells the runs apart: the ends of their paths, as short as they can be."""
    parts = [path.resolve().parts for path in paths]
    count = 1
    while len({part[-count:] for part in parts}) < len(set(parts)):
        count += 1
    return ["/".join(part[-count:]) for part in parts]


def draw_curves(runs: Sequence[Curves], path: Path) -> None:
    """Writes the picture, PNG or SVG by the suffix. Raises UsageError where runs with and without an accuracy are mixed, SaveError."""
    values = [run for run in runs if not run.has_accuracy]
    if values and len(values) < len(runs):
        others = ", ".join(run.name for run in values)
        raise UsageError(f"{others}: has no accuracy, as runs on values have none; plot such runs apart from those with one")
    figure = library("matplotlib.figure", "plot").Figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2)
    columns = ("loss", "val_loss") if values else ("train_accuracy", "val_accuracy")
    for number, run in enumerate(runs):
        look = _look(number)
        _draw_losses(left, run, look)
        _draw_epochs(right, run, columns, look)
    validated = _validated(runs)
    if validated:
        left.plot(
            *zip(*validated, strict=True), color=VALIDATED, linewidth=1.4, marker="o" if len(validated) <= FEW else None, markersize=4
        )
    _label(left, "step", "loss" if validated else "training loss")
    _label(right, "epoch", "loss" if values else "accuracy")
    limit_losses(left, [run.losses for run in runs], [loss for _, loss in _validated(runs)])
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    right.set_xlim(*widened(right.get_xlim(), 1.0))
    if values:
        losses = [
            [row[column] for row in run.epochs if row[column] is not None and is_drawn(row[column])] for run in runs for column in columns
        ]
        limit_validated(right, [np.array(some) for some in losses if some])
    else:
        right.set_ylim(*widened(right.get_ylim(), 0.1))
    _legends(figure, left, right, runs, columns)
    write_picture(figure, path)


def _validated(runs: Sequence[Curves]) -> list[tuple[int, float]]:
    """(step, validation loss) by epoch of a single run on classes, whose other picture is of accuracies."""
    if len(runs) > 1 or not runs[0].has_accuracy:
        return []
    return [(row["step"], row["val_loss"]) for row in runs[0].epochs if row["val_loss"] is not None and is_drawn(row["val_loss"])]


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value (K,) as the mean of those around it, weighted by a bell curve, a narrow one at the start, where losses fall fast."""
    width = max(0.3, min(len(values) / SMOOTHED, WIDEST))
    reach = int(3 * width) + 1
    offsets = np.arange(-reach, reach + 1)
    bell = np.exp(-0.5 * (offsets / width) ** 2)
    smoothed = np.convolve(values, bell)[reach:-reach] / np.convolve(np.ones(len(values)), bell)[reach:-reach]
    first = min(len(values), int(4 * width))  # there the curve has not its full width yet
    around = np.pad(values, reach, constant_values=np.nan)[np.arange(first)[:, None] + offsets + reach]
    weights = np.exp(-0.5 * (offsets / np.maximum(np.arange(1, first + 1)[:, None] / 4, 0.3)) ** 2)
    weights[np.isnan(around)] = 0.0
    smoothed[:first] = (np.nan_to_num(around) * weights).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(smoothed)


def _look(number: int) -> dict[str, Any]:
    """What tells the run of that number from the others."""
    again = number // len(COLOURS) % len(STYLES)
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[again], "marker": MARKS[again]}


def _draw_losses(axes: Any, run: Curves, look: dict[str, Any]) -> None:
    if len(run.steps) <= FEW:
        axes.plot(run.steps, run.losses, linewidth=1.8, markersize=3, **look)
        return
    axes.plot(run.steps, run.losses, color=look["color"], linewidth=0.7, alpha=0.28)
    axes.plot(run.steps, smooth(run.losses), linewidth=1.8, zorder=3, **{**look, "marker": None})


def _draw_epochs(axes: Any, run: Curves, columns: tuple[str, str], look: dict[str, Any]) -> None:
    """The training figure dashed and open, that of validation in one line and filled."""
    marker = look["marker"] if len(run.epochs) <= FEW else None
    for column, kind in zip(columns, KINDS, strict=True):
        points = [(row["epoch"], row[column]) for row in run.epochs if row[column] is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=look["color"], marker=marker, markersize=4, **kind)


def limit_losses(axes: Any, runs: Sequence[NDArray[np.float64]], validated: Sequence[float]) -> None:
    """Axes that a few losses far away, at the start above all, do not stretch; logarithmic where losses differ very much. `runs` are the
    losses (K,) of each run's steps."""
    drawn = (losses if len(losses) <= FEW else smooth(losses) for losses in runs)
    lines = np.concatenate([*drawn, validated])
    lowest, highest = float(lines.min()), float(lines.max())
    low = min(lowest, *(float(np.quantile(losses, 0.005)) for losses in runs))
    high = max(highest, *(float(np.quantile(losses, 0.995)) for losses in runs))
    if lowest > 0 and highest > WIDE * lowest:
        _make_logarithmic(axes, highest / lowest)
        axes.set_ylim(max(low, lowest / 3) / 1.15, high * 1.15)
        return
    if lowest > 0:
        high = min(high, 2 * max(float(np.quantile(losses, 0.95)) for losses in runs))
    axes.set_ylim(*widened((low - 0.05 * (high - low), high + 0.05 * (high - low)), 1e-6 + 0.1 * abs(high)))


def limit_validated(axes: Any, runs: Sequence[NDArray[np.float64]]) -> None:
    """Axes of the losses (K,) of each run's epochs: logarithmic where they differ very much, so that none is a line on the floor."""
    every = np.concatenate([*runs, np.zeros(0)])
    lowest, highest = (float(every.min()), float(every.max())) if len(every) else (0.0, 0.0)
    if lowest > 0 and highest > WIDE * lowest:
        _make_logarithmic(axes, highest / lowest)
        axes.set_ylim(lowest / 1.15, highest * 1.15)


def _make_logarithmic(axes: Any, ratio: float) -> None:
    """With losses written at its ticks as people write them; `ratio` is that of the highest to the lowest."""
    ticker = library("matplotlib.ticker", "plot")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0) if ratio < MANY else (1.0,)))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda loss, _: _power(loss)))
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def _power(loss: float) -> str:
    """A loss at a tick: 0.05, 200, 1e6."""
    return f"{loss:g}" if 1e-4 <= loss < 1e5 else f"{loss:.0e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def widened(limits: tuple[float, float], least: float) -> tuple[float, float]:
    """An axis of at least that length, around its middle."""
    middle, half = sum(limits) / 2, max(limits[1] - limits[0], least) / 2
    return middle - half, middle + half


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _legends(figure: Any, left: Any, right: Any, runs: Sequence[Curves], columns: tuple[str, str]) -> None:
    """Runs above the axes, by colour; what the kinds of lines mean inside them, in grey."""
    line = library("matplotlib.lines", "plot").Line2D
    colour = COLOURS[0] if len(runs) == 1 else GREY
    of_training = {"training": line([], [], color=colour, linewidth=1.8)}
    if any(len(run.steps) > FEW for run in runs):
        single = line([], [], color=colour, linewidth=0.7, alpha=0.5)
        of_training = {"training, smoothed": of_training["training"], "training, single steps": single}
    marker = "o" if any(len(run.epochs) <= FEW for run in runs) else None
    validated = {"validation": line([], [], color=VALIDATED, linewidth=1.4, marker=marker, markersize=4)} if _validated(runs) else {}
    if len(of_training) > 1 or validated:
        left.legend([*of_training.values(), *validated.values()], [*of_training, *validated], loc="best", frameon=False)
    kinds = [line([], [], color=GREY, marker=marker, markersize=4, **kind) for kind in KINDS]
    drawn = [any(row[column] is not None for run in runs for row in run.epochs) for column in columns]
    right.legend(*zip(*compress(zip(kinds, ("training", "validation"), strict=True), drawn), strict=True), loc="best", frameon=False)
    marked = len(runs) > len(COLOURS)
    handles = [line([], [], linewidth=2.5, **{**_look(number), **({} if marked else {"marker": None})}) for number in range(len(runs))]
    side_by_side = max(1, min(len(runs), 100 // (8 + max(len(run.name) for run in runs))))
    rows = -(-len(runs) // side_by_side)
    figure.set_figheight(4.2 + 0.24 * rows)
    legend = figure.legend(handles, [" "] * len(runs), loc="upper center", ncols=side_by_side, frameon=False, columnspacing=2.0)
    for text, run in zip(legend.get_texts(), runs, strict=True):
        text.set_parse_math(False)  # a dollar in a name is a dollar
        text.set_text(run.name)
    figure.subplots_adjust(left=0.075, right=0.985, bottom=0.125, top=1 - (0.2 + 0.24 * rows) / (4.2 + 0.24 * rows), wspace=0.2)
