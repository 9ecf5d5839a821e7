"""The choice of threads for a piece of training: the faster one, tried again ever less often."""

from __future__ import annotations

import pytest

from netspec.train.pace import LAST_PROBE, PIECE_SECONDS, Pace


def run(pace: Pace, seconds: dict[int, float], pieces: int) -> list[int]:
    """The threads of so many pieces on a machine where a step takes `seconds` by threads."""
    chosen = []
    for _ in range(pieces):
        threads, steps = pace.next_piece()
        assert steps >= 1
        pace.note(threads, steps, steps * seconds[threads])
        chosen.append(threads)
    return chosen


@pytest.mark.parametrize(("seconds", "best"), [({4: 0.001, 1: 0.003}, 4), ({4: 0.5, 1: 0.003}, 1)])
def test_the_faster_choice_is_used(seconds: dict[int, float], best: int) -> None:
    chosen = run(Pace(4), seconds, 1000)
    assert chosen.count(best) >= 990
    assert set(chosen[:2]) == {1, 4}


def test_a_machine_that_changes_is_noticed() -> None:
    pace = Pace(2)
    run(pace, {2: 0.5, 1: 0.003}, 100)
    assert pace.threads == 1
    run(pace, {2: 0.001, 1: 0.003}, 12 * LAST_PROBE)
    assert pace.threads == 2


def test_pieces_last_as_long_as_they_should() -> None:
    pace = Pace(2)
    run(pace, {2: 0.001, 1: 0.004}, 3)
    threads, steps = pace.next_piece()
    assert threads == 2
    assert steps == pytest.approx(PIECE_SECONDS / 0.001, rel=0.02)


def test_one_thread_has_no_choice() -> None:
    assert set(run(Pace(1), {1: 0.01}, 50)) == {1}
