"""The layers of the catalogue as PyTorch modules, and what PyTorch calls their arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add, mul
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.kinds import Window2D
from netspec.base.shape import is_image
from netspec.graph.graph import Node


def _affine(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    made = torch.nn.Linear(node.input.shape[0], layer.width, bias=layer.bias)
    if node.turned:
        made.forward = lambda x: torch.nn.functional.linear(x, made.weight.t(), made.bias)
    return [made]


def _conv(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(torch, window, 0.0, within=(1 << 30, 1 << 30))
    channels = node.input.shape[0]
    more = {"stride": layer.stride, "padding": inside, "groups": layer.groups, "bias": layer.bias}
    return [*before, torch.nn.Conv2d(channels, layer.filters, layer.kernel, **more)]


def _pool(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(torch, window, float("-inf"), within=_half(window))
    return [*before, torch.nn.MaxPool2d(window.kernel, stride=window.stride, padding=inside)]


def _avgpool(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(torch, window, 0.0, within=_half(window))
    if before:
        raise UsageError(f"--compare torch: {node.name}: PyTorch's mean pooling takes a pad of at most half the window")
    return [torch.nn.AvgPool2d(window.kernel, stride=window.stride, padding=inside, count_include_pad=False)]


def _half(window: Window2D) -> tuple[int, int]:
    """The largest pad that PyTorch's pools take."""
    return window.kernel[0] // 2, window.kernel[1] // 2


def _margins(torch: Any, window: Window2D, fill: float, within: tuple[int, int]) -> tuple[list[Any], tuple[int, int]]:
    """A module that pads before, where the margins differ or are larger than `within`, and what is left for the layer's own padding."""
    top, bottom, left, right = window.margins
    if top == bottom and left == right and top <= within[0] and left <= within[1]:
        return [], (top, left)
    return [torch.nn.ConstantPad2d((left, right, top, bottom), fill)], (0, 0)


def _bn(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    kind = torch.nn.BatchNorm2d if is_image(node.input.shape) else torch.nn.BatchNorm1d
    return [kind(node.input.shape[0], eps=layer.eps, momentum=1 - layer.momentum)]


def _layernorm(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    if is_image(node.input.shape):
        return [torch.nn.GroupNorm(1, node.input.shape[0], eps=layer.eps)]
    return [torch.nn.LayerNorm(node.input.shape[0], eps=layer.eps)]


def _groupnorm(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    return [torch.nn.GroupNorm(layer.groups, node.input.shape[0], eps=layer.eps)]


MODULES: Mapping[str, Callable[[Any, Node], list[Any]]] = {
    "affine": _affine,
    "conv": _conv,
    "pool": _pool,
    "avgpool": _avgpool,
    "bn": _bn,
    "layernorm": _layernorm,
    "groupnorm": _groupnorm,
    "globalpool": lambda torch, node: [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()],
    "flatten": lambda torch, node: [torch.nn.Flatten()],
    "reshape": lambda torch, node: [torch.nn.Flatten(), torch.nn.Unflatten(1, node.output.shape)],
    "upsample": lambda torch, node: [torch.nn.Upsample(scale_factor=node.layer.factor)],  # type: ignore[attr-defined]
    "relu": lambda torch, node: [torch.nn.ReLU()],
    "leaky_relu": lambda torch, node: [torch.nn.LeakyReLU(node.layer.slope)],  # type: ignore[attr-defined]
    "elu": lambda torch, node: [torch.nn.ELU(node.layer.alpha)],  # type: ignore[attr-defined]
    "gelu": lambda torch, node: [torch.nn.GELU()],
    "silu": lambda torch, node: [torch.nn.SiLU()],
    "softplus": lambda torch, node: [torch.nn.Softplus()],
    "sigmoid": lambda torch, node: [torch.nn.Sigmoid()],
    "tanh": lambda torch, node: [torch.nn.Tanh()],
    "prelu": lambda torch, node: [torch.nn.PReLU(node.input.shape[0])],
    "dropout": lambda torch, node: [torch.nn.Dropout(node.layer.p)],  # type: ignore[attr-defined]
    "dropout2d": lambda torch, node: [torch.nn.Dropout2d(node.layer.p)],  # type: ignore[attr-defined]
    "id": lambda torch, node: [],
}
"""The modules of a layer of one input by its name."""

MERGES: Mapping[str, Callable[..., Any]] = {
    "add": lambda torch, *branches: reduce(add, branches),
    "concat": lambda torch, *branches: torch.cat(branches, 1),
    "mul": lambda torch, *branches: reduce(mul, branches),
}
"""What a layer of several inputs computes by its name: a function of the library and of the branches."""

NAMES = {"gamma": "weight", "beta": "bias", "W": "weight", "b": "bias", "slope": "weight", "mean": "running_mean", "var": "running_var"}
"""PyTorch's names of a layer's arrays."""
