"""The plan: a table of launches over one arena, and what runs parts of it."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

import netspec.kernels
from netspec.base.errors import NetspecError
from netspec.kernels import store as kernel_store
from netspec.kernels.compile import ensure
from netspec.kernels.launch import SECTIONS, At, Buffer, Entry, Lowered, Section, Word, float_bits
from netspec.kernels.native import ROWS, SEED, START, TEAM_WORDS
from netspec.kernels.store import Addresses
from netspec.plan.arena import Arena, place
from netspec.plan.memory import aligned
from netspec.plan.pace import Pace
from netspec.plan.store import Store
from netspec.plan.waves import Wave, in_waves

RUN_PATIENCE, TRAIN_PATIENCE = 1 << 15, 1 << 19  # reads, 20 us and 0.3 ms or so: how long a call's first thread waits for the others
STAGED = 8192
"""Elements that are copied sooner than an array's address is found."""
DTYPES = {4: np.float32, 8: np.float64}
ALONE_SECONDS, ALONE_RATE, ALONE_BANDWIDTH = 8e-6, 1e11, 1e11
"""Work for which threads are not started, by what one core does: FLOP/s, and bytes of weights per second. Starting them takes 1 to 2 us
where they still spin, and 10 to 50 where they sleep."""


@cache
def driver_source() -> str:
    """The kernel source of the driver."""
    return (Path(netspec.kernels.__file__).parent / "library" / "driver.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Driver:
    """The compiled driver's functions (see library/driver.py): they run without Python's lock."""

    run: Callable[[int, int, int, int, int, int], None]
    train: Callable[[int], int]
    order_of_epoch: Callable[[int, int, int, int, int], None]


@cache
def driver() -> Driver:
    """The compiled driver. Linking it may start the thread pool, which then is this process's."""
    addresses, word = kernel_store.load(driver_source()), ctypes.c_int64
    return Driver(
        ctypes.CFUNCTYPE(None, *[word] * 6)(addresses["run"]),
        ctypes.CFUNCTYPE(word, word)(addresses["train"]),
        ctypes.CFUNCTYPE(None, *[word] * 5)(addresses["order_of_epoch"]),
    )


def shuffle(order: NDArray[np.int64], rows: NDArray[np.int64], seed: int, epoch: int) -> None:
    """Makes `order` what `Plan.train` makes of it at the start of an epoch: a shuffle of `rows` that depends on rows, seed and epoch."""
    assert order.shape == rows.shape
    assert order.flags.c_contiguous
    assert rows.flags.c_contiguous
    driver().order_of_epoch(order.ctypes.data, rows.ctypes.data, len(rows), int(np.uint64(seed).view(np.int64)), epoch)


def thread_count(wanted: int | None) -> int:
    """How many threads a call may use: what is wanted, at most numba's; unless said otherwise one for each core that this process may use
    now, which can be fewer than when numba was loaded."""
    most = int(numba.config.NUMBA_NUM_THREADS)
    if wanted is None and hasattr(os, "sched_getaffinity"):
        wanted = len(os.sched_getaffinity(0))
    return max(1, min(wanted or most, most))


_forked_with_threads = False
_one_at_a_time = threading.Lock()
_side_by_side = nullcontext()
_asked = threading.local()  # for how many threads: numba's number belongs to each Python thread, and to set it takes 0.8 us


def thread_pool(threads: int) -> AbstractContextManager[object]:
    """Around a native call. OpenMP's threads do not survive fork: the child would hang or be ended without a word, so it is refused there.
    numba's workqueue layer, used where there is neither OpenMP nor TBB, aborts when two Python threads enter it: they take turns."""
    if threads == 1:
        return _side_by_side
    require_threads()
    if getattr(_asked, "threads", 0) != threads:
        numba.set_num_threads(threads)
        _asked.threads = threads
    return _one_at_a_time if _is_workqueue() else _side_by_side


def require_threads() -> None:
    """Raises NetspecError in a process that was forked from one whose threads had been started, by netspec or by other code of numba's."""
    if _forked_with_threads:
        raise NetspecError(
            "this process was forked after netspec had started its threads, and they do not survive a fork: start workers by the method "
            'spawn or forkserver (multiprocessing.get_context("spawn")), or compile the model with threads=1'
        )


def _after_fork() -> None:
    """In a child. The lock may have been held by a thread that does not exist here."""
    global _one_at_a_time, _forked_with_threads
    _one_at_a_time = threading.Lock()
    _forked_with_threads = _forked_with_threads or _layer() not in (None, "workqueue")  # whose threads numba starts anew


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _layer() -> str | None:
    """numba's threading layer; None before its threads are started."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return None


def _is_workqueue() -> bool:
    return _layer() in (None, "workqueue")  # before the first parallel call the layer is not chosen yet: that one goes alone


@dataclass(frozen=True)
class Layout:
    """A plan before it has memory: the launches and where their buffers will lie."""

    lowered: Lowered
    waves: tuple[Wave, ...]
    arena: Arena
    batch: int
    itemsize: int

    @property
    def own(self) -> list[Buffer]:
        """Buffers that last as long as the plan and belong to it alone."""
        distinct = {buffer: None for buffer in self.lowered.named.values() if buffer.kind in ("result", "constants")}
        return list(distinct)

    @property
    def own_bytes(self) -> int:
        """Bytes of the arena, of the plan's own buffers, and of the words by which its threads meet."""
        return self.arena.bytes + 8 * TEAM_WORDS + sum(-(-buffer.bytes // 64) * 64 for buffer in self.own)

    def bytes_by_layer(self) -> dict[str, tuple[int, int]]:
        """Bytes of the buffers that the forward and the backward pass of each layer write first, by name; the input's under `input`, those
        of the loss and the update under `loss`. Layers that are computed together keep the last one's result alone. Buffers that do not
        live at once share memory: the arena is smaller than their sum."""
        found: dict[str, tuple[int, int]] = {}
        new = {life.buffer for life in self.arena.lives}
        for launch in self.lowered.launches:
            given = (word.buffer for word in launch.words if isinstance(word, At))
            ahead = launch.section == "forward"
            name = (launch.layers[-1] if ahead else launch.layers[0]) if launch.layers else "input" if ahead else "loss"
            for buffer in (*launch.reads, *launch.writes, *given):
                if buffer in new:
                    new.remove(buffer)
                    forward, backward = found.get(name, (0, 0))
                    found[name] = (forward + buffer.bytes, backward) if ahead else (forward, backward + buffer.bytes)
        return found

    @property
    def flops(self) -> int:
        return sum(launch.flops for launch in self.lowered.launches)

    @property
    def rows_alone(self) -> int:
        """How many rows one thread passes through before a second one would have helped."""
        left = ALONE_SECONDS - self.lowered.parameter_elements * self.itemsize / ALONE_BANDWIDTH
        return int(max(0.0, left) * ALONE_RATE * self.batch / max(1, self.flops))

    @property
    def sources(self) -> list[str]:
        """Every kernel source that the launches need, each once."""
        found: dict[str, None] = {}
        for launch in self.lowered.launches:
            found[launch.kernel.source] = None
            found.update((word.source, None) for word in launch.words if isinstance(word, Entry))
        return list(found)

    def __str__(self) -> str:
        """A line a launch, in waves: what (`>`: each task after the same task of the launch before), over which layers, tasks, FLOPs, bytes
        read and written once, buffers. Then each buffer's place."""
        lines = [f"batches of at most {self.batch} rows, float{8 * self.itemsize}"]
        lines.append(f"{'':>3}  {'section':<10} {'launch':<40} {'tasks':>5} {'MFLOP':>9} {'MB':>9}  buffers")
        starts = {wave.first: number for number, wave in enumerate(self.waves)}
        goes_on = {number for wave in self.waves for chain in wave.chains for number in range(chain.first + 1, chain.last)}
        for number, launch in enumerate(self.lowered.launches):
            if number in starts:
                lines.append(f"wave {starts[number]}")
            reads = ", ".join(dict.fromkeys(buffer.name for buffer in launch.reads))
            writes = ", ".join(dict.fromkeys(buffer.name for buffer in launch.writes))
            flops = f"{launch.flops / 1e6:,.3f}" if launch.flops else ""
            label = f"{'> ' if number in goes_on else ''}{launch.label}"
            what = f"{number:>3}  {launch.section:<10} {label:<40} {launch.tasks:>5} {flops:>9} {launch.bytes / 1e6:>9.3f}"
            lines.append(f"{what}  {reads} -> {writes}")
            if launch.layers:
                lines.append(f"{'':>16}{' '.join(launch.layers)}")
        lines.append("")
        lines.append(f"{'buffer':<24} {'elements':>12} {'bytes':>14}  place")
        for life in sorted(self.arena.lives, key=lambda one: (self.arena.offsets[one.buffer], one.first)):
            place = f"arena +{self.arena.offsets[life.buffer]:,}, waves {life.first} to {life.last}"
            lines.append(f"{life.buffer.name:<24} {life.buffer.count:>12,} {life.buffer.bytes:>14,}  {place}")
        for buffer in self.own:
            lines.append(f"{buffer.name:<24} {buffer.count:>12,} {buffer.bytes:>14,}  own")
        separate = sum(life.buffer.bytes for life in self.arena.lives)
        lines.append(f"arena {self.arena.bytes:,} bytes for {len(self.arena.lives)} buffers of {separate:,} bytes together")
        return "\n".join(lines)


def lay_out(lowered: Lowered, batch: int, itemsize: int) -> Layout:
    """Places the buffers; allocates nothing."""
    launches, waves = in_waves(lowered.launches)
    return Layout(replace(lowered, launches=launches), waves, place(launches, waves), batch, itemsize)


class Plan:
    """A layout with memory and compiled kernels, over the buffers of a store. Calls run sections of the table."""

    def __init__(self, layout: Layout, store: Store, threads: int) -> None:
        self.layout, self.store, self.threads = layout, store, threads
        self.batch = layout.batch
        self._rows_alone = layout.rows_alone
        self.pace = Pace(threads if any(wave.tasks > 1 for wave in layout.waves) else 1)
        """Of training steps."""
        self._paces: dict[tuple[int, tuple[Section, ...]], Pace] = {}
        self._arena = aligned(max(layout.arena.bytes, 1), np.uint8)
        dtype = DTYPES[layout.itemsize]
        self._results: dict[Buffer, NDArray[Any]] = {}
        for buffer in layout.own:
            self._results[buffer] = aligned(buffer.count, dtype if buffer.itemsize == layout.itemsize else np.int64)
        for name, values in layout.lowered.constants.items():
            self._results[layout.lowered.named[name]] = np.asarray(values, np.int64)
        self._build_table()
        self._bound: dict[str, NDArray[Any]] = {}
        self._natural = np.arange(self.batch, dtype=np.int64)
        self._staged: NDArray[Any] | None = None
        self._is_staged = False

    def _build_table(self) -> None:
        launches = self.layout.lowered.launches
        starts = np.cumsum([0, *(len(launch.words) for launch in launches)])
        self._words = aligned(int(starts[-1]), np.int64)
        self.table = np.zeros((len(launches), 2), np.int64)
        self._patches: dict[str, list[int]] = {}
        ensure(self.layout.sources)
        modules = {source: kernel_store.load(source) for source in self.layout.sources}
        for number, launch in enumerate(launches):
            for offset, word in enumerate(launch.words):
                at = int(starts[number]) + offset
                if isinstance(word, At) and word.buffer.kind == "data":
                    self._patches.setdefault(word.buffer.name, []).append(at)
                else:
                    self._words[at] = self._resolve(word, modules)
            function = modules[launch.kernel.source][launch.kernel.name]
            self.table[number] = (function, self._words.ctypes.data + 8 * int(starts[number]))
        waves = self.layout.waves
        chains = [chain for wave in waves for chain in wave.chains]
        ends = np.cumsum([0, *(len(wave.chains) for wave in waves)])
        self._chains = np.array([(chain.first, chain.last, chain.tasks) for chain in chains], np.int64).reshape(-1, 3)
        self._waves = np.array([(*pair, wave.tasks) for *pair, wave in zip(ends, ends[1:], waves, strict=False)], np.int64).reshape(-1, 3)
        self._tables = np.array([table.ctypes.data for table in (self.table, self._chains, self._waves)], np.int64)
        self._team = aligned(TEAM_WORDS, np.int64)
        self._tables_at, self._team_at = int(self._tables.ctypes.data), int(self._team.ctypes.data)
        self._shared_before = np.cumsum([0, *(wave.tasks > 1 for wave in waves)]).tolist()  # waves for several threads before each
        self._sections = {section: self._range(section) for section in SECTIONS}

    def _range(self, section: Section) -> tuple[int, int]:
        places = [number for number, wave in enumerate(self.layout.waves) if wave.section == section]
        return (places[0], places[-1] + 1) if places else (0, 0)

    def _resolve(self, word: Word, modules: dict[str, Addresses]) -> int:
        if isinstance(word, float):
            return float_bits(word)
        if isinstance(word, int):
            return word
        if isinstance(word, Entry):
            return modules[word.source][word.name]
        return self._address(word.buffer) + word.offset * word.buffer.itemsize

    def _address(self, buffer: Buffer) -> int:
        if buffer.flat is not None:
            return self._address(buffer.flat) + buffer.start * buffer.itemsize
        if buffer.kind == "value":
            return int(self._arena.ctypes.data) + self.layout.arena.offsets[buffer]
        if buffer.kind in ("result", "constants"):
            return int(self._results[buffer].ctypes.data)
        return int(self.store.flat(buffer.name).ctypes.data)

    def array(self, name: str) -> NDArray[Any]:
        """A result of the plan by name (`scores`, `dscores`, `dx`, `x`, `y`, `loss`, `row_losses`), whole, as the kernels see it."""
        return self._results[self.layout.lowered.named[name]]

    @property
    def weighted(self) -> bool:
        return "row_weights" in self.layout.lowered.named

    def bind(self, **data: NDArray[Any]) -> None:
        """The caller's arrays: `x`, `y`, `weights` (contiguous, in the plan's dtypes) and `order` (int64). They are kept until rebound."""
        self._is_staged = False
        for name, array in data.items():
            key = name if name == "order" else f"data.{name}"
            if not array.flags.c_contiguous:
                raise AssertionError(f"{name} is not contiguous")
            for at in self._patches.get(key, ()):
                self._words[at] = array.ctypes.data
            self._bound[key] = array

    def bind_weights(self, weights: NDArray[Any] | None) -> None:
        """The weights of the bound rows, where the plan weighs them; None: all count alike."""
        if self.weighted:
            self.bind(weights=np.ones(len(self._bound["data.x"]), self._bound["data.x"].dtype) if weights is None else weights)

    def bind_first(self, x: NDArray[Any]) -> None:
        """`x`, whose first rows, at most the plan's, are then the rows of a run in their order."""
        if x.size > STAGED:
            self.bind(x=x, order=self._natural)
            return
        if self._staged is None:
            self._staged = aligned(STAGED, x.dtype)
        if not self._is_staged:
            self.bind(x=self._staged, order=self._natural)
            self._is_staged = True
        self._staged[: x.size] = x.reshape(-1)

    def release(self) -> None:
        """Lets go of the caller's arrays; they are bound anew before they are read again."""
        self._bound.clear()

    def run_waves(self, first: int, last: int, threads: int, *, together: bool = False) -> None:
        """Waves `first` to `last` natively, as the control block stands; inside `thread_pool`. One thread goes alone where no wave has
        several tasks, unless they are to go `together`."""
        several = threads > 1 and (together or self._shared_before[last] > self._shared_before[first])
        driver().run(self._tables_at, first, last, threads if several else 1, self._team_at, RUN_PATIENCE)

    def run(self, rows: int, start: int, *sections: Section) -> None:
        """Runs sections, in the order given, on rows start..start+rows of the bound order."""
        control = self.store.control
        control[ROWS], control[START] = rows, start
        if self.threads == 1 or rows <= self._rows_alone:
            self._run(sections, 1)
            return
        kind = rows.bit_length(), sections
        pace = self._paces.get(kind) or self._paces.setdefault(kind, Pace(self.threads))
        began = time.perf_counter()
        self._run(sections, pace.threads)
        pace.note(rows, time.perf_counter() - began)

    def _run(self, sections: tuple[Section, ...], threads: int) -> None:
        with thread_pool(threads):
            for section in sections:
                self.run_waves(*self._sections[section], threads)

    def train(
        self, epoch: int, rows: NDArray[np.int64], starts: NDArray[np.int64], counts: NDArray[np.int64], scalars: NDArray[np.float64],
        losses: NDArray[np.float64],
    ) -> int:  # fmt: skip
        """Training steps on the bound data, natively; returns how many were done (less than asked: a loss was not finite).

        The bound order becomes a shuffle of `rows` whenever a start is 0, unless the epoch is negative.
        """
        waves = self.layout.waves
        backward = next((number for number, wave in enumerate(waves) if wave.section in ("backward", "update")), len(waves))
        order, control = self._bound["order"], self.store.control
        threads = self.pace.threads
        given = (rows, starts, counts, scalars, losses)
        assert all(array.flags.c_contiguous and array.itemsize == 8 for array in given)
        words = np.array(
            [
                self._tables.ctypes.data, backward, len(waves), control.ctypes.data, self.array("loss").ctypes.data, control[SEED], epoch,
                order.ctypes.data, len(order), rows.ctypes.data, len(rows), starts.ctypes.data, counts.ctypes.data,
                scalars.ctypes.data, scalars.shape[1], losses.ctypes.data, len(starts), threads, self._team.ctypes.data, TRAIN_PATIENCE, 0,
            ], np.int64,
        )  # fmt: skip
        began = time.perf_counter()
        with thread_pool(threads):
            done = driver().train(words.ctypes.data)
        self.pace.note(done, time.perf_counter() - began)
        return done
