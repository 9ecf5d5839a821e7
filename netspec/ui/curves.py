"""The picture of training: loss by step and accuracy by epoch, of one or several runs on shared axes. Drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.save.run_folder import RunFolder, open_run_folder
from netspec.ui.extras import installed, library
from netspec.ui.picture import write_picture

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
"""M. Okabe and K. Ito's palette, which colour-blind readers can tell apart; yellow, too pale for lines, is grey."""
STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
"""With more runs than colours, the colours come again in another style."""
SMOOTHED = 60
"""The bell curve that smooths is as wide (its standard deviation) as the steps' number divided by this."""
FEW = 40
"""Steps or epochs that can be told apart: each then has its mark, and losses need no smoothing."""
WIDE = 30
"""From this ratio of the highest loss to the lowest on, losses are drawn on a logarithmic scale."""
GREY = "#555555"


@dataclass(frozen=True)
class Curves:
    """What a run has to show: losses (K,) of logged steps (K,), and its rows of results.csv."""

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
    epochs, steps = folder.read_epochs(), folder.read_steps()
    if not epochs:
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
        raise UsageError(f"{others}: trained on values, without an accuracy; plot such runs apart from those with classes")
    figure = library("matplotlib.figure", "plot").Figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2)
    logarithmic = _is_wide(runs)
    for number, run in enumerate(runs):
        colour, style = COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]
        _draw_losses(left, run, colour, style)
        _draw_epochs(right, run, ("loss", "val_loss") if values else ("train_accuracy", "val_accuracy"), colour)
    _label(left, "step", "training loss")
    _label(right, "epoch", "loss" if values else "accuracy")
    _limit_losses(left, runs, logarithmic)
    right.xaxis.get_major_locator().set_params(integer=True)
    _legends(figure, left, right, runs)
    write_picture(figure, path)


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value (K,) as the mean of those around it, weighted by a bell curve; at the ends, of those that there are."""
    width = len(values) / SMOOTHED
    reach = max(1, int(3 * width))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(width, 0.3)) ** 2)
    finite = np.isfinite(values)
    total = np.convolve(np.where(finite, values, 0.0), weights, mode="full")[reach:-reach]
    return np.asarray(total / np.convolve(finite.astype(np.float64), weights, mode="full")[reach:-reach])


def _draw_losses(axes: Any, run: Curves, colour: str, style: Any) -> None:
    if len(run.steps) <= FEW:
        axes.plot(run.steps, run.losses, color=colour, linestyle=style, linewidth=1.8, marker="o", markersize=3)
        return
    axes.plot(run.steps, run.losses, color=colour, linewidth=0.7, alpha=0.28)
    axes.plot(run.steps, smooth(run.losses), color=colour, linestyle=style, linewidth=1.8, zorder=3)


def _draw_epochs(axes: Any, run: Curves, columns: tuple[str, str], colour: str) -> None:
    """The training figure dashed and open, that of validation in one line and filled."""
    marker = "o" if len(run.epochs) <= FEW else None
    looks = ({"linestyle": (0, (4, 2)), "linewidth": 1.3, "markerfacecolor": "white"}, {"linestyle": "-", "linewidth": 1.8, "zorder": 3})
    for column, look in zip(columns, looks, strict=True):
        points = [(row["epoch"], row[column]) for row in run.epochs if row[column] is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=4, **look)


def _is_wide(runs: Sequence[Curves]) -> bool:
    lines = np.concatenate([smooth(run.losses) for run in runs if len(run.losses)] or [np.ones(1)])
    return bool(lines.min() > 0 and lines.max() > WIDE * lines.min())


def _limit_losses(axes: Any, runs: Sequence[Curves], logarithmic: bool) -> None:
    """Axes that a few losses far away do not stretch: all smoothed ones are seen, and 99 % of the raw ones."""
    raw = np.concatenate([run.losses[np.isfinite(run.losses)] for run in runs])
    if not len(raw):
        return
    lines = np.concatenate([smooth(run.losses) for run in runs if len(run.losses)])
    low, high = min(float(np.quantile(raw, 0.005)), lines.min()), max(float(np.quantile(raw, 0.995)), lines.max())
    if logarithmic:
        ticker = library("matplotlib.ticker", "plot")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda loss, _: f"{loss:g}"))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
        axes.set_ylim(max(low, lines.min() / 3) / 1.15, high * 1.15)
    else:
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        axes.set_ylim(low - margin, high + margin)


def _label(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _legends(figure: Any, left: Any, right: Any, runs: Sequence[Curves]) -> None:
    """Runs above the axes, by colour; what the kinds of lines mean inside them, in grey."""
    line = library("matplotlib.lines", "plot").Line2D
    if any(len(run.steps) > FEW for run in runs):
        kinds = [line([], [], color=GREY, linewidth=1.8), line([], [], color=GREY, linewidth=0.7, alpha=0.5)]
        left.legend(kinds, ["smoothed", "single steps"], loc="best", frameon=False)
    marker = "o" if any(len(run.epochs) <= FEW for run in runs) else None
    kinds = [line([], [], color=GREY, linewidth=1.3, linestyle=(0, (4, 2)), marker=marker, markersize=4, markerfacecolor="white")]
    kinds.append(line([], [], color=GREY, linewidth=1.8, marker=marker, markersize=4))
    right.legend(kinds, ["training", "validation"], loc="best", frameon=False)
    handles = [
        line([], [], color=COLOURS[number % len(COLOURS)], linestyle=STYLES[number // len(COLOURS) % len(STYLES)], linewidth=2.5)
        for number in range(len(runs))
    ]
    columns = max(1, min(len(runs), 100 // (8 + max(len(run.name) for run in runs))))
    rows = -(-len(runs) // columns)
    figure.set_figheight(4.2 + 0.24 * rows)
    legend = figure.legend(handles, [" "] * len(runs), loc="upper center", ncols=columns, frameon=False, columnspacing=2.0)
    for text, run in zip(legend.get_texts(), runs, strict=True):
        text.set_parse_math(False)  # a dollar in a name is a dollar
        text.set_text(run.name)
    figure.subplots_adjust(left=0.075, right=0.985, bottom=0.125, top=1 - (0.2 + 0.24 * rows) / (4.2 + 0.24 * rows), wspace=0.2)
