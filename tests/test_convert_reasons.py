"""What `netspec convert` says of each thing that has no counterpart, and what it makes of forms that are seldom written."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from test_convert import conv_of, converted, functional, keras_layer, net_of, printed

from netspec.base.errors import DataError
from netspec.frontend.convert.convert import Conversion
from netspec.frontend.convert.read import MOST_BYTES
from netspec.frontend.convert.sketch import NoChain
from netspec.frontend.convert.torch_text import MOST_MODULES

IMAGE, PLAIN, SEQUENCE, OPEN = (8, 8, 4), (6,), (8, 4), (None, None, 4)


# Keras

KERAS_REASONS: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("Conv2D", SEQUENCE, {"filters": 3, "kernel_size": 3}, "a sequence to it"),
    ("MaxPooling2D", PLAIN, {}, "rows that are vectors arrive"),
    ("UpSampling2D", PLAIN, {}, "rows that are vectors arrive"),
    ("AveragePooling2D", OPEN, {"padding": "same", "pool_size": 3, "strides": 2}, "depends on the image's sides"),
    ("GlobalMaxPooling2D", OPEN, {}, "needs its sides, which are not known"),
    ("Reshape", OPEN, {"target_shape": [-1, 4]}, "the side -1 of its shape cannot be told"),
    ("ZeroPadding2D", IMAGE, {"padding": [[-1, 0], [0, 0]]}, "cuts an image"),
    ("Conv2D", IMAGE, {"filters": 3, "kernel_size": 3, "padding": "causal"}, "padding = causal"),
    ("DepthwiseConv2D", (8, 8, None), {"kernel_size": 3}, "how many channels arrive is not known"),
    ("SeparableConv2D", (8, 8, None), {"kernel_size": 3, "filters": 3}, "how many channels arrive is not known"),
    ("Dense", SEQUENCE, {"units": 3}, "the last axis of rows that are no vectors"),
    ("Dense", IMAGE, {"units": 3, "data_format": "channels_first"}, "the last axis of rows that are no vectors"),
    ("Activation", IMAGE, {"activation": {"class_name": "Own", "config": {}}}, "its activation is Own"),
    ("Gelu", IMAGE, {"approximate": True}, "the approximation by tanh"),
    ("Softmax", PLAIN, {"axis": 2}, "another axis than the scores"),
    ("BatchNormalization", SEQUENCE, {}, "bn here is by channel"),
    ("GroupNormalization", IMAGE, {"axis": 1}, "over groups of channels"),
    ("GroupNormalization", (8, 8, None), {"groups": -1}, "how many channels arrive is not known"),
    ("Dropout", IMAGE, {"rate": 0.5, "noise_shape": [None, 1, 1, 4]}, "drops elements together"),
    ("ReLU", IMAGE, {"threshold": 1.0}, "a threshold or a largest value"),
    ("Concatenate", IMAGE, {}, "one input alone"),
    ("TFOpLambda", IMAGE, {"function": "math.sin"}, "the same as the function math.sin"),
    ("LeakyReLU", IMAGE, {"negative_slope": -1.0}, "leaky_relu does not take slope = -1.0"),
]


@pytest.mark.parametrize(("kind", "shape", "config", "reason"), KERAS_REASONS)
def test_why_a_layer_of_keras_is_left_out(kind: str, shape: tuple[Any, ...], config: dict[str, Any], reason: str) -> None:
    found = keras_layer(kind, shape, **config)
    assert reason in str(found.missing[0])
    assert "not mapped" in found.text


KERAS_FORMS: list[tuple[str, tuple[int, ...], dict[str, Any], str]] = [
    ("Reshape", PLAIN, {"target_shape": [6]}, "relu-relu"),
    ("Reshape", PLAIN, {"target_shape": [1, 2, 3]}, "relu -> reshape(3x1x2) -> relu"),
    ("Reshape", IMAGE, {"target_shape": [4, 64], "data_format": "channels_first"}, ""),
    ("Reshape", (4, 8, 8), {"target_shape": [16, 4, 4], "data_format": "channels_first"}, "relu -> reshape(16x4x4) -> relu"),
    ("Activation", IMAGE, {"activation": {"class_name": "function", "config": "tanh"}}, "relu-tanh-relu"),
    ("Activation", IMAGE, {"activation": {"class_name": "LeakyReLU", "config": {"negative_slope": 0.25}}}, "relu-leaky_relu(0.25)-relu"),
    ("Activation", IMAGE, {"activation": "leaky_relu"}, "relu-leaky_relu(0.2)-relu"),
    ("Activation", IMAGE, {"activation": None}, "relu-relu"),
    ("ReLU", IMAGE, {"negative_slope": 0.25}, "relu-leaky_relu(0.25)-relu"),
    ("DepthwiseConv2D", IMAGE, {"kernel_size": 3, "padding": "same", "depth_multiplier": 2}, "relu -> conv(8, groups=4)-relu"),
    ("SeparableConv2D", IMAGE, {"kernel_size": 3, "padding": "same", "filters": 5},
     "relu -> conv(4, groups=4, bias=false) -> conv(5, kernel=1)-relu"),
    ("TFOpLambda", IMAGE, {"function": "nn.silu"}, "relu-silu-relu"),
    ("Dense", PLAIN, {"units": 3, "kernel_initializer": None}, "relu -> affine(3)-relu"),
    ("GlobalMaxPooling2D", IMAGE, {"keepdims": True}, "relu-pool(8) -> relu"),
    ("Dropout", SEQUENCE, {"rate": 0.5}, "relu-dropout(50%)-relu"),
    ("LayerNormalization", PLAIN, {"axis": [1], "center": False}, "relu-layernorm(0.001)-relu"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "shape", "config", "net"), [case for case in KERAS_FORMS if case[3]])
def test_seldom_forms_of_keras(kind: str, shape: tuple[int, ...], config: dict[str, Any], net: str) -> None:
    found = keras_layer(kind, shape, **config)
    assert (net_of(found.text), found.missing) == (net, ())


def told(found: Conversion) -> str:
    return "\n".join(str(one) for one in (*found.notes, *found.missing))


def test_what_is_told_of_regularizers_and_initial_weights() -> None:
    def dense(**config: Any) -> str:
        return told(keras_layer("Dense", PLAIN, units=3, **config))

    def penalty(kind: str, **given: float) -> dict[str, Any]:
        return {"kernel_regularizer": {"class_name": kind, "config": given}}

    assert "another than L2" in dense(**penalty("L1", l1=0.1))
    assert "another than L2" in dense(**penalty("L1L2", l1=0.1, l2=0.1))
    assert "another than L2" not in dense(**penalty("L1L2", l1=0.0, l2=0.1))
    assert "init = he" in dense(kernel_initializer={"class_name": "HeNormal", "config": {}})
    assert "those that there are" in dense(kernel_initializer={"class_name": "Own", "config": {}})
    assert "its bias_regularizer has no counterpart" in dense(bias_regularizer={"class_name": "L2"})
    assert "its activation is left out: no activation here is the same as selu" in dense(activation="selu")
    assert "it has no beta there" in told(keras_layer("BatchNormalization", center=False))


def behind(layers: list[tuple[str, str, list[str], dict[str, Any]]]) -> Conversion:
    """The layers with a relu behind the last one, so that something is left where that is missing."""
    return functional([*layers, ("ReLU", "behind", [layers[-1][1]], {})], "behind")


def test_zeros_that_nothing_takes_over() -> None:
    pad = ("ZeroPadding2D", "z", ["in"], {"padding": 1})
    for kind, config in (("Flatten", {}), ("GlobalAveragePooling2D", {}), ("BatchNormalization", {}), ("Reshape", {"target_shape": [400]})):
        assert "puts zeros around the image" in str(behind([pad, (kind, "f", ["z"], config)]).missing[0])
    assert "come together" in str(behind([pad, ("Conv2D", "c", ["z"], conv_of(3))]).missing[0])
    merge = [pad, ("ReLU", "r", ["in"], {}), ("Add", "a", ["z", "r"], {})]
    assert "puts zeros around the image" in str(behind(merge).missing[0])


def test_images_of_one_pixel_among_others() -> None:
    pooled = ("GlobalAveragePooling2D", "g", ["c"], {"keepdims": True})
    gate = [("Conv2D", "c", ["in"], conv_of(4)), pooled, ("Multiply", "m", ["c", "g"], {})]
    assert "an image of one pixel with a larger one" in str(behind(gate).missing[0])
    again = [("Conv2D", "c", ["in"], conv_of(4)), pooled, ("GlobalMaxPooling2D", "h", ["g"], {}), ("Dense", "d", ["h"], {"units": 3})]
    assert net_of(functional(again, "d").text) == "conv(4)-globalpool -> affine -> linear"
    mean = [*again[:2], ("GlobalAveragePooling2D", "h", ["g"], {"keepdims": True}), ("Conv2D", "d", ["h"], conv_of(3))]
    assert net_of(functional(mean, "d").text) == "conv(4)-globalpool -> reshape(4x1x1) -> conv(3)"


def test_merges_of_what_does_not_go_together() -> None:
    flat = [("ReLU", "r", ["in"], {}), ("Flatten", "f", ["r"], {}), ("Add", "a", ["r", "f"], {})]
    assert "merges vectors and images" in str(behind(flat).missing[0])
    wider = [("Conv2D", "c", ["in"], conv_of(3)), ("Add", "a", ["in", "c"], {})]
    assert "rows of different shapes, 4x8x8, 3x8x8" in str(behind(wider).missing[0])
    across = [("ReLU", "r", ["in"], {}), ("Concatenate", "a", ["in", "r"], {"axis": 1})]
    assert "this joins axis 1" in str(behind(across).missing[0])


WRONG = {
    "filters": ({"filters": "5", "kernel_size": 3}, "filters is '5', where a whole number is needed"),
    "kernel_size": ({"filters": 5, "kernel_size": [1, 2, 3]}, "one whole number or two"),
    "use_bias": ({"filters": 5, "kernel_size": 3, "use_bias": "no"}, "true or false"),
    "padding": ({"filters": 5, "kernel_size": 3, "padding": 3}, "where a word is needed"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arguments_of_another_kind(case: str) -> None:
    config, message = WRONG[case]
    with pytest.raises(DataError, match=rf"layer it.*{message}"):
        keras_layer("Conv2D", **config)


def test_other_numbers_than_wholes() -> None:
    with pytest.raises(DataError, match="rate is 'x', where a number is needed"):
        keras_layer("Dropout", rate="x")
    with pytest.raises(DataError, match=r"target_shape is .*, where whole numbers is needed"):
        keras_layer("Reshape", target_shape=["a"])


def test_models_of_keras_that_are_no_chain() -> None:
    with pytest.raises(NoChain, match="its rows have 4 axes"):
        keras_layer("ReLU", (2, 3, 4, 5))
    relu = {"class_name": "ReLU", "config": {"name": "r"}}
    nested: dict[str, Any] = relu
    for depth in range(30):
        nested = {"class_name": "Sequential", "config": {"name": f"m{depth}", "layers": [nested, relu]}}
    with pytest.raises(NoChain, match="models lie more than 20 deep in each other"):
        converted(json.dumps(nested))
    inner = {"name": "inner", "layers": [relu]}
    twice = [("Sequential", "s", ["in"], inner), ("Add", "a", ["s", "in"], {}), ("Sequential", "t", ["s", "a"], inner)]
    with pytest.raises(NoChain, match="the model t in it is called with several inputs"):
        functional(twice, "t")


def test_files_of_other_kinds() -> None:
    with pytest.raises(DataError, match="HDF5 file, which holds weights"):
        converted(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match="too long for a description"):
        converted(b" " * (MOST_BYTES + 1))
    with pytest.raises(DataError, match=r"no text in UTF-8 \(byte 3\)"):
        converted(b"abc\xff")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("config.json", b" " * (MOST_BYTES + 1))
    with pytest.raises(DataError, match="declares more than"):
        converted(archive.getvalue())
    model = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": "d", "units": 3}}]}}
    assert net_of(converted(json.dumps(json.dumps(model))).text) == net_of(converted(json.dumps(model)).text)
    with pytest.raises(DataError, match="is no model of Keras"):
        converted('"word"')


# PyTorch, printed

FIRST = "Conv2d(3, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"
TORCH_REASONS = {
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=2, ceil_mode=False)": "gaps in its windows",
    "AvgPool2d(kernel_size=2, stride=2, padding=0, divisor_override=3)": "a number of its own",
    "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=True)": "the statistics of each row always",
    "Unflatten(dim=1, unflattened_size=(3, 1, 1))": "an axis of an image",
    "LayerNorm((3,), eps=1e-05, elementwise_affine=True)": "over a whole image",
    "Softmax(dim=2)": "another axis",
    "Softplus(beta=2.0, threshold=20.0)": "has no beta",
    "Upsample(size=(5, 5), mode='nearest')": "no multiples of the image's",
    "AdaptiveAvgPool2d(output_size=(5, 5))": "not all of one size",
    "GroupNorm(2, 4, eps=1e-05, affine=True)": "made for 4 channels, and 3 arrive",
    "Conv2d(7, 4, kernel_size=(3, 3), stride=(1, 1))": "for 7 channels, and 3 arrive",
    "PReLU(num_parameters=7)": "made for 7 channels",
}
TORCH_FORMS = {
    "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=same)": "conv(3) -> conv(4)-relu",
    "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=valid)": "conv(3) -> conv(4, pad=0)-relu",
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=True)": "conv(3)-pool -> relu",
    "AdaptiveAvgPool2d(output_size=(4, 2))": "conv(3)-avgpool(2x4) -> relu",
    "AdaptiveMaxPool2d(output_size=(None, 4))": "conv(3)-pool(1x2) -> relu",
    "AdaptiveAvgPool2d(output_size=8)": "conv(3)-relu",
    "Upsample(size=(16, 8), mode='nearest')": "conv(3)-upsample(2x1) -> relu",
    "Upsample(scale_factor=2.0, mode='nearest')": "conv(3)-upsample -> relu",
    "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=False)": "conv(3)-groupnorm(3)-relu",
    "PReLU(num_parameters=1)": "conv(3)-prelu-relu",
    "Dropout2d(p=0.5, inplace=False)": "conv(3)-dropout2d(50%)-relu",
    "Sequential()": "conv(3)-relu",
}


@pytest.mark.parametrize("module", TORCH_REASONS)
def test_why_a_printed_module_is_left_out(module: str) -> None:
    found = converted(printed(f"{FIRST}\n{module}\nReLU()"), input=(3, 8, 8))
    assert TORCH_REASONS[module] in str(found.missing[0])


@pytest.mark.parametrize("module", TORCH_FORMS)
def test_seldom_forms_of_printed_modules(module: str) -> None:
    found = converted(printed(f"{FIRST}\n{module}\nReLU()"), input=(3, 8, 8))
    assert (net_of(found.text).replace(" -> upsample", "-upsample"), found.missing) == (TORCH_FORMS[module], ())


def test_a_net_that_does_not_tell_its_input() -> None:
    for first in ("Flatten(start_dim=1, end_dim=-1)", "ReLU()", "Linear(in_features=0, out_features=3, bias=True)"):
        assert "\ninput" not in converted(printed(f"{first}\nTanh()")).text
    assert "input 5" in converted(printed("ReLU()\nBatchNorm1d(5, eps=1e-05, momentum=0.1)\nTanh()")).text


def test_more_modules_than_a_net_has() -> None:
    linear = "Linear(in_features=3, out_features=3, bias=True)"
    with pytest.raises(NoChain, match="more than"):
        converted(f"Sequential(\n  (0-9): {MOST_MODULES + 1} x {linear}\n)")
    several = "\n".join(f"  ({place}): {MOST_MODULES} x ReLU()" for place in range(2))
    with pytest.raises(NoChain, match="more than"):
        converted(f"Sequential(\n{several}\n)")


# PyTorch, exported


def tensor(name: str) -> dict[str, Any]:
    return {"as_tensor": {"name": name}}


def node(target: str, output: str, *reads: str | tuple[str, str], **given: Any) -> dict[str, Any]:
    """An operation that reads tensors, as `self`, `other` or by the names given, and other arguments as {kind: value}."""
    named = [one if isinstance(one, tuple) else (name, one) for one, name in zip(reads, ("self", "other"), strict=False)]
    inputs = [{"name": name, "arg": tensor(one)} for name, one in named] + [{"name": key, "arg": value} for key, value in given.items()]
    return {"target": f"torch.ops.aten.{target}", "inputs": inputs, "outputs": [tensor(output)]}


def program(*nodes: dict[str, Any], output: str = "y", inputs: tuple[str, ...] = ("x",), **sizes: tuple[int, ...]) -> Conversion:
    """A program whose tensors have these sizes; x is a batch of images, and w a weight of a convolution."""
    sizes = {"x": (2, 4, 8, 8), "w": (4, 4, 3, 3), **sizes}
    values = {name: {"sizes": [{"as_int": side} for side in shape]} for name, shape in sizes.items()}
    specs = {
        "input_specs": [{"user_input": {"arg": tensor(name)}} for name in inputs] + [{"parameter": {"arg": {"name": "w"}}}],
        "output_specs": [{"user_output": {"arg": tensor(output)}}],
    }
    root = {"graph_module": {"graph": {"tensor_values": values, "nodes": list(nodes)}, "signature": specs}}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("archive/models/model.json", json.dumps(root))
    return converted(archive.getvalue())


def conv_node(output: str, read: str) -> dict[str, Any]:
    return node("conv2d.default", output, ("input", read), ("weight", "w"), padding={"as_ints": [1, 1]})


RELU = node("relu.default", "r", "x")
EXPORT_REASONS: dict[str, tuple[list[dict[str, Any]], dict[str, tuple[int, ...]], str]] = {
    "shared weights": ([conv_node("a", "x"), conv_node("y", "a")], {}, "the weights of another operation"),
    "unknown": ([node("cumsum.default", "y", "x")], {}, "the same as this operation of ATen"),
    "mean of channels": ([node("mean.dim", "y", "x", dim={"as_ints": [1]})], {}, "a mean over other axes"),
    "another shape": ([node("view.default", "y", "x")], {"y": (2, 4, 64)}, "rows in another shape"),
    "a number": ([node("add.Tensor", "y", "x", other={"as_float": 1.0})], {}, "a number or a weight"),
    "a multiple": ([RELU, node("add.Tensor", "y", "x", "r", alpha={"as_int": 2})], {}, "a multiple (alpha)"),
    "a joined axis": (
        [RELU, node("cat.default", "y", tensors={"as_tensors": [{"name": "x"}, {"name": "r"}]}, dim={"as_int": 2})],
        {}, "joins another axis",
    ),
    "a joined weight": (
        [node("cat.default", "y", tensors={"as_tensors": [{"name": "x"}, {"name": "w"}]}, dim={"as_int": 1})], {},
        "does not come from the input",
    ),
    "reflected": (
        [node("pad.default", "y", "x", pad={"as_ints": [1, 1, 1, 1]}, mode={"as_string": "reflect"})], {}, "other than zeros",
    ),
    "a scale": ([node("elu.default", "y", "x", scale={"as_float": 1.05})], {}, "a scale of its own"),
}  # fmt: skip


@pytest.mark.parametrize("case", EXPORT_REASONS)
def test_why_an_exported_operation_is_left_out(case: str) -> None:
    nodes, sizes, reason = EXPORT_REASONS[case]
    found = program(*nodes, node("relu.default", "z", "y"), output="z", **sizes)
    assert reason in str(found.missing[0])


EXPORT_FORMS: dict[str, tuple[list[dict[str, Any]], dict[str, tuple[int, ...]], str]] = {
    "a view that flattens": ([RELU, node("view.default", "y", "r", size={"as_sym_ints": [{"as_int": 2}, {}]})],
                             {"y": (2, 256), "r": (2, 4, 8, 8)},
                             "relu-flatten"),
    "a view of images": ([RELU, node("reshape.default", "y", "r")], {"y": (2, 16, 4, 4), "r": (2, 4, 8, 8)}, "relu -> reshape(16x4x4)"),
    "what changes nothing": ([RELU, node("contiguous.default", "c", "r"), node("tanh.default", "y", "c")], {}, "relu-tanh"),
    "in place": ([RELU, node("tanh_.default", "y", "r")], {}, "relu-tanh"),
    "a counter": ([node("add.Tensor", "n", "steps"), node("relu.default", "y", "x")], {}, "relu"),
    "an instance norm": (
        [node("instance_norm.default", "y", ("input", "x"), use_input_stats={"as_bool": True})], {}, "groupnorm(4)",
    ),
    "nearest pixels": ([node("upsample_nearest2d.vec", "y", ("input", "x"))], {"y": (2, 4, 16, 24)}, "upsample(2x3)"),
    "zeros": ([node("pad.default", "p", "x", pad={"as_ints": [2, 2, 2, 2]}), node("conv2d.default", "y", ("input", "p"), ("weight", "w"))],
              {},
              "conv(4, pad=2, bias=false)"),
    "slopes": ([node("prelu.default", "y", "x", ("weight", "s"))], {"s": (4,)}, "prelu"),
    "a group norm": (
        [node("group_norm.default", "y", ("input", "x"), ("weight", "s"), num_groups={"as_int": 2})], {"s": (4,)}, "groupnorm(2)",
    ),
    "a sum": ([RELU, node("add.Tensor", "y", "r", "x", alpha={"as_int": 1})], {}, "res[relu]"),
}  # fmt: skip


@pytest.mark.parametrize("case", EXPORT_FORMS)
def test_seldom_forms_of_exported_operations(case: str) -> None:
    nodes, sizes, net = EXPORT_FORMS[case]
    found = program(*nodes, **sizes)
    assert (net_of(found.text).removesuffix(" -> linear"), found.missing) == (net, ())


def test_programs_that_are_no_chain() -> None:
    with pytest.raises(NoChain, match=r"it has 2 inputs \(x, z\)"):
        program(RELU, inputs=("x", "z"))
    with pytest.raises(NoChain, match="does not come from its input"):
        program(RELU, output="other")
    with pytest.raises(NoChain, match="its rows have 4 axes"):
        program(node("relu.default", "y", "x"), x=(2, 3, 4, 5, 6))
    long = [node("relu.default", f"r{place + 1}", f"r{place}" if place else "x") for place in range(5001)]
    with pytest.raises(NoChain, match="more than 5000 operations"):
        program(*long, output="r5001")


def test_programs_that_are_damaged() -> None:
    with pytest.raises(DataError, match="without a target, inputs or outputs"):
        program({"target": "torch.ops.aten.relu.default"})
    with pytest.raises(DataError, match="gives r twice"):
        program(RELU, RELU, output="r")
