"""What lowering works with: the buffers of values, parameters and gradients, and the list of launches that it appends to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path

from netspec.base.clip import Clip
from netspec.base.kinds import Contraction, Pointwise, Product, Rearrangement
from netspec.base.optimizer import Optimizer
from netspec.base.shape import Shape, size
from netspec.base.transform import Augmentation
from netspec.graph.graph import Graph, Node, Value
from netspec.groups.groups import Grouping
from netspec.kernels.gradients import Gradients
from netspec.kernels.launch import ELEMENT_GRAIN, At, Buffer, Cut, Entry, Launch, ParameterPlace, Section, Word
from netspec.kernels.native import CACHE_LINE, CONTROL_WORDS, SET_STRIDE
from netspec.kernels.simd import current
from netspec.kernels.source import module_text
from netspec.kernels.templates import Template

MOST_TASKS = 16
MOST_IMAGE_TASKS = 64
MOST_PARTS = 8  # of a sum that tasks share
ALIGNMENT = 16  # elements: every parameter array starts on a multiple of 64 bytes
TAIL = ALIGNMENT  # elements behind the gradients that processes add up, for what goes with them


@dataclass(frozen=True)
class Share:
    """Which part of each batch a process computes, where several share it: place `rank` of `ranks`, cut as the shares of tasks are. With
    `statistics` bn takes those of the whole batch, which the processes exchange, else those of its part."""

    rank: int
    ranks: int
    statistics: bool

    def first(self, rows: int, rank: int | None = None) -> int:
        """Where the part of this rank, or of another one, begins in a batch of so many rows."""
        return rows * (self.rank if rank is None else rank) // self.ranks

    def most(self, rows: int) -> int:
        """Rows of the largest part."""
        return -(-rows // self.ranks)


@dataclass(frozen=True)
class Update:
    """How the train form updates: the optimiser, the l2 rate, whether products update their weights themselves, the bound on gradients,
    what images go through on their way into a batch, and which part of a batch this process has, None for all of it."""

    optimizer: Optimizer
    l2: float
    straight: bool
    clip: Clip | None = None
    augmentations: tuple[Augmentation, ...] = ()
    share: Share | None = None


@dataclass(frozen=True)
class Run:
    """Trained parameters `start` to `end` of the flat buffer, which are updated alike: arrays `names`, all weights or none, with the same
    factor on the learning rate."""

    start: int
    end: int
    weights: bool
    scale: float
    names: tuple[str, ...]


def is_product(node: Node) -> bool:
    """Whether a layer is a matrix product with weights (depth, width)."""
    return isinstance(node.layer, Contraction) and isinstance(node.layer.geometry(node.input.shape), Product)


def tasks_for(work: float, grain: float, most: int = MOST_TASKS) -> int:
    """How many tasks a launch is cut into, a power of two: fixed by the problem, so that the bits do not depend on the number of
    threads, and even shares for most numbers of them."""
    return 1 << (max(1, min(most, int(work // grain))).bit_length() - 1)


FLOP_GRAIN = 1_000_000


@cache
def _library_text(name: str) -> str:
    return (Path(__file__).parent / "library" / f"{name}.py").read_text(encoding="utf-8")


class Context:
    """One lowering: a grouping for batches of at most `batch` rows, in train or test form. With `update` the train form has an optimiser,
    and its gradients of weights need not outlive the launch that computes them."""

    def __init__(
        self, grouping: Grouping, batch: int, itemsize: int, *, train: bool, input_gradient: bool, whole: Graph, update: Update | None,
        workers: int,
    ) -> None:  # fmt: skip
        self.graph: Graph = grouping.graph
        self.batch, self.itemsize, self.train, self.input_gradient, self.update = batch, itemsize, train, input_gradient, update
        self.workers = workers
        self.launches: list[Launch] = []
        self.first_launches: list[Launch] = []
        """Those that need parameters alone: they go before all others of their section."""
        self._later: list[Launch] = []
        self.named: dict[str, Buffer] = {}
        self.constant_words: dict[str, tuple[int, ...]] = {}
        self.simd = simd = current()
        self.lanes = simd.lanes(itemsize)
        self.panel = simd.vectors * self.lanes
        self.strip = -(-simd.rows // self.lanes) * self.lanes
        self._first = self._aliases()
        self._trained_values = self._behind_trained()
        readers = [node for node in self.graph.nodes if self._reads_input(node)]
        self._for_products = bool(readers) and all(is_product(node) for node in readers)
        self._values: dict[int, Buffer] = {}
        self.gradients = Gradients(self, self._first, input_gradient=input_gradient)
        self._shared: dict[str, Buffer] = {}
        self._parts: dict[tuple[str, str], Buffer] = {}
        self._array_terms: dict[str, dict[str, Buffer]] = {}
        self.control = self.buffer("control", CONTROL_WORDS, 8, "control")
        self._place_parameters(whole)
        flops = self.batch * sum(node.flops for node in self.graph.nodes if len(node.input.shape) == 3)
        self._image_tasks = min(self.batch, tasks_for(flops, FLOP_GRAIN, MOST_IMAGE_TASKS))

    # buffers

    def buffer(self, name: str, count: int, itemsize: int | None = None, kind: str = "value") -> Buffer:
        """A new buffer; those that outlive a launch list are found again by name."""
        made = Buffer(name, max(count, 1), itemsize or self.itemsize, kind)  # type: ignore[arg-type]
        if kind != "value":
            self.named[name] = made
        return made

    def _place_parameters(self, whole: Graph) -> None:
        """Weights of products first, then other weights, then the rest, so that l2 and the update of what no product updates are runs of
        the flat buffer; by name they are listed in reading order."""
        self.trained = {node.array(key): node.lr_scale for node in whole.nodes if not node.frozen for key in node.own_parameters}
        """The factor on the learning rate of each array that is not frozen."""
        self.parameters: dict[str, ParameterPlace] = {}
        self.states: dict[str, ParameterPlace] = {}
        every = whole.parameters
        self._several = {name for node in whole.nodes for name in node.shared.values()}
        """Arrays of several layers: their gradient is a sum."""
        products = {node.array("W") for node in whole.nodes if is_product(node)} - self._several
        at, ends = 0, []
        for rank in range(3):
            for name, parameter in every.items():
                if rank == (0 if name in products else 1 if parameter.role == "weight" else 2):
                    self.parameters[name] = ParameterPlace(at, parameter.shape)
                    at += -(-size(parameter.shape) // ALIGNMENT) * ALIGNMENT
            ends.append(at)
        self.straight_elements = ends[0] if self.update and self.update.straight else 0
        self.weight_elements, self.parameter_elements = ends[1], ends[2]
        self.parameters = {name: self.parameters[name] for name in every}
        at = 0
        for name, state in whole.state.items():
            self.states[name] = ParameterPlace(at, state.shape)
            at += -(-size(state.shape) // ALIGNMENT) * ALIGNMENT
        self.state_elements = at
        self.flat_parameters = self.buffer("parameters", self.parameter_elements, kind="parameters")
        self._flat_state = self.buffer("state", at, kind="state")
        if self.update:  # of the plan alone, and zero where nothing writes: the bias that a bn cancels
            tail = TAIL if self.update.share else 0
            self.flat_gradients = self.buffer("gradients", self.parameter_elements - self.straight_elements + tail, kind="result")
        elif self.train:
            self.flat_gradients = self.buffer("gradients", self.parameter_elements, kind="gradients")

    def part(self, flat: Buffer, name: str, place: ParameterPlace, base: int = 0) -> Buffer:
        """The part of a flat buffer that belongs to an array, the same object each time: launches conflict by arrays."""
        key = (flat.name, name)
        if key not in self._parts:
            own = name if flat.kind == "parameters" else f"{flat.name}.{name}"
            self._parts[key] = Buffer(own, size(place.shape), self.itemsize, flat.kind, flat, place.offset - base)
        return self._parts[key]

    def parts(self, flat: Buffer, first: int, last: int) -> list[Buffer]:
        """The parts of a flat buffer over the parameters `first` to `last`."""
        return [self.part(flat, name, place) for name, place in self.parameters.items() if first <= place.offset < last]

    def runs(self) -> list[Run]:
        """The trained parameters that no product updates."""
        found: list[Run] = []
        for name, place in sorted(self.parameters.items(), key=lambda item: item[1].offset):
            if name not in self.trained or place.offset < self.straight_elements:
                continue
            end = place.offset + -(-size(place.shape) // ALIGNMENT) * ALIGNMENT
            run = Run(place.offset, end, place.offset < self.weight_elements, self.trained[name], (name,))
            last = found[-1] if found else None
            if last and (last.end, last.weights, last.scale) == (run.start, run.weights, run.scale):
                run = replace(run, start=found.pop().start, names=(*last.names, name))
            found.append(run)
        return found

    def parameter(self, node: Node, key: str) -> At:
        name = node.array(key)
        return At(self.part(self.flat_parameters, name, self.parameters[name]))

    def gradient(self, node: Node, key: str) -> At:
        """Where a layer's gradient of an array is kept. Not for weights that a product updates."""
        name = node.array(key)
        if name not in self._several:
            return At(self._gradient_of(name))
        terms = self._array_terms.setdefault(name, {})
        if node.name not in terms:
            terms[node.name] = self.buffer(f"d.{name}.{len(terms) + 1}", size(self.parameters[name].shape))
        return At(terms[node.name])

    def _gradient_of(self, name: str) -> Buffer:
        return self.part(self.flat_gradients, name, self.parameters[name], self.straight_elements)

    def add_shared(self) -> None:
        """Launches that add the gradients of arrays that several layers have."""
        for name, terms in self._array_terms.items():
            target, found = self._gradient_of(name), list(terms.values())
            words: list[Word] = [target.count, At(target), len(found), *map(At, found)]
            self.launch(
                f"sum of gradients of {name}", "backward", self.library("branches", "add_arrays"), words,
                tasks_for(target.count * len(found), ELEMENT_GRAIN), reads=found, writes=[target], layers=list(terms),
                flops=target.count * (len(found) - 1),
            )  # fmt: skip

    def is_straight(self, node: Node) -> bool:
        """Whether the product of a layer updates its weights itself."""
        return self.parameters[node.array("W")].offset < self.straight_elements

    def slot(self, name: str) -> Buffer:
        """A slot of the optimiser, as large as the parameters."""
        name = f"slot.{name}"
        return self.named.get(name) or self.buffer(name, self.parameter_elements, kind="slots")

    def state(self, node: Node, key: str) -> At:
        name = node.array(key)
        return At(self.part(self._flat_state, name, self.states[name]))

    def _aliases(self) -> dict[int, int]:
        """For each value the first value that is the same memory: rearrangements that move nothing make no buffer of their own."""
        first = {value.index: value.index for value in self.graph.values}
        for node in self.graph.nodes:
            if self.leaves_out(node) or (isinstance(node.layer, Rearrangement) and not self.moves(node)):
                first[node.output.index] = first[node.input.index]
        return first

    def same(self, one: Value, other: Value) -> bool:
        """Whether two values are the same memory."""
        return self._first[one.index] == self._first[other.index]

    def _reads_input(self, node: Node) -> bool:
        """Whether a layer that makes a value of its own reads the input."""
        return self._first[node.output.index] != 0 and any(self._first[value.index] == 0 for value in node.inputs)

    def leaves_out(self, node: Node) -> bool:
        """Whether this form has no such layer: dropout in the test form."""
        return not self.train and isinstance(node.layer, Pointwise) and node.layer.identity_in_test

    @property
    def input_is_flat(self) -> bool:
        """Whether the input image is kept in C order, as vectors: all its readers flatten it."""
        readers = self.graph.consumers(self.graph.input)
        return bool(readers) and all(len(node.output.shape) == 1 and isinstance(node.layer, Rearrangement) for node in readers)

    def moves(self, node: Node) -> bool:
        """Whether a rearrangement changes the order in memory: images are channels last, vectors are in C order of the interface."""
        if node.input.shape == node.output.shape or (node.input.index == 0 and self.input_is_flat):
            return False
        return is_turned(node.input.shape) or is_turned(node.output.shape)

    def value(self, value: Value) -> Buffer:
        """The batch of a value. `x` and `scores` last as long as the plan; the others share the arena."""
        index = self._first[value.index]
        if index not in self._values:
            ends = {self.graph.input.index: "x", self.graph.output.index: "scores"}
            names = [name for end, name in ends.items() if self._first[end] == index]
            count = max(self.batch * self.row_stride(value), 1)
            made = Buffer(names[0] if names else f"v{index}", count, self.itemsize, "result" if names else "value")
            self.named.update(dict.fromkeys(names, made))
            self._values[index] = made
        return self._values[index]

    def row_stride(self, value: Value) -> int:
        """Elements from one row of a value to the next. Those of an input that products alone read are a line further apart where they
        would lie on the same few sets of the cache: their columns are read row by row."""
        count = size(value.shape)
        apart = self._first[value.index] == 0 and self._for_products and count * self.itemsize % SET_STRIDE == 0
        return count + (CACHE_LINE // self.itemsize if apart else 0)

    def wants_gradient(self, value: Value) -> bool:
        """The input's gradient is computed only where it is asked for; where an update follows, that of any value only where a layer
        before it is trained."""
        if self.update:
            return value.index in self._trained_values
        return self._first[value.index] != 0 or self.input_gradient

    def _behind_trained(self) -> set[int]:
        """The values that depend on a trained array."""
        found: set[int] = set()
        for node in self.graph.nodes:
            if self.is_trained(node) or any(value.index in found for value in node.inputs):
                found.add(node.output.index)
        return found

    def is_trained(self, node: Node) -> bool:
        """Whether gradients of a layer's parameters are needed: it has some, and no update leaves them out."""
        return bool(node.parameters) and not (self.update and node.frozen)

    def shared(self, name: str, count: int) -> Buffer:
        """A value buffer that several launches name."""
        return self._shared.setdefault(name, Buffer(name, max(count, 1), self.itemsize))

    def constants(self, name: str, values: tuple[int, ...]) -> Buffer:
        """A buffer of 64-bit words that never change."""
        if name not in self.named:
            self.buffer(name, len(values), 8, "constants")
            self.constant_words[name] = values
        return self.named[name]

    # launches

    def library(self, file: str, name: str) -> Entry:
        """A kernel of the library in this plan's element type."""
        text = _library_text(file)
        return Entry(text if self.itemsize == 4 else text.replace("netspec.kernels.f32", "netspec.kernels.f64"), name)

    def emitted(self, templates: list[Template], body: str) -> str:
        return module_text(self.itemsize, templates, body)

    def launch(
        self, label: str, section: Section, kernel: Entry, words: Iterable[Word], tasks: int, *,
        reads: Iterable[Buffer], writes: Iterable[Buffer], flops: int = 0, layers: Iterable[str] = (), cut: Cut | None = None,
        own: Iterable[Buffer] = (), first: bool = False, later: bool = False, exchanged: Buffer | None = None,
    ) -> None:  # fmt: skip
        """Appends a launch; the control block is its first word. One that is `first` needs parameters alone; one that comes `later` is
        appended by `catch_up`. What is `exchanged` is complete once every process has its part."""
        launch = Launch(
            label, section, kernel, (At(self.control), *words), tasks, tuple(reads), tuple(writes), flops, tuple(layers), cut, tuple(own),
            exchanged,
        )  # fmt: skip
        (self.first_launches if first else self._later if later else self.launches).append(launch)

    def catch_up(self) -> None:
        """Appends what was put off: gradients of weights, which nothing but the update waits for."""
        self.launches += self._later
        self._later = []

    def writer(self, buffer: Buffer) -> Launch | None:
        """The last launch so far that writes a buffer."""
        return next((launch for launch in reversed(self.launches) if buffer in launch.writes), None)

    def work(self, name: str, count: int) -> Buffer:
        """Scratch of one launch."""
        return self.buffer(f"work.{name}", count)

    def row_tasks(self, shape: Shape, work: float, grain: float) -> int:
        """Tasks of a launch over the batch's rows: those of all images where rows are images, else by its own work."""
        return self._image_tasks if len(shape) == 3 and self._image_tasks > 1 else min(self.batch, tasks_for(work, grain))


def columns_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """(columns, rows a batch row) of a value seen as a matrix: features, or channels by pixels."""
    return shape[0], prod(shape[1:])


def is_turned(shape: Shape) -> bool:
    """Whether channels last is another order than that of the interface."""
    return len(shape) == 3 and shape[0] > 1 and shape[1] * shape[2] > 1
