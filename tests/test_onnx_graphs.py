"""Whole nets in ONNX: the forms of all layers joined into one model, run by onnxruntime, give what netspec gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import laws
import numpy as np
import onnx_runs
import pytest
from graphs import INCEPTION, RESNET, moved_at_random
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError

import netspec
from netspec.base.kinds import Merge
from netspec.base.layer import Layer, OnnxForm, OnnxNode
from netspec.catalog.registry import entries
from netspec.save.onnx_graph import INPUT, SCORES, joined
from netspec.train.normalize import as_input

Shape = tuple[int, ...]
NETS: dict[str, tuple[str, Shape]] = {
    "a chain": ("conv(6)-groupnorm(3)-relu-pool -> upsample(2x1)-prelu -> affine(9)-layernorm-gelu -> affine -> softmax", (3, 6, 8)),
    "residual": (RESNET, (3, 8, 8)),
    "residual, vectors": ("affine(9) -> res[affine(9)-tanh] -> res[affine(5)-bn-elu](proj) -> affine -> svm", (7,)),
    "a skip of the rows": ("res[conv(3)-leaky_relu-dropout2d] -> avgpool -> affine -> softmax", (3, 6, 4)),
    "inception": (INCEPTION, (3, 6, 6)),
    "gates": ("mul(affine(9)-sigmoid | affine(9) | affine(9)-tanh) -> affine -> softmax", (5,)),
    "all merges": (
        "conv(4) -> concat(add(id | conv(4)-silu | conv(4, kernel=1)) | mul(id | conv(4)-sigmoid) | id) -> affine -> softmax",
        (2, 5, 4),
    ),
    "names": (
        "affine(8)-relu @stem -> affine(8)-tanh @next -> add(id | @stem) -> affine(8) -> concat(@next | id | @stem) -> affine -> softmax",
        (6,),
    ),
    "layers with names": ("affine(8) @x -> relu -> [affine(8) @middle -> bn-tanh]x2 -> affine @scores -> softmax", (6,)),
    "tied": ("affine(6) -> [affine(6)-bn-relu]x3 tied -> affine -> softmax", (5,)),
    "tied images": ("conv(4) -> [res[conv(4)-bn-prelu]-pool]x2 tied -> affine -> softmax", (2, 8, 9)),
    "tie": ("affine(6) @enc -> tanh -> affine(8) @wide -> relu -> affine(6) -> affine(tie = wide, bias = false) -> affine", (6,)),
    "tie, transposed": ("affine(5) @enc -> tanh -> affine(tie = enc.T)", (7,)),
    "tie, square": ("affine(6) @enc -> tanh -> affine(tie = enc.T)", (6,)),
    "tie, three times": ("affine(5) @enc -> tanh -> affine(tie = enc.T) @dec -> elu -> affine(tie = enc) -> affine(tie = dec)", (7,)),
    "tie, in tied copies": ("affine(5) @enc -> [tanh -> affine(tie = enc.T) -> relu -> affine(5)]x2 tied", (7,)),
    "depthwise": (
        "conv(6) -> [conv(6, groups=6)-bn-relu-conv(6, kernel=1)]x2 -> conv(4, groups=2, stride=2) -> affine -> softmax",
        (3, 7, 6),
    ),
    "nothing": ("id -> linear", (4,)),
}  # fmt: skip


def compiled(name: str) -> netspec.Model:
    """With all its arrays at random, as after training."""
    text, shape = NETS[name]
    model = netspec.compile(text, input=shape, classes=3 if text.endswith(("softmax", "svm")) else None, threads=1)
    moved_at_random(model)
    draw = np.random.default_rng(5)
    for key, array in model.state.items():
        array[...] = draw.normal(0, 0.3, array.shape) if key.endswith(".mean") else draw.uniform(0.5, 1.5, array.shape)
    return model


def form_of(model: netspec.Model) -> OnnxForm:
    return joined(model.graph, {**model.params, **model.state})


def gives_the_scores(model: netspec.Model, form: OnnxForm) -> None:
    """The law: in float32 the form gives the scores of the test form, for one row and for several."""
    graph = model.graph
    for rows in (1, 5):
        x = np.random.default_rng(rows).normal(size=(rows, *graph.input.shape)).astype(np.float32)
        laws.close(onnx_runs.run(form, {INPUT: x}, SCORES, graph.output.shape), model.forward(x), 1e-5)


@pytest.mark.parametrize("name", NETS)
def test_the_joined_forms_give_the_scores(name: str) -> None:
    model = compiled(name)
    form = form_of(model)
    gives_the_scores(model, form)
    arrays = {**model.graph.parameters, **model.graph.state}
    trained = {key: array for key, array in form.constants.items() if key in arrays}
    assert {key: array.shape for key, array in trained.items()} == {key: one.shape for key, one in arrays.items()}  # each once
    assert all(array.dtype in (np.float32, np.int64) and array.flags.c_contiguous for array in form.constants.values())


def test_the_nets_have_every_merge() -> None:
    words = {word for text, _ in NETS.values() for word in re.findall(r"\w+", text)}
    assert {name for name, layer in entries(Layer).items() if issubclass(layer, Merge)} <= words


def altered(form: OnnxForm, operator: str, change: Callable[[OnnxNode], OnnxNode]) -> OnnxForm:
    """With the last node of that operator changed."""
    place = max(place for place, node in enumerate(form.nodes) if node.operator == operator)
    nodes = [*form.nodes[:place], change(form.nodes[place]), *form.nodes[place + 1 :]]
    return OnnxForm(tuple(nodes), form.constants)


@pytest.mark.parametrize(
    ("name", "operator", "change"),
    [
        ("residual", "Sum", lambda node: replace(node, inputs=(node.inputs[0], node.inputs[0]))),
        ("inception", "Concat", lambda node: replace(node, inputs=node.inputs[::-1])),
        ("gates", "Mul", lambda node: replace(node, operator="Add")),
        ("names", "Concat", lambda node: replace(node, inputs=(node.inputs[2], *node.inputs[1:]))),
        ("tie, square", "Transpose", lambda node: replace(node, operator="Identity", attributes={})),
        ("tied", "BatchNormalization", lambda node: replace(node, inputs=(*node.inputs[:3], node.inputs[1], node.inputs[4]))),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_form_that_is_joined_wrongly_is_noticed(name: str, operator: str, change: Callable[[OnnxNode], OnnxNode]) -> None:
    model = compiled(name)
    with pytest.raises(AssertionError, match="off by"):
        gives_the_scores(model, altered(form_of(model), operator, change))


def test_other_weights_are_noticed() -> None:
    model = compiled("tied")
    other = {"affine2.W": 1.1 * model.params["affine2.W"]}  # of three layers
    with pytest.raises(AssertionError, match="off by"):
        gives_the_scores(model, joined(model.graph, {**model.params, **model.state, **other}))


def test_a_form_without_an_array_is_refused() -> None:
    model = compiled("tie, transposed")
    form = form_of(model)
    without = {key: array for key, array in form.constants.items() if key != "enc.W"}
    with pytest.raises((ValidationError, InferenceError)):
        gives_the_scores(model, OnnxForm(form.nodes, without))


def test_all_digits_in_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained net on every row of its data: scores within 1e-5, the same class for each."""
    monkeypatch.chdir(tmp_path)
    model = netspec.train(Path(__file__).parent.parent / "models" / "digits_conv.net", **{"train.epochs": 4}).model
    rows = model.splits_of_data().train.rows.x
    assert len(rows) == 1797
    x = as_input(rows, model.normalization, np.float32)
    scores = onnx_runs.run(form_of(model), {INPUT: x}, SCORES, model.graph.output.shape)
    own = model.forward(x)
    laws.close(own, scores, 1e-5)
    assert (own.argmax(axis=1) == scores.argmax(axis=1)).all()
