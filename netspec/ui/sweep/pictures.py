"""What a sweep shows: how much each key mattered, and how the best figure grew."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netspec.base.extras import left_out, library
from netspec.ui.picture import write_picture
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.outcome import Outcome
from netspec.ui.sweep.storage import optuna

FEWEST = 4
"""Trials that came to their end from which importances are told."""
BAR, POINT, LINE, PALE = "#1f5fa8", "#7fa3cf", "#d1495b", "#b8b8b8"


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


def draw_importances(shares: Mapping[str, float], order: Order, path: Path) -> None:
    """A bar for each key. Raises UsageError without the extra `plot`, SaveError."""
    figure = library("matplotlib.figure", "plot").Figure(figsize=(7.2, 1.0 + 0.42 * len(shares)), layout="constrained")
    axes = figure.subplots()
    keys, values = list(shares), [100 * share for share in shares.values()]
    axes.barh(keys, values, color=BAR, height=0.62)
    for at, value in enumerate(values):
        axes.annotate(f"{value:.0f} %", (value, at), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set(xlabel="share of what tells the best trials from the others (%)", xlim=(0, max(values) * 1.12))
    axes.set_title(f"{order.study}: what mattered for {order.metric}", loc="left", fontsize=11)
    _plain(axes)
    write_picture(figure, path)


def draw_history(found: Sequence[Outcome], order: Order, path: Path) -> None:
    """The figure of each trial in their order, and the best so far. Raises UsageError without the extra `plot`, SaveError."""
    figure = library("matplotlib.figure", "plot").Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    done = sorted((one for one in found if one.metric is not None), key=lambda one: one.number)
    complete = [one for one in done if one.state == "complete"]
    ended = [one for one in done if one.state != "complete"]
    axes.plot([one.number for one in ended], [one.metric for one in ended], "x", color=PALE, label="ended early")
    axes.plot([one.number for one in complete], [one.metric for one in complete], "o", color=POINT, label="trial")
    better = max if order.maximizes else min
    so_far: list[float] = []
    for one in complete:
        so_far.append(better([*so_far[-1:], one.metric or 0.0]))
    axes.step([one.number for one in complete], so_far, where="post", color=LINE, linewidth=1.8, label="best so far")
    axes.set(xlabel="trial", ylabel=order.metric)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_title(order.study, loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    _plain(axes)
    write_picture(figure, path)


def is_older(path: Path, than: Path) -> bool:
    """Whether a file is not there, or from before another one was written."""
    return not path.exists() or path.stat().st_mtime_ns < than.stat().st_mtime_ns


def _plain(axes: Any) -> None:
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
