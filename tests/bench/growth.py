"""Growth of step time and memory with width, depth, batch and threads, and its picture: `python tests/bench/growth.py RESULTS.json`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from workloads import SGD, Workload

PICTURE = Path(__file__).with_name("growth.svg")
WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096)
DEPTHS = (2, 4, 8, 16, 32, 64)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
SLOPES = {"width": 2, "depth": 1, "batch": 1, "threads": -1}
"""Exponent with which the work grows, and with which time should."""
TITLES = {
    "width": "width of 3 layers, batch 100",
    "depth": "depth of 100 units with bn, batch 100",
    "batch": "batch, 4 layers of 100 units",
    "threads": "threads, 4 layers of 1024 units",
}
TIME, PLANNED, RESIDENT, SLOPE = "#1f5fa8", "#b3541e", "#e0a77c", "#b8b8b8"


def nets(cores: int) -> dict[str, dict[int, Workload]]:
    """The nets of each axis."""
    counts = sorted({*(2**k for k in range(cores.bit_length()) if 2**k <= cores), cores})
    wide = Workload("[affine(1024)-relu]x4 -> affine(10) -> softmax", "1024", 256, SGD)
    return {
        "width": {at: Workload(f"[affine({at})-relu]x3 -> affine(10) -> softmax", str(at), 100, SGD) for at in WIDTHS},
        "depth": {at: Workload(f"[affine(100)-bn-relu]x{at} -> affine(10) -> softmax", "100", 100, SGD) for at in DEPTHS},
        "batch": {at: Workload("[affine(100)-relu]x4 -> affine(10) -> softmax", "784", at, SGD) for at in BATCHES},
        "threads": dict.fromkeys(counts, wide),
    }


def cores_here() -> int:
    return len(os.sched_getaffinity(0))


def draw(measured: Mapping[str, Mapping[str, Mapping[str, float]]], path: Path = PICTURE) -> None:
    """Above the step time, below the memory, against each axis; both scales logarithmic, so a power is a straight line."""
    style = {
        "svg.fonttype": "none", "svg.hashsalt": "netspec", "font.size": 9, "font.family": "sans-serif",
        "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"], "axes.spines.top": False, "axes.spines.right": False,
        "axes.edgecolor": "#606060", "xtick.color": "#404040", "ytick.color": "#404040",
    }  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(2.9 * len(measured), 4.8), layout="constrained")
        axes = figure.subplots(2, len(measured), squeeze=False)
        figure.patch.set_facecolor("white")
        for column, (axis, points) in enumerate(measured.items()):
            at = sorted(int(place) for place in points)
            rows = [points[str(place)] for place in at]
            upper, lower = axes[0][column], axes[1][column]
            seconds = [row["seconds"] * 1e3 for row in rows]
            _slope(upper, at, seconds, SLOPES[axis])
            upper.plot(at, seconds, "o-", color=TIME, markersize=4, linewidth=1.6)
            _memory(lower, at, rows, 0 if axis == "threads" else SLOPES[axis])
            for one in (upper, lower):
                _frame(one, at)
            upper.set_title(TITLES[axis], fontsize=9, loc="left", color="#202020")
            lower.set_xlabel(axis)
        axes[0][0].set_ylabel("step, ms")
        axes[1][0].set_ylabel("memory, MB")
        axes[1][0].legend(frameon=False, fontsize=8, loc="upper left", handlelength=1.4, borderaxespad=0.2)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130)


def _slope(axes: Any, at: list[int], values: list[float], slope: int) -> None:
    """The straight line of exact growth through the point where all of the work counts: the last, of threads the first."""
    anchor = 0 if slope < 0 else -1
    line = [values[anchor] * (place / at[anchor]) ** slope for place in at]
    kept = [(place, value) for place, value in zip(at, line, strict=True) if value >= 0.2 * min(values)]
    axes.plot(*zip(*kept, strict=True), "--", color=SLOPE, linewidth=1.1, zorder=0)
    power = {-1: "1/threads", 1: "slope 1", 2: "slope 2"}[slope]
    (x0, y0), (x1, y1) = kept[-3:-1] if len(kept) > 2 else kept
    axes.annotate(
        power, ((x0 * x1) ** 0.5, (y0 * y1) ** 0.5), xytext=(-5 if slope < 0 else 5, -7), textcoords="offset points", color="#808080",
        fontsize=8, ha="right" if slope < 0 else "left", va="center",
    )  # fmt: skip


def _memory(axes: Any, at: list[int], rows: list[Mapping[str, float]], slope: int) -> None:
    planned = [row["peak_bytes"] / 1e6 for row in rows]
    resident = [row["resident_bytes"] / 1e6 for row in rows]
    if slope:
        _slope(axes, at, planned, slope)
    axes.plot(at, resident, "s-", color=RESIDENT, markersize=3.5, linewidth=1.3, label="resident")
    axes.plot(at, planned, "o-", color=PLANNED, markersize=4, linewidth=1.6, label="planned")


def _frame(axes: Any, at: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    every = 2 if len(at) > 6 else 1  # labels that fit
    axes.set_xticks(at, [str(place) if number % every == 0 else "" for number, place in enumerate(at)])
    axes.set_xlim(at[0] / 1.25, at[-1] * 1.25)
    low, high = axes.get_ylim()
    if high / low < 8:  # a flat line is to look flat
        axes.set_ylim(low / 2, high * 2)
    steps = (1.0,) if high / low > 100 else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=steps, numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for scale in (axes.xaxis, axes.yaxis):
        scale.set_minor_locator(NullLocator())
    axes.grid(True, which="major", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())["growth"])
