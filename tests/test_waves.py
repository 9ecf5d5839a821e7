"""Waves: whatever order the tasks of a wave run in, every bit is the same; and what does not belong together stands apart."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from random_specs import random_labels, random_spec

import netspec
from netspec.kernels.launch import ROWS_CUT, Buffer, Entry, Launch
from netspec.kernels.native import ROWS
from netspec.plan import network, waves
from netspec.plan.plan import Plan
from netspec.plan.waves import Chain, in_waves

NETS = [
    ("bn-affine(32)-relu -> affine -> softmax", (192,)),
    ("[affine(100)-bn-relu-dropout(25%)]x2 -> affine -> softmax", (1200,)),
    ("conv(17)-relu-pool -> conv(40, stride=2)-bn-relu -> affine(50)-tanh -> affine -> softmax", (3, 17, 16)),
    ("[conv(c, kernel=5)-bn-relu]x(c: 16, 33) -> avgpool -> flatten -> affine(300)-relu -> affine -> svm", (2, 20, 20)),
    ("[conv(c)-groupnorm(8)-relu]x(c: 16, 32) -> pool -> affine(300)-layernorm-relu -> affine -> softmax", (3, 16, 16)),
    (
        "conv(17)-prelu -> upsample -> conv(9, stride=2)-bn-prelu-dropout2d -> reshape(16x17x9) -> affine(50)-prelu -> affine -> softmax",
        (3, 17, 16),
    ),
]
RANDOM = [random_spec(seed) for seed in range(6)]
BATCH, LARGE_BATCH = 48, 512


def batch_of(text: str) -> int:
    """Large for a bn of the input: with few rows it is not cut."""
    return LARGE_BATCH if text.startswith("bn") else BATCH


def model_of(text: str, shape: tuple[int, ...], seed: int = 0) -> netspec.Model:
    key = "outputs" if text.endswith("linear") else "classes"
    return netspec.compile(text, input=shape, seed=seed, train=f"batch = {batch_of(text)}; l2 = 1e-3; optimizer = adam", **{key: 3})


def bound(text: str, shape: tuple[int, ...]) -> tuple[netspec.Model, Plan]:
    """A model with its training plan, bound to rows of its own."""
    model, draw = model_of(text, shape), np.random.default_rng(1)
    net = model.network
    rows = batch_of(text)
    training = net.plan(rows)
    x = np.ascontiguousarray(draw.normal(size=(rows + 9, *shape)), net.dtype)
    y = net.labels_to_layout(random_labels(draw, text, len(x), 3))
    training.bind(x=x, y=y, order=draw.permutation(len(x)))
    net.store.control[ROWS] = rows
    return model, training


def call(training: Plan, number: int, task: int, tasks: int) -> None:
    function, words = (int(word) for word in training.table[number])
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(function)(words, task, tasks, 0)


def launch_by_launch(training: Plan) -> None:
    for number, launch in enumerate(training.layout.lowered.launches):
        for task in range(launch.tasks):
            call(training, number, task, launch.tasks)


def shuffled(training: Plan, seed: int) -> None:
    """Wave by wave, the tasks of all chains in a random order, each through its whole chain."""
    draw = np.random.default_rng(seed)
    for wave in training.layout.waves:
        tasks = [(chain, task) for chain in wave.chains for task in range(chain.tasks)]
        for place in draw.permutation(len(tasks)):
            chain, task = tasks[place]
            for number in range(chain.first, chain.last):
                call(training, number, task, chain.tasks)


def left(model: netspec.Model, training: Plan) -> list[bytes]:
    return [*(array.tobytes() for array in model.network.store.kept), training.array("loss").tobytes()]


@pytest.mark.parametrize(("text", "shape"), NETS + RANDOM)
def test_any_order_of_tasks_gives_the_same_bits(text: str, shape: tuple[int, ...]) -> None:
    model, training = bound(text, shape)
    launch_by_launch(training)
    wanted = left(model, training)
    for seed in range(3):
        model, training = bound(text, shape)
        shuffled(training, seed)
        assert left(model, training) == wanted


def test_launches_side_by_side_that_should_not_be_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the law above: where no launch is seen to need another, some net's bits differ."""
    monkeypatch.setattr(waves, "_disputed", lambda before, after: set())
    different = []
    for text, shape in NETS:
        model, training = bound(text, shape)
        launch_by_launch(training)
        wanted = left(model, training)
        model, training = bound(text, shape)
        shuffled(training, 0)
        different.append(left(model, training) != wanted)
    assert any(different)


@pytest.mark.parametrize(("text", "shape"), NETS + RANDOM)
def test_every_launch_stands_once_and_in_order(text: str, shape: tuple[int, ...]) -> None:
    for layout in (model_of(text, shape).plan.train, model_of(text, shape).plan.test):
        numbers = [n for wave in layout.waves for chain in wave.chains for n in range(chain.first, chain.last)]
        assert numbers == list(range(len(layout.lowered.launches)))
        for wave in layout.waves:
            assert {layout.lowered.launches[n].section for n in range(wave.first, wave.last)} == {wave.section}


@pytest.mark.parametrize(("text", "shape"), NETS + RANDOM)
def test_what_runs_side_by_side_disputes_nothing(text: str, shape: tuple[int, ...]) -> None:
    layout = model_of(text, shape).plan.train
    for wave in layout.waves:
        for one in wave.chains:
            for other in wave.chains:
                if one is not other:
                    assert not disputed(layout.lowered.launches, one, other)


def disputed(launches: tuple[Launch, ...], one: Chain, other: Chain) -> set[Any]:
    writes, touches = set(), set()
    for n in range(one.first, one.last):
        writes |= set(launches[n].writes)
    for n in range(other.first, other.last):
        touches |= {*launches[n].reads, *launches[n].writes}
    return writes & touches


def launch(
    tasks: int, reads: list[Buffer], writes: list[Buffer], own: list[Buffer], cut: Any = ROWS_CUT, section: Any = "forward"
) -> Launch:
    return Launch("", section, Entry("", ""), (), tasks, tuple(reads), tuple(writes), cut=cut, own=tuple(own))


def shape_of(*launches: Launch) -> list[list[tuple[int, int]]]:
    return [[(chain.first, chain.last) for chain in wave.chains] for wave in in_waves(launches)[1]]


def test_how_launches_join() -> None:
    a, b, c, d = (Buffer(name, 1, 4) for name in "abcd")
    first, second = launch(4, [a], [b], [a, b]), launch(4, [b], [c], [b, c])
    assert shape_of(first, second) == [[(0, 2)]]
    assert shape_of(first, launch(4, [b], [c], [c])) == [[(0, 1)], [(1, 2)]]  # reads more than its share
    assert shape_of(first, launch(8, [b], [c], [b, c])) == [[(0, 1)], [(1, 2)]]
    assert shape_of(first, launch(4, [b], [c], [b, c], cut=("columns", 3, 1))) == [[(0, 1)], [(1, 2)]]
    assert shape_of(first, launch(4, [b], [c], [b, c], section="loss")) == [[(0, 1)], [(1, 2)]]
    assert shape_of(first, launch(1, [a], [d], [])) == [[(0, 1), (1, 2)]]  # reading the same is no dispute
    assert shape_of(first, launch(1, [d], [a], [])) == [[(0, 1)], [(1, 2)]]  # overwrites what is still read
    assert shape_of(first, launch(1, [a], [d], []), second) == [[(0, 2), (2, 3)]]  # its chain need not be the last one
    assert shape_of(first, launch(4, [a], [d], [a, d]), launch(4, [b, d], [c], [b, d, c])) == [[(0, 1), (1, 2)], [(2, 3)]]  # needs both
    assert shape_of(first, launch(4, [a, b], [d], [a, b, d]), launch(4, [b, d], [c], [b, d, c])) == [[(0, 3)]]


def test_parts_of_flat_buffers_are_apart() -> None:
    """Two layers' updates do not dispute each other's parameters."""
    layout = model_of(*NETS[1]).plan.train
    updates = [one for one in layout.lowered.launches if "weight gradient" in one.label]
    assert len(updates) == 3
    names = [{buffer.name for buffer in one.writes if buffer.kind == "parameters"} for one in updates]
    assert sorted(map(sorted, names)) == [["affine1.W"], ["affine2.W"], ["affine3.W"]]


def test_a_step_has_fewer_waves_than_launches() -> None:
    layout = model_of(*NETS[2]).plan.train
    assert len(layout.waves) < 0.7 * len(layout.lowered.launches)


def test_workers_share_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch grows with the threads, not with the tasks."""
    monkeypatch.setattr(network, "thread_count", lambda wanted: wanted)
    text, shape = NETS[2]
    one, four = (netspec.compile(text, input=shape, classes=3, threads=threads).plan.peak_bytes for threads in (1, 4))
    assert one < four < 4 * one
