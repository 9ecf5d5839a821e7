"""What a sweep shows: how much each key mattered, and how the best figure grew."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netspec.base.extras import left_out, library
from netspec.base.figure import shown_figure
from netspec.ui.curves import WIDE
from netspec.ui.picture import write_picture
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.outcome import Outcome
from netspec.ui.sweep.storage import optuna

FEWEST = 4
"""Trials that came to their end from which importances are told."""
SURE = 50
"""From so many on they are told without a caution: the best tenth is compared with the rest, and should be five trials or more, as
Optuna's documentation of the evaluator has it."""
BAR, POINT, LINE, PALE, GREY = "#1f5fa8", "#3f7abf", "#d1495b", "#8c8c8c", "#555555"


def importances(study: Any, keys: Sequence[str]) -> dict[str, float]:
    """The share of each key in what tells good trials from others, the largest first: PED-ANOVA of S. Watanabe, A. Bansal and F. Hutter,
    2023. Nothing for few trials, or where the best are like the rest."""
    found = optuna()
    complete = [one for one in study.get_trials(deepcopy=False) if one.state == found.trial.TrialState.COMPLETE]
    varied = [key for key in keys if len({one.params.get(key) for one in complete}) > 1]
    if len(complete) < FEWEST or len({one.value for one in complete}) < 2 or not varied:
        return {}
    with left_out("sklearn"):  # whose forests another evaluator takes: importing them takes a second
        importance = library("optuna.importance", "sweep")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on quantiles of few trials; what it makes of them is told apart below
        shares: dict[str, float] = importance.get_param_importances(
            study, evaluator=importance.PedAnovaImportanceEvaluator(), params=varied
        )
    if len(varied) > 1 and len(set(shares.values())) == 1:
        return {}
    told = {key: float(shares.get(key, 0.0)) for key in keys}
    return dict(sorted(told.items(), key=lambda one: -one[1]))


def caution(found: Sequence[Outcome], why: str = "") -> str:
    """How far importances can be trusted, by the trials that they come from, and `why` where that is not far."""
    count = sum(one.state == "complete" for one in found)
    return f"from {count} complete trials" + (f"; below {SURE} they say little{why}" if count < SURE else "")


def draw_importances(shares: Mapping[str, float], found: Sequence[Outcome], order: Order, path: Path) -> None:
    """A bar for each key. Raises UsageError without the extra `plot`, SaveError."""
    figure = library("matplotlib.figure", "plot").Figure(figsize=(7.2, 1.3 + 0.42 * len(shares)), layout="constrained")
    axes = figure.subplots()
    keys, values = list(shares), [100 * share for share in shares.values()]
    axes.barh(keys, values, color=BAR, height=0.62)
    for at, value in enumerate(values):
        axes.annotate(f"{value:.0f} %", (value, at), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set(xlabel="share of what tells the best trials from the others (%)", xlim=(0, max(values) * 1.12))
    axes.set_title(f"{order.study}: what mattered for {order.metric}\n", loc="left", fontsize=11)
    axes.annotate(
        caution(found), (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=9, color=GREY
    )  # fmt: skip
    _plain(axes)
    write_picture(figure, path)


def best_so_far(found: Sequence[Outcome], order: Order) -> list[tuple[int, float]]:
    """(trial, best figure of complete trials up to it), from the first complete one to the last that has ended."""
    better = max if order.maximizes else min
    line: list[tuple[int, float]] = []
    for one in sorted((one for one in found if not one.is_open), key=lambda one: one.number):
        if one.state == "complete" and one.metric is not None:
            line.append((one.number, better(one.metric, line[-1][1]) if line else one.metric))
        elif line:
            line.append((one.number, line[-1][1]))
    return line


def draw_history(found: Sequence[Outcome], order: Order, path: Path) -> None:
    """The figure of each trial in their order, and the best so far; losses that differ widely by decades. `found` is in order of merit, and
    its first is complete. Raises UsageError without the extra `plot`, SaveError."""
    figure = library("matplotlib.figure", "plot").Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    done = sorted((one for one in found if one.metric is not None), key=lambda one: one.number)
    complete = [one for one in done if one.state == "complete"]
    ended = [one for one in done if one.state == "pruned"]  # what diverged has figures beyond all others
    axes.step(*zip(*best_so_far(found, order), strict=True), where="post", color=LINE, linewidth=1.6, label="best so far")
    axes.plot([one.number for one in complete], [one.metric for one in complete], "o", color=POINT, label="complete")
    if ended:
        axes.plot([one.number for one in ended], [one.metric for one in ended], "x", color=PALE, label="pruned, by its last epoch")
    axes.set(xlabel="trial", ylabel=order.metric)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    drawn = [one.metric or 0.0 for one in (*complete, *ended)]
    if min(drawn) > 0 and max(drawn) > WIDE * min(drawn):
        axes.set_yscale("log")
    top = found[0]
    title = f"{order.study}: best {order.metric} {shown_figure(top.metric or 0.0)}, trial {top.number} of {len(found)}\n"
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=8.5, ncols=3, loc="lower left", bbox_to_anchor=(-0.015, 1.0), borderaxespad=0.0, handletextpad=0.5)
    _plain(axes)
    write_picture(figure, path)


def is_older(path: Path, than: Path) -> bool:
    """Whether a file is not there, or from before another one was written."""
    return not path.exists() or path.stat().st_mtime_ns < than.stat().st_mtime_ns


def _plain(axes: Any) -> None:
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
