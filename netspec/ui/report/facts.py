"""What the files of a run folder tell: how it went, how it ended, what it ran on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from math import isfinite
from typing import Any

import numpy as np

from netspec.base.figure import is_drawn, shown_figure
from netspec.frontend.limits import SPEC_BYTES
from netspec.save.run_folder import RunFolder
from netspec.save.story import Story, read_ends
from netspec.train.history import best_row
from netspec.ui.curves import Curves
from netspec.ui.live.facts import began_of, metrics_of, reason_of

PLAN_BYTES = 100_000
MOST_FACTS, LONGEST_FACT = 200, 300
LARGEST = 1e300
"""Of figures that a file may tell."""


@dataclass(frozen=True)
class Facts:
    """Of one run, whose `story` leaves out the steps."""

    name: str
    epochs: Sequence[dict[str, Any]]
    curves: Curves | None
    story: Story
    environment: Mapping[str, Any]
    given: str
    resolved: str
    plan: str

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The epoch whose weights are kept: best on validation, the earliest on a tie; the last without validation."""
        return best_row(self.epochs) if self.epochs else None

    @property
    def began(self) -> str:
        """When, in words; empty where that is not told."""
        began = began_of(self.story)
        return began.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if began is not None else ""

    @property
    def stopped(self) -> str:
        """Why training ended before its last epoch; empty where it did not."""
        return reason_of(self.story)

    @property
    def split(self) -> str:
        """The rows of `figures`."""
        return str((self.story.end or {}).get("split", "validation"))[:40]

    @property
    def rows(self) -> dict[str, int]:
        """Of each split."""
        found = self.environment.get("rows")
        return {str(name): count for name, count in found.items() if type(count) is int} if isinstance(found, dict) else {}

    @property
    def figures(self) -> dict[str, float]:
        """Those that were measured at the end."""
        return metrics_of(self.story)

    def facts(self) -> Iterator[tuple[str, str]]:
        """The environment, what lies in what joined by dots."""
        yield from list(_flat(self.environment))[:MOST_FACTS]


def facts_of(folder: RunFolder) -> Facts:
    """Raises DataError where a file is damaged."""
    epochs = folder.read_epochs()
    steps = [(step, loss) for step, loss in folder.read_steps() if is_drawn(loss)]
    name = folder.path.resolve().name
    curves = None
    if epochs and steps:
        curves = Curves(name, np.array([step for step, _ in steps], np.int64), np.array([loss for _, loss in steps], np.float64), epochs)
    story = read_ends(folder.events) if folder.events.exists() else Story()
    return Facts(
        name, epochs, curves, story, folder.read_environment(), folder.read_text(folder.spec, SPEC_BYTES),
        folder.read_text(folder.resolved, SPEC_BYTES), folder.read_text(folder.path / "plan.txt", PLAN_BYTES),
    )  # fmt: skip


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
