"""Fusion groups: layers that are computed together, found by an ordered tuple of named rules.

A rule looks at the layers from one place on and says how many of them it joins; the first rule that joins any wins. Layers join only
along values that nothing else reads. With `fuse = false` every layer is a group of its own, which is the reference for the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.kinds import Contraction, Elementwise, Normalization, Pointwise, RowNormalization
from netspec.graph.graph import Graph, Node


@dataclass(frozen=True)
class Group:
    """Layers in order, each reading what the one before it writes: at most one contraction first, one normalization next, and a chain
    of pointwise layers and merges with other branches; or one layer of another kind."""

    rule: str
    nodes: tuple[Node, ...]

    @property
    def name(self) -> str:
        return "-".join(node.name for node in self.nodes)


@dataclass(frozen=True)
class Grouping:
    """All layers of a graph in groups, in the graph's order."""

    graph: Graph
    groups: tuple[Group, ...]

    def verify(self) -> None:
        """Every layer stands in exactly one group, in order; raises AssertionError."""
        assert tuple(node for group in self.groups for node in group.nodes) == self.graph.nodes, "groups reorder or lose layers"

    def __str__(self) -> str:
        return "\n".join(f"{number:>3}  {group.rule:<38} {group.name}" for number, group in enumerate(self.groups))


Kind = type | tuple[type, ...]
NORMALIZATIONS: tuple[type, ...] = (Normalization, RowNormalization)


def _joined(graph: Graph, nodes: tuple[Node, ...], kinds: tuple[Kind, ...]) -> int:
    """How many layers from the start are of these kinds, in this order, the last kind any number of times."""
    count = 0
    for place, kind in enumerate(kinds):
        last = place == len(kinds) - 1
        taken = 0
        while count < len(nodes) and isinstance(nodes[count].layer, kind) and (last or taken == 0):
            if count and not _alone(graph, nodes[count - 1], nodes[count]):
                return count
            count, taken = count + 1, taken + 1
        if taken == 0:
            return count if last else 0
    return count


def _alone(graph: Graph, before: Node, after: Node) -> bool:
    """Whether a layer reads the value of the one before it, once, and nothing else does."""
    return after.inputs.count(before.output) == 1 and graph.consumers(before.output) == [after]


Rule = tuple[str, tuple[Kind, ...]]
ELEMENTWISE: tuple[type, ...] = (Pointwise, Elementwise)
RULES: tuple[Rule, ...] = (
    ("contraction, normalization, pointwise", (Contraction, NORMALIZATIONS, ELEMENTWISE)),
    ("contraction, pointwise", (Contraction, ELEMENTWISE)),
    ("normalization, pointwise", (NORMALIZATIONS, ELEMENTWISE)),
    ("pointwise", (ELEMENTWISE,)),
)


def group(graph: Graph, fuse: bool = True) -> Grouping:
    """The groups of a graph; with `fuse=False` one group a layer."""
    groups: list[Group] = []
    rest = graph.nodes
    while rest:
        rule, count = "single", 1
        if fuse:
            for name, kinds in RULES:
                joined = _joined(graph, rest, kinds)
                if joined:
                    rule, count = name, joined
                    break
        groups.append(Group(rule, rest[:count]))
        rest = rest[count:]
    grouping = Grouping(graph, tuple(groups))
    grouping.verify()
    return grouping
