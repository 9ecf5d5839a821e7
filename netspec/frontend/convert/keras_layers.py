"""Layers of Keras, versions 2 and 3, by their class names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from netspec.base.layer import Layer
from netspec.frontend.convert import build
from netspec.frontend.convert.build import Pad, layer, made, plain
from netspec.frontend.convert.config import Config
from netspec.frontend.convert.rows import NO_MARGINS, Row
from netspec.frontend.convert.sketch import Made, NotMapped
from netspec.frontend.convert.unknown import why_unknown

ORDER = (
    "images are channels x height x width here, height x width x channels there: behind a flatten or reshape the numbers stand in another "
    "order, and so do the weights next to it"
)
TRAINED_TOO = "it has no {} there; here there is one, which starts at {}"
INITIAL = {"GlorotUniform": None, "HeNormal": "he", "LecunNormal": "lecun", "Zeros": "zeros", "Orthogonal": "orthogonal"}
STARTS = {
    "bias": "Zeros", "beta": "Zeros", "gamma": "Ones", "moving_mean": "Zeros", "moving_variance": "Ones", "depthwise": "GlorotUniform",
    "pointwise": "GlorotUniform", "kernel": "", "alpha": "",
}  # fmt: skip
"""The usual initial values; those of a kernel and of slopes are told where they are mapped."""
HARMLESS = frozenset({
    "name", "trainable", "dtype", "seed", "data_format", "batch_shape", "batch_input_shape", "input_shape", "synchronized", "fused",
    "autocast", "implementation", "sparse", "ragged", "renorm_momentum", "optional", "input_dim", *(f"{one}_initializer" for one in STARTS),
})  # fmt: skip
"""Arguments that change nothing of what a layer computes, or are told of apart."""


def function(name: str, config: Config) -> tuple[Layer, ...]:
    """An activation function by its name. `config` holds its arguments, where it is a layer."""
    match name:
        case "linear":
            return ()
        case "relu" | "sigmoid" | "tanh" | "softplus" | "silu" | "gelu":
            if config.raw("approximate", False):
                raise NotMapped("gelu here is the exact form; this is the approximation by tanh")
            return (layer(name),)
        case "swish":
            return (layer("silu"),)
        case "elu":
            return (layer("elu", alpha=config.number("alpha", 1.0)),)
        case "leaky_relu":
            return (layer("leaky_relu", slope=config.number("negative_slope", 0.2)),)
        case "softmax" | "log_softmax":
            if config.raw("axis", -1) not in (-1, 1, [1], [-1]):
                raise NotMapped("a softmax over another axis than the scores of a row")
            return (layer("softmax"),)
        case _:
            raise NotMapped(f"no activation here is the same as {name}")


def activation(config: Config, default: str = "linear") -> tuple[Layer, ...]:
    """The layers of the argument `activation`: a name, or a layer that was given as one."""
    value = config.raw("activation", default)
    if isinstance(value, Mapping):
        inner, name = value.get("config"), str(value.get("class_name"))
        if isinstance(inner, str) and name == "function":
            return function(inner, Config({}, config.place))
        if isinstance(inner, Mapping) and name in LAYERS:
            return LAYERS[name](Config(inner, config.place, config.channels_last), [Row()]).layers
        raise NotMapped(f"its activation is {name}, which is none of this library's own")
    return function("linear" if value is None else Config({"activation": value}, config.place).word("activation"), Config({}, config.place))


def _activated(config: Config, own: Made) -> Made:
    try:
        extra = activation(config)
        foreign: tuple[str, ...] = ()
    except NotMapped as reason:
        extra, foreign = (), (f"its activation is left out: {reason}",)
    return replace(
        own,
        layers=(*own.layers, *extra),
        l2=_l2(config),
        lost=(*foreign, *_other_penalty(config)),
        notes=(*own.notes, *_initial(config)),
    )


def _penalty(config: Config) -> Any:
    return config.raw("kernel_regularizer", None)


def _l2(config: Config) -> float:
    """r of 0.5 r |W|^2, from Keras' l |W|^2."""
    found = _penalty(config)
    if not isinstance(found, Mapping) or found.get("class_name") not in ("L2", "L1L2"):
        return 0.0
    inner = Config(found.get("config") or {}, config.place)
    return float(f"{2 * inner.number('l2', 0.0):.7g}") if not inner.raw("l1", 0) else 0.0


def _other_penalty(config: Config) -> tuple[str, ...]:
    return ("its kernel_regularizer is another than L2, which `l2` of train is",) if _penalty(config) and not _l2(config) else ()


def _initial(config: Config) -> tuple[str, ...]:
    """What a user has to know of initial weights that were chosen."""
    found = config.raw("kernel_initializer", None)
    name = str(found.get("class_name")) if isinstance(found, Mapping) else "GlorotUniform"
    if INITIAL.get(name, "") is None:
        return ()
    own = f"init = {INITIAL[name]}" if name in INITIAL else "`netspec layers` lists those that there are"
    return (f"initial weights are left to netspec's defaults; its kernel_initializer is {name} ({own})",)


def _frozen(config: Config) -> bool | None:
    return None if config.truth("trainable", True) else True


def dense(config: Config, rows: Sequence[Row]) -> Made:
    """On an image it works on the channels of each pixel, which is a convolution of one pixel."""
    row, width, bias = rows[0], config.whole("units"), config.truth("use_bias", True)
    if row.bare or (row.is_image and not config.channels_last):
        raise NotMapped("it works on the last axis of rows that are no vectors; put a Flatten before it")
    if row.is_image or row.pixel:
        return _activated(config, build.conv(row, width, (1, 1), bias=bias, frozen=_frozen(config)))
    return _activated(config, build.affine(row, width, bias=bias, frozen=_frozen(config)))


def _padding(config: Config) -> Pad:
    match config.word("padding", "valid"):
        case "same":
            return "same"
        case "valid":
            return NO_MARGINS
        case other:
            raise NotMapped(f"padding = {other}; pad here is same, or zeros around the image")


def _conv_arguments(config: Config) -> dict[str, Any]:
    return {
        "kernel": config.pair("kernel_size"), "stride": config.pair("strides", 1), "pad": _padding(config),
        "dilation": config.pair("dilation_rate", 1),
    }  # fmt: skip


def conv2d(config: Config, rows: Sequence[Row]) -> Made:
    return _activated(
        config,
        build.conv(
            rows[0], config.whole("filters"), **_conv_arguments(config), groups=config.whole("groups", 1),
            bias=config.truth("use_bias", True), frozen=_frozen(config),
        ),
    )  # fmt: skip


def _channels(row: Row) -> int:
    build.image(row)
    if row.channels is None:
        raise NotMapped("how many channels arrive is not known; give the shape of the input with --input")
    return row.channels


def depthwise(config: Config, rows: Sequence[Row]) -> Made:
    """A convolution with as many groups as channels."""
    channels = _channels(rows[0])
    if config.whole("groups", 1) != 1:
        raise NotMapped("a group for each channel, and groups besides")
    filters = channels * config.whole("depth_multiplier", 1)
    bias = config.truth("use_bias", True)
    return _activated(config, build.conv(rows[0], filters, **_conv_arguments(config), groups=channels, bias=bias, frozen=_frozen(config)))


def separable(config: Config, rows: Sequence[Row]) -> Made:
    """A depthwise convolution without bias, then one of a pixel."""
    channels = _channels(rows[0])
    if config.whole("groups", 1) != 1:
        raise NotMapped("a group for each channel, and groups besides")
    filters = channels * config.whole("depth_multiplier", 1)
    first = build.conv(rows[0], filters, **_conv_arguments(config), groups=channels, bias=False, frozen=_frozen(config))
    second = layer(
        "conv", filters=config.whole("filters"), kernel=(1, 1), bias=config.truth("use_bias", True), frozen=_frozen(config)
    )  # fmt: skip
    return _activated(config, replace(first, layers=(*first.layers, second)))


def _axes(config: Config, default: int) -> tuple[int, ...]:
    return config.wholes("axis", default)


def _is_channel(config: Config, row: Row, axis: int) -> bool:
    if row.is_vector and not row.pixel:
        return axis in (-1, 1)
    return axis in ((-1, 3) if config.channels_last else (1, -3))


def _scale_and_shift(config: Config) -> tuple[str, ...]:
    absent = [name for name, key in (("gamma", "scale"), ("beta", "center")) if not config.truth(key, True)]
    return tuple(TRAINED_TOO.format(name, 1 if name == "gamma" else 0) for name in absent)


def batch_norm(config: Config, rows: Sequence[Row]) -> Made:
    row = rows[0]
    axes = _axes(config, -1)
    if row.bare or len(axes) != 1 or not _is_channel(config, row, axes[0]):
        raise NotMapped(f"bn here is by channel, or by feature of a vector; this is along axis {axes[0] if axes else 'none'}")
    eps, momentum = config.number("epsilon", 1e-3), config.number("momentum", 0.99)
    build.no_zeros(row)
    own = plain("bn", eps=eps, momentum=momentum, frozen=_frozen(config))
    return replace(own, notes=_scale_and_shift(config))


def layer_norm(config: Config, rows: Sequence[Row]) -> Made:
    row, axes = rows[0], _axes(config, -1)
    build.no_zeros(row)
    if config.truth("rms_scaling", False):
        raise NotMapped("it divides by the root of the mean square alone (rms_scaling); layernorm here takes the mean off first")
    if not row.is_vector or axes not in ((-1,), (1,)):
        raise NotMapped("layernorm here is over all features of a vector, or over a whole image with a scale for each channel")
    return replace(plain("layernorm", eps=config.number("epsilon", 1e-3), frozen=_frozen(config)), notes=_scale_and_shift(config))


def group_norm(config: Config, rows: Sequence[Row]) -> Made:
    row, axes, groups = rows[0], _axes(config, -1), config.wholes("groups", 32)
    build.no_zeros(row)
    if row.bare or len(axes) != 1 or not _is_channel(config, row, axes[0]):
        raise NotMapped("groupnorm here is over groups of channels")
    count = _channels(row) if groups == (-1,) else groups[0]
    return replace(
        plain("groupnorm", groups=count, eps=config.number("epsilon", 1e-3), frozen=_frozen(config)), notes=_scale_and_shift(config)
    )


def _pool(name: str) -> Operation:
    def pool(config: Config, rows: Sequence[Row]) -> Made:
        window = config.pair("pool_size", 2)
        stride = window if config.raw("strides", None) is None else config.pair("strides")
        return build.pool(name, rows[0], window, stride, _padding(config))

    return pool


def _global(pool: Callable[..., Made]) -> Operation:
    return lambda config, rows: pool(rows[0], keeps_image=config.truth("keepdims", False))


def flatten(config: Config, rows: Sequence[Row]) -> Made:
    """With the channels first there, a Flatten that is told so puts them last before it flattens."""
    in_our_order = not config.channels_last and config.raw("data_format", "channels_last") == "channels_last"
    return build.flatten(rows[0], note="" if rows[0].bare or in_our_order else ORDER)


def reshape(config: Config, rows: Sequence[Row]) -> Made:
    row, target = rows[0], _target(config)
    if not config.channels_last:
        return build.reshape(row, target)
    if len(target) == 3:
        turned = target[2], target[0], target[1]
        own = build.reshape(row, turned)
        if row.is_image and not row.bare and own.layers and 1 not in (row.channels, turned[0]):
            raise NotMapped("it puts the numbers of an image into another one in the order height x width x channels")
    else:
        own = build.reshape(row, target)
    several = not row.bare and (row.channels != 1 if row.is_image else len(target) == 3 and target[2] != 1)
    return replace(own, notes=(ORDER,) if several and own.layers else ())


def _target(config: Config) -> tuple[int, ...]:
    """The shape of a row; the function of that name says that of a batch."""
    if "newshape" not in config.values:
        return config.wholes("target_shape")
    batch, *row = (-1 if side is None else side for side in config.raw("newshape") or (0,))
    if batch != -1 or -1 in row or not row:
        raise NotMapped("it reshapes a whole batch, and not each of its rows alone")
    return Config({"newshape": row}, config.place).wholes("newshape")


def zero_padding(config: Config, rows: Sequence[Row]) -> Made:
    """Zeros for the next conv to take over."""
    found = config.raw("padding", 1)
    sides = found if isinstance(found, list) and len(found) == 2 and all(isinstance(side, list) for side in found) else None
    pair = None if sides else config.pair("padding", 1)
    top, bottom, left, right = (*sides[0], *sides[1]) if sides else (pair[0], pair[0], pair[1], pair[1]) if pair else NO_MARGINS
    zeros = Config({"padding": [top, bottom, left, right]}, config.place).wholes("padding")
    return build.padded(rows[0], (zeros[0], zeros[1], zeros[2], zeros[3]))


def upsampling(config: Config, rows: Sequence[Row]) -> Made:
    if config.word("interpolation", "nearest") != "nearest":
        raise NotMapped(f"interpolation = {config.word('interpolation')}; upsample here copies the nearest pixel")
    return build.upsample(rows[0], config.pair("size", 2))


def _dropout(name: str) -> Operation:
    return lambda config, rows: build.dropout(rows[0], name, config.number("rate"))


def element_dropout(config: Config, rows: Sequence[Row]) -> Made:
    if config.raw("noise_shape", None):
        raise NotMapped("it drops elements together (noise_shape)")
    return build.dropout(rows[0], "dropout", config.number("rate"))


def relu(config: Config, rows: Sequence[Row]) -> Made:
    most, threshold = config.raw("max_value", None), config.number("threshold", 0.0)
    slope = config.number("negative_slope", 0.0)
    if most is not None or threshold:
        raise NotMapped("a rectifier with a threshold or a largest value")
    return plain("leaky_relu", slope=slope) if slope else plain("relu")


def leaky_relu(config: Config, rows: Sequence[Row]) -> Made:
    slope = config.number("negative_slope" if "negative_slope" in config.values else "alpha", 0.3)
    return plain("leaky_relu", slope=slope)


def prelu(config: Config, rows: Sequence[Row]) -> Made:
    shared = config.raw("shared_axes", None) or []
    others = {1, 2} if config.channels_last else {2, 3}
    if rows[0].is_image and not others <= set(shared):
        raise NotMapped("it has a slope for each pixel; prelu here has one for each channel (shared_axes = [1, 2])")
    return replace(plain("prelu", frozen=_frozen(config)), notes=("slopes start at 0.25 here, at 0 there",))


def _merge(name: str) -> Operation:
    def merge(config: Config, rows: Sequence[Row]) -> Made:
        if len(rows) < 2:
            raise NotMapped(f"one of what it merges is no layer's output, but a number or a weight; {name} here takes branches")
        return build.merged(name, rows)

    return merge


def concatenate(config: Config, rows: Sequence[Row]) -> Made:
    axis = config.wholes("axis", -1)
    if len(rows) < 2:
        raise NotMapped("it has one input alone")
    if not all(_is_channel(config, row, axis[0]) for row in rows if row.shape is not None):
        raise NotMapped(f"concat here joins channels, or features of vectors; this joins axis {axis[0]}")
    return build.merged("concat", rows)


def _function(name: str) -> Operation:
    return lambda config, rows: made(*function(name, config))


def _as_it_is(config: Config, rows: Sequence[Row]) -> Made:
    return made()


OPERATORS = {
    "math.add": "Add", "__operators__.add": "Add", "math.multiply": "Multiply", "__operators__.mul": "Multiply", "concat": "Concatenate",
    "nn.relu": "ReLU", "nn.softmax": "Softmax", "math.sigmoid": "Sigmoid", "math.tanh": "Tanh", "nn.gelu": "Gelu", "nn.silu": "Silu",
}  # fmt: skip
"""TensorFlow's functions in models of Keras 2, as the classes that Keras 3 has for them."""


def operator(config: Config, rows: Sequence[Row]) -> Made:
    """A function of TensorFlow's that a model of Keras 2 calls."""
    name = config.word("function")
    if name not in OPERATORS:
        raise NotMapped(f"no layer here is the same as the function {name}")
    given = config.raw("arguments", {})
    return operation(OPERATORS[name], Config(given, config.place, config.channels_last), rows)


Operation = Callable[[Config, Sequence[Row]], Made]
LAYERS: dict[str, Operation] = {
    "Dense": dense, "Conv2D": conv2d, "DepthwiseConv2D": depthwise, "SeparableConv2D": separable,
    "BatchNormalization": batch_norm, "LayerNormalization": layer_norm, "GroupNormalization": group_norm,
    "MaxPooling2D": _pool("pool"), "AveragePooling2D": _pool("avgpool"), "MaxPool2D": _pool("pool"), "AvgPool2D": _pool("avgpool"),
    "GlobalAveragePooling2D": _global(build.global_mean), "GlobalMaxPooling2D": _global(build.global_max),
    "Flatten": flatten, "Reshape": reshape, "ZeroPadding2D": zero_padding, "UpSampling2D": upsampling,
    "Dropout": element_dropout, "SpatialDropout2D": _dropout("dropout2d"),
    "Activation": lambda config, rows: made(*activation(config)), "ReLU": relu, "LeakyReLU": leaky_relu, "PReLU": prelu,
    "ELU": _function("elu"), "Softmax": _function("softmax"),
    "Add": _merge("add"), "Multiply": _merge("mul"), "Concatenate": concatenate,
    "Relu": _function("relu"), "Sigmoid": _function("sigmoid"), "Tanh": _function("tanh"), "Gelu": _function("gelu"),
    "Silu": _function("silu"), "Softplus": _function("softplus"), "LeakyRelu": leaky_relu, "Elu": _function("elu"),
    "Identity": _as_it_is, "TFOpLambda": operator,
}  # fmt: skip
"""Classes of layers, and of the functions that a functional model may call."""


def operation(name: str, config: Config, rows: Sequence[Row], training: bool | None = None) -> Made:
    """What a layer of the class `name` becomes. `training` is the mode that it is called in, where the model says one."""
    if name not in LAYERS:
        raise NotMapped(why_unknown(name))
    own_order = config.raw("data_format", None)
    if name != "Flatten" and rows[0].shape is not None and own_order == ("channels_first" if config.channels_last else "channels_last"):
        raise NotMapped(f"its data_format is {own_order}, and that of the model's first layer is the other one")
    if training is False and name in ("Dropout", "SpatialDropout2D"):
        return made()
    found = LAYERS[name](config, rows)
    return replace(found, lost=(*found.lost, *_left_out(config), *_called(name, config, training)), notes=(*found.notes, *_starts(config)))


def _left_out(config: Config) -> list[str]:
    """The arguments that had no part in what the layer became."""
    left = {key: value for key, value in config.values.items() if value and key not in config.asked and key not in HARMLESS}
    shown = (f"{key} = {value}" if isinstance(value, (bool, int, float, str)) else key for key, value in left.items())
    return [f"its {one} has no counterpart" for one in shown]


def _called(name: str, config: Config, training: bool | None) -> tuple[str, ...]:
    """What the mode of a call says, where it is another than that of the whole net."""
    if training is None or name not in ("Dropout", "SpatialDropout2D", "BatchNormalization") or (not training and _frozen(config)):
        return ()
    does = "takes running averages" if not training else "drops" if name != "BatchNormalization" else "takes the statistics of the batch"
    when = "in testing" if training else "in training"
    return (f"it is called with training = {str(training).lower()}, and {does} {when} too; no layer here does",)


def _starts(config: Config) -> Iterator[str]:
    """Notes on initial values and on a precision of the layer's own."""
    for key, usual in STARTS.items():
        given = config.values.get(f"{key}_initializer")
        name = given.get("class_name") if isinstance(given, Mapping) else None
        if usual and name not in (None, usual):
            yield f"its {key} starts by {name} there, and by netspec's own rule here"
    policy = config.values.get("dtype")
    inner = policy.get("config") if isinstance(policy, Mapping) else None
    precision = inner.get("name") if isinstance(inner, Mapping) else policy
    if isinstance(precision, str) and "float16" in precision:
        yield f"it computes in {precision} there; `dtype` of train is float32 or float64"


WORDS = ("units", "filters", "rate", "pool_size", "size", "target_shape", "function", "activation", "padding")


def words_of(name: str, values: Mapping[str, Any]) -> str:
    """`Conv2D(32)`: the class with the argument that tells it from others."""
    for key in WORDS:
        value = values.get(key)
        if isinstance(value, (int, float, str)) or (isinstance(value, list) and value):
            return f"{name}({value})"
    return name
