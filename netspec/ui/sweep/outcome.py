"""What came of a sweep: an outcome for each trial, in order of merit; as a table, as rows of a file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from netspec.base.figure import shown_figure
from netspec.frontend.space import Tried
from netspec.save.atomic import write_atomic
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.storage import optuna
from netspec.ui.sweep.study import CODE, ENDED, EPOCHS, FOLDER, NUMBER, REASON, SECONDS, is_lost, latest, numbered
from netspec.ui.tables import table

WIDE = 24
"""Letters of a value that a cell shows."""


@dataclass(frozen=True)
class Outcome:
    """A trial of the sweep: its number, how it ended (`complete`, `pruned`, `invalid`, `limit`, `diverged`, `failed`, `lost`; `waiting`,
    `running` and `interrupted` where that is still open), the figure of the epoch that it keeps, its values, its run folder."""

    number: int
    state: str
    metric: float | None
    values: Mapping[str, Tried]
    epochs: int | None
    seconds: float | None
    folder: str | None
    reason: str
    code: int
    attempts: int
    lost: int = 0
    """Attempts whose worker died."""

    @property
    def is_begun(self) -> bool:
        return self.attempts > 0

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "running", "interrupted")


def outcomes(study: Any, order: Order) -> list[Outcome]:
    """Of every trial; those that came to their end first, the best before, then the others by their numbers."""
    begun = [one for one in numbered(study) if one.state != optuna().trial.TrialState.WAITING]
    attempts = Counter(one.user_attrs[NUMBER] for one in begun)
    lost = Counter(one.user_attrs[NUMBER] for one in begun if is_lost(one))
    found = [_outcome(number, attempt, attempts[number], lost[number]) for number, attempt in latest(study).items()]
    sign = -1.0 if order.maximizes else 1.0
    return sorted(
        found, key=lambda one: (one.state != "complete", sign * (one.metric or 0.0) if one.state == "complete" else 0.0, one.number)
    )


def _outcome(number: int, attempt: Any, attempts: int, times_lost: int) -> Outcome:
    noted, states = attempt.user_attrs, optuna().trial.TrialState
    word = {states.COMPLETE: "complete", states.RUNNING: "running", states.WAITING: "waiting"}.get(attempt.state)
    lost = "its worker was lost, and it was given up" if is_lost(attempt) else ""
    told = attempt.state in (states.PRUNED, states.FAIL)
    return Outcome(
        number=number,
        state=word or ("lost" if lost else noted.get(ENDED) or "failed"),
        metric=attempt.value if attempt.state == states.COMPLETE else _last(attempt.intermediate_values) if told else None,
        values=dict(attempt.params),
        epochs=noted.get(EPOCHS) or (max(attempt.intermediate_values) if told and attempt.intermediate_values else None),
        seconds=noted.get(SECONDS) if word != "waiting" else None,
        folder=noted.get(FOLDER),
        reason=lost or (noted.get(REASON, "") if told else ""),
        code=7 if lost else int(noted.get(CODE, 1)),
        attempts=attempts,
        lost=times_lost,
    )


def _last(reported: Mapping[int, float]) -> float | None:
    return reported[max(reported)] if reported else None


def best(found: Sequence[Outcome]) -> Outcome | None:
    """The best trial that came to its end; of equal ones the first."""
    return found[0] if found and found[0].state == "complete" else None


def shown(value: Tried | None) -> str:
    """A value of a trial as a table shows it: four digits of a decimal."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def as_table(found: Sequence[Outcome], order: Order, keys: Sequence[str]) -> Any:
    """The trials by rank."""
    columns: list[tuple[str, Any]] = [("rank", "right"), ("trial", "right"), *((key, "right") for key in keys)]
    columns += [(order.metric, "right"), ("epochs", "right"), ("time", "right"), ("", "left")]
    return table(columns, [_row(rank, one, keys) for rank, one in enumerate(found, 1)])


def _row(rank: int, one: Outcome, keys: Sequence[str]) -> list[str | Text]:
    values = [shown(one.values.get(key)) for key in keys]
    cells = [value if len(value) <= WIDE else f"{value[: WIDE - 3]}..." for value in values]
    seconds = "" if one.seconds is None else f"{one.seconds:.1f} s"
    return [
        str(rank) if one.state == "complete" else "", str(one.number), *cells, "" if one.metric is None else shown_figure(one.metric),
        "" if one.epochs is None else str(one.epochs), seconds, _state(one),
    ]  # fmt: skip


def _state(one: Outcome) -> str:
    """Nothing for what went as it should."""
    return one.state if one.state != "complete" else "retried" if one.lost else ""


def write_rows(found: Sequence[Outcome], order: Order, keys: Sequence[str], path: Path) -> None:
    """results.csv: a line for each trial, in order of merit; a file that says the same is left as it is. Raises SaveError."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["rank", "trial", "state", order.metric, *keys, "epochs", "seconds", "attempts", "run", "reason"])
    for rank, one in enumerate(found, 1):
        cells = [one.metric, *(one.values.get(key) for key in keys), one.epochs, one.seconds, one.attempts, one.folder, one.reason]
        rank_cell = rank if one.state == "complete" else None
        rows.writerow(["" if cell is None else cell for cell in (rank_cell, one.number, one.state, *cells)])
    content = text.getvalue().encode()
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)


def as_json(one: Outcome) -> dict[str, Any]:
    """A trial in the last JSON line."""
    return {
        "trial": one.number, "state": one.state, "metric": one.metric, "values": dict(one.values), "epochs": one.epochs,
        "seconds": one.seconds, "run": one.folder, "reason": one.reason or None, "attempts": one.attempts,
    }  # fmt: skip
