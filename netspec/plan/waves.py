"""Launches in waves: what runs side by side between two meetings of the threads.

A chain is launches that are shared in the same way: task t of one may follow task t of the one before it at once, on the same thread, while
its share is in that core's cache. The chains of a wave need nothing of each other. The driver runs wave by wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.kernels.launch import Buffer, Launch, Section


@dataclass(frozen=True)
class Chain:
    """Launches `first` to `last` of the list, each cut into the same `tasks`."""

    first: int
    last: int
    tasks: int


@dataclass(frozen=True)
class Wave:
    """Chains of one section that may run at the same time."""

    section: Section
    chains: tuple[Chain, ...]

    @property
    def first(self) -> int:
        return self.chains[0].first

    @property
    def last(self) -> int:
        return self.chains[-1].last

    @property
    def tasks(self) -> int:
        return sum(chain.tasks for chain in self.chains)


def _disputed(before: Launch, after: Launch) -> set[Buffer]:
    """Buffers that one of two launches writes and the other touches."""
    return {*before.writes} & {*after.reads, *after.writes} | {*before.reads} & {*after.writes}


def _follows(before: Launch, after: Launch) -> bool:
    """Whether task t of `after` needs no task but t of `before`."""
    disputed = _disputed(before, after)
    return before.cut is not None and before.cut == after.cut and disputed <= {*before.own} & {*after.own}


def _continues(launches: Sequence[Launch], wave: Wave, launch: Launch) -> bool:
    """Whether a launch can be appended to the last chain of a wave, and goes on from it."""
    chain = wave.chains[-1]
    others = range(wave.first, chain.first)
    return (
        chain.tasks == launch.tasks
        and any(_disputed(launches[number], launch) for number in range(chain.first, chain.last))
        and all(_follows(launches[number], launch) for number in range(chain.first, chain.last))
        and not any(_disputed(launches[number], launch) for number in others)
    )


def in_waves(launches: Sequence[Launch]) -> tuple[Wave, ...]:
    """The launches in their order, as few waves as joining each to the last one gives."""
    waves: list[Wave] = []
    for number, launch in enumerate(launches):
        last = waves[-1] if waves else None
        if last is not None and last.section == launch.section:
            if not any(_disputed(launches[other], launch) for other in range(last.first, last.last)):
                waves[-1] = Wave(last.section, (*last.chains, Chain(number, number + 1, launch.tasks)))
                continue
            if _continues(launches, last, launch):
                end = last.chains[-1]
                waves[-1] = Wave(last.section, (*last.chains[:-1], Chain(end.first, number + 1, end.tasks)))
                continue
        waves.append(Wave(launch.section, (Chain(number, number + 1, launch.tasks),)))
    return tuple(waves)
