"""What a picture of a net says: layers with what their two passes hold, joined by values, copies that are alike folded into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from netspec.base.kinds import Merge
from netspec.base.shape import Shape, show, size
from netspec.base.units import bytes_in_words
from netspec.frontend.program import Program
from netspec.graph.graph import Graph, Node
from netspec.plan.network import TrainingPlan
from netspec.ui.cells import INPUT, LOSS, Arrow, Cell, Flow, Share
from netspec.ui.copies import MOST_NAMED
from netspec.ui.fold import folded
from netspec.ui.layer_rows import DEFAULT, Argument, LayerRow
from netspec.ui.summary import summarize


def flow(program: Program, graph: Graph, plan: TrainingPlan, name: str, *, unroll: bool = False) -> Flow:
    """What the picture of a net shows; with `unroll` each copy of a repeat."""
    summary = summarize(program, graph, plan)
    boxes, lines = _without_lines(_cells(graph, summary.rows))
    cells = tuple(_told(cell, graph) for cell in _lending(folded(boxes, unroll)))
    noun = "labels" if graph.head.target != "value" else "targets"
    held = plan.train.bytes_by_layer()
    given, scored = (bytes_in_words(sum(held.get(one, (0, 0)))) for one in (INPUT, LOSS))
    counted = "outputs" if graph.head.target == "value" else "classes"
    trained = sum(size(one.shape) for node in graph.nodes if not node.frozen for one in node.own_parameters.values())
    held_in_all = graph.parameter_count
    parameters = f"{held_in_all:,} parameters" + (f", {trained:,} of them trained" if trained < held_in_all else "")
    buffers = f"a step's buffers {bytes_in_words(summary.buffer_bytes)}, in turn in {bytes_in_words(summary.shared_bytes)}"
    return Flow(
        name, cells, tuple(_arrows(cells, graph)), tuple(_groups(cells)),
        (f"input {show(graph.input.shape)}", *([given] if INPUT in held else [])),
        (f"{graph.head.name}, {graph.classes} {counted}", f"loss {graph.loss.name} of scores and {noun}", *([scored] * (LOSS in held))),
        (f"batch {summary.batch}, {summary.dtype}; {parameters}", buffers), tuple(_notes(cells)), lines,
    )  # fmt: skip


def _cells(graph: Graph, rows: Sequence[LayerRow]) -> list[Cell]:
    """Every layer. A gradient goes to what depends on trained parameters, and no farther."""
    producer, behind = {graph.input.index: INPUT}, set[int]()
    places = {node.name: place for place, node in enumerate(graph.nodes)}
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
                tuple((key, parameter.shape) for key, parameter in node.own_parameters.items()), ((row.forward_bytes, row.backward_bytes),),
                isinstance(node.layer, Merge), tuple(_shares(node, places)), joined=(near[0], near[1]),
            )
        )  # fmt: skip
        producer[node.output.index] = node.name
    return cells


def _without_lines(cells: Sequence[Cell]) -> tuple[list[Cell], tuple[str, ...]]:
    """The cells without each `id` that is a branch by itself and has no name of its own; and those. Its merge reads what it reads."""
    merges = {source: cell for cell in cells if cell.merges for source in cell.inputs}
    read = {
        cell.name: cell.inputs[0]
        for cell in cells
        if cell.row.kind == "id" and cell.name.removeprefix("id").isdigit() and not cell.row.points
        and cell.name in merges and merges[cell.name].row.units == cell.row.units
    }  # fmt: skip
    kept = [
        replace(
            cell,
            inputs=tuple(read.get(one, one) for one in cell.inputs),
            values=tuple((read.get(one, one), shape) for one, shape in cell.values),
        )
        for cell in cells
        if cell.name not in read
    ]
    return kept, tuple(read)


def _shares(node: Node, places: Mapping[str, int]) -> Iterator[Share]:
    for key in node.parameters:
        if key in node.shared:
            owner = node.shared[key].removesuffix(f".{key}")
            yield Share(key, owner, places[owner], node.turned and key == "W")


# words


def _told(cell: Cell, graph: Graph) -> Cell:
    """With the lines of both boxes."""
    row = cell.row
    main = [one.value for one in row.arguments[:1] if _is_told(one, row)]
    others = ", ".join(f"{one.name}={one.value}" for one in row.arguments[1:] if _differs(one, graph.nodes[cell.place]))
    detail = " (implied)" if row.implied else f" ({main[0]})" if main else ""
    detail += "".join(f" @{name}" for name in row.points)
    forward = [cell.title + detail, *([others] if others else []), *_arrays(cell), *_held(cell)]
    if not cell.reached:
        return replace(cell, forward=tuple(forward), backward=(cell.title, "no gradient needed"))
    return replace(cell, forward=tuple(forward), backward=(f"{cell.title} backward", *_gradients(cell, graph), *_bytes(cell, 1)))


def _differs(argument: Argument, node: Node) -> bool:
    """Whether an argument has another value than the layer gives it by default; what else is told of is left out."""
    default = type(node.layer).model_fields[argument.name].default
    return argument.name not in ("frozen", "tie") and getattr(node.layer, argument.name) != default


def _arrays(cell: Cell) -> Iterator[str]:
    """What it computes with: its own parameters, how many they are, and whose others it has."""
    frozen = ", frozen" if cell.row.frozen else ""
    if cell.arrays:
        copies = len(cell.names)
        several, all_of = ("", "") if copies == 1 else ("", f" for {copies} copies") if cell.tied else (f"{copies} copies of ", "")
        yield _listed(cell.arrays)
        yield f"{several}{sum(size(shape) for _, shape in cell.arrays):,} parameters{all_of}{frozen}"
    for owner, keys in _by_owner(cell).items():
        turned = ", transposed" if any(share.turned for share in cell.shares) else ""
        yield f"{', '.join(keys)} of {owner}{turned}{'' if cell.arrays else frozen}"

    for reader, keys in _grouped((reader, key) for key, reader in cell.lent):
        yield f"{', '.join(keys)} shared with {reader}"


def _grouped(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Those with the same second parts together: who reads the same keys is named at once."""
    keys: dict[str, list[str]] = {}
    for reader, key in pairs:
        keys.setdefault(reader, []).append(key)
    readers: dict[tuple[str, ...], list[str]] = {}
    for reader, found in keys.items():
        readers.setdefault(tuple(found), []).append(reader)
    for found_keys, names in readers.items():
        yield ", ".join(names) if len(names) <= MOST_NAMED else f"{len(names)} others", list(found_keys)


def _lending(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Each with the layers that have its arrays too."""
    lent: dict[str, list[tuple[str, str]]] = {}
    for cell in cells:
        for share in cell.shares:
            lent.setdefault(share.owner, []).append((share.key, cell.title))
    for cell in cells:
        yield replace(cell, lent=tuple(lent.get(cell.name, ())))


def _held(cell: Cell) -> list[str]:
    """The bytes of the forward pass, behind the number of copies where nothing above tells it."""
    copies = len(cell.names)
    told = [] if copies == 1 or cell.arrays else [f"{copies} copies"]
    return [", ".join(told + _bytes(cell, 0))] if told else _bytes(cell, 0)


def _by_owner(cell: Cell) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for share in cell.shares:
        found.setdefault(share.owner, []).append(share.key)
    return found


def _gradients(cell: Cell, graph: Graph) -> Iterator[str]:
    node = graph.nodes[cell.place]
    keys = [key for key, _ in cell.arrays]
    if cell.row.frozen and (cell.arrays or cell.shares):
        yield f"frozen: no {' or '.join(f'd{key}' for key in [*keys, *(share.key for share in cell.shares)])}"
        return
    if cell.arrays:
        yield _listed([(f"d{key}", shape) for key, shape in cell.arrays]) + (", over all copies" if cell.tied else "")
    for owner, shared in _by_owner(cell).items():
        yield f"{', '.join(f'd{key}' for key in shared)} added to {owner}'s"
    if "b" in keys and graph.bias_is_cancelled(node):
        yield "db is 0: bn subtracts b"


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
        for place, (source, (value, shape), has) in enumerate(zip(cell.inputs, cell.values, cell.gradients, strict=True)):
            yield Arrow(source, cell.name, shape, f"d{value}" if has else "", value, place)
    last = cells[-1] if cells else None
    gradient = "dscores" if last and last.reached else ""
    yield Arrow(last.name if last else INPUT, LOSS, graph.output.shape, gradient, last.names[-1] if last else INPUT)


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


def _notes(cells: Sequence[Cell]) -> Iterator[str]:
    yield "Shapes are those of one row. d before a name: the gradient of the loss by it. Bytes: buffers that a step makes for a pass."
    readers = [source for cell in cells for source in cell.inputs if source != INPUT]
    if len(readers) > len(set(readers)):
        yield "A value that several layers read is one line that forks; where lines of the backward pass meet, gradients are added."
    if any(any(cell.joined) for cell in cells):
        open_ended = any(above or below for _, above, below in _groups(cells))
        yield f"Shaded: layers that are computed together{', open where the group goes on elsewhere' if open_ended else ''}."
    if any(len(cell.names) > 1 for cell in cells):
        tied = [cell.tied for cell in cells if len(cell.names) > 1 and (cell.arrays or cell.shares)]
        weights = "; each has weights of its own" if not any(tied) else "; of tied ones all have the same weights"
        yield f"A frame with x and a number: copies in a row that are alike, drawn once{weights}."
    if any(cell.is_shared for cell in cells):
        yield "A double border: parameters that several layers, or all copies of one, have in common."
    if any(not cell.reached for cell in cells):
        yield "Grey and dashed: no gradient is computed."
    if any(cell.row.frozen for cell in cells):
        yield "Frozen: parameters stay as they are."
