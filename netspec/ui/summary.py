"""A net as a table: by layer, grouped by unit and copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.table import Table
from rich.text import Text

from netspec.base.kinds import Rearrangement
from netspec.base.layer import Trained
from netspec.base.shape import Shape, show, size
from netspec.frontend.program import Call, Program, UnitMark
from netspec.frontend.words import written
from netspec.graph.graph import Graph, Node
from netspec.groups.groups import group
from netspec.plan.network import TrainingPlan
from netspec.ui.screen import bytes_in_words, flops_in_words, short_count
from netspec.ui.tables import WIDTH, Justify, as_text, table

DEFAULT, SECTION, COUNTED = "*", "~", "+"
MARKS = {DEFAULT: "a default of the layer", SECTION: "from the defaults section", COUNTED: "follows from the classes or outputs"}

COLUMNS = ("parameters", "FLOPs", "forward", "backward", "group")
LEAST_FIRST = ("backward", "forward", "group", "FLOPs", "parameters", "output")
"""The columns of the table in the order in which they give way."""


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
    forward_bytes: int = 0
    backward_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """The object that `summary --json` prints."""
        return {
            "name": self.name, "layer": self.kind, "output": list(self.output), "parameters": self.parameters, "flops": self.flops,
            "memory_bytes": self.memory_bytes, "forward_bytes": self.forward_bytes, "backward_bytes": self.backward_bytes,
            "group": self.group, "implied": self.implied, "frozen": self.frozen,
            "arguments": {argument.name: argument.value for argument in self.arguments},
            "defaulted": [argument.name for argument in self.arguments if argument.mark in (DEFAULT, SECTION)],
            "units": [{"unit": unit.text, "copy": unit.copy, "copies": unit.copies} for unit in self.units],
        }  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """All layers with totals; prints as a table of 80 columns. FLOPs are of the forward pass on one row, memory of a batch."""

    rows: tuple[LayerRow, ...]
    input: Shape
    head: str
    loss: str
    classes: int
    batch: int
    dtype: str
    peak_bytes: int
    rest_bytes: int
    """Of a step's buffers, those of the input, the loss and the update."""
    shared_bytes: int
    """What all buffers of a step take: those that do not live at once share memory."""

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def trained_parameters(self) -> int:
        """Those of layers that are not frozen."""
        return sum(row.parameters for row in self.rows if not row.frozen)

    @property
    def flops(self) -> int:
        return sum(row.flops for row in self.rows)

    @property
    def memory_bytes(self) -> int:
        return sum(row.memory_bytes for row in self.rows)

    @property
    def buffer_bytes(self) -> int:
        """Bytes of all buffers of a training step."""
        return sum(row.forward_bytes + row.backward_bytes for row in self.rows) + self.rest_bytes

    def as_json(self) -> dict[str, Any]:
        """The object that `summary --json` prints."""
        return {
            "input": list(self.input), "head": self.head, "loss": self.loss, "classes": self.classes, "batch": self.batch,
            "dtype": self.dtype, "layers": [row.as_json() for row in self.rows], "parameters": self.parameters,
            "trained_parameters": self.trained_parameters, "flops": self.flops, "memory_bytes": self.memory_bytes,
            "rest_bytes": self.rest_bytes, "shared_bytes": self.shared_bytes, "peak_bytes": self.peak_bytes,
        }  # fmt: skip

    def table(self, width: int = WIDTH) -> Table:
        """The table of layers, units and copies as lines of their own; columns that `width` has no room for are left out."""
        return layers_table(self.input, self.rows, width, COLUMNS)

    def footer(self) -> str:
        """Totals, and what the marks mean."""
        noun = "classes" if self.head != "linear" else "outputs" if self.classes > 1 else "output"
        trained = f" ({self.trained_parameters:,} of them trained)" if self.trained_parameters < self.parameters else ""
        lines = [
            f"head {self.head}, loss {self.loss}, {self.classes} {noun}",
            f"{self.parameters:,} parameters{trained}, {bytes_in_words(self.parameters * _itemsize(self.dtype))} in {self.dtype}",
            f"{flops_in_words(self.flops)} a row forward (a multiply-add is 2)",
            f"a step's buffers {bytes_in_words(self.buffer_bytes)} at batch {self.batch}, in turn in {bytes_in_words(self.shared_bytes)}",
            f"training needs {bytes_in_words(self.peak_bytes)}, parameters, optimiser and evaluation included",
        ]
        lines.append("layers of one group are computed together")
        return "\n".join([*lines, *self._defaults()])

    def _defaults(self) -> list[str]:
        """The marks in use, and the defaulted arguments that the table has no room for; that a layer is trained as usual goes without
        saying."""
        used = {argument.mark for row in self.rows for argument in row.arguments[:1]}
        lines = [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used]
        others: dict[str, list[str]] = {}
        for row in self.rows:
            shown = [one for one in row.arguments[1:] if one.mark and (one.mark != DEFAULT or one.name not in Trained.model_fields)]
            rest = [f"{one.name}={one.value}{one.mark.replace(DEFAULT, '')}" for one in shown]
            if rest:
                others.setdefault(f"{row.kind}: {', '.join(rest)}", []).append(row.name)
        if others:
            lines += ["further defaults", *(f"  {text}" for text in others)]
        return lines

    def __str__(self) -> str:
        return f"{as_text(self.table())}\n\n{self.footer()}"

    __repr__ = __str__


def layers_table(shape: Shape, rows: Sequence[LayerRow], width: int, names: Sequence[str]) -> Table:
    """Layers with some of COLUMNS, units and copies as lines of their own; columns that `width` has no room for are left out."""
    columns = ["layer", "output", *names]
    lines: list[Sequence[str | Text]] = [("input", show(shape), *("" for _ in names))]
    before: tuple[UnitMark, ...] = ()
    for row in rows:
        lines += [(Text(line, style="dim"), *("" for _ in columns[1:])) for line in _unit_lines(before, row.units)]
        before = row.units
        cells = {
            "parameters": f"{row.parameters:,}" if row.parameters else "",
            "FLOPs": short_count(row.flops) if row.flops else "",
            "forward": bytes_in_words(row.forward_bytes) if row.forward_bytes else "",
            "backward": bytes_in_words(row.backward_bytes) if row.backward_bytes else "",
            "group": str(row.group),
        }
        lines.append(("  " * _depth(row.units) + _shown(row), show(row.output), *(cells[name] for name in names)))
    kept = _columns_within(width, columns, lines)
    sides: list[tuple[str, Justify]] = [(name, "left" if name in ("layer", "output") else "right") for name in columns]
    return table([sides[at] for at in kept], [[line[at] for at in kept] for line in lines], wrap=("layer",))


def rows_of(nodes: Sequence[Node], batch: int, itemsize: int) -> list[LayerRow]:
    """Layers as far as a graph says what they are, without a plan."""
    rows = [
        LayerRow(
            node.name, node.layer.name, _arguments(node), node.output.shape, sum(size(one.shape) for one in node.own_parameters.values()),
            node.flops, 0 if _moves_nothing(node) else batch * size(node.output.shape) * itemsize, 0, node.call is None,
            node.call.units if node.call else (), node.frozen,
        )
        for node in nodes
    ]  # fmt: skip
    # the implied flatten stands in the unit of the layer that it is for
    for place in range(len(rows) - 1):
        if rows[place].implied:
            rows[place] = replace(rows[place], units=rows[place + 1].units)
    return rows


def summarize(program: Program, graph: Graph, plan: TrainingPlan) -> Summary:
    """The table of a graph and its plan of training."""
    batch, itemsize, bytes_of = program.train.batch, plan.train.itemsize, plan.train.bytes_by_layer()
    numbers = {node.name: number for number, one in enumerate(group(graph, program.train.fuse).groups) for node in one.nodes}
    rows = []
    for row in rows_of(graph.nodes, batch, itemsize):
        forward, backward = bytes_of.get(row.name, (0, 0))
        rows.append(replace(row, group=numbers[row.name], forward_bytes=forward, backward_bytes=backward))
    dtype = "float32" if itemsize == 4 else "float64"
    rest = sum(sum(bytes_of.get(name, (0, 0))) for name in ("input", "loss"))
    memory = (plan.peak_bytes, rest, plan.train.arena.bytes)
    return Summary(tuple(rows), graph.input.shape, graph.head.name, graph.loss.name, graph.classes, batch, dtype, *memory)


def _moves_nothing(node: Node) -> bool:
    """Whether the output is the input under another shape."""
    return isinstance(node.layer, Rearrangement)


def _itemsize(dtype: str) -> int:
    return 4 if dtype == "float32" else 8


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


def _shown(row: LayerRow) -> str:
    """`affine1 (100*)`: the name with its first argument."""
    if row.implied:
        return f"{row.name} (implied)"
    frozen = " frozen" if row.frozen else ""
    if not row.arguments:
        return f"{row.name}{frozen}"
    first = row.arguments[0]
    return f"{row.name} ({first.value}{first.mark}){frozen}"


def _depth(units: Sequence[UnitMark]) -> int:
    return sum(1 + (unit.copies > 1) for unit in units)


def _columns_within(width: int, names: Sequence[str], lines: Sequence[Sequence[str | Text]]) -> list[int]:
    """The columns that fit beside the layers' names; the lines of units, which are texts, may wrap."""
    widths = [max(len(name), *(len(line[at]) for line in lines if isinstance(line[at], str))) + 2 for at, name in enumerate(names)]
    kept = list(range(len(names)))
    for name in LEAST_FIRST:
        if sum(widths[at] for at in kept) - 2 > width:
            kept.remove(names.index(name))
    return kept


def _unit_lines(before: Sequence[UnitMark], now: Sequence[UnitMark]) -> list[str]:
    """The lines that open the units and copies in which a layer stands and the layer before did not."""
    lines = []
    for level, unit in enumerate(now):
        old = before[level] if level < len(before) else None
        if old == unit and list(before[:level]) == list(now[:level]):
            continue
        indent = "  " * _depth(now[:level])
        # copies of one repeat differ in their keys alone
        same_repeat = old is not None and unit.copy > 1 and old.text == unit.text and list(before[:level]) == list(now[:level])
        if not same_repeat:
            lines.append(f"{indent}{unit.text}")
        if unit.copies > 1:
            lines.append(f"{indent}  copy {unit.copy} of {unit.copies}")
    return lines
