"""A net as blocks: chains of layers, forks into branches that a merge joins, frames around copies.

Only the forward half is laid out; the backward half is its mirror image. `u` is the distance from the axis between both, `y` goes down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from netspec.ui.cells import Cell, Frame


@dataclass(eq=False)
class Line:
    """A line that arrows follow: a `y`, or the distance `u` from the axis of its page; an `x` where it belongs to no page."""

    at: float = 0.0


@dataclass(eq=False)
class Column:
    """Boxes above each other. Arrows enter them on the line `arm`, those of further branches beside it on the outer side."""

    width: float = 0.0
    entries: int = 1
    """Of its merges, the most branches."""
    edge: float = 0.0
    """Where its boxes begin, seen from the axis."""
    arm: Line = field(default_factory=Line)


@dataclass(frozen=True)
class Size:
    """What a box needs, and the widest label below it. A small box is no wider than that, where others fill their column."""

    width: float
    height: float
    label: float
    is_small: bool = False


@dataclass(eq=False)
class Leaf:
    """A box in its chain."""

    name: str
    size: Size
    sources: tuple[str, ...] = ()
    chain: Chain = field(init=False)
    top: float = 0.0
    width: float = 0.0
    exit: Line = field(default_factory=Line)
    """Where values leave it sideways, away from the axis."""
    across: dict[str, Line] = field(default_factory=lambda: {"forward": Line(), "backward": Line()})
    """Where they leave it for another page, by pass."""

    @property
    def bottom(self) -> float:
        return self.top + self.size.height


@dataclass(eq=False)
class Branch:
    """What one input of a merge comes through: a chain, or nothing but a line from `source`."""

    number: int
    source: str
    chain: Chain | None
    fork: Fork = field(init=False)
    line: Line = field(default_factory=Line)
    """Where a branch without layers runs."""
    end: Line = field(default_factory=Line)
    """Above the merge, where it turns to it."""
    entry: Line = field(default_factory=Line)
    """Where it enters the merge."""
    detour: Detour | None = None
    """Its way, where its value comes from elsewhere than the layer before the fork."""


@dataclass(eq=False)
class Detour:
    """The way of a value from `source` to where a branch begins, or, if `is_late`, to below the branches: lines to turn at, by pass, first
    a y, then in turn."""

    source: Leaf
    lines: dict[str, list[Line]]
    is_late: bool = False
    label: float = 0.0
    """How wide its label is."""
    label_y: float = 0.0


@dataclass(eq=False)
class Fork:
    """Branches side by side from the axis outwards, those with layers first, the last of them first, so that the forward pass has them from
    left to right as the text has; the first of them first where some begin elsewhere. The merge stands behind it in the chain."""

    branches: list[Branch]
    chain: Chain = field(init=False)
    bus: Line = field(default_factory=Line)
    """Where the value before it is given to all branches."""
    above: list[Line] = field(default_factory=list)
    """Where other values come in."""
    below: list[Line] = field(default_factory=list)
    """Where values leave it."""


@dataclass(eq=False)
class Framed:
    """Copies in their frame; `start` is the layer that it begins with, on any page."""

    frame: Frame
    inner: Chain
    start: str
    chain: Chain = field(init=False)
    top: float = 0.0
    bottom: float = 0.0
    outer: float = 0.0
    label: list[str] = field(default_factory=list)


Item = Leaf | Fork | Framed


@dataclass(eq=False)
class Chain:
    """Items below each other. `lanes` run beside all of them, for values that pass by."""

    items: list[Item]
    column: Column
    owner: Framed | Branch | None = None
    previous: Chain | None = None
    """The chain of the page before."""
    lanes: list[Line] = field(default_factory=list)
    taken: list[list[tuple[int, int, Leaf]]] = field(default_factory=list)
    """From which item to which each lane is used, for the values of which layers."""

    @property
    def last(self) -> Leaf:
        item = self.items[-1]
        if isinstance(item, Framed):
            return item.inner.last
        assert isinstance(item, Leaf), "a fork has its merge behind it"
        return item


def chain_of(cells: Sequence[Cell], size_of: Callable[[str], Size], starts: dict[int, str]) -> Chain:
    """The blocks of layers. `starts` tells the first layer of each frame by its key."""
    return _Builder(size_of, starts).chain(cells, 0, Column())


@dataclass(frozen=True)
class _Builder:
    size_of: Callable[[str], Size]
    starts: dict[int, str]

    def chain(self, cells: Sequence[Cell], level: int, column: Column) -> Chain:
        chain = Chain(self.items(cells, level, column), column)
        for item in chain.items:
            item.chain = chain
        return chain

    def items(self, cells: Sequence[Cell], level: int, column: Column) -> list[Item]:
        """Layers by the units that they stand in from a level on."""
        found: list[Item] = []
        start = 0
        while start < len(cells):
            units = cells[start].row.units
            if level >= len(units):
                found.append(self.leaf(cells[start]))
                start += 1
                continue
            end = start
            while end < len(cells) and cells[end].row.units[level : level + 1] == (units[level],):
                end += 1
            part = cells[start:end]
            frame = next((frame for frame in part[0].frames if frame.key == units[level].key), None)
            if frame:
                framed = Framed(frame, self.chain(part, level + 1, column), self.starts[frame.key])
                framed.inner.owner = framed
                found.append(framed)
            elif part[-1].merges and len(part[-1].row.units) == level + 1:
                found += [self.fork(part[:-1], part[-1], level + 1, column), self.leaf(part[-1])]
            else:
                found += self.items(part, level + 1, column)
            start = end
        return found

    def leaf(self, cell: Cell) -> Leaf:
        return Leaf(cell.name, self.size_of(cell.name), cell.inputs)

    def fork(self, cells: Sequence[Cell], merge: Cell, level: int, column: Column) -> Fork:
        """The branches end at what the merge reads, one after another; what it reads besides is a branch without layers."""
        places = {cell.name: place for place, cell in enumerate(cells)}
        parts: list[tuple[int, str, Sequence[Cell]]] = []
        start = 0
        for number, source in enumerate(merge.inputs):
            end = places.get(source, -1) + 1
            parts.append((number, source, cells[start:end]))
            start = max(start, end)
        begin = {inside[0].inputs[:1] for _, _, inside in parts if inside}
        outwards = -1 if len(begin) < 2 else 1  # what comes from afar stands outside
        parts.sort(key=lambda part: (not part[2], outwards * part[0]))
        column.entries = max(column.entries, len(parts))
        branches: list[Branch] = []
        for number, source, inside in parts:
            place = column if not branches else Column()
            branches.append(Branch(number, source, self.chain(inside, level, place) if inside else None))
        fork = Fork(branches)
        for branch in branches:
            branch.fork = fork
            if branch.chain:
                branch.chain.owner = branch
        return fork


def leaves(chain: Chain) -> Iterator[Leaf]:
    """All boxes, in reading order but for the branches of a fork, which stand as they are drawn."""
    for item in chain.items:
        match item:
            case Leaf():
                yield item
            case Framed():
                yield from leaves(item.inner)
            case Fork():
                for branch in item.branches:
                    yield from leaves(branch.chain) if branch.chain else ()


def chains(chain: Chain) -> Iterator[Chain]:
    """The chain and all chains inside."""
    yield chain
    for item in chain.items:
        if isinstance(item, Framed):
            yield from chains(item.inner)
        elif isinstance(item, Fork):
            for branch in item.branches:
                yield from chains(branch.chain) if branch.chain else ()


def forks(chain: Chain) -> Iterator[Fork]:
    """All forks, outer ones first."""
    for one in chains(chain):
        yield from (item for item in one.items if isinstance(item, Fork))


def frames(chain: Chain) -> Iterator[Framed]:
    """All frames, outer ones first."""
    for one in chains(chain):
        yield from (item for item in one.items if isinstance(item, Framed))


def lineage(item: Item) -> Iterator[Item]:
    """The item and all that it stands in, innermost first."""
    while True:
        yield item
        owner = item.chain.owner
        if owner is None:
            return
        item = owner if isinstance(owner, Framed) else owner.fork


def before(item: Item) -> Leaf:
    """The layer whose value goes into an item."""
    chain = item.chain
    place = chain.items.index(item)
    if place:
        ahead = chain.items[place - 1]
        assert not isinstance(ahead, Fork), "what a merge reads are its branches"
        return ahead.inner.last if isinstance(ahead, Framed) else ahead
    match chain.owner:
        case Framed():
            return before(chain.owner)
        case Branch():
            return chain.owner.detour.source if chain.owner.detour else before(chain.owner.fork)
    assert chain.previous is not None, "the input stands before all"
    return chain.previous.last


def page_of(item: Item) -> Chain:
    """The outermost chain."""
    return list(lineage(item))[-1].chain
