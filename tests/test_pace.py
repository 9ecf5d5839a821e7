"""The choice of threads for a kind of calls: the faster one, tried again ever less often; and who lets it choose."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.plan import plan
from netspec.plan.pace import LAST_PROBE, PIECE_SECONDS, Pace


def run(pace: Pace, seconds: dict[int, float], calls: int) -> list[int]:
    """The threads of so many calls on a machine where one takes `seconds` by threads."""
    chosen = []
    for _ in range(calls):
        chosen.append(pace.threads)
        pace.note(1, seconds[pace.threads])
    return chosen


@pytest.mark.parametrize(("seconds", "best"), [({4: 0.001, 1: 0.003}, 4), ({4: 0.5, 1: 0.003}, 1)])
def test_the_faster_choice_is_used(seconds: dict[int, float], best: int) -> None:
    pace = Pace(4)
    first, chosen = run(pace, seconds, 20), run(pace, seconds, 10_000)
    assert set(first) == {1, 4}
    assert pace.best == best
    assert chosen.count(best) >= 9_950


@pytest.mark.parametrize("seconds", [{2: 0.008, 1: 0.00002}, {2: 0.012, 1: 0.001}, {2: 0.016, 1: 0.005}])
def test_a_core_that_another_program_holds_costs_little(seconds: dict[int, float]) -> None:
    pace = Pace(2)
    run(pace, seconds, int(1 / seconds[1]))
    taken = [seconds[threads] for threads in run(pace, seconds, int(10 / seconds[1]))]
    assert sum(taken) <= 1.05 * len(taken) * seconds[1]


def test_a_machine_that_changes_is_noticed() -> None:
    pace = Pace(2)
    run(pace, {2: 0.5, 1: 0.003}, 10_000)
    assert pace.best == 1
    run(pace, {2: 0.001, 1: 0.003}, int(LAST_PROBE * PIECE_SECONDS / 0.003))
    assert pace.best == 2
    run(pace, {2: 0.012, 1: 0.003}, 20)
    assert pace.best == 1


def test_one_slow_call_decides_nothing() -> None:
    pace = Pace(2)
    seconds = {2: 0.001, 1: 0.003}
    pace.note(1, 0.2)  # the first one, which starts the threads
    run(pace, seconds, 100)
    pace.note(1, 0.05)
    assert set(run(pace, seconds, 200)) == {2}


def test_pieces_last_as_long_as_they_should() -> None:
    pace = Pace(2)
    assert pace.steps() == 1
    assert run(pace, {2: 0.001, 1: 0.004}, 15) == [2] * 11 + [1] * 3 + [2]
    run(pace, {2: 0.001, 1: 0.004}, 79)
    assert pace.steps() == pytest.approx(PIECE_SECONDS / 0.001, rel=0.02)


def test_one_thread_has_no_choice() -> None:
    assert set(run(Pace(1), {1: 0.01}, 1000)) == {1}


X, Y = np.random.default_rng(0).standard_normal((60, 3000), np.float32), np.arange(60) % 3
CALLS: dict[str, Callable[[netspec.Model], Any]] = {
    "predict": lambda model: model.predict(X),
    "predict one row": lambda model: model.predict(X[:1]),
    "evaluate": lambda model: model.evaluate(X, Y),
    "step": lambda model: model.step(X, Y),
    "forward": lambda model: model.forward(X, train=True),
    "fit": lambda model: model.fit(X, Y, epochs=1),
}


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize(("seconds", "best"), [({2: 0.1, 1: 0.001}, 1), ({2: 0.004, 1: 0.1}, 2)])
def test_calls_choose(name: str, seconds: dict[int, float], best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a parallel region waits for a core, and where it does not."""
    asked: list[int] = []
    pool = plan.thread_pool

    def slow(threads: int) -> Any:
        asked.append(threads)
        return pool(threads)

    def clock() -> float:
        return sum(seconds[threads] for threads in asked)

    model = netspec.compile("affine(100)-relu -> affine -> softmax", input=(3000,), classes=3, threads=2, train="monitor_rows = 0")
    monkeypatch.setattr(plan, "thread_pool", slow)
    monkeypatch.setattr(plan, "time", SimpleNamespace(perf_counter=clock))
    for _ in range(30):
        CALLS[name](model)
    assert set(asked) == {1, 2}
    assert set(asked[-15:]) == {best}
