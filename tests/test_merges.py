"""Laws of layers that merge branches, by their samples, and of nets with branches; for each law something wrong that it must reject.
Names no entry."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, ClassVar

import graphs
import laws
import numpy as np
import onnx_runs
import pytest
from compiled import network_of, rows_of
from numpy.typing import NDArray

import netspec
from netspec.base.errors import Problem
from netspec.base.kinds import Elementwise, Merge
from netspec.base.layer import Array, BadSample, Layer, OnnxForm, OnnxNode, Sample
from netspec.base.shape import Shape, size
from netspec.base.text import Source
from netspec.catalog.registry import entries
from netspec.frontend.program import Overrides
from netspec.graph.check import diagnose
from netspec.graph.graph import Graph, Node

MERGES: list[type[Merge]] = [layer for layer in entries(Layer).values() if issubclass(layer, Merge)]  # type: ignore[type-abstract]
SAMPLES = [pytest.param(layer, sample, id=f"{layer.__name__}-{sample.call}") for layer in MERGES for sample in layer.samples]
over_samples = pytest.mark.parametrize(("layer", "sample"), SAMPLES)
ROWS = (1, 6)
Swapped = dict[type[Layer], type[Layer]]


def graph_of(sample: Sample, swapped: Swapped | None = None, around: str = "{}") -> Graph:
    return graphs.graph_of_text(around.format(sample.call), sample.shape, swapped)


def everything(graph: Graph, x: Array, fuse: bool, dtype: str = "float64") -> tuple[dict[str, NDArray[Any]], Array]:
    """Both forms of a net and all gradients by the compiled kernels; with the parameters that `drawn` gives. And dy."""
    network = network_of(graph, dtype, len(x), fuse)
    for name, array in graphs.drawn(graph).items():
        (network.store.parameters if name in graph.parameters else network.store.state)[name] = array
    network.store.update_state(False)
    found = {"test": network.values(rows_of(network, x), None, False), "train": network.values(rows_of(network, x), None, True)}
    dy = np.random.default_rng(3).normal(size=found["train"].shape)
    found["x"] = network.backward(dy.astype(dtype))
    return found | network.store.gradients.copy(), dy


def rows(sample: Sample, count: int) -> Array:
    return np.random.default_rng(1).normal(0, 1.5, (count, *sample.shape))


def equals_reference(layer: type[Merge], sample: Sample, swapped: Swapped | None = None) -> None:
    """Both forms are what the references of the layers give; shapes are those of the rule."""
    plain = graph_of(sample)
    arrays = graphs.drawn(plain)
    for count in ROWS:
        x = rows(sample, count)
        found, _ = everything(graph_of(sample, swapped), x, True)
        for form in (False, True):
            wanted = graphs.forward(plain, arrays, x, train=form)
            assert wanted.shape == (count, *plain.output.shape)
            laws.close(found["train" if form else "test"], wanted, 1e-12)


def backward_equals_numeric(layer: type[Merge], sample: Sample, swapped: Swapped | None = None) -> None:
    graph = graph_of(sample)
    arrays, x = graphs.drawn(graph), rows(sample, 6)
    found, dy = everything(graph_of(sample, swapped), x, True)
    for name in ("x", *graph.parameters):

        def value(at: Array, name: str = name) -> float:
            changed = arrays if name == "x" else {**arrays, name: at}
            return float(np.sum(dy * graphs.forward(graph, changed, at if name == "x" else x, train=True)))

        laws.projections_agree(value, x if name == "x" else arrays[name], found[name], 1e-6)


AROUND = {
    "first": "{} -> leaky_relu",
    "behind a contraction": "{} -> elu-dropout(25%)",
    "normalized": "{} -> bn-tanh",
    "twice": "add({0}-tanh | {0})",
}


def fused_equals_unfused(sample: Sample, around: str, swapped: Swapped | None = None) -> None:
    x = rows(sample, 6)
    fused, _ = everything(graph_of(sample, None, around), x, True)
    unfused, _ = everything(graph_of(sample, swapped, around), x, False)
    for name, array in fused.items():
        laws.close(array, unfused[name], 1e-9)


def node_of(sample: Sample) -> Node:
    return next(node for node in reversed(graph_of(sample).nodes) if isinstance(node.layer, Merge))


def onnx_equals_reference(layer: type[Merge], sample: Sample) -> None:
    """The form over the shapes of the sample's branches."""
    shapes = node_of(sample).shapes
    form = layer().merged_onnx(shapes)
    draw = np.random.default_rng(1)
    xs = [draw.normal(size=(5, *shape)) for shape in shapes]
    # the harness has one input: the others are constants
    others = {f"x{place}": x.astype(np.float32) for place, x in enumerate(xs) if place}
    named = OnnxForm((OnnxNode("Identity", ("x",), ("x0",)), *form.nodes), others)
    laws.close(onnx_runs.evaluate(named, {}, xs[0], layer().merged_shape(shapes)), layer().merged_reference(xs), 1e-5)


def flops_are_counted(layer: type[Merge], sample: Sample) -> None:
    shapes = node_of(sample).shapes
    counted = 0
    if issubclass(layer, Elementwise):
        counted = laws.most_operations(layer.forward, other=0.7) * (len(shapes) - 1) * size(shapes[0])
    assert layer().merged_flops(shapes) == counted, f"{layer().merged_flops(shapes)} declared, {counted} counted"


@over_samples
def test_forward_equals_reference(layer: type[Merge], sample: Sample) -> None:
    equals_reference(layer, sample)


@over_samples
def test_backward_equals_numeric(layer: type[Merge], sample: Sample) -> None:
    backward_equals_numeric(layer, sample)


@over_samples
@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_fused_equals_unfused(layer: type[Merge], sample: Sample, around: str) -> None:
    fused_equals_unfused(sample, around)


@over_samples
def test_single_equals_double(layer: type[Merge], sample: Sample) -> None:
    graph, x = graph_of(sample), rows(sample, 6).astype(np.float32).astype(float)
    (single, _), (double, _) = (everything(graph, x, True, dtype) for dtype in ("float32", "float64"))
    terms = 6 * max(size(value.shape) for value in graph.values)
    for name, array in single.items():
        laws.close(array, double[name], 1e-5 * terms**0.5)


@over_samples
def test_onnx_equals_reference(layer: type[Merge], sample: Sample) -> None:
    onnx_equals_reference(layer, sample)


@over_samples
def test_flops_are_counted(layer: type[Merge], sample: Sample) -> None:
    flops_are_counted(layer, sample)


@pytest.mark.parametrize(("layer", "bad"), [pytest.param(layer, bad, id=bad.call) for layer in MERGES for bad in layer.bad_samples])
def test_bad_samples_give_their_message(layer: type[Merge], bad: BadSample) -> None:
    (found,) = diagnose(Source(f"{bad.call} -> affine(2)"), Overrides(bad.shape))
    assert found.code == bad.code
    assert bad.message in found.message
    assert found.label
    assert found.help


@pytest.mark.parametrize(
    "template", [pytest.param(getattr(layer, part), id=f"{layer.name}-{part}") for layer in MERGES for part in layer.parts]
)
def test_templates_use_only_numpy(template: Any) -> None:
    laws.uses_only_numpy(template)


class OneWayMul(entries(Layer)["mul"]):  # type: ignore[misc]
    @staticmethod
    def other_backward(dy: Any, x: Any) -> Any:
        return dy

    __doc__ = "It forgets x in the gradient of the other branch."


class HalfAdd(entries(Layer)["add"]):  # type: ignore[misc]
    passes_gradient: ClassVar[bool] = False

    @staticmethod
    def forward(x: Any, other: Any) -> Any:
        return x + 0.5 * other


class CheapMul(entries(Layer)["mul"]):  # type: ignore[misc]
    def merged_flops(self, shapes: Any) -> int:
        return size(shapes[0])


class LastOnnx(entries(Layer)["add"]):  # type: ignore[misc]
    def merged_onnx(self, shapes: Any) -> OnnxForm:
        return OnnxForm((OnnxNode("Sum", ("x0",), ("y",)),))


class BackwardConcat(entries(Layer)["concat"]):  # type: ignore[misc]
    def merged_reference(self, xs: Any) -> Array:
        return super().merged_reference(xs[::-1])


def by_name(name: str) -> type[Merge]:
    found = entries(Layer)[name]  # type: ignore[type-abstract]
    assert issubclass(found, Merge)
    return found


def test_the_laws_reject() -> None:
    mul, add, concat = map(by_name, ("mul", "add", "concat"))
    with pytest.raises(AssertionError, match="numerically"):
        backward_equals_numeric(mul, mul.samples[0], {mul: OneWayMul})
    with pytest.raises(AssertionError, match="off by"):
        equals_reference(add, add.samples[0], {add: HalfAdd})
    with pytest.raises(AssertionError, match="off by"):
        fused_equals_unfused(add.samples[0], AROUND["first"], {add: HalfAdd})
    with pytest.raises(AssertionError, match="counted"):
        flops_are_counted(CheapMul, mul.samples[1])
    with pytest.raises(AssertionError, match="off by"):
        onnx_equals_reference(LastOnnx, add.samples[0])
    with pytest.raises(AssertionError, match="off by"):
        onnx_equals_reference(BackwardConcat, concat.samples[1])


def test_a_merge_of_a_user_is_a_word_of_the_language(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maximum of branches: templates, shapes and errors are all that it declares."""
    (tmp_path / "user_maximum.py").write_text(
        inspect.cleandoc('''
        from typing import ClassVar

        import numpy as np

        from netspec.base.kinds import Elementwise
        from netspec.base.layer import OnnxForm, OnnxNode, Sample


        class Maximum(Elementwise):
            """y = max(a, b, ...). Shapes: all alike."""

            name: ClassVar[str] = "maximum"

            @staticmethod
            def forward(x, other):
                return x if x > other else other

            @staticmethod
            def backward(dy, x, other):
                return dy if x > other else 0.0

            @staticmethod
            def other_backward(dy, x, other):
                return 0.0 if x > other else dy

            def merged_onnx(self, shapes):
                return OnnxForm((OnnxNode("Max", tuple(f"x{place}" for place in range(len(shapes))), ("y",)),))

            def merged_reference(self, xs):
                return np.maximum.reduce(list(xs))

            samples = (Sample("maximum(id | tanh)", (5,)),)
            bad_samples = ()
        ''')
    )
    monkeypatch.syspath_prepend(tmp_path)
    import user_maximum  # type: ignore[import-not-found]  # noqa: PLC0415  it exists from here on

    maximum = user_maximum.Maximum
    try:
        for sample in (*maximum.samples, Sample("maximum(affine(4) | affine(4)-tanh | affine(4))", (5,))):
            equals_reference(maximum, sample)
            backward_equals_numeric(maximum, sample)
    finally:
        del maximum.name


# nets with branches


def model_of(text: str, shape: Shape, **more: Any) -> netspec.Model:
    return netspec.compile(text, input=shape, classes=3, dtype="float64", **more)


def test_names_of_parameters() -> None:
    text = "affine(8) @enc -> [affine(8) @e]x2 -> res[affine(4)-relu-affine(6)](proj) -> [affine(6)-relu]x2 tied -> affine(tie = e.T) @dec"
    with pytest.raises(netspec.SpecError, match="W of e2 is 8x8"):
        model_of(f"{text} -> affine -> softmax", (5,))
    model = model_of(f"{text.replace('e.T', 'enc.T').replace('[affine(6)', 'affine(8) -> [affine(8)')} -> affine -> softmax", (5,))
    expected = "enc.W enc.b e.W e.b e2.W e2.b affine4.W affine4.b affine5.W affine5.b proj1.W proj1.b"
    expected += " affine6.W affine6.b affine7.W affine7.b dec.b affine9.W affine9.b"
    assert list(model.params) == expected.split()
    assert model.params["proj1.W"].shape == (8, 6)
    assert [node.name for node in model.graph.nodes if node.layer.name == "relu"] == ["relu1", "relu2", "relu2#2"]


def test_a_projection_is_strided_as_its_body_is() -> None:
    model = model_of("res[conv(6, stride=2)-pool(3, stride=2, pad=1)](proj) -> affine -> softmax", (3, 9, 10))
    assert model.params["proj1.W"].shape == (6, 3, 1, 1)
    assert next(node for node in model.graph.nodes if node.name == "proj1").output.shape == (6, 3, 3)


def test_a_tied_repeat_is_one_layer_used_often() -> None:
    """Its gradient is the sum over the copies of an untied net with the same numbers in each."""
    tied = model_of("affine(6) -> [affine(6)-tanh]x3 tied -> affine -> softmax", (5,), seed=3)
    apart = model_of("affine(6) -> [affine(6)-tanh]x3 -> affine -> softmax", (5,), seed=3)
    for name, array in apart.params.items():
        same = {"affine3": "affine2", "affine4": "affine2", "affine5": "affine3"}.get(name.split(".")[0], name.split(".")[0])
        array[...] = tied.params[f"{same}.{name.split('.')[1]}"]
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(7, 5)), draw.integers(0, 3, 7)
    (loss, gradients), (other, all_gradients) = tied.loss(x, y), apart.loss(x, y)
    assert loss == pytest.approx(other, rel=1e-12)
    summed = sum(all_gradients[f"affine{number}.W"] for number in (2, 3, 4))
    laws.close(gradients["affine2.W"], summed, 1e-12)
    tied.step(x, y)
    assert list(tied.params) == ["affine1.W", "affine1.b", "affine2.W", "affine2.b", "affine3.W", "affine3.b"]


def test_l2_counts_a_shared_weight_once() -> None:
    model = model_of("affine(4) @enc -> tanh -> affine(tie = enc.T) -> affine -> softmax", (5,), train="l2 = 0.1")
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(7, 5)), draw.integers(0, 3, 7)
    plain = model_of("affine(4) @enc -> tanh -> affine(tie = enc.T) -> affine -> softmax", (5,))
    for name, array in plain.params.items():
        array[...] = model.params[name]
    squares = sum(float(np.sum(model.params[name] ** 2)) for name in ("enc.W", "affine3.W"))
    assert model.loss(x, y)[0] - plain.loss(x, y)[0] == pytest.approx(0.05 * squares, rel=1e-9)


@pytest.mark.parametrize("clip", ["", "; clip = 1.0"])
def test_a_step_moves_shared_weights_by_the_whole_gradient(clip: str) -> None:
    text = "affine(4) @enc -> tanh -> affine(tie = enc.T) -> affine(tie = enc)-relu -> [affine(4)-relu]x2 tied -> affine -> softmax"
    model = model_of(text, (5,), train=f"optimizer = sgd(lr=0.5){clip}")
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(7, 5)), draw.integers(0, 3, 7)
    before, (_, gradients) = model.params.copy(), model.loss(x, y)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
    model.step(x, y)
    for name, gradient in gradients.items():
        laws.close(model.params[name], before[name] - 0.5 * gradient * (min(1.0, 1.0 / norm) if clip else 1.0), 1e-12)


def test_a_frozen_branch_gets_no_gradient_and_the_other_does() -> None:
    model = model_of("add(affine(4, frozen=true) | affine(4))-relu -> affine -> softmax", (5,))
    draw = np.random.default_rng(0)
    before = model.params.copy()
    for _ in range(3):
        model.step(draw.normal(size=(7, 5)), draw.integers(0, 3, 7))
    assert (model.params["affine1.W"] == before["affine1.W"]).all()
    assert (model.params["affine2.W"] != before["affine2.W"]).any()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_bits_do_not_depend_on_threads(threads: int) -> None:
    text = "conv(8)-bn-relu @s -> [res[conv(8)-bn-relu-conv(8)-bn]-relu]x2 -> concat(id | @s | conv(4))-bn -> globalpool"
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(64, 3, 12, 12)), draw.integers(0, 3, 64)
    flats = []
    for count in (1, threads):
        model = netspec.compile(f"{text} -> affine -> softmax", input=(3, 12, 12), classes=3, threads=count)
        for _ in range(3):
            model.step(x, y)
        flats.append(model.params.flat.copy())
    assert flats[0].tobytes() == flats[1].tobytes()


def test_a_graph_that_shares_what_nothing_owns_is_refused() -> None:
    graph = graphs.graph_of_text("affine(4) @enc -> tanh -> affine(tie = enc.T)", (5,))
    last = dataclasses.replace(graph.nodes[-1], shared={"W": "code.W"})
    with pytest.raises(AssertionError, match="shares an array that nothing owns"):
        dataclasses.replace(graph, nodes=(*graph.nodes[:-1], last)).verify()


def test_one_branch_alone_is_itself() -> None:
    for layer in MERGES:
        assert layer().output_shape((3, 4, 5)) == (3, 4, 5)
        assert layer().flops((3, 4, 5)) == 0
    with pytest.raises(Problem):
        by_name("add")().merged_shape(((3,), (4,)))
