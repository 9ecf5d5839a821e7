"""Where a run stands, in numbers: from its story, and from the state that is saved while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from netspec.base.errors import NetspecError
from netspec.save.story import State, Story, number, whole
from netspec.save.weights import read_header

KNOWN = ("time", "epochs", "of", "epoch", "step")
"""Numbers of an event "end" that are no metrics."""


@dataclass(frozen=True)
class Standing:
    """Progress: epochs and steps done and in all; 0 in all where that is not known. `seconds` of training so far, and those `left` as far
    as can be told."""

    epoch: int
    epochs: int
    step: int
    in_epoch: int
    steps_per_epoch: int
    seconds: float | None
    left: float | None

    @property
    def share(self) -> float:
        """Of the whole run, what is done."""
        total = self.epochs * self.steps_per_epoch
        return min(1.0, (self.epoch * self.steps_per_epoch + self.in_epoch) / total) if total else 0.0


def standing(story: Story, saved_step: int = 0, idle: float = 0.0) -> Standing:
    """Of a run whose state was saved after `saved_step` steps, `idle` seconds after its last event."""
    row: Mapping[str, Any] = story.rows[-1] if story.rows else {}
    of = whole(story.begun, "epochs")
    each = whole(story.begun, "steps_per_epoch")
    epoch = whole(row, "epoch") or whole(story.begun, "epochs_done")
    before = whole(row, "step") or whole(story.begun, "steps_done")
    step = max(whole(story.last, "step"), saved_step, before)
    in_epoch = min(max(step - before, 0), each) if epoch < of else 0
    seconds = number(story.last, "seconds")
    rate = _seconds_per_step(story)
    left = None
    if rate is not None and each and epoch < of:
        behind = (step - whole(story.last, "step")) * rate
        left = max(0.0, ((of - epoch) * each - in_epoch) * rate - max(0.0, idle - behind))
    return Standing(epoch, of, step, in_epoch, each, None if seconds is None else seconds + idle, left)


def _seconds_per_step(story: Story) -> float | None:
    """Of the last third of what is told, as speed may change."""
    clock = story.clock
    if len(clock) < 2:
        return None
    (first, began), (last, now) = clock[2 * (len(clock) - 1) // 3], clock[-1]
    return (now - began) / (last - first) if last > first and now >= began else None


def saved_step(path: Path) -> int:
    """Steps by the newest state; 0 where there is none that can be read."""
    try:
        return whole(read_header(path)[1], "step")
    except NetspecError:
        return 0


def best_of(story: Story) -> Mapping[str, Any] | None:
    """The row of the epoch whose weights are kept, as far as the run has come; None before the first."""
    if story.end is not None and isinstance(story.end.get("best"), dict):
        best: Mapping[str, Any] = story.end["best"]
        return best
    for key, sign in (("val_accuracy", 1), ("val_loss", -1)):
        told = [(figure * sign, -at) for at, row in enumerate(story.rows) if (figure := number(row, key)) is not None]
        if told:
            return story.rows[-max(told)[1]]
    return story.rows[-1] if story.rows else None


def metrics_of(story: Story) -> dict[str, float]:
    """What the run was measured as at its end."""
    end = story.end or {}
    found = {str(key): number(end, key) for key in end if key not in KNOWN}
    return {key: value for key, value in found.items() if value is not None}


def reason_of(story: Story) -> str:
    """Why the run ended early; empty where it did not."""
    return str((story.stopped or {}).get("reason", ""))


def began_of(story: Story) -> datetime | None:
    """When the run was begun."""
    try:
        return datetime.fromisoformat(story.began)
    except ValueError:
        return None


def exit_code(state: State, story: Story) -> int:
    """What a run that went like this exits with: 0 where it came to its end, 7 where its process is lost."""
    if state == "gone":
        return 7
    return whole(story.stopped or {}, "code") & 0xFF if state in ("diverged", "interrupted") else 0
