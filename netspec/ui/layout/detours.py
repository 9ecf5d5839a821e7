"""The ways of values that skip layers: names read later, and all that a page's end cuts. A way runs in lanes beside chains, and through
the room above and below branches, so that it meets no box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from netspec.ui.layout.blocks import Branch, Chain, Detour, Fork, Framed, Item, Leaf, Line, before, forks, leaves, lineage

PASSES = ("forward", "backward")
Ways = dict[str, list[Line]]


@dataclass
class Gaps:
    """The lines between pages, by the page before, and above all pages; those that come in from the left, and go out on the right."""

    gutters: dict[int, list[Line]] = field(default_factory=dict)
    over: list[Line] = field(default_factory=list)
    known: dict[tuple[object, ...], Line] = field(default_factory=dict)
    """Lines that a value of one pass has already."""
    come: dict[int, list[Line]] = field(default_factory=dict)
    leave: dict[int, list[Line]] = field(default_factory=dict)

    def gutter(self, number: int, source: Leaf, side: str) -> Line:
        return self._line(self.gutters.setdefault(number, []), (number, source.name, side))

    def top(self, source: Leaf, side: str) -> Line:
        return self._line(self.over, (source.name, side))

    def _line(self, lines: list[Line], key: tuple[object, ...]) -> Line:
        if key not in self.known:
            self.known[key] = Line()
            lines.append(self.known[key])
        return self.known[key]


def lay_detours(pages: Sequence[Chain]) -> Gaps:
    """Gives a detour to each branch whose value does not come from right before its fork, and lines to each detour; short ones first, so
    that long ones run outside."""
    known = {leaf.name: leaf for page in pages for leaf in leaves(page)}
    order = {name: place for place, name in enumerate(known)}
    found: list[tuple[int, Branch]] = []
    for fork in (fork for page in pages for fork in forks(page)):
        value = before(fork).name
        for branch in fork.branches:
            branch.source = _entry(branch.chain, value) if branch.chain else branch.source
            if branch.source != value:
                source = known[branch.source]
                branch.detour = Detour(source, {})
                ends = next((leaf.name for leaf in leaves(branch.chain)), "") if branch.chain else source.name
                found.append((abs(order[ends] - order[source.name]) if branch.chain else _length(fork, source, order), branch))
        fork.branches.sort(key=lambda branch: (branch.chain is None, branch.chain is None and branch.detour is not None))
    gaps = Gaps()
    for _, branch in sorted(found, key=lambda one: one[0]):
        assert branch.detour is not None
        branch.detour.lines = _way(branch.detour, branch, pages, gaps)
    return gaps


def _length(fork: Fork, source: Leaf, order: dict[str, int]) -> int:
    behind = fork.chain.items[fork.chain.items.index(fork) + 1]
    assert isinstance(behind, Leaf)
    return order[behind.name] - order[source.name]


def _entry(chain: Chain, value: str) -> str:
    """The value that a chain begins with, where `value` stands before it."""
    first = chain.items[0]
    match first:
        case Leaf():
            return first.sources[0]
        case Framed():
            return _entry(first.inner, value)
    taken = {_entry(branch.chain, value) if branch.chain else branch.source for branch in first.branches}
    return value if value in taken or len(taken) > 1 else taken.pop()


def _way(detour: Detour, branch: Branch, pages: Sequence[Chain], gaps: Gaps) -> Ways:
    ahead, behind = list(lineage(detour.source)), list(lineage(branch.fork))
    for place, item in enumerate(ahead):
        for other, target in enumerate(behind):
            if item is target:
                return _between_branches(detour, branch, ahead[:place], behind[:other])
            if item.chain is target.chain:
                lines = [
                    *_out(ahead[: place + 1]),
                    _lane(item.chain, item, target, detour.source),
                    *_into(behind[: other + 1], detour.source),
                ]
                return _both(lines)
    return _between_pages(detour, ahead, behind, pages, gaps)


def _both(lines: list[Line]) -> Ways:
    """The same way for both passes."""
    return {"forward": lines, "backward": lines}


def _between_branches(detour: Detour, branch: Branch, ahead: list[Item], behind: list[Item]) -> Ways:
    """From one branch to another of the same fork, or to their merge."""
    last = ahead[-1]
    place = last.chain.items.index(last)
    if not behind and branch.chain is None:
        detour.is_late = True
        at_end = last is detour.source and place == len(last.chain.items) - 1
        lines = [] if at_end else [*_out(ahead), _take(last.chain, place, len(last.chain.items), detour.source)]
        return _both(lines)
    owner = last.chain.owner
    assert isinstance(owner, Branch)
    return _both([*_out(ahead), _take(last.chain, -1, place, detour.source), *_into([*behind, owner.fork], detour.source)])


def _between_pages(detour: Detour, ahead: list[Item], behind: list[Item], pages: Sequence[Chain], gaps: Gaps) -> Ways:
    """Out of a page on its right, into another from its left, from its right in the backward pass, whose boxes stand there. Both passes
    have lines of their own where they would meet."""
    start, end = pages.index(ahead[-1].chain), pages.index(behind[-1].chain)
    out, into = _out(ahead), _into(behind, detour.source)
    inner = next(item for item in reversed(behind) if isinstance(item, Fork))
    outer = next((item for item in reversed(ahead) if isinstance(item, Fork)), None)
    ways: Ways = {}
    for side in PASSES:
        leave = detour.source.across[side] if outer is None else out[-1]
        enter = into[0]
        if side == "backward":
            if outer is not None:
                leave = Line()
                outer.below.append(leave)
            enter = Line()
            inner.above.append(enter)
        last = end - 1 if side == "forward" else end
        gaps.come.setdefault(start, []).append(leave)
        (gaps.leave if side == "forward" else gaps.come).setdefault(last, []).append(enter)
        between = [gaps.gutter(start, detour.source, side)]
        if last > start:
            between += [gaps.top(detour.source, side), gaps.gutter(last, detour.source, side)]
        ways[side] = [*out[:-1], leave, *between, enter, *into[1:]]
    return ways


def _out(items: Sequence[Item]) -> list[Line]:
    """From below a layer up to the chain of the last of its lineage, through the lanes of chains and the room below their forks."""
    source = items[0]
    assert isinstance(source, Leaf)
    lines = [source.exit]
    for item in items[:-1]:
        if isinstance(item.chain.owner, Branch):
            lines += [_take(item.chain, item.chain.items.index(item), len(item.chain.items), source), Line()]
            item.chain.owner.fork.below.append(lines[-1])
    return lines


def _into(items: Sequence[Item], source: Leaf) -> list[Line]:
    """From the chain of the last of a fork's lineage to above its branches."""
    lines: list[Line] = []
    inside = list(reversed(items))
    for place, item in enumerate(inside):
        if isinstance(item, Fork):
            lines.append(Line())
            item.above.append(lines[-1])
            if place + 1 < len(inside):
                within = inside[place + 1]
                lines.append(_take(within.chain, -1, within.chain.items.index(within), source))
    return lines


def _lane(chain: Chain, first: Item, last: Item, source: Leaf) -> Line:
    return _take(chain, chain.items.index(first), chain.items.index(last), source)


def _take(chain: Chain, start: int, end: int, source: Leaf) -> Line:
    """A lane that is free from one item to another, or has the same value there; best one that has it somewhere."""
    free = [
        (all(owner is not source for _, _, owner in taken), place)
        for place, taken in enumerate(chain.taken)
        if all(end < first or last < start or owner is source for first, last, owner in taken)
    ]
    if free:
        place = min(free)[1]
        chain.taken[place].append((start, end, source))
        return chain.lanes[place]
    chain.lanes.append(Line())
    chain.taken.append([(start, end, source)])
    return chain.lanes[-1]
