"""The workers of one machine: started, listened to, ended; whoever dies is missed at once."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netspec.kernels.compile import JOBS
from netspec.save.held import is_held
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.storage import optuna
from netspec.ui.sweep.study import WORKER, give_back, numbered

SAVE_SECONDS = 1.6
"""What workers have to save and end in; then they are killed."""
NEWBORN_SECONDS = 60
"""For so long a worker's file may not be locked yet."""
WORDS = 2000
"""Of what a dead worker said, the last letters are told."""


@dataclass
class Worker:
    """One process, and what it last said of its trial."""

    place: int
    process: subprocess.Popen[bytes]
    log: Path
    name: str = ""
    trial: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0
    epochs: int = 0
    metric: float | None = None
    listener: threading.Thread | None = None
    took: int = 0
    """Trials that it has begun."""

    def heard(self, event: dict[str, Any]) -> None:
        """Takes in what it says."""
        match event["event"]:
            case "begin":
                self.name = event["worker"]
            case "trial":
                self.trial, self.values, self.epoch, self.epochs, self.metric = event["trial"], event["values"], 0, 0, None
                self.took += 1
            case "epoch":
                self.epoch, self.epochs, self.metric = event["epoch"], event["epochs"], event["metric"]
            case "done":
                self.trial = None

    def said(self) -> str:
        """The end of what it said on stderr."""
        try:
            return self.log.read_text(errors="backslashreplace")[-WORDS:].strip()
        except OSError:
            return ""


class Crew:
    """At most `size` workers at a time."""

    def __init__(self, order: Order, size: int) -> None:
        self.order, self.size = order, size
        self.workers: list[Worker] = []
        self._events: queue.Queue[tuple[Worker, dict[str, Any]]] = queue.Queue()

    def start(self) -> None:
        """One more worker, in the first place that is free."""
        order = self.order
        order.workers.mkdir(parents=True, exist_ok=True)
        place = next(at for at in range(self.size) if at not in {one.place for one in self.workers})
        log = order.workers / f"{os.getpid()}-{place + 1}-{time.monotonic_ns()}.log"
        environment = {JOBS: str(order.threads), **os.environ, "PYTHONPATH": os.pathsep.join(str(Path(one).absolute()) for one in sys.path)}
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "netspec.ui.sweep.worker"],
                env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                process_group=0,  # the terminal's Ctrl-C comes to this process alone
            )  # fmt: skip
        worker = Worker(place, process, log)
        self.workers.append(worker)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(order.as_line().encode() + b"\n")
            process.stdin.flush()
        worker.listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        worker.listener.start()

    def _listen(self, worker: Worker) -> None:
        assert worker.process.stdout is not None
        with worker.process.stdout as said:
            for line in said:
                with contextlib.suppress(ValueError):  # of a worker that died while it spoke
                    self._events.put((worker, json.loads(line)))

    def events(self, seconds: float) -> list[tuple[Worker, dict[str, Any]]]:
        """What workers have said, within so many seconds."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._events.get(timeout=seconds))
            while True:
                found.append(self._events.get_nowait())
        for worker, event in found:
            worker.heard(event)
        return found

    def gone(self) -> list[Worker]:
        """Workers that have ended since the last call."""
        ended = [one for one in self.workers if one.process.poll() is not None]
        self.workers = [one for one in self.workers if one not in ended]
        for one in ended:
            _close(one)
        return ended

    def stop(self) -> list[Worker]:
        """Lets all save and end, and kills those that take too long; gives all of them."""
        ended, self.workers = self.workers, []
        for one in ended:
            one.process.terminate()
        end = time.monotonic() + SAVE_SECONDS
        for one in ended:
            try:
                one.process.wait(max(end - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
            _close(one)
        return ended

    def kill(self) -> None:
        """Ends all of them at once."""
        for one in self.workers:
            one.process.kill()
            one.process.wait()


def _close(worker: Worker) -> None:
    """After a worker has ended: what it said is forgotten where it ended well."""
    assert worker.process.stdin is not None
    with contextlib.suppress(OSError):
        worker.process.stdin.close()
    if worker.listener is not None:
        worker.listener.join(1.0)  # what it said last
    if worker.process.returncode in (0, 143) or not worker.said():
        worker.log.unlink(missing_ok=True)


def miss(order: Order, study: Any, storage: Any, worker: Worker, ended: str = "") -> int | None:
    """Gives back the trial of a worker that is gone, with a note of how it `ended`; its number, where it had one."""
    running = numbered(study, [optuna().trial.TrialState.RUNNING])
    for attempt in [one for one in running if worker.name and one.user_attrs.get(WORKER) == worker.name]:
        _give_back(study, storage, attempt, ended)
    if worker.name:
        (order.workers / worker.name).unlink(missing_ok=True)
    return worker.trial


def miss_all(order: Order, study: Any, storage: Any) -> None:
    """Gives back the trials of workers of this machine that are gone, though nobody missed them: who started them is gone too."""
    running = numbered(study, [optuna().trial.TrialState.RUNNING])
    for attempt in running:
        name = attempt.user_attrs.get(WORKER, "")
        if name and is_held(order.workers / name) is False:
            _give_back(study, storage, attempt, "interrupted")
    for path in order.workers.glob("*") if order.workers.is_dir() else ():
        with contextlib.suppress(OSError):
            if not path.suffix and time.time() - path.stat().st_mtime > NEWBORN_SECONDS and is_held(path) is False:
                path.unlink()


def _give_back(study: Any, storage: Any, attempt: Any, ended: str) -> None:
    if ended:
        trial = storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(study.study_name), attempt.number)
        storage.set_trial_user_attr(trial, "ended", ended)
    give_back(study, attempt)
