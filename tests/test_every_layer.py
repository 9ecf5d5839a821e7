"""The laws of laws.py over everything registered, by its samples, and for each law something broken that it must reject. Names no entry."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import broken
import laws
import numpy as np
import onnx_runs
import pytest
from calls import as_kind, layer_of
from compiled import Compiled, Forgetful, everything, graph_of, neighbours, network_of
from runners import Runner, Templates

from netspec.base.entry import Entry
from netspec.base.kinds import Head, Merge, Normalization, Pointwise, Window
from netspec.base.layer import BadSample, Layer, Sample
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.catalog.registry import entries
from netspec.frontend.bind import entry_from_text
from netspec.frontend.words import written
from netspec.plan.network import Network

RUNNERS: dict[str, Runner] = {"templates": Templates(), "compiled": Compiled()}
LAYERS = [layer for layer in entries(Layer).values() if not issubclass(layer, Merge)]  # merges: see test_merges.py
LAYERS += [layer.head_form for layer in LAYERS if layer.head_form]
LOSSES = list(entries(Loss).values())
OPTIMIZERS = list(entries(Optimizer).values())
ROWS_AND_COLUMNS = [(1, 1), (1, 2), (5, 3), (17, 10)]


def samples(kind: type[Layer] = Layer) -> list[Any]:
    return [
        pytest.param(layer_of(sample.call, layer), sample.shape, id=f"{layer.__name__}-{sample.call}-{'x'.join(map(str, sample.shape))}")
        for layer in LAYERS
        if issubclass(layer, kind)
        for sample in layer.samples
    ]


def bad_samples() -> list[Any]:
    return [pytest.param(layer, bad, id=f"{layer.__name__}-{bad.call}") for layer in LAYERS for bad in layer.bad_samples]


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> Runner:
    return RUNNERS[request.param]


over_samples = pytest.mark.parametrize(("layer", "shape"), samples())
FURTHER_LOSSES = [entry_from_text(Loss, "huber(delta=0.4)"), entries(Loss)["cross_entropy"].smoothed(label_smoothing=0.3)]
over_losses = pytest.mark.parametrize("loss", [*(loss() for loss in LOSSES), *FURTHER_LOSSES], ids=written)
over_sizes = pytest.mark.parametrize(("rows", "columns"), ROWS_AND_COLUMNS)
over_optimizers = pytest.mark.parametrize("optimizer", [optimizer() for optimizer in OPTIMIZERS], ids=lambda optimizer: optimizer.name)


@over_samples
def test_forward_equals_reference(run: Runner, layer: Layer, shape: tuple[int, ...]) -> None:
    laws.forward_equals_reference(run, layer, shape)


@over_samples
def test_backward_equals_numeric(run: Runner, layer: Layer, shape: tuple[int, ...]) -> None:
    laws.backward_equals_numeric(run, layer, shape)


@over_samples
def test_single_equals_double(layer: Layer, shape: tuple[int, ...]) -> None:
    laws.single_equals_double(Compiled("float32"), Compiled(), layer, shape)


@pytest.mark.parametrize(("layer", "shape"), samples(Normalization))
def test_averages_follow_the_batch(layer: Layer, shape: tuple[int, ...]) -> None:
    laws.averages_follow_the_batch(Compiled(), layer, shape)


def fused_equals_unfused(layer: Layer, shape: tuple[int, ...], other: Layer | None = None) -> None:
    """Between neighbours that it is fused with, a layer gives what it gives alone; `other` stands in its place in the unfused net."""
    for normalized in (False, True):
        fused, unfused = (
            everything(neighbours(one, shape, normalized), shape, 7, fuse) for one, fuse in ((layer, True), (other or layer, False))
        )
        for name, array in fused.items():
            laws.close(array, unfused[name], 1e-9)


@over_samples
def test_fused_equals_unfused(layer: Layer, shape: tuple[int, ...]) -> None:
    fused_equals_unfused(layer, shape)


def cost_equals_buffers(layer: Layer, shape: tuple[int, ...], declared: Layer | None = None) -> None:
    """Shapes and bytes that the layer (or `declared`) declares are those of the buffers that its kernels use."""
    declared = declared or layer
    network = network_of(graph_of([layer_of("id"), layer], shape, tested=1))
    for name, parameter in declared.parameters(shape).items():
        array = network.store.parameters[f"n1.{name}"]
        assert array.shape == parameter.shape
        assert np.shares_memory(array, network.store.parameters.flat)
    elements = sum(math.prod(parameter.shape) for parameter in declared.parameters(shape).values())
    assert network.graph.parameter_count == elements == sum(array.size for array in network.store.parameters.values())
    plan = network.plan(7)
    assert plan.array("x").nbytes == plan.batch * math.prod(shape) * 8
    assert plan.array("scores").nbytes == plan.batch * math.prod(declared.output_shape(shape)) * 8


@pytest.mark.parametrize(("layer", "shape"), [one for one in samples() if not isinstance(one.values[0], Head)])
def test_cost_equals_buffers(layer: Layer, shape: tuple[int, ...]) -> None:
    cost_equals_buffers(layer, shape)


@over_samples
def test_shape_rule_equals_arrays(layer: Layer, shape: tuple[int, ...]) -> None:
    laws.shape_rule_equals_arrays(layer, shape)


@over_samples
def test_onnx_equals_reference(layer: Layer, shape: tuple[int, ...]) -> None:
    laws.onnx_equals_reference(layer, shape, onnx_runs.evaluate)


@over_samples
def test_flops_are_counted(layer: Layer, shape: tuple[int, ...]) -> None:
    laws.flops_are_counted(layer, shape)


@pytest.mark.parametrize(("layer", "shape"), samples(Window))
def test_first_of_equals_gets_the_gradient(run: Runner, layer: Layer, shape: tuple[int, ...]) -> None:
    laws.first_of_equals_gets_the_gradient(run, layer, shape)


@pytest.mark.parametrize(("layer", "shape"), samples(Pointwise))
def test_nan_goes_through_and_extremes_are_finite(run: Runner, layer: Layer, shape: tuple[int, ...]) -> None:
    laws.nan_goes_through(run, layer, shape)
    laws.extremes_are_finite(run, layer, shape)


@pytest.mark.parametrize(("layer", "shape"), samples(Pointwise))
def test_kinks_take_the_derivative_of_the_left(run: Runner, layer: Layer, shape: tuple[int, ...]) -> None:
    laws.kinks_take_the_derivative_of_the_left(run, layer, shape)


RANDOM = [one for one in samples(Pointwise) if one.values[0].random]


@pytest.mark.parametrize(("layer", "shape"), RANDOM)
def test_random_words_at_the_limit(layer: Layer, shape: tuple[int, ...]) -> None:
    laws.random_words_at_the_limit(Templates(), layer, shape)


@pytest.mark.parametrize(("layer", "shape"), samples(Head))
def test_heads_predict_what_their_probabilities_say(layer: Layer, shape: tuple[int, ...]) -> None:
    assert isinstance(layer, Head)
    laws.head_is_consistent(layer)


def test_losses_of_heads_exist() -> None:
    for layer in LAYERS:
        if issubclass(layer, Head):
            assert {entries(Loss)[name].target for name in layer.losses} == {layer.target}


@pytest.mark.parametrize(("layer", "bad"), bad_samples())
def test_bad_samples_give_their_message(layer: type[Layer], bad: BadSample) -> None:
    laws.bad_sample_gives_its_message(lambda call: layer_of(call, layer), bad)


def templates() -> list[Any]:
    found = [(entry, part) for entry in LAYERS for part in entry.parts if callable(getattr(entry, part))]
    found += [(loss, "row") for loss in LOSSES] + [(optimizer, "update") for optimizer in OPTIMIZERS]
    return [pytest.param(getattr(entry, part), id=f"{entry.name}-{part}") for entry, part in found]


@pytest.mark.parametrize("template", templates())
def test_templates_use_only_numpy(template: Callable[..., Any]) -> None:
    laws.uses_only_numpy(template)


@over_losses
@over_sizes
def test_loss_equals_reference(run: Runner, loss: Loss, rows: int, columns: int) -> None:
    laws.loss_equals_reference(run, loss, rows, columns)


@over_losses
@over_sizes
def test_loss_gradient_equals_numeric(run: Runner, loss: Loss, rows: int, columns: int) -> None:
    laws.loss_gradient_equals_numeric(run, loss, rows, columns)


@over_losses
def test_loss_is_stable(run: Runner, loss: Loss) -> None:
    laws.loss_is_stable(run, loss)
    laws.row_reads_before_it_writes(loss)


@pytest.mark.parametrize("loss", [loss for loss in (kind() for kind in LOSSES) if loss.target == "value"], ids=written)
def test_right_scores_have_no_gradient(run: Runner, loss: Loss) -> None:
    laws.right_scores_have_no_gradient(run, loss)


@over_optimizers
def test_optimizer_laws(optimizer: Optimizer) -> None:
    laws.arrays_equal_scalars(optimizer)
    laws.descends(optimizer)
    laws.keeps_float32(optimizer)


class Replacing(Compiled):
    """It computes another layer than it is asked for."""

    def __init__(self, layer: Layer, dtype: str) -> None:
        super().__init__(dtype)
        self.layer = layer

    def network(self, layer: Layer, shape: tuple[int, ...], rows: int) -> Network:
        return super().network(self.layer, shape, rows)


def on_sample(law: Callable[..., None], layer: type[Layer], *more: Any, number: int = 0) -> Callable[[Runner], None]:
    sample: Sample = layer.samples[number]

    def judge(run: Runner) -> None:
        given = (as_kind(sample.call, layer), sample.shape, *more)
        law(*((run, *given) if "run" in law.__annotations__ else given))

    return judge


PAD_TOO_WIDE = next(bad for bad in broken.WidePool.bad_samples if bad.code == "NS403")
CONTROLS: dict[str, tuple[Callable[[Runner], None], str]] = {
    "forward: other function": (on_sample(laws.forward_equals_reference, broken.AbsoluteRelu), r"off by"),
    "forward: shift forgotten": (on_sample(laws.forward_equals_reference, broken.ShiftlessNorm), r"off by"),
    "forward: a row's shift forgotten": (on_sample(laws.forward_equals_reference, broken.ShiftlessLayerNorm), r"off by"),
    "forward: one group": (on_sample(laws.forward_equals_reference, broken.WholeGroupNorm), r"off by"),
    "forward: margins count": (on_sample(laws.forward_equals_reference, broken.ShiftedConv), r"off by"),
    "forward: smallest": (on_sample(laws.forward_equals_reference, broken.MinimumPool), r"off by"),
    "backward: wrong derivative": (on_sample(laws.backward_equals_numeric, broken.LinearTanh), r"numerically"),
    "backward: scale forgotten": (on_sample(laws.backward_equals_numeric, broken.UnscaledDropout), r"numerically"),
    "backward: mean forgotten": (on_sample(laws.backward_equals_numeric, broken.MeanlessNorm), r"numerically"),
    "backward: a row's scale forgotten": (on_sample(laws.backward_equals_numeric, broken.UnscaledGroupNorm), r"numerically"),
    "onnx: one group": (on_sample(laws.onnx_equals_reference, broken.WholeGroupNorm, onnx_runs.evaluate), r"off by"),
    "flops: of a row": (on_sample(laws.flops_are_counted, broken.CheapLayerNorm), r"counted"),
    "backward: whole share": (on_sample(laws.backward_equals_numeric, broken.GreedyAverage), r"numerically"),
    "backward: a parameter's own wrong": (on_sample(laws.backward_equals_numeric, broken.OneSlope), r"numerically"),
    "forward: a word an element": (on_sample(laws.forward_equals_reference, broken.SpeckledDropout2d), r"off by"),
    "single: other function": (
        lambda run: laws.single_equals_double(Replacing(broken.AbsoluteRelu(), "float32"), Compiled(), layer_of("relu"), (7,)),
        r"off by",
    ),
    "averages: never moved": (lambda run: laws.averages_follow_the_batch(Forgetful(), layer_of("bn"), (7,)), r"off by"),
    "fused: other derivative": (lambda run: fused_equals_unfused(layer_of("tanh"), (7,), broken.LinearTanh()), r"off by"),
    "cost: a bias forgotten": (
        lambda run: cost_equals_buffers(layer_of("affine(3)"), (5,), layer_of("affine(3, bias=false)")),
        r"assert 18 == 15",
    ),
    "shape rule": (on_sample(laws.shape_rule_equals_arrays, broken.TallConv), r"by the rule"),
    "onnx: attribute forgotten": (on_sample(laws.onnx_equals_reference, broken.SlopelessOnnx, onnx_runs.evaluate, number=1), r"off by"),
    "flops: adds forgotten": (on_sample(laws.flops_are_counted, broken.CheapConv), r"counted"),
    "flops: an operation too few": (on_sample(laws.flops_are_counted, broken.CheapSigmoid), r"counted"),
    "first: all of them": (on_sample(laws.first_of_equals_gets_the_gradient, broken.SharingPool), r"off by"),
    "nan: lost": (on_sample(laws.nan_goes_through, broken.HidingRelu), r"a NaN got lost"),
    "extremes: overflow": (lambda run: laws.extremes_are_finite(run, broken.NaiveSigmoid(), (7,)), r"overflow"),
    "bad sample: taken": (
        lambda run: laws.bad_sample_gives_its_message(lambda call: as_kind(call, broken.WidePool), PAD_TOO_WIDE),
        r"took \(2, 5, 5\)",
    ),
    "template: a global": (lambda run: laws.uses_only_numpy(broken.MathTanh.forward), r"names \['math'\]"),
    "template: a closure": (lambda run: laws.uses_only_numpy(lambda x: x if run else -x), r"closes over"),
    "head: wrong class": (lambda run: laws.head_is_consistent(broken.ReversedSoftmax()), r"not the most probable"),
    "loss: other value": (lambda run: laws.loss_equals_reference(run, broken.HalfSquare(), 5, 3), r"off by"),
    "loss: gradient of another": (lambda run: laws.loss_gradient_equals_numeric(run, broken.HalfSquare(), 5, 3), r"numerically"),
    "loss: label's gradient forgotten": (lambda run: laws.loss_gradient_equals_numeric(run, broken.ForgetfulHinge(), 5, 3), r"numerically"),
    "kink: of the right": (lambda run: laws.kinks_take_the_derivative_of_the_left(run, broken.RightRelu(), (7,)), r"off by"),
    "loss: a gradient of nothing": (lambda run: laws.right_scores_have_no_gradient(run, broken.OneSidedL1()), r"off by"),
    "loss: overflow": (lambda run: laws.loss_is_stable(run, broken.UnshiftedCrossEntropy()), r"overflow"),
    "loss: nan lost": (lambda run: laws.loss_is_stable(run, broken.HidingHinge()), r"a NaN got lost"),
    "loss: reads after writing": (lambda run: laws.row_reads_before_it_writes(broken.LateCrossEntropy()), r"off by"),
    "optimizer: a branch": (lambda run: laws.arrays_equal_scalars(broken.BranchingSgd(nesterov=True)), r"truth value"),
    "optimizer: writes in place": (lambda run: laws.arrays_equal_scalars(broken.OverwritingSgd()), r"off by"),
    "optimizer: a slot too many": (lambda run: laws.arrays_equal_scalars(broken.ForgetfulAdam()), r"1 new slots, 2 declared"),
    "optimizer: uphill": (lambda run: laws.descends(broken.ClimbingSgd()), r"ended at"),
    "optimizer: 1 - beta in float32": (lambda run: laws.keeps_float32(broken.RoundedAdam()), r"off by"),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_the_law_rejects(run: Runner, control: str) -> None:
    judge, reason = CONTROLS[control]
    with pytest.raises((AssertionError, RuntimeWarning, ValueError), match=reason):
        judge(run)


NAMED: dict[str, Any] = {"name": ClassVar[str]}


def parts_of(layer: type[Layer]) -> list[str]:
    abstract = getattr(layer.__mro__[1], "__abstractmethods__", frozenset())
    return [part for part in (*layer.parts, "samples", "bad_samples", *sorted(abstract), "__doc__") if part in layer.__dict__]


def rebuilt(layer: type[Layer], without: str) -> type[Entry]:
    """The class made anew from its own members but one, under a name of its own."""
    kept = {
        key: member for key, member in layer.__dict__.items() if key in (*parts_of(layer), "__module__", "__doc__", "geometry", "parts")
    }
    fields = {name: layer.model_fields[name] for name in layer.model_fields}
    kept |= fields | {"name": "unfinished", "__annotations__": NAMED | dict.fromkeys(fields, Any)}
    kept.pop(without, None)
    return type(Entry)(layer.__name__, layer.__bases__, kept)


@pytest.mark.parametrize(("layer", "part"), [(layer, part) for layer in LAYERS for part in parts_of(layer)])
def test_a_missing_part_fails_when_the_class_is_created(layer: type[Layer], part: str) -> None:
    with pytest.raises(TypeError, match=rf"unfinished: {layer.__name__} lacks .*{part.strip('_').replace('doc', 'docstring')}"):
        rebuilt(layer, without=part)
    assert "unfinished" not in entries(Layer)


def test_an_unfinished_loss_or_optimizer_fails_when_the_class_is_created() -> None:
    with pytest.raises(TypeError, match="unfinished: Rowless lacks row, reference"):
        type(Entry)("Rowless", (Loss,), {"__module__": __name__, "name": "unfinished", "target": "value", "__annotations__": NAMED})
    with pytest.raises(TypeError, match="unfinished: Still lacks update"):
        type(Entry)(
            "Still", (Optimizer,), {"__module__": __name__, "name": "unfinished", "lr": 0.1, "__annotations__": NAMED | {"lr": float}}
        )
    assert "unfinished" not in {*entries(Loss), *entries(Optimizer)}


def test_slope_finds_kinks() -> None:
    assert laws.slope(lambda at: float(np.abs(at).sum()), np.zeros(3), np.ones(3)) is None
    assert laws.slope(lambda at: float(np.sin(at).sum()), np.zeros(3), np.ones(3)) == pytest.approx(3, abs=1e-9)
