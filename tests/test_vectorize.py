"""Work on elements runs on vectors: the loops of every float32 kernel but those of the products, read in optimised code and assembly.

Each innermost loop that computes on floats must be vectorised. One that folds floats in a given order cannot be; it may stay scalar, and
may then only add, multiply and compare.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import loops
import numpy as np
import pytest
from calls import layer_of
from compiled import graph_of, neighbours

import netspec.kernels
from netspec.base.clip import Clip
from netspec.base.kinds import Contraction, Normalization, Pointwise, RowNormalization, Upsampling, Window
from netspec.base.layer import Layer, Trained
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.shape import Shape
from netspec.catalog.registry import entries
from netspec.frontend.words import written
from netspec.groups.groups import group
from netspec.kernels.source import module_text
from netspec.plan.network import Settings, plan_layout

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads the assembly of x86-64")
LIBRARY = Path(netspec.kernels.__file__).parent / "library"


def sources(
    layers: Sequence[Layer], shape: Shape, *, rows: int = 7, loss: Loss | None = None, optimizer: Optimizer | None = None
) -> Iterator[str]:
    """The sources of a training step's kernels, the contractions' left out."""
    graph = graph_of(layers, shape, loss)
    contractions = {node.name for node in graph.nodes if isinstance(node.layer, Contraction)}
    settings = Settings(optimizer or entries(Optimizer)["sgd"](), rows)
    layout = plan_layout(group(graph, True), settings, rows, input_gradient=True)
    for launch in layout.lowered.launches:
        if not contractions.intersection(launch.layers) and not launch.label.startswith("gather"):
            yield launch.kernel.source


def slow_loops(source: str) -> list[str]:
    """What is not vectorised in a source, kernel by kernel."""
    found = []
    for name, (code, assembly) in loops.inspected(source).items():
        hot = [loop for loop in loops.loops(code) if loop.computes]
        found += [f"{name}: {loop}" for loop in hot if loop.calls or not (loop.vectorized or loop.is_rest or loop.is_fold)]
        if any(loop.vectorized for loop in hot) and not loops.ARITHMETIC.search(assembly):
            found.append(f"{name}: no packed instruction on {loops.PACKED}")
    return found


def every(kind: type[Layer]) -> list[Any]:
    """One sample of a layer for vectors, and one for images; the same of a frozen one."""
    found = {}
    for layer in entries(Layer).values():
        for sample in layer.samples if issubclass(layer, kind) else ():
            made = layer_of(sample.call, layer)
            found[layer.name, len(sample.shape), isinstance(made, Trained) and made.frozen] = pytest.param(
                made, sample.shape, id=f"{sample.call}-{sample.shape}"
            )
    return list(found.values())


def check(found: Iterator[str]) -> None:
    checked = {source: slow_loops(source) for source in found}
    assert checked, "nothing was checked"
    assert not [loop for slow in checked.values() for loop in slow]


@pytest.mark.parametrize("normalized", [False, True], ids=["alone", "behind a normalization"])
@pytest.mark.parametrize(("layer", "shape"), every(Pointwise))
def test_pointwise_chains(layer: Layer, shape: Shape, normalized: bool) -> None:
    check(sources(neighbours(layer, shape, True) if normalized else [layer_of("id"), layer], shape))


@pytest.mark.parametrize("rows", [7, 9000], ids=["by strips", "by rows"])
@pytest.mark.parametrize(("layer", "shape"), every(Normalization))
def test_normalizations(layer: Layer, shape: Shape, rows: int) -> None:
    check(sources([layer_of("id"), layer], shape, rows=rows))


@pytest.mark.parametrize("chain", ["", "relu", "dropout"])
@pytest.mark.parametrize(("layer", "shape"), every(RowNormalization))
def test_row_normalizations(layer: Layer, shape: Shape, chain: str) -> None:
    check(sources([layer_of("id"), layer, *([layer_of(chain)] if chain else [])], shape))


@pytest.mark.parametrize(("layer", "shape"), every(Window))
def test_windows(layer: Layer, shape: Shape) -> None:
    check(sources([layer_of("id"), layer], shape))


@pytest.mark.parametrize(("layer", "shape"), every(Upsampling))
def test_upsampling(layer: Layer, shape: Shape) -> None:
    check(sources([layer_of("id"), layer], shape))


@pytest.mark.parametrize("loss", [form() for loss in entries(Loss).values() for form in (loss, loss.smoothed) if form], ids=written)
def test_losses(loss: Loss) -> None:
    check(sources([layer_of("id")], (40,), loss=loss))


@pytest.mark.parametrize("name", list(entries(Optimizer)))
def test_updates(name: str) -> None:
    check(sources([layer_of("id")], (40,), optimizer=entries(Optimizer)[name]()))


def test_kernels_over_rows() -> None:
    check(iter([(LIBRARY / "rows.py").read_text()]))


class Library(type(layer_of("relu"))):  # type: ignore[misc]
    """With a function that kernels have no own form of."""

    @staticmethod
    def forward(x: Any) -> Any:
        return np.arctan(x)


def test_a_library_call_is_reported() -> None:
    layer = Library()
    for layers in ([layer_of("id"), layer], neighbours(layer, (7,), True)):
        slow = [loop for source in sources(layers, (7,)) for loop in slow_loops(source)]
        assert any("calls" in loop and "atan" in loop for loop in slow), slow


RECURRENCE = """\
@cfunc(KERNEL, **OPTIONS)
def recurrence(p, task, tasks, worker):
    x = floats(p[1], p[2])
    last = F(0)
    for i in range(x.size):
        last = {step}
        x[i] = last
"""


@pytest.mark.parametrize(("step", "reported"), [("last + x[i]", False), ("x[i] / (last + F(1))", True), ("exp(last) * x[i]", True)])
def test_a_fold_in_order_may_do_little(step: str, reported: bool) -> None:
    assert bool(slow_loops(module_text(4, [], RECURRENCE.format(step=step)))) is reported


TWO_LOOPS = """\
@cfunc(KERNEL, **OPTIONS)
def two(p, task, tasks, worker):
    x, y = floats(p[1], p[3]), floats(p[2], p[3])
    for i in range(x.size):
        y[i] = x[i] * x[i]
    for i in range({start}, x.size):
        x[i] = x[i - 1] * F(0.5) + y[i]{more}
"""


def test_one_slow_loop_beside_a_fast_one_is_reported() -> None:
    """Here the float goes from turn to turn through memory, so that it is no fold."""
    slow = slow_loops(module_text(4, [], TWO_LOOPS.format(start=1, more=" / x[i - 1]")))
    assert len(slow) == 1
    assert slow[0].startswith("two: ")


def test_scalar_assembly_is_reported() -> None:
    code = "\tvmulps\t(%rax), %zmm1, %zmm2\n", "\tvmulss\t(%rax), %xmm1, %xmm2\n", "\tvmovups\t(%rax), %zmm1\n"
    assert [bool(loops.ARITHMETIC.search(line)) for line in code] == [True, False, False]


@pytest.mark.parametrize("shape", [(40,), (5, 6, 7)], ids=["vectors", "images"])
def test_a_frozen_normalization_in_a_training_step(shape: Shape) -> None:
    layers = [layer_of("bn"), layer_of("bn(frozen=true)"), layer_of("relu")]
    layout = plan_layout(group(graph_of(layers, shape), True), Settings(entries(Optimizer)["sgd"](), 7), 7)
    found = [launch for launch in layout.lowered.launches if "n1" in launch.layers]
    assert [(launch.section, launch.label) for launch in found] == [
        ("forward", "bn-relu running"), ("forward", "bn-relu"), ("backward", "bn-relu gradient"),
    ]  # fmt: skip
    check(launch.kernel.source for launch in found)


@pytest.mark.parametrize("name", list(entries(Clip)))
def test_loops_of_bounded_updates_are_vectorised(name: str) -> None:
    layers: list[Layer] = [layer_of("id"), layer_of("affine(40)")]
    settings = Settings(entries(Optimizer)["adamw"](), 7, clip=entries(Clip)[name]())
    layout = plan_layout(group(graph_of(layers, (40,)), True), settings, 7)
    check(launch.kernel.source for launch in layout.lowered.launches if launch.section == "update")
