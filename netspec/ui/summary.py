"""A net as a table: by layer, grouped by unit and copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rich.text import Text

from netspec.base.layer import Trained
from netspec.base.shape import Shape
from netspec.base.units import bytes_in_words, flops_in_words
from netspec.frontend.program import Program
from netspec.graph.graph import Graph
from netspec.groups.groups import group
from netspec.plan.network import TrainingPlan
from netspec.ui.layer_page import ENDLESS, summary_page
from netspec.ui.layer_rows import DEFAULT, MARKS, LayerRow, rows_of
from netspec.ui.layer_table import broken, layers_table
from netspec.ui.tables import WIDTH, as_text

COLUMNS = ("parameters", "FLOPs", "forward", "backward", "group")
MOST_NAMED = 3
"""Of the layers that have another value than the default."""


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

    def table(self, width: int = WIDTH) -> Text:
        """The table of layers, units and copies as lines of their own; columns that `width` has no room for are left out."""
        return layers_table(self.input, self.rows, width, COLUMNS)

    def footer(self, width: int = WIDTH) -> str:
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
        lines += ["layers of one group are computed together", *self._marks()]
        return "\n".join(part for line in lines for part in broken(line.lstrip(), width, len(line) - len(line.lstrip())))

    def _marks(self) -> list[str]:
        """The marks in use, and the defaulted arguments that the table has no room for, a line for each kind of layer."""
        used = {argument.mark for row in self.rows for argument in row.arguments[:1]}
        lines = [f"{mark} {meaning}" for mark, meaning in MARKS.items() if mark in used]
        if any(row.shares and "#" in row.name for row in self.rows):
            lines.append("#2, #3, ...: tied copies, whose parameters are the first one's and counted there")
        if any(row.shares and "#" not in row.name for row in self.rows):
            lines.append("tied: its W is another layer's and counted there")
        kinds = dict.fromkeys(row.kind for row in self.rows)
        others = {kind: list(self._defaults([row for row in self.rows if row.kind == kind and not row.implied])) for kind in kinds}
        further = [f"  {kind}: {', '.join(found)}" for kind, found in others.items() if found]
        return [*lines, "further defaults", *further] if further else lines

    def _defaults(self, rows: list[LayerRow]) -> Iterator[str]:
        """Each defaulted argument behind the first one, once for all layers of a kind, with the layers that have another value. That a
        layer is trained as usual goes without saying."""
        told = [
            one for row in rows for one in row.arguments[1:] if one.mark and (one.mark != DEFAULT or one.name not in Trained.model_fields)
        ]
        found = dict.fromkeys((one.name, one.value, one.mark) for one in told)
        for name, value, mark in found:
            others = [row.name for row in rows if not any((one.name, one.value) == (name, value) for one in row.arguments)]
            listed = ", ".join(others) if len(others) <= MOST_NAMED else f"{len(others)} of {len(rows)}"
            yield f"{name}={value}{mark.replace(DEFAULT, '')}" + (f" (not in {listed})" if others else "")

    def __str__(self) -> str:
        return f"{as_text(self.table())}\n\n{self.footer()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table and totals."""
        return summary_page(self.input, self.rows, COLUMNS, self.footer(ENDLESS))


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


def _itemsize(dtype: str) -> int:
    return 4 if dtype == "float32" else 8
