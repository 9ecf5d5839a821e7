"""What a picture of a net says: layers with what their two passes hold, joined by values, copies that are alike folded into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netspec.base.shape import Shape, show
from netspec.frontend.program import Program, UnitMark
from netspec.graph.graph import Graph
from netspec.plan.network import TrainingPlan
from netspec.ui.screen import bytes_in_words
from netspec.ui.summary import DEFAULT, Argument, LayerRow, summarize

INPUT, LOSS = "input", "loss"


@dataclass(frozen=True)
class Cell:
    """A layer, or the copies of one that are drawn once: `names` are theirs. `inputs` are cells, by the first of their names; `values` the
    layers whose outputs they give, and their shapes. `gradients` says of each whether it has a gradient, `reached` of the layer itself."""

    names: tuple[str, ...]
    inputs: tuple[str, ...]
    values: tuple[tuple[str, Shape], ...]
    gradients: tuple[bool, ...]
    reached: bool
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    row: LayerRow
    place: int
    arrays: tuple[tuple[str, Shape], ...]
    held: tuple[tuple[int, int], ...]
    """Bytes of the forward and the backward pass, by copy."""
    frames: tuple[Frame, ...] = ()
    """Outermost first."""
    joined: tuple[bool, bool] = (False, False)
    """Whether it is computed together with the layer before it, and the one behind."""

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def title(self) -> str:
        """`relu2`, or `relu2 ... relu5`."""
        return self.name if len(self.names) == 1 else f"{self.name} ... {self.names[-1]}"


@dataclass(frozen=True)
class Frame:
    """A copy of a repeat, or `times` copies in a row that are alike. `key` tells it from any other."""

    key: int
    times: int
    label: str


@dataclass(frozen=True)
class Arrow:
    """A value on its way from one cell to another, INPUT and LOSS among them; its gradient goes back where it has one."""

    source: str
    target: str
    shape: Shape
    gradient: str
    """Its name, or "" where there is none."""


@dataclass(frozen=True)
class Flow:
    """Everything that a picture shows, in reading order."""

    name: str
    cells: tuple[Cell, ...]
    arrows: tuple[Arrow, ...]
    groups: tuple[tuple[tuple[str, ...], bool, bool], ...]
    """Cells that are computed together, and whether their group goes on above and below them in other copies."""
    input: tuple[str, ...]
    loss: tuple[str, ...]
    subtitles: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def depths(self) -> dict[str, int]:
        """The longest way from the input to each cell, INPUT at 0 and LOSS behind all."""
        found = {INPUT: 0}
        for cell in self.cells:
            found[cell.name] = 1 + max(found[name] for name in cell.inputs)
        return {**found, LOSS: 1 + max(found.values())}


@dataclass
class _Unit:
    """The cells of one unit's copy, or of several copies that are alike."""

    mark: UnitMark
    parts: list[Cell | _Unit]
    last: int
    """The copy up to which."""

    @property
    def times(self) -> int:
        return self.last - self.mark.copy + 1


def flow(program: Program, graph: Graph, plan: TrainingPlan, name: str, *, unroll: bool = False) -> Flow:
    """What the picture of a net shows; with `unroll` each copy of a repeat."""
    summary = summarize(program, graph, plan)
    cells = _cells(graph, summary.rows)
    drawn = tuple(_framed(_tree(cells, 0, unroll), ()))
    first = {other: cell.name for cell in drawn for other in cell.names}
    folded = tuple(_told(replace(cell, inputs=tuple(first.get(one, one) for one in cell.inputs)), graph) for cell in drawn)
    noun = "labels" if graph.head.target != "value" else "targets"
    held = plan.train.bytes_by_layer()
    given, scored = (bytes_in_words(sum(held.get(one, (0, 0)))) for one in (INPUT, LOSS))
    counted = "outputs" if graph.head.target == "value" else "classes"
    trained = summary.trained_parameters
    parameters = f"{summary.parameters:,} parameters" + (f", {trained:,} of them trained" if trained < summary.parameters else "")
    buffers = f"a step's buffers {bytes_in_words(summary.buffer_bytes)}, in turn in {bytes_in_words(summary.shared_bytes)}"
    return Flow(
        name, folded, tuple(_arrows(folded, graph)), tuple(_groups(folded)),
        (f"input {show(graph.input.shape)}", *([given] if INPUT in held else [])),
        (f"{graph.head.name}, {graph.classes} {counted}", f"loss {graph.loss.name} of scores and {noun}", *([scored] * (LOSS in held))),
        (f"batch {summary.batch}, {summary.dtype}; {parameters}", buffers), tuple(_notes(folded, graph)),
    )  # fmt: skip


def _cells(graph: Graph, rows: Sequence[LayerRow]) -> list[Cell]:
    """Every layer. A gradient goes to what depends on trained parameters, and no farther."""
    producer, behind = {graph.input.index: INPUT}, set[int]()
    cells = []
    for place, (node, row) in enumerate(zip(graph.nodes, rows, strict=True)):
        reached = bool(node.parameters and not node.frozen) or any(value.index in behind for value in node.inputs)
        if reached:
            behind.add(node.output.index)
        sources = tuple(producer[value.index] for value in node.inputs)
        near = [0 <= other < len(rows) and rows[other].group == row.group for other in (place - 1, place + 1)]
        cells.append(
            Cell(
                (node.name,), sources, tuple((name, value.shape) for name, value in zip(sources, node.inputs, strict=True)),
                tuple(value.index in behind for value in node.inputs), reached, (), (), row, place,
                tuple((key, parameter.shape) for key, parameter in node.parameters.items()), ((row.forward_bytes, row.backward_bytes),),
                joined=(near[0], near[1]),
            )
        )  # fmt: skip
        producer[node.output.index] = node.name
    return cells


# copies


def _tree(cells: Sequence[Cell], level: int, unroll: bool) -> list[Cell | _Unit]:
    """Cells by the units that they stand in from a level on, copies in a row that are alike as one."""
    found: list[Cell | _Unit] = []
    start = 0
    while start < len(cells):
        marks = cells[start].row.units
        if level >= len(marks):
            found.append(cells[start])
            start += 1
            continue
        end = start
        while end < len(cells) and cells[end].row.units[level : level + 1] == marks[level : level + 1]:
            end += 1
        unit = _Unit(marks[level], _tree(cells[start:end], level + 1, unroll), marks[level].copy)
        before = found[-1] if found else None
        if not unroll and isinstance(before, _Unit) and _follows(before, unit):
            found[-1] = _merged(before, unit)
        else:
            found.append(unit)
        start = end
    return found


def _follows(before: _Unit, unit: _Unit) -> bool:
    """Whether a unit is the next copy of the same repeat, and like those before it."""
    same_repeat = before.mark.copies == unit.mark.copies > 1 and before.last + 1 == unit.mark.copy
    return same_repeat and before.mark.text == unit.mark.text and _shape_of(before.parts) == _shape_of(unit.parts)


def _shape_of(parts: Sequence[Cell | _Unit]) -> list[Any]:
    """All that copies must have in common to be drawn once; bytes may differ, for scratch belongs to the layer that needs it first."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, _Unit):
            found.append((part.mark.text, part.mark.copy, part.mark.copies, part.times, _shape_of(part.parts)))
        else:
            shapes = tuple(shape for _, shape in part.values)
            found.append((part.row.kind, part.row.arguments, shapes, part.row.output, part.arrays, part.reached, part.joined))
    return found


def _merged(before: _Unit, unit: _Unit) -> _Unit:
    """A copy more: same cells, with its names and bytes too."""
    parts: list[Cell | _Unit] = []
    for old, new in zip(before.parts, unit.parts, strict=True):
        if isinstance(old, _Unit) and isinstance(new, _Unit):
            parts.append(_merged(old, new))
        elif isinstance(old, Cell) and isinstance(new, Cell):
            parts.append(replace(old, names=(*old.names, *new.names), held=(*old.held, *new.held)))
    return _Unit(before.mark, parts, unit.last)


def _framed(parts: Sequence[Cell | _Unit], frames: tuple[Frame, ...]) -> Iterator[Cell]:
    for part in parts:
        if isinstance(part, Cell):
            yield replace(part, frames=frames)
        elif part.mark.copies == 1:  # a unit that nothing repeats
            yield from _framed(part.parts, frames)
        else:
            copies, times = part.mark.copies, part.times
            which = f"copy {part.mark.copy} of {copies}: " if times == 1 else f"copies {part.mark.copy} to {part.last} of {copies}: "
            label = ("" if times == copies else which) + part.mark.text
            yield from _framed(part.parts, (*frames, Frame(part.mark.key, times, label)))


# words


def _told(cell: Cell, graph: Graph) -> Cell:
    """With the lines of both boxes."""
    row, arrays = cell.row, cell.arrays
    main = [one.value for one in row.arguments[:1] if _is_told(one, row)]
    others = ", ".join(f"{one.name}={one.value}" for one in row.arguments[1:] if one.mark == "" and one.name != "frozen")
    detail = " (implied)" if row.implied else f" ({main[0]})" if main else ""
    count = f"{row.parameters:,} parameters{' each' if len(cell.names) > 1 else ''}{', frozen' if row.frozen else ''}"
    forward = [cell.title + detail, *([others] if others else []), *([_listed(arrays), count] if arrays else []), *_bytes(cell, 0)]
    if not cell.reached:
        return replace(cell, forward=tuple(forward), backward=(cell.title, "no gradient needed"))
    node = graph.nodes[cell.place]
    backward = [f"{cell.title} backward"]
    if arrays and row.frozen:
        backward.append(f"frozen: no {' or '.join(f'd{key}' for key, _ in arrays)}")
    elif arrays:
        backward.append(_listed([(f"d{key}", shape) for key, shape in arrays]))
        if "b" in node.parameters and graph.bias_is_cancelled(node):
            backward.append("db is 0: bn subtracts b")
    return replace(cell, forward=tuple(forward), backward=(*backward, *_bytes(cell, 1)))


def _is_told(argument: Argument, row: LayerRow) -> bool:
    """Whether the first argument is shown: not the default of a normalization, nor that a layer is frozen, which stands elsewhere."""
    return argument.name != "frozen" and not (row.parameters and argument.mark == DEFAULT)


def _listed(arrays: Sequence[tuple[str, Shape]]) -> str:
    return ", ".join(f"{key} {show(shape)}".strip() for key, shape in arrays)


def _bytes(cell: Cell, which: int) -> list[str]:
    least, most = (choose(held[which] for held in cell.held) for choose in (min, max))
    if not most:
        return []
    words = list(dict.fromkeys([bytes_in_words(least), bytes_in_words(most)]))
    return [" to ".join(words) + (" each" if len(cell.names) > 1 else "")]


def _arrows(cells: Sequence[Cell], graph: Graph) -> Iterator[Arrow]:
    for cell in cells:
        for source, (value, shape), has in zip(cell.inputs, cell.values, cell.gradients, strict=True):
            yield Arrow(source, cell.name, shape, f"d{value}" if has else "")
    last = cells[-1] if cells else None
    yield Arrow(last.name if last else INPUT, LOSS, graph.output.shape, "dscores" if last and last.reached else "")


def _groups(cells: Sequence[Cell]) -> Iterator[tuple[tuple[str, ...], bool, bool]]:
    """Runs of cells that are computed together, cut where a copy begins or ends; a layer alone is no group."""
    start = 0
    for end, cell in enumerate(cells, start=1):
        after = cells[end] if end < len(cells) else None
        if after and after.place == cell.place + 1 and after.row.group == cell.row.group and after.frames == cell.frames:
            continue
        above, below = cells[start].joined[0], cell.joined[1]
        if above or below or end - start > 1:
            yield tuple(one.name for one in cells[start:end]), above, below
        start = end


def _notes(cells: Sequence[Cell], graph: Graph) -> Iterator[str]:
    yield "Shapes are those of one row. d before a name: the gradient of the loss by it. Bytes: buffers that a step makes for a pass."
    if any(any(cell.joined) for cell in cells):
        open_ended = any(above or below for _, above, below in _groups(cells))
        yield f"Shaded: layers that are computed together{', open where the group goes on in the next copy' if open_ended else ''}."
    if any(len(cell.names) > 1 for cell in cells):
        yield "A frame with x and a number: copies in a row that are alike, drawn once; each has weights of its own."
    if any(not cell.reached for cell in cells):
        yield "Grey and dashed: no gradient is computed."
    if any(cell.row.frozen for cell in cells):
        yield "Frozen: parameters stay as they are."
