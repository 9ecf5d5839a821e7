"""A tall net in pages side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from netspec.ui.layout.blocks import Chain, Fork, Framed, Leaf, forks, leaves

ALONE = 1100  # a net of this height needs one page
RATIO, WIDE = 1.4, 2000  # the best ratio of width to height; wider than that is less good


@dataclass(frozen=True)
class _Break:
    """A place where a page may begin: its layer, how far down it stands, and how many frames, groups and detours it cuts."""

    name: str
    y: float
    cuts: int


def page_starts(chain: Chain, groups: Sequence[Sequence[str]], height: float, width: float) -> list[str]:
    """The first layer of each page but the first, of a net that stands in one chain."""
    if height <= ALONE:
        return []
    breaks = list(_breaks(chain, groups))
    best: tuple[float, list[str]] = (_badness(1, height, width, 0), [])
    for count in range(2, 13):
        chosen = _cut(breaks, count, height)
        if len(chosen) == count - 1:
            edges = [0.0, *(one.y for one in chosen), height]
            tallest = max(end - start for start, end in pairwise(edges))
            best = min(best, (_badness(count, tallest, width, sum(one.cuts for one in chosen)), [one.name for one in chosen]))
    return best[1]


def _badness(count: int, height: float, width: float, cuts: int) -> float:
    wide = count * width
    return abs(log(wide / (height + 100) / RATIO)) + max(0.0, wide - WIDE) / (3 * WIDE) + 0.02 * cuts


def _cut(breaks: Sequence[_Break], count: int, height: float) -> list[_Break]:
    """Places that make about equal pages, each where it cuts least."""
    chosen: list[_Break] = []
    start = 0.0
    for left in range(count, 1, -1):
        target = (height - start) / left
        near = [one for one in breaks if 0.75 * target <= one.y - start <= 1.15 * target]
        if not near:
            return []
        best = min(near, key=lambda one: (one.cuts, abs(one.y - start - target)))
        chosen.append(best)
        start = best.y
    return chosen


def _breaks(chain: Chain, groups: Sequence[Sequence[str]]) -> Iterator[_Break]:
    """Before each layer, or fork, that stands in no branch; not before the loss alone, nor right behind the input."""
    order = {leaf.name: place for place, leaf in enumerate(leaves(chain))}
    spans = _detours(chain, order)
    group_spans = [(order[names[0]], order[names[-1]]) for names in groups]
    starts = list(_starts(chain, ()))
    top = starts[0][1]
    for (_, _, others), (name, y, within) in pairwise(starts[1:-1]):
        at = order[name]
        cut_frames = sum(framed in others for framed in within)
        yield _Break(name, y - top, 2 * cut_frames + sum(first < at <= last for first, last in (*spans, *group_spans)))


def _detours(chain: Chain, order: dict[str, int]) -> list[tuple[int, int]]:
    """From which layer to which the values reach that are read later."""
    last: dict[int, int] = {}
    for fork in forks(chain):
        for branch in fork.branches:
            if branch.detour:
                source = order[branch.detour.source.name]
                last[source] = max(last.get(source, 0), _end(fork, order))
    return list(last.items())


def _end(fork: Fork, order: dict[str, int]) -> int:
    merge = fork.chain.items[fork.chain.items.index(fork) + 1]
    assert isinstance(merge, Leaf)
    return order[merge.name]


def _starts(chain: Chain, within: tuple[Framed, ...]) -> Iterator[tuple[str, float, tuple[Framed, ...]]]:
    """Layers that a page may begin with, with the frames that they stand in."""
    after_fork = False
    for item in chain.items:
        match item:
            case Framed():
                yield from _starts(item.inner, (*within, item))
            case Fork():
                first = next(leaves(Chain([item], chain.column)), None)
                if first is not None:
                    yield first.name, first.top, within
            case Leaf() if not after_fork:
                yield item.name, item.top, within
        after_fork = isinstance(item, Fork)
