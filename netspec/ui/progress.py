"""What training shows while it runs: a bar on a terminal, JSON lines, or nothing."""

from __future__ import annotations

from typing import Any, TextIO

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from netspec.base.figure import shown_figure
from netspec.base.units import short_count
from netspec.train.loop import Monitor
from netspec.ui.screen import plain, print_json
from netspec.ui.tables import console


class Bar:
    """A monitor that keeps one line on a terminal: epoch, loss, accuracy, rows per second, time left."""

    def __init__(self, stream: TextIO) -> None:
        columns = [TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[figures]}"), TimeRemainingColumn()]
        self._progress = Progress(*columns, console=console(stream), transient=True, expand=True, refresh_per_second=10)
        self._first, self._epochs, self._steps = 1, 1, 1
        self._accuracy = ""

    def begin(self, *, first_epoch: int, epochs: int, steps_per_epoch: int, rows: int) -> None:
        self._first, self._epochs, self._steps = first_epoch, epochs, steps_per_epoch
        self._progress.start()
        self._task = self._progress.add_task(self._title(first_epoch), total=epochs * steps_per_epoch, figures="")

    def steps(self, *, epoch: int, step: int, loss: float, rows_per_second: float, done: int) -> None:
        figures = f"loss {shown_figure(loss)}{self._accuracy} {short_count(rows_per_second)} rows/s"
        completed = (epoch - self._first) * self._steps + done
        self._progress.update(self._task, completed=completed, description=self._title(epoch), figures=figures)

    def epoch(self, row: dict[str, Any]) -> None:
        for key, word in (("val_accuracy", "val"), ("train_accuracy", "train")):
            if row[key] is not None:
                self._accuracy = f" {word} {shown_figure(row[key])}"
                return

    def end(self) -> None:
        self._progress.stop()

    def _title(self, epoch: int) -> str:
        return f"epoch {epoch}/{self._first + self._epochs - 1}"


class WhileHeard:
    """A monitor that falls silent where nobody reads any more, a closed pipe or a terminal that is gone: training goes on."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor: Monitor | None = monitor

    def _tell(self, hook: str, **facts: Any) -> None:
        try:
            if self._monitor is not None:
                getattr(self._monitor, hook)(**facts)
        except OSError:
            self._monitor = None

    def begin(self, *, first_epoch: int, epochs: int, steps_per_epoch: int, rows: int) -> None:
        self._tell("begin", first_epoch=first_epoch, epochs=epochs, steps_per_epoch=steps_per_epoch, rows=rows)

    def steps(self, *, epoch: int, step: int, loss: float, rows_per_second: float, done: int) -> None:
        self._tell("steps", epoch=epoch, step=step, loss=loss, rows_per_second=rows_per_second, done=done)

    def epoch(self, row: dict[str, Any]) -> None:
        self._tell("epoch", row=row)

    def end(self) -> None:
        self._tell("end")


class JsonLines:
    """A monitor that prints a JSON line for each epoch."""

    def begin(self, *, first_epoch: int, epochs: int, steps_per_epoch: int, rows: int) -> None:
        """The first line is the first epoch's."""

    def steps(self, *, epoch: int, step: int, loss: float, rows_per_second: float, done: int) -> None:
        """Steps are in the run folder's events."""

    def epoch(self, row: dict[str, Any]) -> None:
        print_json({"event": "epoch", **plain(row)}, one_line=True)

    def end(self) -> None:
        """The last line is the run's."""
