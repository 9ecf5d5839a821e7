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


def _place(wave: list[list[Launch]], launch: Launch) -> list[Launch] | None:
    """The chain of a wave that a launch goes on from, a new one where it needs nothing of the wave, or None where it has to wait."""
    disputing = [chain for chain in wave if any(_disputed(before, launch) for before in chain)]
    if not disputing:
        wave.append([])
        return wave[-1]
    chain = disputing[0]
    goes_on = len(disputing) == 1 and chain[0].tasks == launch.tasks and all(_follows(before, launch) for before in chain)
    return chain if goes_on else None


def in_waves(launches: Sequence[Launch]) -> tuple[tuple[Launch, ...], tuple[Wave, ...]]:
    """The launches chain by chain, and their waves: each launch joins the last wave where it can, and else begins the next one."""
    waves: list[list[list[Launch]]] = []
    for launch in launches:
        fits = waves and waves[-1][0][0].section == launch.section
        chain = _place(waves[-1], launch) if fits else None
        if chain is None:
            waves.append([[launch]])
        else:
            chain.append(launch)
    ordered = tuple(launch for wave in waves for chain in wave for launch in chain)
    made, first = [], 0
    for wave in waves:
        chains = []
        for chain in wave:
            chains.append(Chain(first, first + len(chain), chain[0].tasks))
            first += len(chain)
        made.append(Wave(wave[0][0].section, tuple(chains)))
    return ordered, tuple(made)
