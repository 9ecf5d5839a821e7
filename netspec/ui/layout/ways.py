"""The points that an arrow goes through, in the forward half; the backward one is its mirror image."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.ui.layout.blocks import Branch, Chain, Fork, Framed, Item, Leaf, Line, before


@dataclass
class Turn:
    """How the value at the end of one page comes to the next: below the page, up between both, and in from above; by pass."""

    below: dict[str, Line] = field(default_factory=lambda: {"forward": Line(), "backward": Line()})
    between: dict[str, Line] = field(default_factory=lambda: {"forward": Line(), "backward": Line()})
    above: dict[str, Line] = field(default_factory=lambda: {"forward": Line(), "backward": Line()})


@dataclass
class Way:
    """From below a box through lines, in turn a y and a u (or x), to a box."""

    source: Leaf
    lines: list[Line]

    def then(self, *lines: Line) -> Way:
        return Way(self.source, [*self.lines, *lines])


@dataclass(frozen=True)
class Ways:
    """`turns` lead from each page to the next."""

    turns: list[Turn]
    pages: list[Chain]

    def way(self, target: Leaf, number: int, side: str) -> Way:
        """Of the arrow that brings one of its inputs to a box."""
        chain = target.chain
        place = chain.items.index(target)
        fork = chain.items[place - 1] if place else None
        if not isinstance(fork, Fork):
            return self._above(target, side)
        branch = next(one for one in fork.branches if one.number == number)
        if branch.chain:
            found = Way(branch.chain.last, [])
        elif branch.detour and branch.detour.is_late:
            found = Way(branch.detour.source, branch.detour.lines[side])
        else:
            found = self._into(branch, side)
        return found.then(branch.end, branch.entry) if branch is not fork.branches[0] else found

    def _above(self, item: Item, side: str) -> Way:
        """To right above an item, on the arm of its column."""
        chain = item.chain
        if chain.items.index(item):
            return Way(before(item), [])
        match chain.owner:
            case Framed():
                return self._above(chain.owner, side)
            case Branch():
                return self._into(chain.owner, side)
        turn = self.turns[self.pages.index(chain) - 1]
        return Way(before(item), [turn.below[side], turn.between[side], turn.above[side], chain.column.arm])

    def _into(self, branch: Branch, side: str) -> Way:
        """To the beginning of a branch."""
        line = branch.chain.column.arm if branch.chain else branch.line
        if branch.detour:
            return Way(branch.detour.source, [*branch.detour.lines[side], line])
        found = self._above(branch.fork, side)
        return found if branch is branch.fork.branches[0] else found.then(branch.fork.bus, line)
