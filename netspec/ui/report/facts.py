"""What the files of a run folder tell: how it went, how it ended, what it ran on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from netspec.base.figure import shown_figure
from netspec.frontend.limits import SPEC_BYTES
from netspec.save.run_folder import RunFolder
from netspec.ui.curves import Curves

PLAN_BYTES = 100_000
MOST_FACTS, LONGEST_FACT = 200, 300
LARGEST = 1e300
"""Of figures that a file may tell."""


@dataclass(frozen=True)
class Facts:
    """Of one run. `marks` are the events that are no steps; `environment` has (name, value)."""

    name: str
    began: str
    epochs: Sequence[dict[str, Any]]
    curves: Curves | None
    marks: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]
    given: str
    resolved: str
    plan: str

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The epoch whose weights are kept: best on validation, the earliest on a tie; the last without validation."""
        return best_of(self.epochs)

    @property
    def stopped(self) -> str | None:
        """Why training ended before its last epoch."""
        reason = self.marks.get("stopped", {}).get("reason")
        return str(reason) if reason is not None else None

    @property
    def rows(self) -> dict[str, int]:
        """Of each split."""
        found = self.environment.get("rows")
        return {str(name): count for name, count in found.items() if type(count) is int} if isinstance(found, dict) else {}

    @property
    def figures(self) -> dict[str, float]:
        """Those that were measured at the end."""
        end = self.marks.get("end", {})
        return {name: float(value) for name, value in end.items() if type(value) in (int, float) and abs(value) < LARGEST}

    def facts(self) -> Iterator[tuple[str, str]]:
        """The environment, what lies in what joined by dots."""
        yield from list(_flat(self.environment))[:MOST_FACTS]


def facts_of(folder: RunFolder) -> Facts:
    """Raises DataError where a file is damaged."""
    epochs = folder.read_epochs()
    steps = [(step, loss) for step, loss in folder.read_steps() if isfinite(loss)]
    name = folder.path.resolve().name
    curves = None
    if epochs and steps:
        curves = Curves(name, np.array([step for step, _ in steps], np.int64), np.array([loss for _, loss in steps], np.float64), epochs)
    began = _time_of(folder.spec if folder.spec.is_file() else folder.resolved)
    return Facts(
        name, began, epochs, curves, folder.read_marks(), folder.read_environment(), folder.read_text(folder.spec, SPEC_BYTES),
        folder.read_text(folder.resolved, SPEC_BYTES), folder.read_text(folder.path / "plan.txt", PLAN_BYTES),
    )  # fmt: skip


def _time_of(path: Path) -> str:
    """When the file was written, which a run does at its beginning; nothing for what is no time."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):
        return ""


def best_of(epochs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row of the epoch whose weights are kept."""
    for column, sign in (("val_accuracy", 1), ("val_loss", -1)):
        known = [row for row in epochs if row[column] is not None and isfinite(row[column])]
        if known:
            return max(known, key=lambda row: (sign * row[column], -row["epoch"]))
    return epochs[-1] if epochs else None


def figure(value: Any) -> str:
    """A figure, or a dash where there is none."""
    return shown_figure(value) if isinstance(value, (int, float)) and isfinite(value) else "-"


def seconds_in_words(seconds: float | None) -> str:
    """`0.09 s`, `4 min 10 s`, `2 h 5 min`."""
    if seconds is None or not abs(seconds) < LARGEST:
        return "-"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _flat(found: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key in sorted(found, key=str):
        value, name = found[key], f"{above}{key}"[:LONGEST_FACT]
        if isinstance(value, dict) and value and len(name) < LONGEST_FACT:
            yield from _flat(value, f"{name}.")
        elif value not in (None, {}, []):
            yield name, (value if isinstance(value, str) else json.dumps(value))[:LONGEST_FACT]
