"""Programs drawn from the language: the compiled net equals the references of its layers, fused or not, forward and backward."""

from __future__ import annotations

import os
from typing import Any

import graphs
import laws
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from random_programs import programs

import netspec
from netspec.base.shape import Shape
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import to_graph

NIGHT = int(os.environ.get("NETSPEC_NIGHT_PROGRAMS", "0"))
"""Programs of a long run, drawn anew each time; without it 50, always the same."""
PROGRAMS = settings(
    max_examples=NIGHT or 50, derandomize=not NIGHT, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)  # fmt: skip


def computed(text: str, shape: Shape, rows: int, fuse: bool) -> dict[str, Any]:
    """All that a net computes on random rows: both forms, gradients by loss and by backward, two steps."""
    draw = np.random.default_rng(3)
    x, y = draw.normal(size=(rows, *shape)), draw.integers(0, 3, rows)
    model = netspec.compile(text, input=shape, classes=3, dtype="float64", seed=5, fuse=fuse, train="l2=0.01; optimizer=sgd(lr=1e-3)")
    loss, gradients = model.loss(x, y)
    train = model.forward(x, train=True)
    dx, more = model.backward(np.random.default_rng(1).normal(size=train.shape))
    found = {"loss": loss, **gradients, "train": train, "dx": dx, **{f"{name} again": g for name, g in more.items()}}
    found |= {"test": model.forward(x), "steps": [model.step(x, y) for _ in range(2)]}
    return found | {"parameters": model.params.flat.copy(), "state": model.state.flat.copy()}


@PROGRAMS
@given(programs())
def test_fused_equals_unfused(program: tuple[str, Shape]) -> None:
    text, shape = program
    fused, unfused = (computed(text, shape, 5, fuse) for fuse in (True, False))
    for name, array in fused.items():
        laws.close(array, unfused[name], 1e-6)


@PROGRAMS
@given(programs())
def test_the_test_form_is_that_of_the_references(program: tuple[str, Shape]) -> None:
    text, shape = program
    model = netspec.compile(text, input=shape, classes=3, dtype="float64", seed=5)
    graph = graphs.graph_of_text(text, shape, classes=3)
    arrays = graphs.drawn(graph)
    for name in graph.parameters:
        model.params[name][...] = arrays[name]
    for name in graph.state:
        model.state[name][...] = arrays[name]
    x = np.random.default_rng(2).normal(size=(3, *shape))
    laws.close(model.forward(x), graphs.forward(graph, arrays, x, train=False), 1e-9)


@settings(max_examples=300, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_the_resolved_text_is_the_same_net(program: tuple[str, Shape]) -> None:
    text, shape = program
    one = load(Source(text), Overrides(input=shape, classes=3))
    again = load(Source(one.resolved))
    assert str(to_graph(again)) == str(to_graph(one))
    assert [call.layer for call in again.net] == [call.layer for call in one.net]
    assert again.resolved == one.resolved


def test_the_programs_are_of_all_kinds() -> None:
    seen = ""

    @settings(max_examples=50, derandomize=True, database=None)
    @given(programs())
    def collect(program: tuple[str, Shape]) -> None:
        nonlocal seen
        seen += program[0]

    collect()
    for word in ("add(", "mul(", "concat(", "res[", "](proj)", " tied", "x(w: ", "tie = ", ".T)", " | @", "def ", "conv(", "groups="):
        assert word in seen, word


def test_a_branch_in_the_place_of_another_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law compares with the graph as it is written: with branches exchanged it fails."""
    text, shape = "concat(affine(3) | tanh) -> affine -> softmax", (4,)
    model = netspec.compile("concat(tanh | affine(3)) -> affine -> softmax", input=shape, classes=3, dtype="float64")
    graph = graphs.graph_of_text(text, shape, classes=3)
    arrays = graphs.drawn(graph)
    for name in graph.parameters:
        model.params[name][...] = arrays[name]
    x = np.random.default_rng(2).normal(size=(3, *shape))
    with pytest.raises(AssertionError, match="off by"):
        laws.close(model.forward(x), graphs.forward(graph, arrays, x, train=False), 1e-9)
