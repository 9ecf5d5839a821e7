"""How many threads the next call of a kind uses: all or one, whichever was faster.

Results do not depend on the number of threads, so it can follow the machine: on idle cores all threads are faster; where other programs
hold a core, every parallel region waits for a thread that is not running (measured: 24 ms instead of 0.2 ms a step for a small net on a
busy machine), and one thread is faster. Calls are counted in pieces, so that no single slow call decides. The other choice is tried for a
shorter piece now and then, ever less often.
"""

from __future__ import annotations

PIECE_SECONDS = 0.1
PROBE_SECONDS = PIECE_SECONDS / 8
ENOUGH = 0.8  # of a piece: `steps` aims at all of it, so that one call completes it
FIRST_PROBE = 20  # pieces until the slower choice is tried again; twice as many each time it stays slower
LAST_PROBE = 160
MOST_STEPS = 8192


class Pace:
    """Times of calls of one kind on all threads and on one, by units of work: rows, or steps."""

    def __init__(self, most_threads: int) -> None:
        self._choices = tuple(dict.fromkeys((most_threads, 1)))
        self._seconds: dict[int, float] = {}
        self._interval = self._left = FIRST_PROBE
        self._is_warm = False
        self._begin(most_threads, PROBE_SECONDS)

    def _begin(self, threads: int, seconds: float) -> None:
        self.threads = threads
        """Of the next call."""
        self._length, self._spent, self._units = seconds, 0.0, 0

    @property
    def best(self) -> int:
        """The faster choice so far."""
        return min(self._seconds, key=self._seconds.__getitem__) if self._seconds else self._choices[0]

    def steps(self) -> int:
        """How many units last to the end of the piece, a tenth of a second at most; 1 while nothing is known."""
        each = self._spent / self._units if self._units else self._seconds.get(self.threads)
        return 1 if each is None else max(1, min(MOST_STEPS, int((self._length - self._spent) / max(each, 1e-7))))

    def note(self, units: int, seconds: float) -> None:
        """What a call with `threads` took. The first one, which starts threads and touches memory, does not count."""
        if not self._is_warm:
            self._is_warm = True
        elif units:
            self._units += units
            self._spent += seconds
            if self._spent >= ENOUGH * self._length:
                self._end()

    def _end(self) -> None:
        """A piece is complete: the newest one of each choice counts."""
        before = self.best
        self._seconds[self.threads] = self._spent / self._units
        if len(self._seconds) < len(self._choices):
            self._begin(self._choices[-1], PROBE_SECONDS)
            return
        if self.best != before:
            self._left = self._interval = FIRST_PROBE
        elif self.threads != before:
            self._left = self._interval = min(2 * self._interval, LAST_PROBE)
        else:
            self._left -= 1
        others = [threads for threads in self._choices if threads != self.best]
        if others and self._left <= 0:
            self._begin(others[0], PROBE_SECONDS)
        else:
            self._begin(self.best, PIECE_SECONDS)
