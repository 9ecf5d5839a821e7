"""A team whose ranks are threads of one process: the same calls as over MPI, added and gathered in the order of the ranks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from numpy.typing import NDArray

from netspec.kernels.context import Share

PATIENCE = 60.0
"""Seconds that a rank waits for the others: by then they never come."""


class Room:
    """Where the ranks of one team meet."""

    def __init__(self, size: int) -> None:
        self.size, self.barrier = size, threading.Barrier(size, timeout=PATIENCE)
        self.held: list[Any] = [None] * size


class Rank:
    """A team as one of its ranks sees it."""

    def __init__(self, room: Room, rank: int, statistics: bool = True) -> None:
        self.room, self.rank, self.size, self.threads = room, rank, room.size, 1
        self.share = Share(rank, room.size, statistics)
        self.leads = rank == 0

    def _exchanged(self, value: Any, use: Callable[[list[Any]], None]) -> None:
        self.room.held[self.rank] = value
        self.room.barrier.wait()
        use(list(self.room.held))
        self.room.barrier.wait()

    def patient(self) -> AbstractContextManager[None]:
        return nullcontext()

    def add(self, values: NDArray[Any]) -> None:
        def use(all_of_them: list[Any]) -> None:
            values[...] = sum(all_of_them)

        self._exchanged(values.copy(), use)

    def gather(self, parts: NDArray[Any]) -> None:
        def use(all_of_them: list[Any]) -> None:
            parts[...] = all_of_them

        self._exchanged(parts[self.rank].copy(), use)

    def take_from_first(self, values: NDArray[Any]) -> None:
        def use(all_of_them: list[Any]) -> None:
            values[...] = all_of_them[0]

        self._exchanged(values.copy(), use)


def together(size: int, work: Callable[[Rank], Any], statistics: bool = True) -> list[Any]:
    """What `work` gives on each rank. Raises what a rank raises, BrokenBarrierError where they do not make the same calls."""
    room = Room(size)
    results: list[Any] = [None] * size
    faults: list[BaseException] = []
    lost: list[threading.BrokenBarrierError] = []

    def one(rank: int) -> None:
        try:
            results[rank] = work(Rank(room, rank, statistics))
        except threading.BrokenBarrierError as error:
            lost.append(error)
        except BaseException as error:
            faults.append(error)
            room.barrier.abort()

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults or lost:
        raise [*faults, *lost][0]
    return results
