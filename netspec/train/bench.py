"""How long a training step takes, and each launch of it: a throwaway network trained on drawn rows, by the path that training takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DivergedError
from netspec.graph.graph import Graph
from netspec.kernels.launch import Buffer, Launch
from netspec.kernels.native import ROWS, START
from netspec.plan.network import Network, train_rows
from netspec.plan.plan import Plan, thread_pool
from netspec.train.loop import Schedule

DRAWN_ROWS = 2000
"""Rows in memory that batches are drawn from; a batch, where it is larger."""
LEAST_PIECES = 5
WARM_UP = 4
LEAST_PASSES, MOST_PASSES = 20, 2000
MOST_RESTARTS = 3
BY_ROWS = ("forward", "loss", "backward")
"""Sections whose work grows with the rows of a batch; that of the others is fixed by the parameters."""


def drawn_rows(graph: Graph, count: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Normal rows (count, ...) in float32, and labels that fit the head: class numbers (count,), else (count, ...) of the scores' shape."""
    generator = np.random.default_rng([seed, 4])
    x = generator.standard_normal((count, *graph.input.shape), np.float32)
    shape = (count, *graph.output.shape)
    if graph.loss.target == "class":
        return x, generator.integers(0, graph.classes, count)
    if graph.head.target == "binary":
        return x, generator.integers(0, 2, shape)
    return x, generator.standard_normal(shape)


def rows_needed(batch: int) -> int:
    """How many rows a benchmark of this batch draws from."""
    return max(DRAWN_ROWS, batch)


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a step, one figure for each piece of steps that ran natively in one call; `steps` counts the steps of all of them.

    `threads` is the faster of all threads and one, as training chooses it; only pieces that ran on so many are counted.
    """

    seconds: tuple[float, ...]
    steps: int
    batch: int
    threads: int

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def least(self) -> float:
        return min(self.seconds)

    @property
    def most(self) -> float:
        return max(self.seconds)

    @property
    def rows_per_second(self) -> float:
        return self.batch / self.median


class Benchmark:
    """A network bound to drawn rows. Measuring trains it: it is good for nothing else."""

    def __init__(self, network: Network) -> None:
        self.network, self.batch = network, network.settings.batch
        x, y = drawn_rows(network.graph, rows_needed(self.batch), network.settings.seed)
        self._x, self._y = np.ascontiguousarray(x, network.dtype), network.labels_to_layout(y)
        self._index = np.arange(len(x), dtype=np.int64)
        self._order = self._index.copy()
        self._schedule = Schedule(network.settings.optimizer, 1, self.batch)
        self._step, self._restarts = 0, 0
        self.plan: Plan = network.plan(train_rows(network.graph, network.settings))

    def steps(self, seconds: float) -> StepTimes:
        """Pieces of steps for about so long, at least five, after a warm-up. Raises DivergedError where even fresh weights diverge."""
        pace, found = self.plan.pace, []
        for _ in range(WARM_UP):
            self._piece(1)
        end, tried = time.perf_counter() + seconds, 0
        while time.perf_counter() < end or tried < LEAST_PIECES + 2:
            threads, count = pace.threads, pace.steps()
            found.append((threads, count, self._piece(count)))
            tried += 1
        counted = [(count, took) for threads, count, took in found if threads == pace.best]
        each = tuple(took / count for count, took in counted)
        return StepTimes(each, sum(count for count, _ in counted), self.batch, pace.best)

    @property
    def rows_bytes(self) -> int:
        """Memory that the drawn rows and their labels take."""
        return self._x.nbytes + self._y.nbytes

    def first_step(self) -> float:
        """Seconds of one step on all threads."""
        return self._piece(1)

    def _piece(self, count: int) -> float:
        """Seconds of so many steps in one native call: shuffle at an epoch's start, gather, forward, loss, backward, update."""
        network, plan, store = self.network, self.plan, self.network.store
        starts = (self._step + np.arange(count, dtype=np.int64)) % (len(self._x) // self.batch) * self.batch
        counts, losses = np.full(count, self.batch, np.int64), np.empty((count, 2))
        scalars = self._schedule.scalars(store.step + 1, count, 1)
        began = time.perf_counter()
        with network.lock:
            self._bind()
            done = plan.train(1, self._index, starts, counts, scalars, losses)
        seconds = time.perf_counter() - began
        self._step += count
        if done == count:
            return seconds
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise DivergedError("the loss of drawn rows is not finite after a few steps: use a smaller learning rate (train.optimizer)")
        network.initialize(network.settings.seed)
        return self._piece(count)

    def _bind(self) -> None:
        self.plan.bind(x=self._x, y=self._y, order=self._order)
        self.plan.bind_weights(None)
        self.network.store.update_state(True)

    def launches(self, threads: int, seconds: float) -> list[LaunchTime]:
        """The launches of a step with their times, by section and in order."""
        with self.network.lock:
            self._bind()
            times = launch_seconds(self.plan, self.batch, threads, seconds)
        launches = self.plan.layout.lowered.launches
        found = []
        for places, taken in times:
            joined = tuple(launches[place] for place in places)
            flops, moved = sum(map(self._flops, joined)), sum(map(self._bytes, joined))
            found.append(LaunchTime(joined, taken, flops, moved))
        return found

    @property
    def flops(self) -> float:
        """FLOPs of a step of `batch` rows; the plan may have room for one more."""
        return sum(map(self._flops, self.plan.layout.lowered.launches))

    def _flops(self, launch: Launch) -> float:
        return launch.flops * (self.batch / self.plan.batch if launch.section in BY_ROWS else 1.0)

    def _bytes(self, launch: Launch) -> float:
        """Memory that a launch reads and writes, each place once, without its scratch."""
        return sum(self._touched(buffer) for buffer in {*launch.reads, *launch.writes} if not buffer.name.startswith("work"))

    def _touched(self, buffer: Buffer) -> float:
        """Bytes of a buffer that a launch touches: of the caller's arrays the batch's rows."""
        if buffer.flat is not None:
            return buffer.bytes
        if buffer.kind == "data":
            rows = {"data.x": self._x, "data.y": self._y}.get(buffer.name, self._order)
            return rows[: self.batch].nbytes
        if buffer.kind in ("value", "result"):
            return buffer.bytes * self.batch / self.plan.batch
        return buffer.bytes


@dataclass(frozen=True)
class LaunchTime:
    """Launches that run side by side or one behind the other without a stop: seconds, FLOPs, and bytes read and written once, of a
    step's rows."""

    launches: tuple[Launch, ...]
    seconds: float
    flops: float
    bytes: float

    @property
    def section(self) -> str:
        return self.launches[0].section

    @property
    def what(self) -> str:
        return " + ".join(launch.label for launch in self.launches)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for launch in self.launches for name in launch.layers))

    @property
    def tasks(self) -> int:
        return sum(launch.tasks for launch in self.launches)

    @property
    def flops_per_second(self) -> float:
        return self.flops / max(self.seconds, 1e-9)

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / max(self.seconds, 1e-9)


def launch_seconds(
    plan: Plan, rows: int, threads: int, seconds: float, only: Sequence[int] | None = None
) -> list[tuple[tuple[int, ...], float]]:
    """Median seconds of each wave, with the places of its launches in the plan's list.

    All waves run in order, as in a step, so that each finds in the caches what it finds in training; at least 20 passes, and more for
    as long as `seconds` allow. With `only` the other waves run once, and those are repeated. What calling nothing takes, alone or
    together, is subtracted.
    The plan's rows must be bound; parameters move.
    """
    control, run, count = plan.store.control, plan.run_waves, len(plan.layout.waves)
    control[ROWS], control[START] = rows, 0
    places = list(range(count)) if only is None else list(only)
    passes: list[list[int]] = []
    with thread_pool(threads):
        run(0, count, threads)
        end = time.perf_counter() + seconds
        while len(passes) < LEAST_PASSES or (time.perf_counter() < end and len(passes) < MOST_PASSES):
            taken = []
            for place in places:
                began = time.perf_counter_ns()
                run(place, place + 1, threads)
                taken.append(time.perf_counter_ns() - began)
            for together in (False, True):
                began = time.perf_counter_ns()
                run(0, 0, threads, together=together)
                taken.append(time.perf_counter_ns() - began)
            passes.append(taken)
    *each, alone, together = np.median(np.array(passes), axis=0) * 1e-9
    waves = [plan.layout.waves[place] for place in places]
    nothing = [alone if wave.tasks == 1 else together for wave in waves]
    found = zip(waves, each, nothing, strict=True)
    return [(tuple(range(wave.first, wave.last)), max(0.0, float(one - call))) for wave, one, call in found]
