"""The curve of a learning-rate search as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from netspec.base.extras import library
from netspec.train.lr_find import LrFind
from netspec.ui.picture import write_picture

LOSS, CURVE, MARK = "#c3cfdd", "#1f5fa8", "#d1495b"
HEADROOM = 0.12


def draw(found: LrFind, path: Path, title: str) -> None:
    """Writes a PNG: the loss by the logarithm of the rate, smoothed and as it was, with the suggestion marked. Raises UsageError without
    the extra `plot`, SaveError where it cannot be written."""
    figure = library("matplotlib.figure", "plot").Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    low, start = float(found.smoothed.min()), float(found.smoothed[0])
    top = max(start, float(np.percentile(found.smoothed, 90)))
    axes.plot(found.rates, found.losses, color=LOSS, linewidth=0.9, label="loss of each step")
    axes.plot(found.rates, found.smoothed, color=CURVE, linewidth=2.2, label="smoothed")
    height = float(np.interp(np.log(found.lr), np.log(found.rates), found.smoothed))
    axes.axvline(found.lr, color=MARK, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.plot([found.lr], [height], "o", color=MARK, markersize=7, zorder=5, label=f"steepest: lr {found.lr:.1e}")
    margin = HEADROOM * max(top - low, 1e-12)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", xlim=(found.rates[0], found.rates[-1]))
    axes.set_ylim(low - margin, top + 2 * margin)
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best", fontsize=9)
    write_picture(figure, path)
