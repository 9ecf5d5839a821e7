"""The study of a sweep in its database: opened, filled with trials that wait, asked what came of them. Optuna keeps it.

A trial of a sweep has a number of its own, from 1, whatever Optuna counts: one that is taken up again keeps it. Trials are put into the
study as waiting ones, so that any number of machines take each of them once.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.frontend.space import Candidates, Choice, Space, Tried
from netspec.save.atomic import SaveError
from netspec.ui.sweep.order import Order

NUMBER, WORKER, FOLDER, ENDED, REASON, CODE, EPOCHS, SECONDS = (
    "trial", "worker", "folder", "ended", "reason", "code", "epochs", "seconds",
)  # fmt: skip
"""What is noted with a trial: its number in the sweep, who has it, its run folder, how it ended and why."""
ABOUT, READY = "netspec", "ready"
"""What is noted with the study: the spec that it is of; that all its trials are in it."""
MOST_LOST = 3
"""How often a trial may lose its worker before it is given up."""
ATTEMPTS, PAUSE_SECONDS = 4, 0.3
"""How often a database is opened before that is given up, and what is waited between."""
LOCK_SECONDS = 60
"""How long a process waits for another that writes to the same SQLite file."""


def optuna() -> Any:
    """The library, which says nothing of its own. Raises UsageError without the extra `sweep`."""
    found = library("optuna", "sweep")
    found.logging.set_verbosity(found.logging.CRITICAL)
    return found


@contextmanager
def quietly() -> Iterator[None]:
    """Without Optuna's words on signs of life, which it calls experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna().exceptions.ExperimentalWarning)
        yield


@contextmanager
def told_of_storage(order: Order) -> Iterator[None]:
    """Raises SaveError where the database fails within: its disk is full, it may not be written to, its server is gone."""
    failures = optuna().exceptions.StorageInternalError, library("sqlalchemy", "sweep").exc.SQLAlchemyError
    try:
        yield
    except failures as error:
        cause = error.__cause__ or error
        words = " ".join(str(getattr(cause, "orig", None) or cause).split())
        raise SaveError(f"{shown_url(order)}: the study cannot be read or written: {words[:300]}") from None


def shown_url(order: Order) -> str:
    """The database without its password."""
    url: str = library("sqlalchemy", "sweep").make_url(order.storage).render_as_string(hide_password=True)
    return url


def open_storage(order: Order) -> Any:
    """The database, made where it is new. Raises UsageError where it cannot be opened."""
    found = optuna()
    sqlalchemy = library("sqlalchemy", "sweep")
    try:
        url = sqlalchemy.make_url(order.storage)
    except sqlalchemy.exc.ArgumentError:
        raise UsageError(f"--storage {order.storage}: is no database's URL, such as sqlite:///study.db or postgresql://host/name") from None
    is_file = url.get_backend_name() == "sqlite"
    waits = {"connect_args": {"timeout": LOCK_SECONDS}} if is_file else {"pool_pre_ping": True}
    for attempt in range(ATTEMPTS):
        try:
            with quietly():
                storage = found.storages.RDBStorage(
                    order.storage, engine_kwargs=waits, heartbeat_interval=order.heartbeat, grace_period=3 * order.heartbeat,
                    heartbeat_stale_trial_callback=take_up,
                )  # fmt: skip
            break
        except (sqlalchemy.exc.SQLAlchemyError, ImportError, found.exceptions.StorageInternalError, RuntimeError) as error:
            if attempt + 1 < ATTEMPTS and not isinstance(error, ImportError):
                time.sleep(PAUSE_SECONDS)  # two processes that make the same tables are in each other's way
                continue
            words = " ".join(str(getattr(error, "orig", None) or error).split())
            raise UsageError(f"--storage {shown_url(order)}: cannot be opened: {words[:300]}") from None
    if is_file:
        _lock_when_begun(storage.engine)
    return storage


def _lock_when_begun(engine: Any) -> None:
    """SQLite locks a file when it is first written to, so that two processes could read that a trial waits, and both take it: every
    transaction locks it from its beginning instead."""
    event = library("sqlalchemy", "sweep").event
    event.listen(engine, "connect", _without_own_transactions)
    event.listen(engine, "begin", _begin)
    engine.dispose()  # connections that were made without


def _without_own_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# trials


def numbered(study: Any, states: Sequence[Any] | None = None) -> list[Any]:
    """The trials of the sweep, each attempt for itself, as Optuna holds them."""
    return [one for one in study.get_trials(deepcopy=False, states=states) if NUMBER in one.user_attrs]


def latest(study: Any) -> dict[int, Any]:
    """The last attempt of each trial by its number in the sweep; a finished one stands before any other."""
    found: dict[int, Any] = {}
    for one in numbered(study):
        number = one.user_attrs[NUMBER]
        if number not in found or not is_done(found[number]):
            found[number] = one
    return dict(sorted(found.items()))


def is_done(attempt: Any) -> bool:
    """Whether an attempt came to a result: to its end, or pruned."""
    states = optuna().trial.TrialState
    return attempt.state in (states.COMPLETE, states.PRUNED)


def is_lost(attempt: Any) -> bool:
    """Whether an attempt ended with its worker, and said nothing."""
    return attempt.state == optuna().trial.TrialState.FAIL and not attempt.user_attrs.get(ENDED)


def add_trials(study: Any, total: int, points: Sequence[Mapping[str, Tried]] | None) -> None:
    """Puts trials that wait into the study until there are so many: of a grid its points in order."""
    known = {one.user_attrs[NUMBER] for one in numbered(study)}
    for number in range(1, total + 1):
        if number not in known:
            study.enqueue_trial(dict(points[number - 1]) if points is not None else {}, user_attrs={NUMBER: number})


def take_up(study: Any, attempt: Any) -> None:
    """Puts a trial that ended early into the queue again, unless its worker was lost too often. Optuna calls this for those that show
    no sign of life."""
    number = attempt.user_attrs.get(NUMBER)
    if number is None or _times_lost(study, number) >= MOST_LOST:
        return
    again = copy.deepcopy(attempt)
    again.user_attrs = {key: value for key, value in attempt.user_attrs.items() if key in (NUMBER, FOLDER)}
    with quietly():
        optuna().storages.RetryHeartbeatStaleTrialCallback()(study, again)


def _times_lost(study: Any, number: int) -> int:
    return sum(is_lost(one) for one in numbered(study) if one.user_attrs[NUMBER] == number)


def give_back(study: Any, attempt: Any) -> bool:
    """Ends an attempt whose worker is gone, and takes its trial up again. False where somebody has done so."""
    found = optuna()
    try:
        study.tell(attempt.number, state=found.trial.TrialState.FAIL)
    except (ValueError, found.exceptions.UpdateFinishedTrialError):
        return False
    take_up(study, study.get_trials(deepcopy=False)[attempt.number])
    return True


def forsaken(study: Any) -> list[Any]:
    """Attempts that nobody may care for: those that run, of which no worker has said that they are its own; those that ended early, and
    wait for nobody. Both are so for a moment as a rule; where they stay so, somebody was killed in that moment."""
    states = optuna().trial.TrialState
    nameless = [one for one in numbered(study, [states.RUNNING]) if WORKER not in one.user_attrs]
    ended = [one for one in latest(study).values() if one.state == states.FAIL and (is_lost(one) or was_interrupted(one))]
    return [*nameless, *(one for one in ended if _times_lost(study, one.user_attrs[NUMBER]) < MOST_LOST)]


def was_interrupted(attempt: Any) -> bool:
    """Whether an attempt was ended in good order, to go on later."""
    return bool(attempt.user_attrs.get(ENDED) == "interrupted")


def care_for(study: Any, attempt: Any) -> None:
    """Takes up the trial of a forsaken attempt."""
    if attempt.state == optuna().trial.TrialState.RUNNING:
        give_back(study, attempt)
    else:
        take_up(study, attempt)


# what is tried


def suggested(trial: Any, space: Space) -> dict[str, Tried]:
    """The values of a trial by key."""
    return {key: _suggested(trial, key, candidates) for key, candidates in space.items()}


def _suggested(trial: Any, key: str, candidates: Candidates) -> Tried:
    value: Tried
    if isinstance(candidates, Choice):
        value = trial.suggest_categorical(key, candidates.values)
    elif candidates.whole:
        value = trial.suggest_int(key, candidates.low, candidates.high, log=candidates.log)
    else:
        value = trial.suggest_float(key, float(candidates.low), float(candidates.high), log=candidates.log)
    return value


@dataclass
class Seeded:
    """A sampler that draws for each trial from numbers of its own: by the seed, and the trial's number in the sweep. So a sweep that goes
    on draws nothing a second time, and what one worker draws depends on nothing but the trials before."""

    make: Any
    seed: int
    inner: Any = None

    def before_trial(self, study: Any, trial: Any) -> None:
        """Optuna calls this first."""
        number = trial.user_attrs.get(NUMBER, 0)
        self.inner = self.make(int(np.random.SeedSequence([self.seed & 0xFFFFFFFF, number]).generate_state(1)[0]))
        self.inner.before_trial(study, trial)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["inner"], name)


def sampler(order: Order) -> Seeded:
    """Tree-structured Parzen estimators, or plain random numbers; a grid draws nothing."""
    kinds = optuna().samplers
    make = kinds.TPESampler if order.sampler == "tpe" else kinds.RandomSampler
    return Seeded(lambda seed: make(seed=seed), order.seed, make(seed=order.seed))


def pruner(order: Order) -> Any:
    """What ends a trial early: where it is below the median of the others at the same epoch, or by successive halving in brackets."""
    kinds = optuna().pruners
    if order.pruner == "median":
        return kinds.MedianPruner(n_startup_trials=5, n_warmup_steps=2)  # the first epoch tells little
    if order.pruner == "hyperband":
        return kinds.HyperbandPruner(min_resource=1, max_resource=order.epochs)
    return kinds.NopPruner()
