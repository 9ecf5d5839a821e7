"""A worker of a sweep, `python -m netspec.ui.sweep.worker`: takes trials of the study until none waits.

Its order is the first line of its standard input, a pipe that only the process that started it holds open: where that ends, the worker
saves and ends too. On standard output it tells what it does, a line of JSON for each event. While it is alive it holds a file of the
sweep's folder locked, so that a worker that was killed is known as such.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from netspec.base.errors import Interrupted, NetspecError
from netspec.base.outcome import outcome
from netspec.save.held import held
from netspec.ui.screen import plain
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.storage import open_storage, optuna, told_of_storage
from netspec.ui.sweep.study import ENDED, REASON, WORKER, numbered, pruner, sampler, take_up, was_interrupted
from netspec.ui.sweep.trial import Extra, run_trial

FAILED = 1
"""The code of a worker that meets what is no trial's fault: it has said what."""


def tell(event: str, **facts: Any) -> None:
    """A line for the process that started this one; nothing where that is gone."""
    line = json.dumps(plain({"event": event, **facts})) + "\n"
    with suppress(OSError):
        os.write(1, line.encode())


@contextmanager
def alive(folder: Path) -> Iterator[str]:
    """While the worker lives: its name, and a file of that name that it holds."""
    path = folder / uuid.uuid4().hex[:12]
    folder.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    try:
        with held(path):  # on a file system without locks signs of life in the study are left
            yield path.name
    finally:
        path.unlink(missing_ok=True)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(_number: int, _frame: Any) -> None:
    """While training another handler stands here, which ends it after its step."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Takes trials; 0 where none is left."""
    line = b""  # read without a buffer, whose lock a waiting thread would hold at the end
    while not line.endswith(b"\n") and (more := os.read(0, 1)):
        line += more
    order = Order.read(line.decode())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with alive(order.workers) as name, told_of_storage(order):
            tell("begin", worker=name)
            return _work(order, name)
    except (Interrupted, KeyboardInterrupt):
        return 128 + signal.SIGTERM
    except Exception as error:
        code, message = outcome(error)
        tell("error", code=code, message=message)
        if not isinstance(error, NetspecError):
            raise
        return FAILED


def _work(order: Order, name: str) -> int:
    found = optuna()
    states = found.trial.TrialState
    storage = open_storage(order, take_up, is_made=True)
    study = found.load_study(study_name=order.study, storage=storage, sampler=sampler(order), pruner=pruner(order))

    def objective(trial: Any) -> float:
        try:
            return run_trial(order, trial, name, tell)
        except (found.TrialPruned, Extra):
            raise
        except (NetspecError, KeyboardInterrupt, OSError):
            trial.set_user_attr(ENDED, "interrupted")
            raise
        except Exception as error:  # memory that is not there, or a fault of netspec's own: the other trials go on
            trial.set_user_attr(ENDED, "failed")
            trial.set_user_attr(REASON, outcome(error)[1].split("\n")[0])
            raise Extra from error

    while numbered(study, [states.WAITING]):
        try:
            study.optimize(objective, n_trials=1, catch=(Extra,))
        except BaseException:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _leave(study, name)
            raise
        tell("done")
    return 0


def _leave(study: Any, name: str) -> None:
    """Puts the trial that this worker could not end into the queue again."""
    mine = [one for one in numbered(study, [optuna().trial.TrialState.FAIL]) if one.user_attrs.get(WORKER) == name]
    if mine and was_interrupted(mine[-1]):
        take_up(study, mine[-1])


if __name__ == "__main__":
    ended = main()
    gc.freeze()  # as the command line does
    sys.exit(ended)
