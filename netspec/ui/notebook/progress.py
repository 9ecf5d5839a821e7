"""Training as a notebook shows it: one display, kept up to date while it runs and readable afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from netspec.base import html
from netspec.base.figure import shown_figure
from netspec.base.kernel import in_notebook
from netspec.base.units import short_count
from netspec.train.history import SHOWN, epochs_page
from netspec.train.loop import Monitor
from netspec.ui.lines import Lines

PAUSES = ((60.0, 0.2), (600.0, 0.5), (float("inf"), 1.0))
"""Up to so many seconds of training, at least so many between two updates."""
MOST_LOSSES = 400
TAIL = 6
"""Epochs in the table while training runs."""
FIGURES = ("loss", "train_accuracy", "val_loss", "val_accuracy")


def progress() -> Monitor:
    """What `fit(verbose=1)` shows: a display in a notebook, else lines on stderr."""
    return Live() if in_notebook() else Lines()


class Live:
    """A monitor that is displayed: a bar, the last epochs, the curves so far."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._losses: list[tuple[int, float]] = []
        """Of single steps, in equal distances."""
        self._every, self._heard = 1, 0
        self._first, self._epochs, self._steps, self._done = 1, 1, 1, 0
        self._began = self._shown = 0.0
        self._loss = self._rate = float("nan")
        self._facts, self._seconds = "", 0.0
        self._is_over = False
        self._display: Any = None

    def begin(self, *, first_epoch: int, epochs: int, steps_per_epoch: int, rows: int) -> None:
        self._first, self._epochs, self._steps = first_epoch, epochs, steps_per_epoch
        self._facts = f"{rows:,} rows, {steps_per_epoch} steps an epoch"
        self._began = self._shown = time.monotonic()
        self._display = import_module("IPython.display").display(self, display_id=True)

    def steps(self, *, epoch: int, step: int, loss: float, rows_per_second: float, done: int) -> None:
        self._done = (epoch - self._first) * self._steps + done
        self._loss, self._rate = loss, rows_per_second
        self._heard += 1
        if self._heard % self._every == 0:
            self._losses.append((step, loss))
        if len(self._losses) > MOST_LOSSES:
            del self._losses[::2]
            self._every *= 2
        self._refresh()

    def epoch(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._refresh()

    def end(self) -> None:
        self._is_over = True
        self._refresh()

    def _refresh(self) -> None:
        """Updates the display, unless it was a moment ago."""
        now = time.monotonic()
        self._seconds = now - self._began
        pause = next(least for until, least in PAUSES if self._seconds <= until)
        if self._display is not None and (self._is_over or now - self._shown >= pause):
            self._shown = now
            self._display.update(self)

    @property
    def _all(self) -> int:
        return max(1, self._epochs * self._steps)

    def _title(self) -> str:
        """`epoch 7 of 30`; of a training that is over what was done."""
        last = self._first + self._epochs - 1
        whole, rest = divmod(self._done, self._steps)
        now = min(last, self._first + whole)
        if not self._is_over:
            return f"epoch {now} of {last}"
        if whole >= self._epochs:
            return f"trained to epoch {last}"
        return f"ended in epoch {now} of {last}" if rest or not whole else f"ended after epoch {now - 1} of {last}"

    def _figures(self) -> Iterable[str]:
        """What is known now: the step's loss, the rows a second, the time."""
        if self._loss == self._loss and not self._is_over:
            yield f"loss {shown_figure(self._loss)}"
            yield f"{short_count(self._rate)} rows/s"
        if not self._is_over and self._done:
            yield f"{_time(self._seconds * (self._all / self._done - 1))} left"
        if self._is_over:
            yield _time(self._seconds)
        yield self._facts

    def _repr_html_(self) -> str:
        head = html.line(html.bold(self._title()), html.faint(f": {', '.join(self._figures())}"))
        colour = html.BLUE if not self._is_over else html.GREEN if self._done >= self._all else html.ORANGE
        shown = SHOWN if self._is_over else TAIL
        return html.page(head, html.bar(self._done / self._all, colour), epochs_page(self._rows, self._losses, shown))

    def __repr__(self) -> str:
        last = self._rows[-1] if self._rows else {}
        figures = [f"{key} {shown_figure(last[key])}" for key in FIGURES if last.get(key) is not None]
        return f"{self._title()}: {', '.join([*figures, *self._figures()])}"


def _time(seconds: float) -> str:
    """`12 s`, `3:05`, `1:02:03`."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
