"""Two programs compared by what they mean: layers with all their arguments, shapes, counts, and every setting, defaults included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspec.base.entry import Entry
from netspec.base.errors import DataError, SpecError
from netspec.base.layer import Layer
from netspec.base.shape import show, size
from netspec.catalog.layers.id import Identity
from netspec.catalog.paths import data_folders, resolve_path
from netspec.frontend.program import INPUT, DataSection, Program, TrainSection
from netspec.frontend.resolved import data_keys, train_keys
from netspec.frontend.settled import deciding_activations, own_loss, settled, settled_data, settled_train
from netspec.frontend.words import written
from netspec.graph.align import Point, aligned
from netspec.graph.check import to_graph
from netspec.graph.counted import counted_in_chain, place_of
from netspec.graph.counts import Counts, split_head
from netspec.graph.graph import Graph, Node


@dataclass(frozen=True)
class Difference:
    """One thing that two programs say differently; None where one does not have it."""

    key: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class LayerChange:
    """A layer that only one program has, or that both have with `differences`."""

    a: Point | None
    b: Point | None
    differences: tuple[Difference, ...] = ()

    @property
    def kind(self) -> str:
        return "added" if self.a is None else "removed" if self.b is None else "changed"


@dataclass(frozen=True)
class Total:
    """A count of the whole net, in both."""

    key: str
    a: int
    b: int


@dataclass(frozen=True)
class Comparison:
    """What differs. `with_shapes` tells whether shapes, parameters and FLOPs were compared; without, they may differ."""

    layers: tuple[LayerChange, ...]
    settings: tuple[Difference, ...]
    totals: tuple[Total, ...]
    with_shapes: bool

    @property
    def same(self) -> bool:
        return not self.layers and not self.settings and all(total.a == total.b for total in self.totals)


@dataclass(frozen=True)
class Meaning:
    """A program, with its graph where the shapes are known."""

    program: Program
    graph: Graph | None = None

    @property
    def file(self) -> Path | None:
        """The file that the program is from: data is looked for in its folder first."""
        path = self.program.source.path
        return None if path.startswith("<") else Path(path)


def meaning_of(program: Program, counts: Counts | None = None) -> Meaning:
    """The program, with its graph where that can be told from `counts` or from its own words."""
    try:
        return Meaning(program, to_graph(program, counts))
    except SpecError:
        return Meaning(program)


def compare(a: Meaning, b: Meaning) -> Comparison:
    """What `b` says differently from `a`. Shapes are compared where both are known."""
    with_shapes = a.graph is not None and b.graph is not None
    points = [_points(one.graph) if with_shapes and one.graph else _points_of_chain(one.program) for one in (a, b)]
    totals = [Total(key, _sum(points[0], key), _sum(points[1], key)) for key in ("parameters", "flops")] if with_shapes else []
    if a.graph and b.graph:
        totals[0] = Total("parameters", a.graph.parameter_count, b.graph.parameter_count)
    return Comparison(tuple(_layer_changes(*points)), tuple(_settings(a, b, with_shapes)), tuple(totals), with_shapes)


def _sum(points: Sequence[Point], key: str) -> int:
    return sum(getattr(point, key) or 0 for point in points)


# layers


def _points(graph: Graph) -> list[Point]:
    names, points = {0: "input"}, []
    for node in graph.nodes:
        names[node.output.index] = names[node.input.index] if node.is_nothing else node.name
        if not node.is_nothing:
            points.append(_point(node, names))
    return points


def _point(node: Node, names: Mapping[int, str]) -> Point:
    count = sum(size(parameter.shape) for parameter in node.own_parameters.values())
    reads = tuple(names[value.index] for value in node.inputs)
    owners = tuple(dict.fromkeys(full.rpartition(".")[0] for full in node.shared.values()))
    own, implied = _told(node.layer, node.next_relu_like, has_arrays=not node.shared)
    return Point(node.name, node.layer.name, own, reads, owners, node.output.shape, count, node.flops, implied)


def _points_of_chain(program: Program) -> list[Point]:
    """The layers as written, without the flatten that an affine may imply and without what follows from counts."""
    counted = counted_in_chain(program)
    numbers: Counter[str] = Counter()
    points: list[Point] = []
    names = {INPUT: "input"}
    calls = split_head(program)[0]
    for place, (call, activation) in enumerate(zip(calls, deciding_activations(calls), strict=True)):
        kind = call.layer.name
        stem = call.label or ("proj" if call.projects else kind)
        numbers[stem] += 1
        number = numbers[stem]
        name = call.label if call.label and number == 1 else f"{stem}{number}"
        if isinstance(call.layer, Identity):
            names[place] = names[call.inputs[0]]
            continue
        names[place] = name
        left_out = {name for name in type(call.layer).model_fields if place_of(call, name) in counted}
        relu_like = activation is not None and activation.layer.relu_like
        # the skip gives those of a projection
        told, implied = ({}, {}) if call.projects else _told(call.layer, relu_like, has_arrays=call.copy_of is None)
        arguments = {key: text for key, text in told.items() if key not in left_out}
        reads = tuple(names[at] for at in call.inputs)
        owners = tuple(names[at] for at in (call.copy_of, call.shares_weight_of) if at is not None)
        points.append(Point(name, kind, arguments, reads, owners, implied=implied))
    return points


def _told(layer: Layer, relu_like: bool, *, has_arrays: bool) -> tuple[dict[str, str], dict[str, str]]:
    """The arguments of a layer, and what follows for those that it leaves open. A layer without arrays of its own has no initial ones."""
    left_out = set() if has_arrays else {"init"}
    every = {name: text for name, text in _arguments(settled(layer, relu_like)).items() if name not in left_out}
    own = {name: text for name, text in every.items() if getattr(layer, name) is not None}
    return own, {name: text for name, text in every.items() if name not in own}


def _arguments(entry: Entry) -> dict[str, str]:
    values = {name: getattr(entry, name) for name in type(entry).model_fields}
    return {name: written(value) for name, value in values.items() if value is not None}


def _layer_changes(a: list[Point], b: list[Point]) -> Iterator[LayerChange]:
    pairs = aligned(a, b)
    partners = {one.name: other.name for one, other in pairs if one and other}
    before_a, before_b = _before(a), _before(b)
    for one, other in pairs:
        if one is None or other is None:
            yield LayerChange(one, other, tuple(_branching(one, before_a, other, before_b)))
            continue
        found = list(_argument_differences(one, other))
        if one.label != other.label:
            found.append(Difference("name", one.name, other.name))
        if tuple(partners.get(name) for name in one.owners) != other.owners:
            found.append(Difference("arrays of", ", ".join(one.owners) or None, ", ".join(other.owners) or None))
        chained = one.reads == (before_a[one.name],) and other.reads == (before_b[other.name],)
        if not chained and tuple(partners.get(name, name) for name in one.reads) != other.reads:
            found.append(Difference("reads", ", ".join(one.reads), ", ".join(other.reads)))
        if one.output is not None and other.output is not None and one.output != other.output:
            found.append(Difference("output", show(one.output), show(other.output)))
        if found:
            yield LayerChange(one, other, tuple(found))


def _branching(one: Point | None, before_a: Mapping[str, str], other: Point | None, before_b: Mapping[str, str]) -> Iterator[Difference]:
    """What a layer that stands alone reads, where that is not the layer before it."""
    for point, before in ((one, before_a), (other, before_b)):
        if point is not None and point.reads != (before[point.name],):
            reads = ", ".join(point.reads)
            yield Difference("reads", reads if point is one else None, reads if point is other else None)


def _before(points: Sequence[Point]) -> dict[str, str]:
    """The layer that stands before each, by name."""
    return {point.name: points[at - 1].name if at else "input" for at, point in enumerate(points)}


def _argument_differences(a: Point, b: Point) -> Iterator[Difference]:
    """Where one of the two leaves an argument open, what follows for it counts; where both do, it follows from what is told elsewhere."""
    for key in dict.fromkeys((*a.arguments, *b.arguments)):
        one, other = (point.arguments.get(key, point.implied.get(key)) for point in (a, b))
        if one != other:
            yield Difference(key, one, other)


# settings


def _settings(a: Meaning, b: Meaning, with_shapes: bool) -> Iterator[Difference]:
    ends = [_ends(one, with_shapes) for one in (a, b)]
    yield from _differences(*ends)
    yield from _data_differences(a, b)
    train_a, train_b = (settled_train(one.program.train, split_head(one.program)[1]) for one in (a, b))
    yield from _entry_differences("train", train_a, train_b, _train_texts(train_a), _train_texts(train_b))
    yield from _differences(*[{f"search.{key}": str(found) for key, found in one.program.search.items()} for one in (a, b)])


def _ends(one: Meaning, with_shapes: bool) -> dict[str, str]:
    """The ends of the net, its head and its seed."""
    program, head = one.program, split_head(one.program)[1]
    found: dict[str, Any] = {"input": program.input, "classes": program.classes, "outputs": program.outputs}
    if with_shapes and one.graph:
        counted = "outputs" if head.target == "value" else "classes"
        found = {"input": one.graph.input.shape, counted: one.graph.classes}
    texts = {key: show(value) if isinstance(value, tuple) else str(value) for key, value in found.items() if value is not None}
    return {**texts, "head": written(head), "loss": written(program.train.loss or own_loss(head)), "seed": str(program.seed)}


def _train_texts(section: TrainSection) -> dict[str, str]:
    """The keys of train; the loss stands with the head."""
    return {key: text for key, text in train_keys(section).items() if key != "loss"}


def _entry_differences(prefix: str, a: Any, b: Any, texts_a: Mapping[str, str], texts_b: Mapping[str, str]) -> Iterator[Difference]:
    """Keys whose texts differ; of two calls of one name, the arguments that do."""
    for key in dict.fromkeys((*texts_a, *texts_b)):
        if texts_a.get(key) == texts_b.get(key):
            continue
        one, other, name = getattr(a, key), getattr(b, key), f"{prefix}.{key}"
        if isinstance(one, Entry) and type(one) is type(other):
            yield from _entry_differences(name, one, other, _arguments(one), _arguments(other))
        else:
            yield Difference(name, texts_a.get(key), texts_b.get(key))


def _data_differences(a: Meaning, b: Meaning) -> Iterator[Difference]:
    sections = a.program.data, b.program.data
    yield from _differences(*[_data_texts(one) for one in sections])
    paths = [one.path if one else None for one in sections]
    places = [_place(one) for one in (a, b)]
    if None not in places and places[0] == places[1]:
        return
    if paths[0] == paths[1] and None not in places:
        paths = [str(place) for place in places]
    yield from _differences(*[{"data.path": written(path)} if path else {} for path in paths])


def _data_texts(section: DataSection | None) -> dict[str, str]:
    """The keys of data but for the path; `normalize` is the first of the transforms."""
    if section is None:
        return {}
    keys = data_keys(settled_data(section))
    texts = {f"data.{key}": text for key, text in keys.items() if key not in ("path", "normalize", "transforms")}
    steps = (*section.preparations, *section.augmentations)
    return {**texts, "data.transforms": ", ".join(map(written, steps))} if steps else texts


def _place(one: Meaning) -> Path | None:
    """The file that the data's path leads to, where it is there."""
    section = one.program.data
    if section is None or section.path is None:
        return None
    try:
        return resolve_path(section.path, data_folders(one.file))
    except DataError:
        return None


def _differences(a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Difference]:
    for key in dict.fromkeys((*a, *b)):
        if a.get(key) != b.get(key):
            yield Difference(key, a.get(key), b.get(key))
