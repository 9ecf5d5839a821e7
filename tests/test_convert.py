"""`netspec convert`: what Keras and PyTorch describe becomes the same net here, or is said to be missing."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import layer_of
from pytorch import pytorch
from typer.testing import CliRunner, Result

import netspec
from netspec.base.errors import DataError, UsageError
from netspec.base.kinds import Head
from netspec.base.layer import ReferenceContext
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.convert.convert import Conversion, convert
from netspec.frontend.convert.paths import dominators, label_of
from netspec.frontend.convert.read import MOST_DEPTH, read_model
from netspec.frontend.convert.repeats import fold
from netspec.frontend.convert.sketch import NoChain
from netspec.frontend.format import chain_text, format_file, item_text, value_text
from netspec.frontend.parse import parse
from netspec.graph.check import diagnose
from netspec.ui.cli import app

KERAS = Path(__file__).with_name("keras")
MODELS = sorted(path.stem for path in KERAS.glob("*.json"))


def converted(text: str | bytes, name: str = "model", **more: Any) -> Conversion:
    content = text if isinstance(text, bytes) else text.encode()
    return convert(read_model(io.BytesIO(content), name), **more)


def of_keras(name: str, **more: Any) -> Conversion:
    return converted((KERAS / f"{name}.json").read_bytes(), name, **more)


def net_of(text: str) -> str:
    """The chain alone, on one line."""
    net = next(entry for entry in parse(Source(text)).entries if isinstance(entry, syntax.Net))
    return chain_text(net.chain)


def call(*words: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin)


# Keras, compared with what it computed itself


class Evaluation:
    """A chain evaluated by the layers' references in float64, branches and names too: nothing of the compiler takes part."""

    def __init__(self, weights: list[np.ndarray[Any, Any]], defaults: dict[str, str] | None = None) -> None:
        self.weights = list(weights)
        self.defaults = defaults or {}
        self.names: dict[str, Any] = {}

    def chain(self, chain: syntax.Chain, x: Any) -> Any:
        for run in chain.runs:
            for item in run.items:
                x = self.item(item, x)
            if run.label is not None:
                self.names[run.label.text] = x
        return x

    def item(self, item: syntax.Item, x: Any) -> Any:
        match item:
            case syntax.Layer():
                return self.layer(item_text(item), x)
            case syntax.Bracket():
                return self.chain(item.chain, x)
            case syntax.Block():
                return self.chain(item.chain, x) + x
            case syntax.Reference():
                return self.names[item.name.text]
            case syntax.Branches():
                found = [self.chain(branch, x) for branch in item.chains]
                merge = {"add": sum, "mul": lambda parts: np.prod(parts, axis=0), "concat": lambda parts: np.concatenate(parts, axis=1)}
                return merge[item.name.text](found)
            case syntax.Repeated(times=syntax.Count()):
                for _ in range(int(item.times.value.text)):
                    x = self.item(item.unit, x)
                return x
            case _:
                raise AssertionError(item)

    def layer(self, call: str, x: Any) -> Any:
        if call == "softmax":
            return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        layer = layer_of(self.with_defaults(call))
        assert not isinstance(layer, Head)
        if layer.name == "affine":
            x = x.reshape(len(x), -1)
        names = [*layer.parameters(x.shape[1:]), *layer.state(x.shape[1:])]
        taken = {name: self.weights.pop(0) for name in names}
        if layer.name == "conv":
            taken["W"] = _as_filters(taken["W"], getattr(layer, "groups", 1))
        given = {name: array.astype(np.float64) for name, array in taken.items()}
        return layer.reference(x, given, given, ReferenceContext(False))

    def with_defaults(self, call: str) -> str:
        """The call with what the section `defaults` says of its layer."""
        name, _, given = call.rstrip(")").partition("(")
        more = [f"{key.split('.')[1]}={value}" for key, value in self.defaults.items() if key.startswith(f"{name}.")]
        inner = ", ".join([given, *more] if given else more)
        return f"{name}({inner})" if inner else name


def evaluated(text: str, weights: list[Any], x: Any) -> tuple[Any, list[Any]]:
    """What a text gives of images whose channels come last, and the weights that it has not taken."""
    entries = parse(Source(text)).entries
    net = next(entry for entry in entries if isinstance(entry, syntax.Net))
    pairs = [pair for entry in entries if isinstance(entry, syntax.Section) and entry.word.text == "defaults" for pair in entry.pairs]
    evaluation = Evaluation(weights, {".".join(pair.key): value_text(pair.value) for pair in pairs})
    return evaluation.chain(net.chain, x.astype(np.float64).transpose(0, 3, 1, 2)), evaluation.weights


def _as_filters(weights: Any, groups: int) -> Any:
    """(F, C / groups, KH, KW) of Keras' (KH, KW, C / groups, F), or of its depthwise (KH, KW, C, multiplier); of a Dense too."""
    if weights.ndim == 2:
        weights = weights[None, None]
    if groups > 1:
        height, width, channels, times = weights.shape
        return weights.reshape(height, width, 1, channels * times).transpose(3, 2, 0, 1)
    return weights.transpose(3, 2, 0, 1)


def with_rows_in_our_order(weights: list[Any], place: int, shape: tuple[int, int, int]) -> list[Any]:
    """The weights with the rows of those at `place`, which follow a Flatten of (H, W, C), in the order of (C, H, W)."""
    found = list(weights)
    found[place] = found[place].reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(found[place].shape)
    return found


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", ["windows", "flattened", "branches"])
def test_a_model_of_keras_gives_what_keras_computed(name: str, version: int) -> None:
    found = of_keras(f"{name}_{version}")
    assert not found.missing
    stored = np.load(KERAS / f"{name}_{version}.npz")
    weights = [stored[f"w{place}"] for place in range(len(stored.files) - 2)]
    if name == "flattened":
        weights = with_rows_in_our_order(weights, 4, (4, 3, 4))
    got, left = evaluated(found.text, weights, stored["x"])
    assert not left
    np.testing.assert_allclose(got, stored["y"], atol=2e-6)


@pytest.mark.parametrize("version", [2, 3])
def test_a_compiled_net_with_branches_gives_what_keras_computed(version: int) -> None:
    """res, concat, mul, add and a point that is read twice, by the compiled plan; exchanged branches are the control."""
    stored, text = np.load(KERAS / f"branches_{version}.npz"), of_keras(f"branches_{version}").text
    x = stored["x"].transpose(0, 3, 1, 2)
    for written, differs in ((text, False), (text.replace("concat(conv(2) | id)", "concat(id | conv(2))"), True)):
        model = netspec.compile(written, dtype="float64")
        for place, array in enumerate(model.params.values()):
            weights = stored[f"w{place}"]
            array[...] = weights.transpose(3, 2, 0, 1) if weights.ndim == 4 else weights
        error = np.abs(model.predict_proba(x) - stored["y"]).max()
        assert (error > 1e-3) == differs
        assert differs or error <= 2e-6


def test_the_comparison_sees_a_weight_in_the_wrong_place() -> None:
    """The control: without the turn of the rows behind the flatten the outputs differ."""
    stored = np.load(KERAS / "flattened_3.npz")
    weights = [stored[f"w{place}"] for place in range(len(stored.files) - 2)]
    got, _ = evaluated(of_keras("flattened_3").text, weights, stored["x"])
    assert np.abs(got - stored["y"]).max() > 1e-3


EXPECTED = {
    "tutorial": ("flatten -> affine(128)-relu-dropout(20%) -> affine -> linear", ["input 1x28x28", "outputs 10", "l2 = 0.02"], []),
    "branches": (
        "res[conv(4)]-relu -> concat(conv(2) | id) -> add(mul(conv(6, kernel=1)-sigmoid @gate | id) | @gate-relu) -> globalpool"
        " -> affine -> softmax",
        ["input 4x8x8", "classes 3"],
        [],
    ),
    "nested": ("conv(4)-relu-flatten -> affine -> softmax", ["input 4x8x8", "classes 2"], []),
    "foreign": (
        "conv(8, pad=0)-bn(eps=0.001, momentum=0.99)-flatten -> affine -> softmax",
        ["input 3x16x16", "classes 4", "# not mapped: Rescaling (layer rescaling)"],
        ["normalize = rescale", "dilated convolutions", "selu"],
    ),
    "recurrent": ("affine -> softmax", ["# not mapped: LSTM(8) (layer lstm)", "The shape of a row is not known"], ["recurrence is not"]),
    "unbuilt": ("affine(8)-relu -> affine -> linear", ["The shape of a row is not known"], []),
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", EXPECTED)
def test_models_of_keras(name: str, version: int) -> None:
    net, lines, missing = EXPECTED[name]
    found = of_keras(f"{name}_{version}")
    assert net_of(found.text) == net
    for line in lines:
        assert line in found.text
    assert [any(part in str(one) for one in found.missing) for part in missing] == [True] * len(missing)
    assert len(found.missing) == len(missing)


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("two_inputs")])
def test_what_is_written_is_formatted_and_checks(name: str) -> None:
    text = of_keras(name).text
    assert format_file(parse(Source(text))) == text
    assert diagnose(Source(text)) == []


def test_an_input_is_given_where_the_model_has_none() -> None:
    assert "input 30" in of_keras("unbuilt_3", input=(30,)).text
    with pytest.raises(UsageError, match="--input 30: the model takes 4x8x8"):
        of_keras("nested_3", input=(30,))


def test_several_inputs_are_no_chain() -> None:
    for version in (2, 3):
        with pytest.raises(NoChain, match="it has 2 inputs"):
            of_keras(f"two_inputs_{version}")


def test_a_loss_on_logits_says_which_head() -> None:
    assert net_of(of_keras("logits_3").text) == "affine(8)-relu -> affine -> softmax"
    assert net_of(of_keras("logits_2").text) == "affine(8)-relu -> affine -> linear"
    assert net_of(of_keras("logits_2", head="svm").text) == "affine(8)-relu -> affine -> svm"


def test_a_head_that_contradicts_the_model_is_refused() -> None:
    with pytest.raises(UsageError, match="ends in softmax by itself"):
        of_keras("nested_3", head="svm")


def keras_layer(kind: str, shape: tuple[int, ...] = (8, 8, 4), **config: Any) -> Conversion:
    """A model of one layer behind a relu."""
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, *shape], "name": "in"}},
        {"class_name": "ReLU", "config": {"name": "before"}},
        {"class_name": kind, "config": {"name": "it", **config}},
        {"class_name": "ReLU", "config": {"name": "behind"}},
    ]
    return converted(json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers}}))


ONE = {
    ("Conv2D", '{"filters": 5, "kernel_size": [3, 3], "padding": "same", "strides": [2, 2]}'): "relu -> conv(5, stride=2)-relu",
    ("Conv2D", '{"filters": 6, "kernel_size": [5, 5], "groups": 2, "trainable": false}'):
        "relu -> conv(6, kernel=5, pad=0, groups=2, frozen=true)-relu",
    ("MaxPooling2D", '{"pool_size": [3, 3], "strides": [2, 2]}'): "relu-pool(3, stride=2) -> relu",
    ("MaxPooling2D", '{"pool_size": [2, 2], "strides": null, "padding": "same"}'): "relu-pool -> relu",
    ("GlobalAveragePooling2D", "{}"): "relu-globalpool -> relu",
    ("GlobalMaxPooling2D", "{}"): "relu-pool(8)-flatten -> relu",
    ("Reshape", '{"target_shape": [-1]}'): "relu-flatten -> relu",
    ("UpSampling2D", '{"size": [2, 3]}'): "relu-upsample(2x3) -> relu",
    ("SpatialDropout2D", '{"rate": 0.30000001192092896}'): "relu-dropout2d(30%)-relu",
    ("Dropout", '{"rate": 0.0}'): "relu-relu",
    ("LeakyReLU", '{"alpha": 0.20000000298023224}'): "relu-leaky_relu(0.2)-relu",
    ("LeakyReLU", '{"negative_slope": 0.1}'): "relu-leaky_relu(0.1)-relu",
    ("ELU", '{"alpha": 0.5}'): "relu-elu(0.5)-relu",
    ("PReLU", '{"shared_axes": [1, 2]}'): "relu-prelu-relu",
    ("Activation", '{"activation": "swish"}'): "relu-silu-relu",
    ("Activation", '{"activation": "linear"}'): "relu-relu",
    ("BatchNormalization", '{"axis": [3], "momentum": 0.9, "epsilon": 1e-05, "trainable": false}'): "relu-bn(frozen=true)-relu",
    ("GroupNormalization", '{"groups": -1, "epsilon": 0.001}'): "relu-groupnorm(4, eps=0.001)-relu",
    ("Dense", '{"units": 7}'): "relu -> conv(7, kernel=1)-relu",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "config"), ONE)
def test_a_layer_of_keras(kind: str, config: str) -> None:
    found = keras_layer(kind, **json.loads(config))
    assert (net_of(found.text), found.missing) == (ONE[kind, config], ())


MISSING = {
    ("Conv2D", '{"filters": 5, "kernel_size": [3, 3], "dilation_rate": [2, 2]}'): "dilated convolutions",
    ("Conv2DTranspose", '{"filters": 5}'): "transposed convolutions are not in version 1",
    ("MaxPooling2D", '{"pool_size": [3, 3], "strides": [2, 2], "padding": "same"}'): "0 above and 1 below",
    ("BatchNormalization", '{"axis": 1}'): "this is along axis 1",
    ("LayerNormalization", '{"axis": -1}'): "over a whole image",
    ("ReLU", '{"max_value": 6.0}'): "a largest value",
    ("PReLU", "{}"): "a slope for each pixel",
    ("Softmax", "{}"): "a head here",
    ("UpSampling2D", '{"interpolation": "bilinear"}'): "nearest pixel",
    ("Reshape", '{"target_shape": [16, 16]}'): "rows here are vectors or images",
    ("Reshape", '{"target_shape": [8, 4, 8]}'): "order height x width x channels",
    ("Activation", '{"activation": "selu"}'): "selu",
    ("GaussianNoise", '{"stddev": 1.0}'): "`netspec layers` lists",
    ("Lambda", "{}"): "never run",
    ("MultiHeadAttention", "{}"): "attention is not in version 1",
    ("Add", "{}"): "add here takes branches",
    ("ZeroPadding2D", '{"padding": [[0, 1], [0, 1]]}'): "",
}


@pytest.mark.parametrize(("kind", "config"), MISSING)
def test_a_layer_of_keras_without_a_counterpart(kind: str, config: str) -> None:
    found = keras_layer(kind, **json.loads(config))
    if kind == "ZeroPadding2D":  # what it says is seen where no layer has taken the zeros
        assert [str(one) for one in found.missing] == [
            "not mapped: padding (layer behind): zeros stand around its output, and no conv follows that takes them over"
        ]
        return
    assert len(found.missing) == 1
    assert MISSING[kind, config] in str(found.missing[0])
    assert "(layer it)" in str(found.missing[0])
    assert net_of(found.text) == "relu -> relu"
    assert "# not mapped" in found.text.partition("\ninput")[2]


FLAT = ("Dense", {"units": 4})


def vectors_of_keras(kind: str, **config: Any) -> Conversion:
    """A model of one layer behind a Dense."""
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 4]}}, {"class_name": FLAT[0], "config": FLAT[1]},
              {"class_name": kind, "config": {"name": "it", **config}}]  # fmt: skip
    return converted(json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": layers}}))


TOLD: dict[tuple[str, str], tuple[bool, str]] = {
    ("LayerNormalization", '{"rms_scaling": true}'): (True, "mean square alone (rms_scaling)"),
    ("LayerNormalization", '{"rms_scaling": false}'): (False, ""),
    ("LayerNormalization", '{"beta_constraint": {"class_name": "MaxNorm"}}'): (True, "its beta_constraint has no counterpart"),
    ("BatchNormalization", '{"gamma_regularizer": {"class_name": "L2"}}'): (True, "its gamma_regularizer has no counterpart"),
    ("BatchNormalization", '{"gamma_initializer": {"class_name": "Zeros"}}'): (False, "its gamma starts by Zeros there"),
    ("BatchNormalization", '{"gamma_initializer": {"class_name": "Ones"}}'): (False, ""),
    ("BatchNormalization", '{"renorm": true}'): (True, "its renorm = True has no counterpart"),
    ("Dense", '{"units": 3, "lora_rank": 2}'): (True, "its lora_rank = 2 has no counterpart"),
    ("Dense", '{"units": 3, "lora_rank": null, "bias_initializer": {"class_name": "Ones"}}'): (False, "its bias starts by Ones there"),
    ("Dense", '{"units": 3, "dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}}'): (False, "mixed_float16"),
    ("Dense", '{"units": 3, "dtype": "float32", "seed": 3}'): (False, ""),
    ("Dropout", '{"rate": 0.5, "seed": 7, "noise_shape": null}'): (False, ""),
}


@pytest.mark.parametrize(("kind", "config"), TOLD)
def test_no_argument_of_a_layer_of_keras_is_dropped_in_silence(kind: str, config: str) -> None:
    found = vectors_of_keras(kind, **json.loads(config))
    missing, why = TOLD[kind, config]
    told = [str(one) for one in (*found.missing, *found.notes) if one.place == "layer it"]
    assert bool(found.missing) == missing
    assert len(told) == bool(why)
    assert all(why in one for one in told)


@pytest.mark.parametrize("kind", ["LayerNormalization", "GroupNormalization", "BatchNormalization"])
def test_a_normalization_that_is_not_trained_is_frozen(kind: str) -> None:
    more = {"groups": 2} if kind == "GroupNormalization" else {}
    assert "frozen=true" in net_of(vectors_of_keras(kind, trainable=False, **more).text)
    assert "frozen" not in net_of(vectors_of_keras(kind, trainable=True, **more).text)


@pytest.mark.parametrize(("activation", "kept"), [("sigmoid", False), ("softplus", False), ("tanh", True), ("relu", True)])
def test_zeros_go_through_what_keeps_them_zero(activation: str, kept: bool) -> None:
    """sigmoid makes a half of each zero of a padding layer, and the conv behind would pad with zeros."""
    layers = [("Conv2D", "f", ["in"], conv_of(4)), ("ZeroPadding2D", "z", ["f"], {"padding": 1}),
              ("Activation", "a", ["z"], {"activation": activation}), ("Conv2D", "c", ["a"], {"filters": 4, "kernel_size": 3})]  # fmt: skip
    found = functional(layers, "c")
    assert (found.missing == ()) == kept
    assert all("layer a" in one.place and "zeros around" in one.why for one in found.missing)


def test_the_order_of_channels_is_one_for_a_whole_model() -> None:
    first, pool = {**conv_of(4), "data_format": "channels_first"}, {"pool_size": 2, "data_format": "channels_last"}
    mixed = functional([("Conv2D", "c", ["in"], first), ("MaxPooling2D", "p", ["c"], pool)], "p", (4, 8, 8))
    assert "its data_format is channels_last" in str(mixed.missing[0])
    for order, notes in (("channels_first", 1), ("channels_last", 0)):
        flat = functional([("Conv2D", "c", ["in"], first), ("Flatten", "f", ["c"], {"data_format": order})], "f", (4, 8, 8))
        assert flat.missing == ()
        assert sum("in another order" in one.why for one in flat.notes) == notes, order


def test_the_mode_that_a_layer_is_called_in_is_told() -> None:
    def called(kind: str, training: Any, **config: Any) -> Conversion:
        for_keras_3 = {
            "args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["f", 0, 0]}}],
            "kwargs": {"training": training},
        }
        found = []
        for inbound in ([["f", 0, 0, {"training": training}]], for_keras_3):
            nodes = [
                {"class_name": "InputLayer", "name": "in", "config": {"batch_input_shape": [None, 6]}, "inbound_nodes": []},
                {"class_name": "Dense", "name": "f", "config": {"units": 6}, "inbound_nodes": [[["in", 0, 0, {}]]]},
                {"class_name": kind, "name": "it", "config": config, "inbound_nodes": [inbound]},
            ]
            model = {"name": "m", "layers": nodes, "input_layers": [["in", 0, 0]], "output_layers": [["it", 0, 0]]}
            found.append(converted(json.dumps({"class_name": "Functional", "config": model})))
        assert found[0] == found[1]
        return found[0]

    for training in (True, False):
        for kind, config in (("BatchNormalization", {}), ("Dropout", {"rate": 0.5})):
            found = called(kind, training, **config)
            told = [str(one) for one in found.missing if f"training = {str(training).lower()}" in one.why]
            assert len(told) == len(found.missing) == (training or kind == "BatchNormalization")
            assert called(kind, None, **config).missing == ()
    assert net_of(called("Dropout", False, rate=0.5).text) == "affine -> linear"
    assert called("BatchNormalization", False, trainable=False).missing == ()
    assert called("Dense", True, units=3).missing == ()


def test_a_function_of_tensorflow_keeps_its_arguments() -> None:
    def joined(axis: int) -> Conversion:
        nodes = [
            {"class_name": "InputLayer", "name": "in", "config": {"batch_input_shape": [None, 8, 8, 4]}, "inbound_nodes": []},
            {"class_name": "ReLU", "name": "r", "config": {}, "inbound_nodes": [[["in", 0, 0, {}]]]},
            {"class_name": "TFOpLambda", "name": "c", "config": {"function": "concat"},
             "inbound_nodes": [[["in", 0, 0, {"axis": axis}], ["r", 0, 0, {"axis": axis}]]]},
            {"class_name": "ReLU", "name": "e", "config": {}, "inbound_nodes": [[["c", 0, 0, {}]]]},
        ]  # fmt: skip
        config = {"name": "m", "layers": nodes, "input_layers": [["in", 0, 0]], "output_layers": [["e", 0, 0]]}
        return converted(json.dumps({"class_name": "Functional", "config": config}))

    assert (net_of(joined(-1).text), joined(-1).missing) == ("concat(id | relu)-relu", ())
    assert "joins axis 1" in str(joined(1).missing[0])


def test_a_function_that_reshapes_is_read_as_rows() -> None:
    assert net_of(keras_layer("Reshape", newshape=[-1, 256]).text) == "relu-flatten -> relu"
    assert "a whole batch" in str(keras_layer("Reshape", newshape=[2, -1]).missing[0])


def test_where_nothing_is_left_the_reasons_are_told() -> None:
    with pytest.raises(NoChain, match=r"none of its layers has a counterpart here: Subtract \(layer s\): no layer here is the same"):
        functional([("Subtract", "s", ["in", "in"], {})], "s")


# graphs


def functional(layers: list[tuple[str, str, list[str], dict[str, Any]]], output: str, shape: tuple[int, ...] = (8, 8, 4)) -> Conversion:
    """A functional model of Keras 2 from (class, name, inputs, config)."""
    nodes = [{"class_name": "InputLayer", "name": "in", "config": {"batch_input_shape": [None, *shape]}, "inbound_nodes": []}]
    for kind, name, inputs, config in layers:
        inbound = [[[one, 0, 0, {}] for one in inputs]]
        nodes.append({"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound})
    config = {"name": "m", "layers": nodes, "input_layers": [["in", 0, 0]], "output_layers": [[output, 0, 0]]}
    return converted(json.dumps({"class_name": "Functional", "config": config}))


def conv_of(filters: int) -> dict[str, Any]:
    return {"filters": filters, "kernel_size": [3, 3], "padding": "same"}


def test_skips_across_a_whole_unit_nest() -> None:
    """The shape of a U-net: the identity of the outer merge passes by the whole inner one."""
    found = functional(
        [
            ("Conv2D", "a", ["in"], conv_of(8)), ("MaxPooling2D", "p", ["a"], {"pool_size": 2}), ("Conv2D", "b", ["p"], conv_of(16)),
            ("UpSampling2D", "u", ["b"], {"size": 2}), ("Concatenate", "m", ["u", "a"], {}), ("Conv2D", "c", ["m"], conv_of(4)),
        ],
        "c",
    )  # fmt: skip
    assert net_of(found.text) == "conv(8) -> concat(pool -> conv(16)-upsample | id) -> conv(4)"


def test_a_value_that_two_branches_need_gets_a_name() -> None:
    found = functional(
        [
            ("Conv2D", "stem", ["in"], conv_of(4)), ("Conv2D", "left", ["stem"], conv_of(4)), ("ReLU", "both", ["left"], {}),
            ("Conv2D", "right", ["both"], conv_of(4)), ("Add", "sum", ["both", "right", "stem"], {}),
        ],
        "sum",
    )  # fmt: skip
    assert net_of(found.text) == "conv(4) -> add(conv(4)-relu @both | @both -> conv(4) | id)"


def test_equal_units_are_written_once() -> None:
    layers: list[tuple[str, str, list[str], dict[str, Any]]] = []
    last = "in"
    for number in range(3):
        layers += [
            ("Conv2D", f"c{number}", [last], conv_of(4)), ("BatchNormalization", f"b{number}", [f"c{number}"], {}),
            ("Add", f"a{number}", [f"b{number}", last], {}), ("ReLU", f"r{number}", [f"a{number}"], {}),
        ]  # fmt: skip
        last = f"r{number}"
    text = functional(layers, last).text
    assert net_of(text) == "[res[conv(4)-bn]-relu]x3"
    assert "defaults { bn.eps = 0.001; bn.momentum = 0.99 }" in text


def test_weights_that_are_used_twice_are_missing_and_layers_without_them_are_not() -> None:
    nodes = [
        {"class_name": "InputLayer", "name": "in", "config": {"batch_input_shape": [None, 6]}, "inbound_nodes": []},
        {"class_name": "ReLU", "name": "r", "config": {}, "inbound_nodes": [[["in", 0, 0, {}]], [["d", 1, 0, {}]]]},
        {"class_name": "Dense", "name": "d", "config": {"units": 6}, "inbound_nodes": [[["r", 0, 0, {}]], [["d", 0, 0, {}]]]},
    ]
    config = {"name": "m", "layers": nodes, "input_layers": [["in", 0, 0]], "output_layers": [["r", 1, 0]]}
    found = converted(json.dumps({"class_name": "Functional", "config": config}))
    assert [str(one) for one in found.missing] == [
        "not mapped: Dense(6) (layer d): it is called several times, with the same weights each time; copies here have weights of their own"
    ]
    assert net_of(found.text) == "relu -> relu"


def test_inputs_that_lead_in_a_circle_are_refused() -> None:
    with pytest.raises(DataError, match="in a circle"):
        functional([("ReLU", "a", ["b"], {}), ("ReLU", "b", ["a"], {})], "b")


def test_zeros_before_a_convolution_become_its_pad() -> None:
    def padded(zeros: Any, **conv: Any) -> Conversion:
        layers = [
            ("ReLU", "r", ["in"], {}),
            ("ZeroPadding2D", "z", ["r"], {"padding": zeros}),
            ("Conv2D", "c", ["z"], {"filters": 4, "kernel_size": 3, **conv}),
        ]
        return functional(layers, "c")

    assert net_of(padded(1).text) == "relu -> conv(4)"
    assert net_of(padded([[2, 2], [0, 0]]).text) == "relu -> conv(4, pad=2x0)"
    assert net_of(padded([[0, 1], [0, 1]], strides=[2, 2]).text) == "relu -> conv(4, stride=2)"
    assert "2 below" in str(padded([[0, 2], [0, 2]]).missing[0])
    after = functional([("ZeroPadding2D", "z", ["in"], {}), ("ReLU", "r", ["z"], {}), ("MaxPooling2D", "p", ["r"], {})], "p")
    assert net_of(after.text) == "relu-pool(pad=1)"
    first = ("Conv2D", "c", ["in"], conv_of(4))
    assert "take part" in str(functional([first, ("ZeroPadding2D", "z", ["c"], {}), ("MaxPooling2D", "p", ["z"], {})], "p").missing[0])


def test_dominators() -> None:
    ways = {"a": ("",), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",), "f": ("e", "a")}
    assert dominators(ways) == {"": "", "a": "", "b": "a", "c": "a", "d": "a", "e": "d", "f": "a"}


def test_labels_are_names_that_no_layer_has() -> None:
    assert label_of("block1/add", set()) == "block1_add"
    assert label_of("conv2", set()) == "at_conv2"
    assert label_of("data", set()) == "at_data"
    assert label_of("x9", {"at_x9"}) == "at_x9_2"
    assert len(label_of("a" * 500, set())) <= 64


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("conv(3)-relu -> conv(3)-relu -> pool", "[conv(3)-relu]x2 -> pool"),
        ("conv(3) -> pool -> conv(3) -> pool -> affine", "[conv(3)-pool]x2 -> affine"),
        ("conv(3) -> conv(3) -> pool -> conv(3) -> conv(3) -> pool", "[[conv(3)]x2 -> pool]x2"),
        ("conv(3) -> conv(4) -> conv(3)", "conv(3) -> conv(4) -> conv(3)"),
        ("conv(3) @a -> conv(3) @b -> conv(3)", "conv(3) @a -> conv(3) @b -> conv(3)"),
        ("affine(3)-relu -> affine(3)-relu -> affine(3)", "[affine(3)-relu]x2 -> affine(3)"),
    ],
)
def test_repeats(text: str, folded: str) -> None:
    net = parse(Source(text)).entries[0]
    assert isinstance(net, syntax.Net)
    assert chain_text(syntax.Chain(fold(net.chain.runs))) == folded


# PyTorch


def printed(lines: str, name: str = "Sequential") -> str:
    """What print shows of a module with these parts."""
    inner = "\n".join(f"  ({number}): {line.strip()}" for number, line in enumerate(lines.strip().split("\n")))
    return f"{name}(\n{inner}\n)"


LENET = printed("""Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    ReLU()
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
    ReLU(inplace=True)
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    Flatten(start_dim=1, end_dim=-1)
    Linear(in_features=400, out_features=120, bias=True)
    ReLU()
    Linear(in_features=120, out_features=10, bias=True)
    LogSoftmax(dim=1)""")


def test_a_printed_net_tells_the_sides_of_its_images() -> None:
    found = converted(LENET)
    assert "input 1x28x28" in found.text
    assert "classes 10" in found.text
    assert any("28 to 31 fit" in str(note) for note in found.notes)
    assert (
        net_of(found.text)
        == "conv(6, kernel=5)-relu-pool -> conv(16, kernel=5, pad=0)-relu-pool-flatten -> affine(120)-relu -> affine -> softmax"
    )
    assert not diagnose(Source(found.text))


def test_weights_that_do_not_fit_the_input_are_told() -> None:
    found = converted(LENET, input=(1, 32, 32))
    assert [str(one) for one in found.missing] == [
        "not mapped: Linear(400, 120) ((7)): its weights are for 400 features, and 576 arrive"
    ]  # fmt: skip


MODULES = {
    "Linear(in_features=3, out_features=7, bias=False)": "relu -> affine(7, bias=false)-relu",
    "BatchNorm1d(3, eps=1e-05, momentum=0.2, affine=True, track_running_stats=True)": "relu-bn(momentum=0.8)-relu",
    "LayerNorm((3,), eps=1e-06, elementwise_affine=True)": "relu-layernorm(1e-06)-relu",
    "Dropout(p=0.125, inplace=False)": "relu-dropout(0.125)-relu",
    "ELU(alpha=1.0)": "relu-elu-relu",
    "GELU(approximate='none')": "relu-gelu-relu",
    "PReLU(num_parameters=3)": "relu-prelu-relu",
    "Unflatten(dim=1, unflattened_size=(3, 1, 1))": "relu -> reshape(3x1x1) -> relu",
    "Unflatten(dim=1, unflattened_size=torch.Size([3, 1, 1]))": "relu -> reshape(3x1x1) -> relu",
    "Identity()": "relu-relu",
    "(inner): Sequential((0): Tanh() (1): SiLU())": "relu-tanh-silu-relu",
}


@pytest.mark.parametrize("module", MODULES)
def test_a_printed_module_on_vectors(module: str) -> None:
    text = printed(f"Linear(in_features=3, out_features=3, bias=True)\nReLU()\n{module}\nReLU()").replace("(2): (inner)", "(2)")
    found = converted(text)
    assert found.missing == ()
    assert net_of(found.text) == f"affine(3)-{MODULES[module]}".replace("affine(3)-relu -> affine(7", "affine(3)-relu -> affine(7")


FOREIGN = {
    "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), dilation=(2, 2))": "dilated",
    "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding_mode=reflect)": "pads with zeros",
    "ConvTranspose2d(3, 4, kernel_size=(2, 2), stride=(1, 1))": "transposed convolutions are not",
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=True)": "rounds the sides up",
    "AvgPool2d(kernel_size=3, stride=2, padding=1)": "counts the zeros",
    "Upsample(scale_factor=1.5, mode='nearest')": "whole numbers",
    "Upsample(scale_factor=2.0, mode='bilinear')": "nearest pixel",
    "GELU(approximate='tanh')": "exact form",
    "Softmax(dim=1)": "a head here",
    "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=False)": "running averages",
    "BatchNorm2d(3, eps=1e-05, momentum=None, affine=True, track_running_stats=True)": "fade",
    "Hardswish()": "`netspec layers` lists",
    "LSTM(3, 4)": "recurrence is not",
    "Linear(in_features=7, out_features=4, bias=True)": "the last axis of an image",
    "Block( (conv): ReLU() )": "a module of its own",
    "Flatten(start_dim=2, end_dim=-1)": "flattens some axes",
    "AdaptiveAvgPool2d(output_size=(2, 2))": "not known; give them with --input",
    "Softplus(beta=1.0, threshold=2.0)": "above threshold = 2 it is x itself, 0.1 beside",
    "Softplus(beta=2, threshold=20)": "no beta",
    "Dropout1d(p=0.5, inplace=False)": "drops whole rows",
}


@pytest.mark.parametrize("module", FOREIGN)
def test_a_printed_module_without_a_counterpart(module: str) -> None:
    found = converted(printed(f"Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n{module}\nReLU()"))
    assert len(found.missing) == 1
    assert FOREIGN[module] in str(found.missing[0])
    assert "((1))" in str(found.missing[0])
    assert "not mapped" in found.text


@pytest.mark.parametrize(("threshold", "missing", "noted"), [(20, 0, 0), (20.5, 0, 0), (15, 0, 1), (13, 1, 0), (0.5, 1, 0), (-3, 1, 0)])
def test_a_threshold_of_softplus_is_told_by_what_it_changes(threshold: float, missing: int, noted: int) -> None:
    found = converted(printed(f"Linear(in_features=3, out_features=3, bias=True)\nSoftplus(beta=1.0, threshold={threshold})\nTanh()"))
    told = [[one for one in some if f"threshold = {threshold:g}" in one.why] for some in (found.missing, found.notes)]
    assert (len(told[0]), len(told[1])) == (len(found.missing), noted) == (missing, noted)
    assert ("softplus" in net_of(found.text)) == (not missing)


def test_what_print_does_not_show_is_told() -> None:
    """AvgPool2d prints three of its six arguments."""
    first = "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))\n"
    found = converted(printed(f"{first}AvgPool2d(kernel_size=2, stride=2, padding=0)"))
    assert found.missing == ()
    note = next(str(one) for one in found.notes if "AvgPool2d" in one.why)
    assert all(word in note for word in ("ceil_mode", "count_include_pad", "divisor_override", "not printed", "torch.export", "((1))"))
    assert note in found.text
    maximum = converted(printed(f"{first}MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"))
    assert not any("not printed" in one.why for one in maximum.notes)


KEEPS_CHANNELS = {
    "PixelShuffle(upscale_factor=2)": False,
    "Unflatten(dim=1, unflattened_size=(1, 4, 4))": False,
    "Block( (conv): Conv2d(3, 1, kernel_size=(1, 1), stride=(1, 1)) )": False,
    "ZeroPad2d((1, 1, 1, 1))": True,
    "(inner): Sequential((0): ReLU())": True,
}


@pytest.mark.parametrize("before", KEEPS_CHANNELS)
def test_the_first_weights_tell_the_input_only_where_its_channels_reach_them(before: str) -> None:
    text = printed(f"{before}\nConv2d(1, 2, kernel_size=(1, 1), stride=(1, 1))").replace("(0): (inner)", "(0)")
    if KEEPS_CHANNELS[before]:
        with pytest.raises(UsageError, match=r"the model takes 1x\?x\?"):
            converted(text, input=(4, 8, 8))
        return
    assert "The shape of a row is not known" in converted(text).text
    if "Unflatten" not in before:
        found = converted(text, input=(4, 8, 8))
        assert "input 4x8x8" in found.text
        assert [one.place for one in found.missing] == ["(0)"]


def test_a_module_of_its_own_is_refused_with_what_to_print() -> None:
    with pytest.raises(NoChain, match=r"(?s)Net is a module of its own.*torch\.nn\.Sequential.*\.pt2"):
        converted("Net(\n  (fc): Linear(in_features=3, out_features=4, bias=True)\n)")


def test_a_path_that_is_printed_twice_is_two_modules() -> None:
    twice = printed("Linear(in_features=3, out_features=3, bias=True)\nTanh()").replace("(1): Tanh", "(0): Tanh")
    assert net_of(converted(twice).text) == "affine(3)-tanh"


def test_wrappers_are_looked_through_and_lists_counted() -> None:
    wrapped = f"DataParallel(\n  (module): {printed('Linear(in_features=3, out_features=4, bias=True)')}\n)"
    assert net_of(converted(wrapped).text) == "affine -> linear"
    several = "Sequential(\n  (0): Sequential(\n    (0-2): 3 x Linear(in_features=3, out_features=3, bias=True)\n  )\n  (1): Tanh()\n)"
    assert net_of(converted(several).text) == "[affine(3)]x2 -> affine(3)-tanh"


def test_one_pixel_is_a_vector_here_and_an_image_again_for_a_convolution() -> None:
    pooled = "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))\nAdaptiveAvgPool2d(output_size=(1, 1))\n"
    ends = {
        "Flatten(start_dim=1, end_dim=-1)\nLinear(in_features=8, out_features=2, bias=True)": "-globalpool -> affine -> linear",
        "Conv2d(8, 2, kernel_size=(1, 1), stride=(1, 1))": "-globalpool -> reshape(8x1x1) -> conv(2, kernel=1)",
    }
    for end, net in ends.items():
        assert net_of(converted(printed(pooled + end)).text) == f"conv(8, pad=0){net}"


def test_heads_and_sigmoids() -> None:
    def ending(width: int, end: str = "\nSigmoid()", **more: Any) -> str:
        return converted(printed(f"Linear(in_features=5, out_features={width}, bias=True){end}"), **more).text

    assert "classes 2\nnet affine -> sigmoid" in ending(1)
    assert "classes 4\nnet affine -> sigmoid" in ending(4)
    assert "outputs 2\nnet affine(2)-sigmoid -> linear" in ending(2)
    assert "outputs 4\nnet affine -> linear" in ending(4, "")
    assert "classes 4\nnet affine -> softmax" in ending(4, "", head="softmax")
    assert "outputs 4\nnet affine -> linear" in ending(4, "", head="linear")
    for width in (1, 2, 4):
        assert not diagnose(Source(ending(width)))


BAD_TEXTS = {
    "": "is empty",
    "hello": "cannot be read as a printed module|ends within",
    "a,b\n1,2": "line 1, column 2.* of Keras the JSON",
    "Sequential(\n  (0): Linear(in_features=3, ": "ends within a module",
    "Sequential(\n  (0): Linear(in_features==3)\n)": "line 2, column 27",
    "(" * 100: "deep in each other",
    "Sequential(\n  (0): Linear(in_features=abc, out_features=3)\n)": r"\(0\) Linear: in_features is 'abc', where a whole number is needed",
    "Sequential(\n  (0): Linear(in_features=3)\n)": "has no out_features",
    "{": "is no JSON",
    "[1, 2]": "is no model of Keras",
    '{"class_name": "Net", "config": {}}': "of the class Net",
    '{"class_name": "Sequential", "config": 3}': "without a list of layers",
    '{"class_name": "Sequential", "config": {"layers": [3]}}': "no class_name",
    "[" * 10_000: f"more than {MOST_DEPTH} deep",
    "\x80\x04": "pickle",
}


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_what_is_no_model_is_a_data_error(text: str) -> None:
    with pytest.raises(DataError, match=BAD_TEXTS[text]):
        converted(text.encode("latin-1"))


def test_archives() -> None:
    def archive(**members: str) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as made:
            for name, text in members.items():
                made.writestr(name.replace("__", "/"), text)
        return content.getvalue()

    text = (KERAS / "nested_3.json").read_text()
    assert net_of(converted(archive(**{"config.json": text})).text) == net_of(of_keras("nested_3").text)
    with pytest.raises(DataError, match="pickle"):
        converted(archive(**{"archive__data.pkl": ""}))
    with pytest.raises(DataError, match="without a description"):
        converted(archive(**{"other.txt": ""}))
    with pytest.raises(DataError, match="cannot be read as an archive"):
        converted(archive(**{"config.json": text})[:-30])
    with pytest.raises(DataError, match="not that of a program"):
        converted(archive(**{"a__models__model.json": "{}"}))


def test_mutated_descriptions_raise_nothing_else() -> None:
    """Words and numbers of real descriptions exchanged at random: a conversion, or one of the errors that are meant for it."""
    generator = random.Random(0)
    texts = [(KERAS / f"{name}.json").read_text() for name in MODELS] + [LENET]
    outcomes = {"converted": 0, "refused": 0}
    for _ in range(600):
        text = generator.choice(texts)
        for _ in range(generator.randint(1, 3)):
            at = generator.randrange(len(text))
            piece = generator.choice(["null", "-1", "[]", "{}", '"x"', "1e99", "0", "true", "(", ")", "Dense", ",", '"layers"', "[[1, 2]]"])
            text = text[:at] + piece + text[at + generator.randint(0, 6) :]
        outcomes[_outcome(text)] += 1
    for name in MODELS:
        model = json.loads((KERAS / f"{name}.json").read_text())
        for _ in range(60):
            changed = json.loads(json.dumps(model))
            _change(changed, generator)
            outcomes[_outcome(json.dumps(changed))] += 1
    assert min(outcomes.values()) > 50


def _outcome(text: str) -> str:
    try:
        found = converted(text)
    except (DataError, UsageError, NoChain):
        return "refused"
    parse(Source(found.text))
    return "converted"


def _change(node: Any, generator: random.Random) -> None:
    """Replaces one value, at any depth."""
    while isinstance(node, (dict, list)) and node:
        key = generator.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], (dict, list)) or not node[key] or generator.random() < 0.15:
            node[key] = generator.choice([None, -1, 0, 3, 1e300, "x", "same", [], {}, [1, 2], True, "relu"])
            return
        node = node[key]


# the verb


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("lenet.txt").write_text(LENET)
    return tmp_path


def test_the_text_goes_to_stdout_and_what_is_told_to_stderr(folder: Path) -> None:
    result = call("convert", "lenet.txt")
    assert result.exit_code == 0
    assert result.stdout == converted(LENET, "lenet.txt").text
    assert "note: its images are read as 1x28x28" in result.stderr
    assert call("convert", "-", stdin=LENET).stdout == result.stdout


def test_a_file_is_written_and_never_over_another(folder: Path) -> None:
    result = call("convert", "lenet.txt", "-o", "lenet.net")
    assert (result.exit_code, result.stdout) == (0, "lenet.net: 11 layers\n")
    assert call("check", "lenet.net").stdout == "lenet.net: fine\n"
    again = call("convert", "lenet.txt", "-o", "lenet.net")
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_what_is_missing_makes_the_exit_code_1(folder: Path) -> None:
    result = call("convert", KERAS / "foreign_3.json", "-o", "foreign.net")
    assert (result.exit_code, result.stdout) == (1, "foreign.net: 5 layers, 3 things not mapped\n")
    assert "not mapped: Rescaling (layer rescaling): rows are prepared in the data section" in result.stderr
    assert call("check", "foreign.net").exit_code == 0


def test_what_makes_no_net_that_checks_is_not_written(folder: Path) -> None:
    one = printed("Linear(in_features=3, out_features=1, bias=True)\nSoftmax(dim=1)")
    result = call("convert", "-", "-o", "wrong.net", stdin=one)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "classes takes a whole number of at least 2" in result.stderr
    assert "makes no net that checks" in result.stderr
    assert not Path("wrong.net").exists()


def test_a_layer_that_cannot_take_its_rows_is_missing(folder: Path) -> None:
    wrong = printed("Linear(in_features=3, out_features=3, bias=True)\nGroupNorm(2, 3, eps=1e-05, affine=True)\nReLU()")
    result = call("convert", "-", "-o", "rest.net", stdin=wrong)
    assert result.exit_code == 1
    assert "3 features do not fall into 2 equal groups" in result.stderr
    assert call("check", "rest.net").exit_code == 0


def test_json(folder: Path) -> None:
    result = call("convert", KERAS / "foreign_3.json", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert result.stderr == ""
    assert found["not_mapped"][0] == {
        "layer": "Rescaling", "place": "layer rescaling", "why": "rows are prepared in the data section: normalize = rescale"
    }  # fmt: skip
    assert found["text"].startswith("# Converted from Keras")
    assert (found["output"], found["layers"], found["diagnostics"]) == (None, 5, [])


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("absent.json",), 2, "no such file"),
        ((".",), 4, "is a folder"),
        (("lenet.txt", "-o", "lenet.txt"), 2, "ends in .net"),
        (("lenet.txt", "--input", "3x3"), 2, "--input 3x3"),
        (("lenet.txt", "--input", "3x32x32"), 2, "the model takes 1x?x?"),
        (("lenet.txt", "--head", "svm"), 2, "ends in softmax by itself"),
        (("lenet.txt", "--head", "mse"), 2, "--head"),
        ((KERAS / "two_inputs_3.json",), 1, "cannot be written as a .net: it has 2 inputs"),
    ],
)
def test_calls_that_are_refused(folder: Path, words: tuple[object, ...], code: int, part: str) -> None:
    result = call("convert", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert part in result.stderr
    assert "Traceback" not in result.stderr


# PyTorch, compared with what it computes


def nets(torch: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Sequentials that hold every module with a counterpart, and the shape of their rows."""
    nn = torch.nn
    return {
        "mlp": (
            nn.Sequential(
                nn.Linear(7, 9), nn.BatchNorm1d(9, eps=1e-3, momentum=0.3), nn.ReLU(), nn.Dropout(0.3), nn.Linear(9, 9, bias=False),
                nn.LayerNorm(9), nn.GELU(), nn.Linear(9, 8), nn.GroupNorm(2, 8), nn.SiLU(), nn.Linear(8, 8), nn.PReLU(8), nn.Softplus(),
                nn.Linear(8, 8), nn.PReLU(), nn.ELU(0.5), nn.Linear(8, 4), nn.Softmax(dim=1),
            ),
            (7,),
        ),
        "images": (
            nn.Sequential(
                nn.Conv2d(2, 4, (3, 5), padding=(1, 2)), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.MaxPool2d(3, stride=2, padding=1),
                nn.ZeroPad2d((1, 1, 2, 2)), nn.Conv2d(4, 6, 3, stride=(1, 2), groups=2, bias=False), nn.InstanceNorm2d(6, affine=True),
                nn.Tanh(), nn.Upsample(scale_factor=2), nn.AvgPool2d(2), nn.Conv2d(6, 4, (2, 3), padding="same"), nn.Dropout2d(0.2),
                nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 4, 2), nn.Sigmoid(), nn.Flatten(), nn.Linear(4 * 6 * 3, 24),
                nn.Unflatten(1, (2, 3, 4)), nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(), nn.Linear(12, 5),
            ),
            (2, 8, 10),
        ),
        "pooled": (
            nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.Sequential(nn.GroupNorm(4, 8), nn.ReLU()), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 6, 1), nn.ReLU(),
                nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten(), nn.Linear(6, 1), nn.Sigmoid(),
            ),
            (3, 7, 6),
        ),
    }  # fmt: skip


HEADS = ("softmax", "sigmoid")


def compare(torch: Any, net: Any, text: str, shape: tuple[int, ...]) -> float:
    """The largest difference between the outputs of a module and of the net compiled from the text, with the module's weights."""
    generator = np.random.default_rng(0)
    net = net.double().eval()
    with torch.no_grad():
        for array in net.buffers():
            if array.dtype.is_floating_point:
                array.copy_(torch.from_numpy(generator.uniform(0.5, 1.5, tuple(array.shape))))
    model = netspec.compile(text, dtype="float64")
    layers = [module for module in net.modules() if list(module.parameters(recurse=False))]
    owners = [name.split(".")[0] for name in model.params]
    for owner, module in zip(dict.fromkeys(owners), layers, strict=True):
        own = {name.split(".")[1]: array for name, array in [*model.params.items(), *model.state.items()] if name.startswith(f"{owner}.")}
        names = {
            "W": "weight",
            "gamma": "weight",
            "slope": "weight",
            "b": "bias",
            "beta": "bias",
            "mean": "running_mean",
            "var": "running_var",
        }
        for key, array in own.items():
            given = getattr(module, names[key]).detach().numpy()
            array[...] = given.T if key == "W" and given.ndim == 2 else given
    x = generator.normal(size=(5, *shape))
    with torch.no_grad():
        wanted = net(torch.from_numpy(x)).numpy()
    got = model.forward(x)
    if net_of(text).endswith("softmax"):
        got = np.exp(got) / np.exp(got).sum(axis=1, keepdims=True)
    if net_of(text).endswith("sigmoid"):
        got = 1 / (1 + np.exp(-got))
    return float(np.abs(got - wanted).max())


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", ["mlp", "images", "pooled"])
def test_a_printed_net_computes_what_pytorch_does(name: str) -> None:
    torch = pytorch()
    torch.manual_seed(0)
    net, shape = nets(torch)[name]
    found = converted(str(net), input=shape)
    assert found.missing == ()
    assert compare(torch, net, found.text, shape) < 1e-9


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_the_comparison_sees_another_net() -> None:
    """The control: a slope that differs."""
    torch = pytorch()
    net, shape = nets(torch)["images"]
    text = converted(str(net), input=shape).text.replace("leaky_relu(0.2)", "leaky_relu(0.3)")
    assert compare(torch, net, text, shape) > 1e-4


def exported(torch: Any, module: Any, shape: tuple[int, ...], path: Path) -> Conversion:
    torch.export.save(torch.export.export(module, (torch.zeros(2, *shape),)), path)
    return converted(path.read_bytes())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["mlp", "images", "pooled"])
def test_an_exported_program_is_the_printed_net(name: str, tmp_path: Path) -> None:
    torch = pytorch()
    net, shape = nets(torch)[name]
    found = exported(torch, net, shape, tmp_path / "net.pt2")
    assert net_of(found.text) == net_of(converted(str(net), input=shape).text)
    assert found.missing == ()


@pytest.mark.filterwarnings("ignore")
def test_an_exported_program_tells_what_print_does_not(tmp_path: Path) -> None:
    torch = pytorch()
    nn = torch.nn
    ends: tuple[tuple[Any, str], ...] = (
        (nn.AvgPool2d(2, divisor_override=3), "divisor_override"), (nn.AvgPool2d(2, ceil_mode=True), "ceil_mode"),
        (nn.AvgPool2d(3, 2, padding=1), "count_include_pad"), (nn.Softplus(threshold=3), "threshold = 3"), (nn.Softplus(beta=2), "beta"),
        (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), ""), (nn.AvgPool2d(2), ""), (nn.Softplus(), ""),
    )  # fmt: skip
    for end, why in ends:
        found = exported(torch, nn.Sequential(nn.Conv2d(1, 2, 3), end), (1, 9, 9), tmp_path / "net.pt2")
        assert [why in str(one) for one in found.missing] == [True] * bool(why), end
        assert not any("not printed" in one.why for one in found.notes)


@pytest.mark.filterwarnings("ignore")
def test_an_exported_module_of_its_own_has_its_branches(tmp_path: Path) -> None:
    torch = pytorch()

    class Unit(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.BatchNorm2d(4)
            self.last = torch.nn.Linear(8, 3)

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.norm(self.conv(x)) + x)
            y = torch.cat([y, x], 1).mean((2, 3))
            return self.last(y.view(y.size(0), -1))

    found = exported(torch, Unit(), (4, 8, 8), tmp_path / "unit.pt2")
    assert net_of(found.text) == "concat(res[conv(4)-bn]-relu | id) -> globalpool -> affine -> linear"
    assert exported(torch, Unit().eval(), (4, 8, 8), tmp_path / "unit.pt2").notes[0].why.startswith("it was exported in its test form")


def test_a_net_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "own.net"
    path.write_text("netspec 1 net affine")
    result = call("convert", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is a .net file already; convert reads model.to_json()" in result.stderr
