"""The layers of the catalogue as modules of PyTorch, as plain data: what a class is called with. It serves the source that is exported and
the live net that `bench --compare torch` builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.kinds import Window2D
from netspec.base.shape import is_image
from netspec.graph.graph import Node

Value = bool | int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """A class of `torch.nn`, or where `own` one that the exported source defines; `named` is what PyTorch calls `args`, and `more` are
    arguments by key."""

    name: str
    args: tuple[Value, ...] = ()
    named: tuple[str, ...] = ()
    more: Mapping[str, Value] = field(default_factory=dict)
    own: bool = False

    def __hash__(self) -> int:
        return hash((self.name, self.args, tuple(self.more.items())))


def _linear(node: Node) -> list[Call]:
    layer: Any = node.layer
    more = {} if layer.bias else {"bias": False}
    return [Call("Linear", (node.input.shape[0], layer.width), ("in_features", "out_features"), more)]


def _conv(node: Node) -> list[Call]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(window, 0.0, within=(1 << 30, 1 << 30))
    more: dict[str, Value] = {}
    if layer.stride != (1, 1):
        more["stride"] = side(layer.stride)
    if inside != (0, 0):
        more["padding"] = side(inside)
    if layer.groups != 1:
        more["groups"] = layer.groups
    if not layer.bias:
        more["bias"] = False
    named = ("in_channels", "out_channels", "kernel_size")
    return [*before, Call("Conv2d", (node.input.shape[0], layer.filters, side(layer.kernel)), named, more)]


def _pool(node: Node) -> list[Call]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(window, float("-inf"), within=_half(window))
    return [*before, Call("MaxPool2d", (side(window.kernel),), ("kernel_size",), _pooling(window, inside))]


def _avgpool(node: Node) -> list[Call]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(window, 0.0, within=_half(window))
    if before:  # PyTorch's own takes a pad of at most half the window
        margins = (window.margins[2], window.margins[3], window.margins[0], window.margins[1])
        named = ("kernel_size", "stride", "padding")
        return [Call("MeanOfWindow", (side(window.kernel), side(window.stride), margins), named, own=True)]
    more = _pooling(window, inside)
    return [
        Call("AvgPool2d", (side(window.kernel),), ("kernel_size",), {**more, "count_include_pad": False} if "padding" in more else more)
    ]


def _pooling(window: Window2D, inside: tuple[int, int]) -> dict[str, Value]:
    more: dict[str, Value] = {} if window.stride == window.kernel else {"stride": side(window.stride)}
    return more if inside == (0, 0) else {**more, "padding": side(inside)}


def _half(window: Window2D) -> tuple[int, int]:
    """The largest pad that PyTorch's pools take."""
    return window.kernel[0] // 2, window.kernel[1] // 2


def side(pair: tuple[int, int]) -> int | tuple[int, int]:
    """One number where both are the same."""
    return pair[0] if pair[0] == pair[1] else pair


def _margins(window: Window2D, fill: float, within: tuple[int, int]) -> tuple[list[Call], tuple[int, int]]:
    """A module that pads before, where the margins differ or are larger than `within`, and what is left for the layer's own padding."""
    top, bottom, left, right = window.margins
    if top == bottom and left == right and top <= within[0] and left <= within[1]:
        return [], (top, left)
    return [Call("ConstantPad2d", ((left, right, top, bottom), fill), ("padding", "value"))], (0, 0)


def _bn(node: Node) -> list[Call]:
    layer: Any = node.layer
    more: dict[str, Value] = {} if layer.eps == 1e-5 else {"eps": layer.eps}
    if layer.momentum != 0.9:
        more["momentum"] = float(f"{1 - layer.momentum:.12g}")
    return [Call("BatchNorm2d" if is_image(node.input.shape) else "BatchNorm1d", (node.input.shape[0],), ("num_features",), more)]


def _layernorm(node: Node) -> list[Call]:
    layer: Any = node.layer
    more: dict[str, Value] = {} if layer.eps == 1e-5 else {"eps": layer.eps}
    if is_image(node.input.shape):
        return [Call("GroupNorm", (1, node.input.shape[0]), ("num_groups", "num_channels"), more)]
    return [Call("LayerNorm", (node.input.shape[0],), ("features",), more)]


def _groupnorm(node: Node) -> list[Call]:
    layer: Any = node.layer
    more: dict[str, Value] = {} if layer.eps == 1e-5 else {"eps": layer.eps}
    return [Call("GroupNorm", (layer.groups, node.input.shape[0]), ("num_groups", "num_channels"), more)]


def _reshape(node: Node) -> list[Call]:
    shape = node.output.shape
    flat = [] if len(node.input.shape) == 1 else [Call("Flatten")]
    return [*flat, Call("Unflatten", (1, shape), ("dim", "unflattened_size"))] if len(shape) > 1 else flat


def _with(name: str, *arguments: str) -> Callable[[Node], list[Call]]:
    """A class that takes some of the layer's own arguments, in order."""
    return lambda node: [Call(name, tuple(getattr(node.layer, one) for one in arguments), arguments)]


MODULES: Mapping[str, Callable[[Node], list[Call]]] = {
    "affine": _linear,
    "conv": _conv,
    "pool": _pool,
    "avgpool": _avgpool,
    "bn": _bn,
    "layernorm": _layernorm,
    "groupnorm": _groupnorm,
    "globalpool": lambda node: [Call("AdaptiveAvgPool2d", (1,), ("output_size",)), Call("Flatten")],
    "flatten": lambda node: [] if node.is_nothing else [Call("Flatten")],
    "reshape": _reshape,
    "upsample": lambda node: [Call("Upsample", more={"scale_factor": side(node.layer.factor)})],  # type: ignore[attr-defined]
    "relu": _with("ReLU"),
    "leaky_relu": _with("LeakyReLU", "slope"),
    "elu": _with("ELU", "alpha"),
    "gelu": _with("GELU"),
    "silu": _with("SiLU"),
    "softplus": _with("Softplus"),
    "sigmoid": _with("Sigmoid"),
    "tanh": _with("Tanh"),
    "prelu": lambda node: [Call("PReLU", (node.input.shape[0],), ("num_parameters",))],
    "dropout": _with("Dropout", "p"),
    "dropout2d": _with("Dropout2d", "p"),
    "id": lambda node: [],
}
"""The modules of a layer of one input, one after another, by its name."""

MERGES: Mapping[str, str] = {"add": " + ", "concat": "cat", "mul": " * "}
"""What joins the values of a layer of several inputs, by its name: an operator, or PyTorch's function `cat`."""

NAMES = {"gamma": "weight", "beta": "bias", "W": "weight", "b": "bias", "slope": "weight", "mean": "running_mean", "var": "running_var"}
"""PyTorch's names of a layer's arrays."""
HOLDERS = ("Linear", "Conv2d", "BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "PReLU")
"""Modules with arrays of their own."""


def is_of_catalogue(node: Node) -> bool:
    """Whether the layer is the package's own, and none of that name from elsewhere."""
    return type(node.layer).__module__.startswith("netspec.catalog.")


def without_counterpart(node: Node) -> UsageError:
    return UsageError(
        f"{node.name}: the layer {node.layer.name} is none of the catalogue's, and what it is in PyTorch is not known; "
        "--onnx takes it, for a layer of your own declares its ONNX form"
    )


def calls_of(node: Node) -> list[Call]:
    """The modules of a node of one input. Raises UsageError for a layer that PyTorch has no counterpart of."""
    made = MODULES.get(node.layer.name)
    if made is None or not is_of_catalogue(node):
        raise without_counterpart(node)
    return made(node)
