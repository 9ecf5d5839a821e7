"""The study of a sweep: filled with trials that wait, asked what came of them. Optuna keeps it.

A trial of a sweep has a number of its own, from 1, whatever Optuna counts: one that is taken up again keeps it. Trials are put into the
study as waiting ones, so that any number of machines take each of them once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspec.frontend.space import Candidates, Choice, Space, Tried
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.storage import optuna, quietly

NUMBER, WORKER, FOLDER, ENDED, REASON, CODE, EPOCHS, SECONDS = (
    "trial", "worker", "folder", "ended", "reason", "code", "epochs", "seconds",
)  # fmt: skip
"""What is noted with a trial: its number in the sweep, who has it, its run folder, how it ended and why."""
ABOUT, READY = "netspec", "ready"
"""What is noted with the study: the spec that it is of; that all its trials are in it."""
MOST_LOST = 3
"""How often a trial may lose its worker before it is given up."""


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
