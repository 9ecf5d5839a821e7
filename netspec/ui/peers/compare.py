"""Step times of the same net in several libraries: each in a process of its own, processes in turn, medians compared.

Two thread pools in one process disturb each other, and a machine changes over a minute; that is why.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from netspec.base.clip import Clip
from netspec.base.errors import NetspecError, UsageError
from netspec.base.optimizer import Optimizer
from netspec.base.shape import is_image
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.graph.graph import Graph
from netspec.groups.groups import group
from netspec.plan.network import Network
from netspec.save.export import torch_calls
from netspec.train.bench import Benchmark, drawn_rows, rows_needed
from netspec.train.settings import settings_of
from netspec.ui.peers import jax_net, torch_net
from netspec.ui.shapes import known_counts

Result = TypeVar("Result")
OWN = "netspec"
PEERS: Mapping[str, tuple[str, ...]] = {"torch": ("torch",), "jax": ("jax", "optax")}
"""The libraries that each peer needs."""
TABLES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "torch": ({**torch_calls.MODULES, **torch_calls.MERGES}, torch_net.LOSSES),
    "jax": (jax_net.LAYERS, jax_net.LOSSES),
}
"""The layers and losses that each peer has counterparts of."""
OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "torch": ("adagrad", "adam", "adamw", "rmsprop", "sgd"),
    "jax": ("adam", "adamw", "rmsprop", "sgd"),  # optax has the eps of adagrad inside the root
}
ROUNDS = 3
WARM_STEPS = 3
LEAST_STEPS = 5


@dataclass(frozen=True)
class Task:
    """One measurement: a spec, who computes it (`netspec`, `torch`, `torch, fused`, `torch, channels last`, `jax`), for how long, and on
    how many threads (None: all)."""

    source: Source
    overrides: Overrides
    who: str
    seconds: float
    threads: int | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds of a step: the median and the least of one process. `first` is the first step's, compilation included."""

    who: str
    median: float
    least: float
    steps: int
    first: float


@dataclass(frozen=True)
class Compared:
    """One row of the comparison: the median over the rounds' medians, their range, and how many times as long as netspec it takes."""

    who: str
    seconds: float
    least: float
    most: float
    ratio: float


def peers_of(words: str) -> tuple[str, ...]:
    """`torch,jax` as names. Raises UsageError for one that is unknown, or whose libraries are not installed."""
    names = tuple(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    unknown = [name for name in names if name not in PEERS]
    if unknown or not names:
        raise UsageError(f"--compare {words}: {unknown[0] if unknown else 'nothing'} is no peer; write one or more of {', '.join(PEERS)}")
    for name in names:
        for module in PEERS[name]:
            if importlib.util.find_spec(module) is None:
                raise UsageError(f"--compare {name} needs {module}, which is not installed: pip install 'netspec[bench]'")
    return names


def require_counterparts(
    graph: Graph, rule: Optimizer, peers: Sequence[str], clip: Clip | None = None, l2: float = 0.0
) -> None:  # fmt: skip
    """Raises UsageError where a peer has no counterpart of a layer, the loss, the optimizer, or how they are trained. Loads no peer."""
    apart = [f"frozen or lr_scale of {node.name}" for node in graph.nodes if node.frozen or node.lr_scale != 1]
    apart += ["clip"] if clip else []
    apart += ["l2 beside the decay of adamw"] if l2 and rule.name == "adamw" else []
    for peer in peers:
        layers, losses = TABLES[peer]
        found = [f"the layer {name}" for name in dict.fromkeys(node.layer.name for node in graph.nodes) if name not in layers]
        found += [f"the loss {graph.loss.name}"] if graph.loss.name not in losses else []
        found += [f"the optimizer {rule.name}"] if rule.name not in OPTIMIZERS[peer] else []
        found += apart
        if found:
            raise UsageError(f"--compare {peer}: there is no counterpart of {', '.join(found)}, so nothing could be compared")


def variants(peer: str, image: bool) -> tuple[str, ...]:
    """The ways in which a peer is run."""
    if peer != "torch":
        return (peer,)
    return ("torch", "torch, fused", *(("torch, channels last",) if image else ()))


def compare(
    source: Source, overrides: Overrides, peers: Sequence[str], *, image: bool, seconds: float, threads: int | None = None,
    rounds: int = ROUNDS, heard: Callable[[str], None] = lambda line: None,
) -> list[Compared]:  # fmt: skip
    """netspec and the peers in turn, `seconds` for each process; `heard` gets a line before each."""
    everyone = [OWN, *(variant for peer in peers for variant in variants(peer, image))]
    medians: dict[str, list[float]] = {who: [] for who in everyone}
    for number in range(rounds):
        for who in everyone:
            heard(f"round {number + 1} of {rounds}: {who}")
            medians[who].append(alone(time_steps, Task(source, overrides, who, seconds, threads)).median)
    own = float(np.median(medians[OWN]))
    return [Compared(who, float(np.median(each)), min(each), max(each), float(np.median(each)) / own) for who, each in medians.items()]


def alone(function: Callable[..., Result], *given: Any) -> Result:
    """The result of a function in a new process. Raises what it raises; NetspecError where the process dies."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(function, *given).result()
        except BrokenProcessPool:
            raise NetspecError("a process that was measured ended without a word: out of memory, or killed") from None


def use_threads(threads: int | None) -> None:
    """Holds this process to so many processors: every library counts them when it is loaded, or at its first parallel call."""
    if threads is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def time_steps(task: Task) -> Timing:
    """Runs in a process of its own."""
    use_threads(task.threads)
    program = load(task.source, task.overrides)
    graph = to_graph(program, known_counts(program))
    if task.who == OWN:
        bench = Benchmark(Network(group(graph, program.train.fuse), settings_of(program, threads=task.threads)))
        first = bench.first_step()
        times = bench.steps(task.seconds)
        return Timing(OWN, times.median, times.least, times.steps, first)
    began = time.perf_counter()
    step = step_of(task.who, graph, program.train)
    step()
    first = time.perf_counter() - began
    for _ in range(WARM_STEPS):
        step()
    taken: list[float] = []
    end = time.perf_counter() + task.seconds
    while time.perf_counter() < end or len(taken) < LEAST_STEPS:
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    return Timing(task.who, float(np.median(taken)), min(taken), len(taken), first)


def step_of(who: str, graph: Graph, train: Any) -> Callable[[], float]:
    """One step of a peer, in one of its variants."""
    x, y = drawn_rows(graph, rows_needed(train.batch))
    if who == "jax":
        return jax_net.step_of(graph, train, x, y)
    channels_last = who == "torch, channels last" and is_image(graph.input.shape)
    return torch_net.step_of(graph, train, x, y, fused=who != "torch", channels_last=channels_last)
