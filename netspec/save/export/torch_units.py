"""The units of a graph that are modules of their own: those that repeat, and defs, wherever one value goes in, one comes out, and no
array is shared with what stands outside."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile

from netspec.base.kinds import Merge
from netspec.base.layer import Layer
from netspec.catalog.registry import entries
from netspec.frontend.program import UnitMark
from netspec.graph.graph import Graph, Node
from netspec.save.export.torch_calls import MERGES, calls_of

DEF = re.compile(r"([A-Za-z_]\w*)(?:\(.*\))?", re.ASCII | re.DOTALL)
"""The text of a unit that is one call of a def."""


@dataclass(frozen=True)
class Unit:
    """The nodes of one copy of a unit."""

    mark: UnitMark
    nodes: tuple[Node, ...]
    level: int

    @property
    def entry(self) -> int:
        inside = {node.output.index for node in self.nodes}
        return next(value.index for node in self.nodes for value in node.inputs if value.index not in inside)

    @property
    def output(self) -> int:
        return self.nodes[-1].output.index


@dataclass(frozen=True)
class Whole:
    """A graph with what is asked of it again and again."""

    graph: Graph

    @cached_property
    def places(self) -> dict[str, int]:
        return {node.name: place for place, node in enumerate(self.graph.nodes)}

    @cached_property
    def readers(self) -> dict[int, set[str]]:
        """The nodes that take a value."""
        found = defaultdict[int, set[str]](set)
        for node in self.graph.nodes:
            for value in node.inputs:
                found[value.index].add(node.name)
        return found

    @cached_property
    def users(self) -> dict[str, set[str]]:
        """The nodes that have an array, their own or another one's."""
        found = defaultdict[str, set[str]](set)
        for node in self.graph.nodes:
            for key in (*node.parameters, *node.state):
                found[node.array(key)].add(node.name)
        return found

    @cached_property
    def roots(self) -> dict[int, int]:
        """For each value the first one that is the same: layers such as id give what they take."""
        found = {value.index: value.index for value in self.graph.values}
        for node in self.graph.nodes:
            if not isinstance(node.layer, Merge) and not calls_of(node):
                found[node.output.index] = found[node.input.index]
        return found

    def marks(self, node: Node) -> tuple[UnitMark, ...]:
        """The units around a node; around an implied flatten those of both its neighbours."""
        if node.call is not None:
            return node.call.units
        place = self.places[node.name]
        around = [other.call.units for other in self.graph.nodes[max(place - 1, 0) : place + 2] if other.call is not None]
        if len(around) < 2:
            return ()
        return tuple(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*around, strict=False)))

    def items(self, nodes: Sequence[Node], level: int) -> Iterator[Node | list[Unit]]:
        """Nodes, and runs of copies that are blocks."""
        start = 0
        while start < len(nodes):
            marks = self.marks(nodes[start])
            if level >= len(marks):
                yield nodes[start]
                start += 1
                continue
            units = [self._unit(nodes, start, level)]
            while units[-1].mark.copy < units[-1].mark.copies and (at := start + sum(len(one.nodes) for one in units)) < len(nodes):
                later = self.marks(nodes[at])[level : level + 1]
                mark = units[-1].mark
                if not later or (later[0].text, later[0].copies, later[0].copy) != (mark.text, mark.copies, mark.copy + 1):
                    break
                units.append(self._unit(nodes, at, level))
            if self._is_block(units):
                yield units
                start += sum(len(one.nodes) for one in units)
            else:
                yield from self.items(units[0].nodes, level + 1)
                start += len(units[0].nodes)

    def _unit(self, nodes: Sequence[Node], start: int, level: int) -> Unit:
        mark, end = self.marks(nodes[start])[level], start
        while end < len(nodes) and self.marks(nodes[end])[level : level + 1] == (mark,):
            end += 1
        return Unit(mark, tuple(nodes[start:end]), level)

    def _is_block(self, units: Sequence[Unit]) -> bool:
        first = units[0]
        if len(first.nodes) < 2 or not (first.mark.copies > 1 or def_of(first.mark)):
            return False
        own = {node.name for unit in units for node in unit.nodes} if is_tied(units) else set()
        if first.mark.copies != len(units) or not all(self._is_closed(unit, own) for unit in units):
            return False
        for before, unit in pairwise(units):
            if unit.entry != before.output or not self.readers[before.output] <= {node.name for node in unit.nodes}:
                return False
        return not is_tied(units) or all(_same(first, unit) for unit in units[1:])

    def _is_closed(self, unit: Unit, also: set[str]) -> bool:
        """Whether one value goes in, one comes out, and nothing else does; `also` are nodes that may have its arrays too."""
        names, inside = {node.name for node in unit.nodes}, {node.output.index for node in unit.nodes}
        entering = {value.index for node in unit.nodes for value in node.inputs} - inside
        leaving = {value for value in inside if not self.readers[value] <= names}
        if len(entering) != 1 or not leaving <= {unit.output} or self.graph.output.index in inside - {unit.output}:
            return False
        arrays = {node.array(key) for node in unit.nodes for key in (*node.parameters, *node.state)}
        return all(self.users[name] <= names | also for name in arrays)


def def_of(mark: UnitMark) -> str:
    """The name of the def that a unit is a call of, or nothing."""
    found = DEF.fullmatch(mark.text)
    return found[1] if found and found[1] not in {*entries(Layer), *MERGES, "res"} else ""  # type: ignore[type-abstract]


def is_tied(units: Sequence[Unit]) -> bool:
    """Whether the copies have one set of arrays."""
    return len(units) > 1 and all(node.call is None or node.call.copy_of is not None for unit in units[1:] for node in unit.nodes)


def _same(first: Unit, other: Unit) -> bool:
    """Whether two tied copies are the same modules, whatever the sides of their images."""
    if len(first.nodes) != len(other.nodes):
        return False
    return all(
        one.layer.name == two.layer.name and (isinstance(one.layer, Merge) or calls_of(one) == calls_of(two))
        for one, two in zip(first.nodes, other.nodes, strict=True)
    )
