"""How many threads the next piece of training uses, and how many steps it has.

Results do not depend on the number of threads, so it can follow the machine: on idle cores all threads are faster; where other programs
hold a core, every parallel launch waits for a thread that is not running (measured: 24 ms instead of 0.2 ms a step for a small net on a
busy machine), and one thread is faster. Both are timed now and then, and the faster one is used.
"""

from __future__ import annotations

PIECE_SECONDS = 0.1
PROBE_SHARE = 8  # a probe takes this part of a piece
FIRST_PROBE = 20  # pieces until the slower choice is tried again; twice as many each time it stays slower
LAST_PROBE = 640
MOST_STEPS = 8192


class Pace:
    """Times of a step on all threads and on one."""

    def __init__(self, most_threads: int) -> None:
        self.most = most_threads
        self._seconds: dict[int, float] = {}
        self._interval = self._left = FIRST_PROBE

    def next_piece(self) -> tuple[int, int]:
        """(threads, steps) of the next piece. The first pieces are single steps: nothing is known yet."""
        for threads in {self.most: None, 1: None}:
            if threads not in self._seconds:
                return threads, 1
        best = self.threads
        other = 1 if best == self.most else self.most
        self._left -= 1
        if other != best and self._left <= 0:
            return other, self._steps(other, PIECE_SECONDS / PROBE_SHARE)
        return best, self._steps(best, PIECE_SECONDS)

    def _steps(self, threads: int, seconds: float) -> int:
        return max(1, min(MOST_STEPS, int(seconds / max(self._seconds[threads], 1e-7))))

    def note(self, threads: int, steps: int, seconds: float) -> None:
        """What a piece took; a time counts half as soon as a newer one is there."""
        if steps <= 0:
            return
        now, best = seconds / steps, self.threads
        self._seconds[threads] = now if threads not in self._seconds else (self._seconds[threads] + now) / 2
        if self._left <= 0:  # that was a probe
            self._interval = FIRST_PROBE if self.threads != best else min(2 * self._interval, LAST_PROBE)
            self._left = self._interval

    @property
    def threads(self) -> int:
        """The faster choice so far."""
        return min(self._seconds, key=lambda threads: self._seconds[threads]) if self._seconds else self.most
