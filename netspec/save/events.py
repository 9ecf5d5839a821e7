"""events.jsonl of a run folder: what happened, in order, one JSON object a line. This is the one place that says what a line holds.

`event` tells its kind. Steps are counted from 1 over the whole run, epochs too; `time` is the clock's, in UTC; `seconds` are those since
training began, a resumed run's earlier ones included; NaN and infinities, which JSON lacks, are null.

| event | when | holds |
|---|---|---|
| `overfit` | before a run on a few rows | `rows` |
| `begin` | before the first step | `time`, `spec` (the file), `net` (its chain), `parameters`, `epochs` (in all), `steps_per_epoch`,
  and of earlier training in whole epochs `epochs_done`, `steps_done` |
| `step` | while training, with the piece of steps that it belongs to | `epoch`, `step`, `loss` (data loss plus l2), `lr`, `seconds` |
| `epoch` | at an epoch's end | the columns of results.csv |
| `stopped` | training ended before its last epoch | `time`, `step`, `reason`, `code` (the exit code; 0 where a rule or a callback did it) |
| `resumed` | the run goes on | `begin`'s, and `epoch`, `step` of the state that it goes on from |
| `end` | all is done and measured | `time`, `epochs` (done), `of` (in all), `best` (the row whose weights are kept), `split`, its metrics |

Which steps are told follows from the lengths of the run and of an epoch alone (`logged_places`), so that a run that was stopped and
resumed tells the same ones: what came after the state that it goes on from is taken away first, and told again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from netspec.base.errors import DataError

MOST_COUNT = 1 << 62


def now() -> str:
    """The time as an event tells it: `2026-05-01T12:00:00+00:00`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def spacing(steps: int, logged: int) -> int:
    """Every so many-th of an epoch's `steps` is told, `logged` at most."""
    return -(-steps // logged)


def logged_places(begin: int, end: int, steps: int, every: int) -> range:
    """Of an epoch's `steps`, counted from 0, those from `begin` on and before `end` that are told: every so many-th, the last of the epoch
    among them."""
    first = (steps - 1) % every
    return range(first + -(-max(begin - first, 0) // every) * every, end, every)


def as_line(event: Mapping[str, Any]) -> str:
    """The event as JSON."""
    return json.dumps({key: _json_value(value) for key, value in event.items()})


def event_of(text: str, place: str) -> dict[str, Any]:
    """A line of events.jsonl. Raises DataError, which calls the line by its `place`."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{place} is no JSON") from None
    if not isinstance(event, dict):
        raise DataError(f"{place} is no JSON object")
    return event


def step_of(event: Mapping[str, Any], place: str) -> tuple[int, float] | None:
    """Step and loss of an event, if it is one of a step; NaN where the loss was not finite. Raises DataError."""
    if event.get("event") != "step":
        return None
    step, loss = event.get("step"), event.get("loss")
    if type(step) is not int or not 0 <= step < MOST_COUNT or not (loss is None or type(loss) in (int, float)):
        raise DataError(f"{place} tells of a step without its number, or of a loss that is none")
    try:
        return step, float("nan") if loss is None else float(loss)
    except OverflowError:
        return step, float("inf")


def is_before(event: Mapping[str, Any], last_epoch: int, last_step: int) -> bool:
    """Whether an event is of that time. Steps of an epoch that was not over are told again when it is repeated."""
    step, epoch = (event.get(key, 0) for key in ("step", "epoch"))
    return type(step) is int and type(epoch) is int and step <= last_step and epoch <= last_epoch


def _json_value(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, Mapping):
        return {key: _json_value(one) for key, one in value.items()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
