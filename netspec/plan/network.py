"""A graph with its memory: parameters and the plans that compute with them, made when first needed."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.clip import Clip
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError
from netspec.base.initializer import Initializer
from netspec.base.layer import Parameter
from netspec.base.mapped import RowReader
from netspec.base.memory import SHARE, available_bytes
from netspec.base.optimizer import Optimizer
from netspec.base.shape import Shape, size
from netspec.base.transform import Augmentation
from netspec.frontend.settled import default_init
from netspec.graph.graph import Graph, Node
from netspec.groups.groups import Grouping, group
from netspec.kernels.compile import ensure
from netspec.kernels.context import Share, Update
from netspec.kernels.lower import lower
from netspec.kernels.native import CONTROL_WORDS
from netspec.plan.page import plan_page
from netspec.plan.plan import Layout, Plan, driver_source, lay_out, thread_count
from netspec.plan.store import Store

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
CHUNK_BYTES = 16 << 20
MOST_CHUNK_ROWS = 1024
FEW_ROWS = (8, 32, 128)
"""Rows of further plans of the test form: tasks that are cut for a thousand rows leave a single one to one thread."""


@dataclass(frozen=True)
class Settings:
    """What a network needs beside its graph."""

    optimizer: Optimizer
    batch: int
    l2: float = 0.0
    clip: Clip | None = None
    dtype: str = "float32"
    seed: int = 0
    threads: int | None = None
    fuse: bool = True
    drop_last: bool = False
    weighted: bool = False
    """Whether rows always have weights: those of their classes."""
    augmentations: tuple[Augmentation, ...] = ()
    share: Share | None = None
    """Which part of each batch of training this process computes; None: all of it."""


def plan_layout(
    grouping: Grouping, settings: Settings, rows: int, *, train: bool = True, gradients: bool = False, input_gradient: bool = False,
    weighted: bool = False, whole: Graph | None = None,
) -> Layout:  # fmt: skip
    """Groups to launches to places, for batches of at most `rows`; nothing is allocated. The train form updates, or with `gradients` or
    `input_gradient` keeps its gradients."""
    itemsize = np.dtype(settings.dtype).itemsize
    updates = train and whole is None and not gradients and not input_gradient
    straight = settings.fuse and settings.clip is None and settings.share is None
    made = Update(settings.optimizer, settings.l2, straight, settings.clip, settings.augmentations, settings.share)
    update = made if updates else None
    lowered = lower(
        grouping, rows, itemsize, update=update, l2=settings.l2, train=train, input_gradient=input_gradient, weighted=weighted, whole=whole,
        workers=thread_count(settings.threads),
    )  # fmt: skip
    return lay_out(lowered, rows, itemsize)


def beginning(grouping: Grouping, until: Node, fuse: bool) -> Grouping:
    """The groups of the graph up to a layer, whose output is then the scores."""
    graph = grouping.graph
    nodes = graph.nodes[: graph.nodes.index(until) + 1]
    return group(replace(graph, nodes=nodes, values=graph.values[: until.output.index + 1]), fuse)


def train_rows(graph: Graph, settings: Settings) -> int:
    """Rows of the largest batch, or of this process's part of it: a last batch of one row joins the one before it where some bn sees
    vectors."""
    rows = settings.batch + (1 if graph.normalizes_vectors and not settings.drop_last else 0)
    return rows if settings.share is None else settings.share.most(rows)


def chunk_rows(graph: Graph, settings: Settings) -> int:
    """Rows that the test form takes at once, so that its memory is bounded."""
    widest = sum(size(value.shape) for value in graph.values) * np.dtype(settings.dtype).itemsize
    return max(1, min(MOST_CHUNK_ROWS, CHUNK_BYTES // max(widest, 1)))


@dataclass(frozen=True, repr=False)
class TrainingPlan:
    """What training allocates, known before it does: the step's plan, the evaluation's, parameters with slots, and the copy of the
    best parameters."""

    train: Layout
    test: Layout
    store_bytes: int
    best_bytes: int

    @property
    def peak_bytes(self) -> int:
        return self.train.own_bytes + self.test.own_bytes + self.store_bytes + self.best_bytes

    @property
    def flops(self) -> int:
        """FLOPs of a training step on a full batch."""
        return self.train.flops

    def __str__(self) -> str:
        return (
            f"{self.train}\n{_mega(self.peak_bytes)} at most: step {_mega(self.train.own_bytes)}, evaluation {_mega(self.test.own_bytes)}, "
            + (f"parameters and optimiser {_mega(self.store_bytes)}, best parameters {_mega(self.best_bytes)}")
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows: each launch of a step, the memory, and where the buffers lie."""
        parts = {
            "a step": self.train.own_bytes, "evaluation": self.test.own_bytes, "parameters, optimiser": self.store_bytes,
            "best parameters": self.best_bytes,
        }  # fmt: skip
        return plan_page(self.train, parts)


def _mega(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"


def training_plan(grouping: Grouping, settings: Settings) -> TrainingPlan:
    """The layouts of training; allocates nothing."""
    graph = grouping.graph
    train = plan_layout(grouping, settings, train_rows(graph, settings), weighted=settings.weighted)
    test = plan_layout(grouping, settings, chunk_rows(graph, settings), train=False)
    lowered, itemsize = train.lowered, np.dtype(settings.dtype).itemsize
    best = (lowered.parameter_elements + lowered.state_elements) * itemsize
    # parameters and averages once, slots as large as the parameters, the control block
    store = best + len(lowered.slot_names) * lowered.parameter_elements * itemsize + 8 * CONTROL_WORDS
    return TrainingPlan(train, test, store, best)


def check_memory(needed: int) -> None:
    """Raises LimitError where a plan needs more bytes than 60 % of the memory that is left for this process."""
    available = available_bytes()
    if needed > SHARE * available:
        limit = f"{SHARE:.0%} of the {_mega(available)} available to this process"
        message = f"the plan needs {_mega(needed)}, and the limit is {limit}"
        raise LimitError([Diagnostic("NS807", message, help="make the batch smaller (train.batch), or the layers narrower")])


def _exclusive(method: Callable[Concatenate[Network, Arguments], Result]) -> Callable[Concatenate[Network, Arguments], Result]:
    """One thread at a time."""

    @wraps(method)
    def alone(self: Network, /, *given: Arguments.args, **named: Arguments.kwargs) -> Result:
        with self.lock:
            return method(self, *given, **named)

    return alone


class Network:
    """Parameters, state and plans of one graph. All calls take rows in the interface's layout, contiguous, in
    the network's dtype, and labels as `labels_to_layout` makes them; the kernels gather from them directly."""

    def __init__(self, grouping: Grouping, settings: Settings) -> None:
        self.grouping, self.graph, self.settings = grouping, grouping.graph, settings
        self.dtype = np.dtype(settings.dtype)
        self.threads = thread_count(settings.threads)
        self.training = training_plan(grouping, settings)
        check_memory(self.training.peak_bytes)
        self.store = Store(self.training.train.lowered, settings.dtype, settings.seed)
        self.lock = threading.RLock()
        """Held from binding rows to reading results: a plan serves one call at a time."""
        _networks.add(self)
        self._plans: dict[tuple[Any, ...], Plan] = {}
        self._test_plans: dict[int, Plan] = {}
        self.initialize(settings.seed)
        ensure([*self.training.train.sources, *self.training.test.sources, driver_source()])
        self.plan(train_rows(self.graph, settings))
        self._test_plans[self.training.test.batch] = self.plan(1, train=False)

    def __getstate__(self) -> dict[str, Any]:
        """For copies, also in other processes: plans hold addresses, and are made anew."""
        return {"grouping": self.grouping, "settings": self.settings, "kept": [array.copy() for array in self.store.kept]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Network.__init__(self, state["grouping"], state["settings"])
        for own, array in zip(self.store.kept, state["kept"], strict=True):
            own[:] = array

    # parameters

    def initialize(self, seed: int) -> None:
        """Draws all parameters anew and forgets slots, running averages and steps. Each array has a stream of its own, so that adding a
        layer behind it does not change it."""
        store = self.store
        for number, (name, parameter) in enumerate(self.graph.parameters.items()):
            if parameter.role == "weight":
                rule = parameter.init or self._default_init(name)
                generator = np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, number])
                store.parameters[name] = rule.draw(generator, parameter.shape, parameter.fan_in, parameter.fan_out)
            else:
                store.parameters[name] = _constant(parameter)
        for name, state in self.graph.state.items():
            store.state[name] = state.initial
        for slot in store.slots.values():
            slot.flat[:] = 0
        store.step, store.seed = 0, seed

    def in_dtype(self, dtype: str) -> Network:
        """The same network in another dtype, with copies of its parameters, averages and step."""
        other = Network(self.grouping, replace(self.settings, dtype=dtype))
        for own, copied in ((self.store.parameters, other.store.parameters), (self.store.state, other.store.state)):
            for name, array in own.items():
                copied[name] = array
        other.store.step, other.store.seed = self.store.step, self.store.seed
        return other

    def _default_init(self, parameter: str) -> Initializer:
        node = next(node for node in self.graph.nodes if parameter.startswith(f"{node.name}."))
        return default_init(node.next_relu_like)

    # plans

    def plan(
        self, rows: int, *, train: bool = True, gradients: bool = False, input_gradient: bool = False, weighted: bool = False,
        until: Node | None = None,
    ) -> Plan:  # fmt: skip
        """A plan for at least `rows` rows. Training and evaluation keep theirs, whatever else is computed between; of any other kind one
        is kept, for exactly as many rows: sums are cut by a plan's rows, and no earlier call may change a bit.

        Raises LimitError where it needs more memory than is left.
        """
        planned = self.training.train if train else self.training.test
        weighted = weighted or (train and until is None and self.settings.weighted)
        plain = weighted == (train and self.settings.weighted)
        own = rows <= planned.batch and not gradients and not input_gradient and plain and until is None
        key = (own, train, gradients, input_gradient, weighted, until.name if until else None)
        found = self._plans.get(key)
        if found is None or found.batch < rows or (not own and found.batch != rows):
            self._plans.pop(key, None)
            layout = planned if own else self._layout(rows, train, gradients, input_gradient, weighted, until)
            kept = self.store.parameters.flat.nbytes if (gradients or input_gradient) and not self.store.keeps_gradients else 0
            check_memory(layout.own_bytes + kept)
            found = self._plans[key] = Plan(layout, self.store, self.threads)
        return found

    def test_plan(self, rows: int) -> Plan:
        """The plan that computes the scores of so many rows, of the few that there are: the smallest that holds them, else the largest."""
        batch = largest = self.training.test.batch
        for most in reversed(FEW_ROWS):
            if rows <= most < largest:
                batch = most
        found = self._test_plans.get(batch)
        if found is None:
            layout = self._layout(batch, False, False, False, False, None)
            check_memory(layout.own_bytes)
            found = self._test_plans[batch] = Plan(layout, self.store, self.threads)
        return found

    def _layout(self, rows: int, train: bool, gradients: bool, input_gradient: bool, weighted: bool, until: Node | None) -> Layout:
        part = self.grouping if until is None else beginning(self.grouping, until, self.settings.fuse)
        whole = None if until is None else self.graph
        return plan_layout(
            part, self.settings, rows, train=train, gradients=gradients, input_gradient=input_gradient, weighted=weighted, whole=whole
        )

    # layouts

    @property
    def flat_input(self) -> bool:
        return self.training.train.lowered.input_is_flat or len(self.graph.input.shape) == 1

    def labels_to_layout(self, y: NDArray[Any]) -> NDArray[Any]:
        """Encoded labels as the loss reads them."""
        if self.graph.loss.target == "class":
            return np.ascontiguousarray(y, np.int64)
        return np.ascontiguousarray(y, self.dtype).reshape(len(y), -1)

    # computing

    def chunks(self, count: int) -> Iterator[tuple[int, int]]:
        """(start, rows) of the pieces that the test form takes."""
        step = self.plan(1, train=False).batch
        for start in range(0, count, step):
            yield start, min(step, count - start)

    @_exclusive
    def test_scores(
        self, x: NDArray[Any] | RowReader, y: NDArray[Any] | None = None, index: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[Any], float]:
        """Scores (N, ...) by the test form of the rows that `index` lists (None: all); where labels are given, the sum of their losses."""
        if not isinstance(x, np.ndarray):
            return self._read_scores(x, y, np.arange(len(x)) if index is None else index)
        if y is None and index is None and len(x) <= self.training.test.batch:
            return self._few_scores(x), 0.0
        plan = self.plan(1, train=False)
        order = np.arange(len(x), dtype=np.int64) if index is None else index
        plan.bind(x=x, order=order, **({} if y is None else {"y": y}))
        shape = self.graph.output.shape
        scores, total = np.empty((len(order), *shape), self.dtype), 0.0
        for start, rows in self.chunks(len(order)):
            plan.run(rows, start, "forward", *(("loss",) if y is not None else ()))
            scores[start : start + rows] = from_layout(plan.array("scores"), rows, shape)
            if y is not None:
                total += float(plan.array("row_losses")[:rows].sum(dtype=np.float64))
        plan.release()
        return scores, total

    def _read_scores(self, x: RowReader, y: NDArray[Any] | None, index: NDArray[np.int64]) -> tuple[NDArray[Any], float]:
        """`test_scores` of rows that are read piece by piece."""
        scores, total = np.empty((len(index), *self.graph.output.shape), self.dtype), 0.0
        for start, rows in self.chunks(len(index)):
            some = index[start : start + rows]
            part, loss = self.test_scores(x.read(some), None if y is None else np.ascontiguousarray(y[some]))
            scores[start : start + rows] = part
            total += loss
        return scores, total

    def _few_scores(self, x: NDArray[Any]) -> NDArray[Any]:
        """Scores of rows that one plan holds."""
        plan, rows = self.test_plan(len(x)), len(x)
        plan.bind_first(x)
        plan.run(rows, 0, "forward")
        scores = from_layout(plan.array("scores"), rows, self.graph.output.shape)
        plan.release()
        return scores

    @_exclusive
    def values(self, x: NDArray[Any], node: Node | None, train: bool) -> NDArray[Any]:
        """The output of a layer (None: the scores). The train form takes all rows as one batch."""
        rows = len(x) if train else min(len(x), chunk_rows(self.graph, self.settings))
        plan = self.plan(rows, train=train, until=node, input_gradient=train and node is None)
        plan.bind(x=x, order=np.arange(len(x), dtype=np.int64))
        shape = (node.output if node else self.graph.output).shape
        out = np.empty((len(x), *shape), self.dtype)
        for start in range(0, len(x), rows):
            count = min(rows, len(x) - start)
            plan.run(count, start, "forward")
            out[start : start + count] = from_layout(plan.array("scores"), count, shape)
        plan.release()
        return out

    @_exclusive
    def backward(self, dout: NDArray[Any]) -> NDArray[Any]:
        """dx in interface layout, after `values(x, None, True)` on as many rows; gradients are left in the store, without l2."""
        if not self.graph.nodes:  # the input is the scores
            return dout.copy()
        plan, rows = self.plan(len(dout), input_gradient=True), len(dout)
        target = plan.array("dscores")[: rows * size(self.graph.output.shape)]
        target[:] = (channels_last(dout) if dout.ndim == 4 else dout).reshape(-1)
        plan.run(rows, 0, "backward")
        return self.input_gradient(plan, rows)

    def input_gradient(self, plan: Plan, rows: int) -> NDArray[Any]:
        shape = self.graph.input.shape
        if self.flat_input:
            return plan.array("dx")[: rows * size(shape)].reshape(rows, *shape).copy()
        return from_layout(plan.array("dx"), rows, shape)

    @_exclusive
    def loss(
        self, x: NDArray[Any], y: NDArray[Any], *, gradients: bool = True, input_gradient: bool = False, weights: NDArray[Any] | None = None
    ) -> tuple[float, Plan]:
        """Data loss plus l2 of one batch in train form, mask of the current step; running averages stay. Gradients are in the store."""
        plan = self.plan(len(x), gradients=True, input_gradient=input_gradient, weighted=weights is not None)
        plan.bind(x=x, y=y, order=np.arange(len(x), dtype=np.int64))
        plan.bind_weights(weights)
        plan.run(len(x), 0, "forward", "loss", *(("backward",) if gradients else ()), "regularize")
        plan.release()
        return float(plan.array("loss").view(np.float64)[0]), plan


_networks: weakref.WeakSet[Network] = weakref.WeakSet()


def _after_fork() -> None:
    """In a child: threads that held a lock do not exist here."""
    for network in _networks:
        network.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _constant(parameter: Parameter) -> float:
    return parameter.constant


def channels_last(x: NDArray[Any]) -> NDArray[Any]:
    """(N, C, H, W) seen as (N, H, W, C)."""
    return x.transpose(0, 2, 3, 1)


def from_layout(flat: NDArray[Any], rows: int, shape: Shape) -> NDArray[Any]:
    """The first rows of a plan's array as (N, ...) in interface layout: a copy."""
    values = flat[: rows * size(shape)]
    if len(shape) == 3:
        channels, height, width = shape
        return np.ascontiguousarray(values.reshape(rows, height, width, channels).transpose(0, 3, 1, 2))
    return values.reshape(rows, *shape).copy()
