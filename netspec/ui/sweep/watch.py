"""What a sweep shows while it goes on: a line for each worker on a terminal, a line for each trial in a file, JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.live import Live
from rich.text import Text

from netspec.base.figure import shown_figure
from netspec.ui.screen import print_json
from netspec.ui.sweep.crew import Worker
from netspec.ui.sweep.drive import death
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.outcome import Outcome, as_json, best, outcomes, shown
from netspec.ui.tables import console


class Watch:
    """Tells of each trial that comes to an end, once."""

    def __init__(self, order: Order, study: Any) -> None:
        self.order, self.study = order, study
        self.found = outcomes(study, order)
        self._told = {one.number for one in self.found if not one.is_open}

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""

    def looked(self, workers: Sequence[Worker]) -> None:
        """Asks the study."""
        self.found = outcomes(self.study, self.order)
        for one in sorted(self.found, key=lambda one: one.number):
            if not one.is_open and one.number not in self._told:
                self._told.add(one.number)
                self.ended(one)

    def heard(self, worker: Worker, event: dict[str, Any]) -> None:
        """Of a worker; a trial that ends is asked of the study."""

    def lost(self, worker: Worker, trial: int | None) -> None:
        """Of a worker that died."""

    def ended(self, one: Outcome) -> None:
        """Of a trial that came to an end."""


def in_words(one: Outcome, order: Order) -> str:
    """`trial 3 complete: val_accuracy 0.9833; width = 64, train.lr = 0.0123`, `trial 4 pruned by median after epoch 2 of 5: ...`."""
    figure = f": {order.metric} {shown_figure(one.metric)}" if one.metric is not None else ""
    values = ", ".join(f"{key} = {shown(value)}" for key, value in one.values.items())
    if one.reason.startswith(one.state):
        return f"trial {one.number} {one.reason}{figure}; {values}"
    reason = f" ({one.reason})" if one.reason else ""
    return f"trial {one.number} {one.state}{figure}; {values}{reason}"


def of_lost(worker: Worker, trial: int | None) -> str:
    """What is said of a worker that died."""
    what = f"; trial {trial} is taken up again" if trial is not None else ""
    said = f": {worker.said().splitlines()[-1]}" if worker.said() else ""
    return f"worker {worker.place + 1} {death(worker)}{said}{what}"


class Lines(Watch):
    """A line on stderr for each trial that ends, which counts those that have ended by then."""

    def ended(self, one: Outcome) -> None:
        print(f"{len(self._told)}/{len(self.found)} {in_words(one, self.order)}", file=sys.stderr, flush=True)

    def lost(self, worker: Worker, trial: int | None) -> None:
        print(of_lost(worker, trial), file=sys.stderr, flush=True)


class JsonLines(Watch):
    """A line of JSON on stdout for each epoch and each trial that ends."""

    def heard(self, worker: Worker, event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            told = {"trial": event["trial"], "epoch": event["epoch"], self.order.metric: event["metric"], "worker": worker.place + 1}
            print_json({"event": "epoch", **told}, one_line=True)

    def ended(self, one: Outcome) -> None:
        print_json({"event": "trial", **as_json(one)}, one_line=True)

    def lost(self, worker: Worker, trial: int | None) -> None:
        print_json({"event": "lost", "worker": worker.place + 1, "trial": trial, "message": of_lost(worker, trial)}, one_line=True)


class Screen(Watch):
    """A few lines on a terminal, drawn anew as they change: how far the sweep is, the best trial, each worker's."""

    def __init__(self, order: Order, study: Any, stream: TextIO) -> None:
        super().__init__(order, study)
        self._workers: Sequence[Worker] = ()
        self._live = Live(get_renderable=self._drawn, console=console(stream), refresh_per_second=4, transient=True)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def looked(self, workers: Sequence[Worker]) -> None:
        super().looked(workers)
        self._workers = list(workers)

    def heard(self, worker: Worker, event: dict[str, Any]) -> None:
        if event["event"] == "done":
            self.looked(self._workers)

    def lost(self, worker: Worker, trial: int | None) -> None:
        self._live.console.print(Text(of_lost(worker, trial)))

    def _drawn(self) -> Text:
        done, running = sum(not one.is_open for one in self.found), sum(one.state == "running" for one in self.found)
        lines = [f"{self.order.study}: {done} of {len(self.found)} trials done, {running} running"]
        top = best(self.found)
        if top is not None:
            lines.append(f"best     {in_words(top, self.order)}")
        lines += [self._of(one) for one in sorted(self._workers, key=lambda one: one.place)]
        return Text("\n".join(lines), overflow="ellipsis", no_wrap=True)

    def _of(self, worker: Worker) -> str:
        if worker.trial is None:
            return f"worker {worker.place + 1} begins"
        values = ", ".join(f"{key} = {shown(value)}" for key, value in worker.values.items())
        far = f"epoch {worker.epoch}/{worker.epochs}" if worker.epochs else "begins"
        figure = f" {self.order.metric} {shown_figure(worker.metric)}" if worker.metric is not None else ""
        return f"worker {worker.place + 1} trial {worker.trial} {far}{figure}; {values}"
