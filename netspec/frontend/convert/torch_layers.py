"""Modules of PyTorch by their class names, with the arguments that printing them shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp, log1p

from netspec.frontend.convert import build
from netspec.frontend.convert.build import Pad, layer, made, plain
from netspec.frontend.convert.config import Config
from netspec.frontend.convert.rows import NO_MARGINS, Row
from netspec.frontend.convert.sketch import Made, Misfit, NotMapped
from netspec.frontend.convert.unknown import why_unknown

POSITIONAL = {
    "Conv2d": ("in_channels", "out_channels"), "BatchNorm1d": ("num_features",), "BatchNorm2d": ("num_features",),
    "LayerNorm": ("normalized_shape",), "GroupNorm": ("num_groups", "num_channels"), "InstanceNorm2d": ("num_features",),
    "ZeroPad2d": ("padding",),
}  # fmt: skip
RUNNING = "PyTorch keeps the unbiased variance of a batch in the running average of batch normalisation; bn keeps the biased one"

SEEN_BY_FLOAT32 = 1e-6
"""A difference at values of about 14, where softplus' threshold makes one of this size."""
NOT_PRINTED = {
    "AvgPool2d": "ceil_mode, count_include_pad and divisor_override of an AvgPool2d are not printed, so they are read as their defaults; "
    "where one was given, the program that torch.export.save writes (.pt2) tells it",
}
"""Modules with arguments that print(model) does not show, and that change what they compute."""


def takes(name: str) -> tuple[str, ...]:
    """The names of the arguments that a module prints without them."""
    return POSITIONAL.get(name, ())


def linear(config: Config, rows: Sequence[Row]) -> Made:
    row = rows[0]
    if row.is_image or row.pixel:
        raise NotMapped("it works on the last axis of an image; put a Flatten before it")
    inputs, width = config.whole("in_features", 0), config.whole("out_features")
    return build.affine(row, width, bias=config.truth("bias", True), inputs=inputs or None)


def _pad(config: Config, key: str = "padding") -> Pad:
    found = config.raw(key, 0)
    if found in ("same", "valid"):
        return "same" if found == "same" else NO_MARGINS
    down, across = config.pair(key, 0)
    return down, down, across, across


def conv2d(config: Config, rows: Sequence[Row]) -> Made:
    if config.word("padding_mode", "zeros") != "zeros":
        raise NotMapped(f"padding_mode = {config.word('padding_mode')}; a conv here pads with zeros")
    kernel, stride = config.pair("kernel_size"), config.pair("stride", 1)
    pad = _pad(config)
    return build.conv(
        rows[0], config.whole("out_channels"), kernel, stride=stride, pad=pad, groups=config.whole("groups", 1),
        bias=config.truth("bias", True), dilation=config.pair("dilation", 1), inputs=config.whole("in_channels", 0) or None,
    )  # fmt: skip


def _fits(row: Row, count: int, noun: str) -> None:
    if row.channels not in (None, count) and count:
        raise Misfit(f"it is made for {count} {noun}, and {row.channels} arrive")


def _absent(config: Config, *keys: str) -> tuple[str, ...]:
    """Notes where a normalization has no scale or shift of its own."""
    has = [config.truth(key, True) for key in keys]
    gamma, beta = has[0], all(has)
    absent = [name for name, there in (("gamma", gamma), ("beta", beta)) if not there]
    starts = {"gamma": 1, "beta": 0}
    return tuple(f"it has no {name} there; here there is one, which starts at {starts[name]}" for name in absent)


def batch_norm(config: Config, rows: Sequence[Row]) -> Made:
    row = rows[0]
    build.no_zeros(row)
    _fits(row, config.whole("num_features", 0), "channels" if row.is_image else "features")
    if not config.truth("track_running_stats", True):
        raise NotMapped("it takes the statistics of the batch in testing too; bn takes running averages there")
    if config.raw("momentum", 0.1) is None:
        raise NotMapped("its running averages are plain means over all batches; those of bn fade (momentum)")
    momentum = float(f"{1 - config.number('momentum', 0.1):.10g}")
    own = plain("bn", eps=config.number("eps", 1e-5), momentum=momentum)
    return replace(own, notes=(*_absent(config, "affine", "bias"), RUNNING))


def layer_norm(config: Config, rows: Sequence[Row]) -> Made:
    row, shape = rows[0], config.wholes("normalized_shape")
    build.no_zeros(row)
    if len(shape) != 1 or row.is_image or row.pixel:
        raise NotMapped("layernorm here is over the features of a vector, or over a whole image with a scale for each channel")
    _fits(row, shape[0], "features")
    return replace(plain("layernorm", eps=config.number("eps", 1e-5)), notes=_absent(config, "elementwise_affine", "bias"))


def group_norm(config: Config, rows: Sequence[Row]) -> Made:
    row = rows[0]
    build.no_zeros(row)
    _fits(row, config.whole("num_channels", 0), "channels" if row.is_image else "features")
    own = plain("groupnorm", groups=config.whole("num_groups"), eps=config.number("eps", 1e-5))
    return replace(own, notes=_absent(config, "affine", "bias"))


def instance_norm(config: Config, rows: Sequence[Row]) -> Made:
    """Groups of one channel."""
    row = rows[0]
    build.no_zeros(row)
    before = build.image(row)
    _fits(row, config.whole("num_features", 0), "channels")
    if config.truth("track_running_stats", False):
        raise NotMapped("it takes running averages in testing; groupnorm takes the statistics of each row always")
    own = layer("groupnorm", groups=row.channels or config.whole("num_features"), eps=config.number("eps", 1e-5))
    return made(*before, own, notes=_absent(Config({"affine": False, **config.values}, config.place), "affine", "bias"))


def max_pool(config: Config, rows: Sequence[Row]) -> Made:
    if config.pair("dilation", 1) != (1, 1):
        raise NotMapped("a pool with gaps in its windows (dilation)")
    return _pool("pool", config, rows[0])


def avg_pool(config: Config, rows: Sequence[Row]) -> Made:
    if config.pair("padding", 0) != (0, 0) and config.truth("count_include_pad", True):
        raise NotMapped("its mean counts the zeros around the image (count_include_pad); that of avgpool does not")
    if config.raw("divisor_override", None) is not None:
        raise NotMapped("it divides by a number of its own (divisor_override)")
    return _pool("avgpool", config, rows[0])


def _pool(name: str, config: Config, row: Row) -> Made:
    window = config.pair("kernel_size")
    stride = window if config.raw("stride", None) in (None, []) else config.pair("stride")
    own = build.pool(name, row, window, stride, _pad(config))
    if config.truth("ceil_mode", False) and not _rounds_evenly(row, window, stride, config.pair("padding", 0)):
        raise NotMapped("ceil_mode = True rounds the sides up; pools here round them down")
    return own


def _rounds_evenly(row: Row, window: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]) -> bool:
    """Whether up and down are the same, as the sides are known to fit."""
    if row.known is None:
        return False
    return all((side + 2 * p - k) % s == 0 for side, p, k, s in zip(row.known[1:], pad, window, stride, strict=True))


def _sides(config: Config) -> tuple[int | None, int | None]:
    found = config.raw("output_size")
    sides = found if isinstance(found, list) and len(found) == 2 else [found, found]
    checked = [None if side is None else Config({"output_size": side}, config.place).whole("output_size") for side in sides]
    return checked[0], checked[1]


def _adaptive(name: str, whole: Callable[..., Made]) -> Operation:
    def adaptive(config: Config, rows: Sequence[Row]) -> Made:
        row, sides = rows[0], _sides(config)
        if sides == (1, 1):
            return whole(row, keeps_image=True)
        build.image(row)
        if row.known is None:
            raise NotMapped("its windows depend on the sides of the image, which are not known; give them with --input")
        wanted = [side or own for side, own in zip(sides, row.known[1:], strict=True)]
        if any(own % side for side, own in zip(wanted, row.known[1:], strict=True)):
            shown = "x".join(map(str, row.known[1:]))
            raise NotMapped(f"its windows on {shown} pixels are not all of one size, as those of a pool are")
        window = row.known[1] // wanted[0], row.known[2] // wanted[1]
        return made() if window == (1, 1) else build.pool(name, row, window, window, NO_MARGINS)

    return adaptive


def flatten(config: Config, rows: Sequence[Row]) -> Made:
    if config.wholes("start_dim", 1) != (1,) or config.wholes("end_dim", -1) not in ((-1,), (3,)):
        raise NotMapped("it flattens some axes alone; flatten here makes a row one vector")
    return build.flatten(rows[0])


def unflatten(config: Config, rows: Sequence[Row]) -> Made:
    if config.wholes("dim", 1) not in ((1,), (-1,)) or rows[0].is_image:
        raise NotMapped("it unfolds an axis of an image; reshape here is of whole rows")
    return build.reshape(rows[0], config.wholes("unflattened_size"))


def upsample(config: Config, rows: Sequence[Row]) -> Made:
    if config.word("mode", "nearest") != "nearest":
        raise NotMapped(f"mode = {config.word('mode')}; upsample here copies the nearest pixel")
    factor = config.raw("scale_factor", None)
    if factor is not None:
        factors = factor if isinstance(factor, list) else [factor, factor]
        if len(factors) != 2 or any(not isinstance(one, (int, float)) or one != int(one) or one < 1 for one in factors):
            raise NotMapped("upsample here is by whole numbers")
        return build.upsample(rows[0], (int(factors[0]), int(factors[1])))
    build.image(rows[0])
    known, size = rows[0].known, config.pair("size")
    if known is None or any(side % own for side, own in zip(size, known[1:], strict=True)):
        raise NotMapped("to sides that are no multiples of the image's, as far as these are known; upsample here is by whole numbers")
    return build.upsample(rows[0], (size[0] // known[1], size[1] // known[2]))


def zero_pad(config: Config, rows: Sequence[Row]) -> Made:
    found = config.wholes("padding")
    left, right, top, bottom = found if len(found) == 4 else found * 4
    return build.padded(rows[0], (top, bottom, left, right))


def softmax(config: Config, rows: Sequence[Row]) -> Made:
    if config.raw("dim", None) not in (None, 1, -1):
        raise NotMapped("a softmax over another axis than the scores of a row")
    return plain("softmax")


def gelu(config: Config, rows: Sequence[Row]) -> Made:
    if config.word("approximate", "none") != "none":
        raise NotMapped("gelu here is the exact form; this is the approximation by tanh")
    return plain("gelu")


def softplus(config: Config, rows: Sequence[Row]) -> Made:
    """Above its threshold it is x itself there: at the default, 20, less than 3e-9 beside log(1 + exp(x))."""
    if config.number("beta", 1.0) != 1:
        raise NotMapped("softplus here has no beta")
    threshold = config.number("threshold", 20.0)
    off = log1p(exp(-max(threshold, 0.0)))
    if off > SEEN_BY_FLOAT32:
        raise NotMapped(f"above threshold = {threshold:g} it is x itself, {off:.1g} beside log(1 + exp(x)); softplus here has no threshold")
    note = f"above threshold = {threshold:g} it is x itself there, {off:.1g} beside log(1 + exp(x)), which softplus is everywhere"
    return replace(plain("softplus"), notes=(note,) if threshold < 20 else ())


def prelu(config: Config, rows: Sequence[Row]) -> Made:
    count = config.whole("num_parameters", 1)
    if count > 1:
        _fits(rows[0], count, "channels")
    alone = count == 1 and rows[0].channels != 1
    return replace(plain("prelu"), notes=("it has one slope for all channels there; here each channel has its own",) if alone else ())


def _dropout(name: str) -> Operation:
    return lambda config, rows: build.dropout(rows[0], name, config.number("p", 0.5))


def dropout_of_channels(config: Config, rows: Sequence[Row]) -> Made:
    """Dropout1d: its channels are of rows of channels x length, and of vectors it takes the rows of a batch for them."""
    if config.number("p", 0.5) == 0:
        return made()
    raise NotMapped("of rows that are vectors it drops whole rows, and images it does not take; dropout here drops elements")


def _same(name: str, *arguments: tuple[str, str]) -> Operation:
    """One of ours with the numbers of theirs: pairs of (argument here, argument there)."""
    return lambda config, rows: plain(name, **{own: config.number(other) for own, other in arguments if other in config.values})


def _nothing(config: Config, rows: Sequence[Row]) -> Made:
    return made()


Operation = Callable[[Config, Sequence[Row]], Made]
MODULES: dict[str, Operation] = {
    "Linear": linear, "LazyLinear": linear, "NonDynamicallyQuantizableLinear": linear, "Conv2d": conv2d,
    "BatchNorm1d": batch_norm, "BatchNorm2d": batch_norm, "LayerNorm": layer_norm, "GroupNorm": group_norm, "InstanceNorm2d": instance_norm,
    "MaxPool2d": max_pool, "AvgPool2d": avg_pool, "AdaptiveAvgPool2d": _adaptive("avgpool", build.global_mean),
    "AdaptiveMaxPool2d": _adaptive("pool", build.global_max), "Flatten": flatten, "Unflatten": unflatten,
    "Upsample": upsample, "UpsamplingNearest2d": upsample, "ZeroPad2d": zero_pad,
    "Dropout": _dropout("dropout"), "Dropout1d": dropout_of_channels, "Dropout2d": _dropout("dropout2d"),
    "ReLU": _same("relu"), "LeakyReLU": _same("leaky_relu", ("slope", "negative_slope")), "ELU": _same("elu", ("alpha", "alpha")),
    "SiLU": _same("silu"), "Tanh": _same("tanh"), "Sigmoid": _same("sigmoid"), "LogSoftmax": softmax, "Softmax": softmax,
    "GELU": gelu, "Softplus": softplus, "PReLU": prelu, "Identity": _nothing,
}  # fmt: skip
"""Modules by their class names."""


def operation(name: str, config: Config, rows: Sequence[Row], *, composed: bool = False) -> Made:
    """What a module of the class `name` becomes; one that is `composed` of others does with them what is not printed."""
    if composed and name not in MODULES and why_unknown(name) == why_unknown("?"):
        raise NotMapped("a module of its own, whose forward is not printed; print its parts as a torch.nn.Sequential")
    if name not in MODULES:
        raise NotMapped(why_unknown(name))
    return MODULES[name](config, rows)
