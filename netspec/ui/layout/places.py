"""Places of blocks on their page: how far from the axis, and how far down."""

from __future__ import annotations

from collections.abc import Callable

from netspec.ui.layout.blocks import Branch, Chain, Column, Fork, Framed, Leaf, chains, frames, leaves
from netspec.ui.layout.sizes import APART, ARM, FOOT, FRAME, GAP, GROUP, HEADER, LABEL, LANE, LINE, STEP, TRACK, spacing

Wrap = Callable[[Framed, float], list[str]]
"""The lines of a frame's label, in a width."""


def spread(page: Chain) -> float:
    """Sets how far from the axis everything stands; returns how far the page reaches."""
    for column in {id(one.column): one.column for one in chains(page)}.values():
        _widen(column, page)
    _set_edge(page.column, GAP / 2)
    for leaf in leaves(page):
        if leaf.size.is_small:
            leaf.width = max(leaf.size.width, _arm(leaf.chain.column) + 16)
        else:
            leaf.width = leaf.chain.column.width
    return _spread(page)


def _widen(column: Column, page: Chain) -> None:
    """To what its boxes and labels need."""
    arm = _arm(column)
    for chain in chains(page):
        if chain.column is column:
            owner = chain.owner
            if isinstance(owner, Branch) and owner.detour:
                column.width = max(column.width, arm + owner.detour.label + 12)
            for item in chain.items:
                if isinstance(item, Leaf):
                    column.width = max(column.width, item.size.width, arm + item.size.label + 12)
                elif isinstance(item, Fork) and item.branches[0].chain is None and item.branches[0].detour:
                    column.width = max(column.width, arm + item.branches[0].detour.label + 12)


def _arm(column: Column) -> float:
    """From the outer side of its boxes to their arrow."""
    return ARM + spacing(column.entries) * (column.entries - 1)


def _set_edge(column: Column, edge: float) -> None:
    column.edge = edge
    column.arm.at = edge + column.width - _arm(column)


def _spread(chain: Chain) -> float:
    column = chain.column
    outer = column.edge + column.width + GROUP + 2
    for item in chain.items:
        if isinstance(item, Framed):
            item.outer = _spread(item.inner) + FRAME
            outer = max(outer, item.outer)
        elif isinstance(item, Fork):
            outer = max(outer, _spread_fork(item))
    for line in chain.lanes:
        outer += LANE
        line.at = outer
    return outer + (4 if chain.lanes else 0)


def _spread_fork(fork: Fork) -> float:
    column = fork.chain.column
    apart = spacing(len(fork.branches))
    outer = column.edge + column.width + GROUP + 2
    for place, branch in enumerate(fork.branches):
        branch.entry.at = column.arm.at + place * apart
        chain = branch.chain
        if chain:
            if place:
                _set_edge(chain.column, outer + APART + inner_rims(chain))
            outer = max(outer, _spread(chain))
        elif place:
            branch.line.at = outer = outer + LANE + (branch.detour.label + 8 if branch.detour and not branch.detour.is_late else 0.0)
        else:
            branch.line.at = column.arm.at
    return outer + 4


def inner_rims(chain: Chain) -> float:
    """How far rims stand out on the side of the axis."""
    reach = GROUP + 2.0
    for item in chain.items:
        if isinstance(item, Framed):
            reach = max(reach, FRAME + inner_rims(item.inner))
        elif isinstance(item, Fork) and item.branches[0].chain:
            reach = max(reach, inner_rims(item.branches[0].chain))
    return reach


def is_central(chain: Chain) -> bool:
    """Whether a chain stands beside the axis, next to its own backward half."""
    return chain.column.edge == GAP / 2


def label_room(framed: Framed) -> float:
    """For the words above a frame's boxes: between the arrows of both passes, or between the arrow and the inner side."""
    column = framed.inner.column
    return 2 * column.arm.at - 24 if is_central(framed.inner) else column.arm.at - 12 - column.edge


def stack(page: Chain, top: float, wrap: Wrap) -> float:
    """Sets how far down everything stands from `top` on; returns where the page ends."""
    for framed in frames(page):
        framed.label = wrap(framed, label_room(framed))
    return _stack(page, top)


def _stack(chain: Chain, y: float) -> float:
    for place, item in enumerate(chain.items):
        match item:
            case Leaf():
                y += STEP if place else 0
                item.top = y
                item.exit.at = item.bottom + 9
                item.across["forward"].at, item.across["backward"].at = item.bottom + LABEL + 1, item.bottom + LABEL + 6
                y = item.bottom + LABEL
            case Framed():
                y += STEP if place else 0
                item.top = y
                item.bottom = y = _stack(item.inner, y + HEADER + LINE * len(item.label)) + FOOT
            case Fork():
                y = _stack_fork(item, y, place > 0)
    return y


def _stack_fork(fork: Fork, y: float, is_below: bool) -> float:
    """`is_below`: whether something stands right above it in its chain."""
    is_forked = any(branch.detour is None for branch in fork.branches[1:])
    y += 4 if is_below else 0
    if is_forked:
        fork.bus.at = y + 4
        y += TRACK
    for number, line in enumerate(fork.above):
        line.at = y + 4 + number * TRACK
    y += TRACK * len(fork.above) + (STEP - 4 if is_forked or fork.above or is_below else 0)
    ends = [y]
    for branch in fork.branches:
        told = 0
        if branch.detour and not branch.detour.is_late:
            branch.detour.label_y, told = y + 12, LABEL
        ends.append(_stack(branch.chain, y + told) if branch.chain else y + told + 4)
    y = max(ends)
    ends_of = [*(branch.end for branch in fork.branches[1:]), *fork.below]
    for number, line in enumerate(ends_of):
        line.at = y + 4 + number * TRACK
    return y + TRACK * len(ends_of)
