"""Layers as the lines of a table know them: what one is called, its arguments and where those come from, its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from netspec.base.kinds import Rearrangement
from netspec.base.shape import Shape, size
from netspec.frontend.program import Call, UnitMark
from netspec.frontend.words import written
from netspec.graph.graph import Node

DEFAULT, SECTION, COUNTED = "*", "~", "+"
MARKS = {DEFAULT: "a default of the layer", SECTION: "from the defaults section", COUNTED: "follows from the classes or outputs"}


@dataclass(frozen=True)
class Argument:
    """A value that a layer has, and where it comes from: "" the text, or one of MARKS."""

    name: str
    value: str
    mark: str


@dataclass(frozen=True)
class LayerRow:
    """One layer: `memory_bytes` are those of its output for a batch, `flops` of the forward pass on one row. `forward_bytes` and
    `backward_bytes` are those of the buffers that a training step has for it."""

    name: str
    kind: str
    arguments: tuple[Argument, ...]
    output: Shape
    parameters: int
    flops: int
    memory_bytes: int
    group: int
    implied: bool
    units: tuple[UnitMark, ...]
    frozen: bool = False
    shares: tuple[tuple[str, str], ...] = ()
    """Its arrays that belong to another layer, with their full names."""
    points: tuple[str, ...] = ()
    """Names of units that end in it."""
    forward_bytes: int = 0
    backward_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """The object that `summary --json` prints."""
        return {
            "name": self.name, "layer": self.kind, "output": list(self.output), "parameters": self.parameters, "flops": self.flops,
            "memory_bytes": self.memory_bytes, "forward_bytes": self.forward_bytes, "backward_bytes": self.backward_bytes,
            "group": self.group, "implied": self.implied, "frozen": self.frozen,
            "shares": dict(self.shares),
            "arguments": {argument.name: argument.value for argument in self.arguments},
            "defaulted": [argument.name for argument in self.arguments if argument.mark in (DEFAULT, SECTION)],
            "units": [{"unit": unit.text, "copy": unit.copy, "copies": unit.copies} for unit in self.units],
        }  # fmt: skip


def rows_of(nodes: Sequence[Node], batch: int, itemsize: int) -> list[LayerRow]:
    """Layers as far as a graph says what they are, without a plan."""
    rows = [
        LayerRow(
            node.name, node.layer.name, _arguments(node), node.output.shape, sum(size(one.shape) for one in node.own_parameters.values()),
            node.flops, 0 if _moves_nothing(node) else batch * size(node.output.shape) * itemsize, 0, node.call is None,
            node.call.units if node.call else (), node.frozen, tuple(node.shared.items()), node.call.points if node.call else (),
        )
        for node in nodes
    ]  # fmt: skip
    # the implied flatten stands in the unit of the layer that it is for
    for place in range(len(rows) - 1):
        if rows[place].implied:
            rows[place] = replace(rows[place], units=rows[place + 1].units)
    return rows


def _moves_nothing(node: Node) -> bool:
    """Whether the output is the input under another shape."""
    return isinstance(node.layer, Rearrangement)


def _arguments(node: Node) -> tuple[Argument, ...]:
    """Every argument that has a value, the positional one first."""
    if node.call is None:
        return ()
    found = []
    for name in type(node.layer).model_fields:
        value = getattr(node.layer, name)
        if value is not None:
            found.append(Argument(name, written(value), _mark(node, node.call, name)))
    return tuple(found)


def _mark(node: Node, call: Call, name: str) -> str:
    if name in call.explicit or call.projects:  # what a projection is follows from the body of its res
        return ""
    if name == "width" and call.shares_weight_of is not None:
        return ""
    if name == "width" and node.layer is not call.layer:  # a copy that has been given its width
        return COUNTED
    return SECTION if name in call.from_defaults else DEFAULT
