"""Layers in NumPy, as the exported file has them: the source of these functions goes into it word for word.

Arrays are (N, C, H, W) or (N, D). A function refers to nothing but its parameters, `np`, `math` and the functions of this module that are
listed in NEEDS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netspec.base.kinds import Window2D
from netspec.graph.graph import Node

Array = Any


def affine(x: Array, W: Array, b: Array = 0.0) -> Array:  # noqa: N803  the formula's letter
    return x @ W + b


def windows(x: Array, kernel: tuple[int, int], stride: tuple[int, int], margins: tuple[int, int, int, int], fill: float) -> Array:
    """Every window of images, (N, C, OH, OW, KH, KW); margins are (top, bottom, left, right)."""
    top, bottom, left, right = margins
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


def conv(
    x: Array, W: Array, b: Array = 0.0, *, stride: tuple[int, int], margins: tuple[int, int, int, int], groups: int = 1,  # noqa: N803
) -> Array:  # fmt: skip
    """A cross-correlation; W is (filters, channels / groups, KH, KW)."""
    seen = windows(x, W.shape[2:], stride, margins, 0.0)
    rows, channels, height, width = seen.shape[:4]
    depth = channels // groups * W.shape[2] * W.shape[3]
    columns = seen.transpose(0, 2, 3, 1, 4, 5).reshape(rows, height, width, groups, depth)
    weights = W.reshape(groups, len(W) // groups, depth)
    y = np.concatenate([columns[:, :, :, g] @ weights[g].T for g in range(groups)], axis=3) + b
    return y.transpose(0, 3, 1, 2)


def pool(x: Array, *, kernel: tuple[int, int], stride: tuple[int, int], margins: tuple[int, int, int, int]) -> Array:
    return windows(x, kernel, stride, margins, -np.inf).max(axis=(4, 5))


def avgpool(x: Array, *, kernel: tuple[int, int], stride: tuple[int, int], margins: tuple[int, int, int, int]) -> Array:
    """The mean over what of each window lies inside the image."""
    inside = windows(np.ones_like(x[:1, :1]), kernel, stride, margins, 0.0).sum(axis=(4, 5))
    return windows(x, kernel, stride, margins, 0.0).sum(axis=(4, 5)) / inside


def globalpool(x: Array) -> Array:
    return x.mean(axis=(2, 3))


def by_channel(array: Array, x: Array) -> Array:
    """(C,) as it stands beside (N, C, H, W) or (N, C)."""
    return array.reshape(-1, *(1 for _ in x.shape[2:]))


def bn(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *, eps: float) -> Array:
    scale = gamma / np.sqrt(var + eps)
    return (x - by_channel(mean, x)) * by_channel(scale, x) + by_channel(beta, x)


def groupnorm(x: Array, gamma: Array, beta: Array, *, groups: int, eps: float) -> Array:
    grouped = x.reshape(len(x), groups, x[0].size // groups)
    centred = grouped - grouped.mean(axis=2, keepdims=True)
    normal = centred / np.sqrt((centred * centred).mean(axis=2, keepdims=True) + eps)
    return normal.reshape(x.shape) * by_channel(gamma, x) + by_channel(beta, x)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def leaky_relu(x: Array, *, slope: float) -> Array:
    return np.where(x > 0, x, slope * x)


def prelu(x: Array, slope: Array) -> Array:
    return np.where(x > 0, x, by_channel(slope, x) * x)


def elu(x: Array, *, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu(x: Array) -> Array:
    erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has none
    return x * 0.5 * (1 + erf(x * math.sqrt(0.5)).astype(x.dtype))


def sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def tanh(x: Array) -> Array:
    return np.tanh(x)


def flatten(x: Array) -> Array:
    return x.reshape(len(x), -1)


def reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return x.reshape(len(x), *shape)


def upsample(x: Array, *, factor: tuple[int, int]) -> Array:
    return x.repeat(factor[0], axis=2).repeat(factor[1], axis=3)


def concat(*branches: Array) -> Array:
    return np.concatenate(branches, axis=1)


NEEDS: Mapping[str, tuple[Callable[..., Array], ...]] = {
    "conv": (windows,), "pool": (windows,), "avgpool": (windows,), "bn": (by_channel,), "groupnorm": (by_channel,), "prelu": (by_channel,),
    "silu": (sigmoid,),
}  # fmt: skip
"""Functions that a function calls."""


def _windowed(node: Node) -> dict[str, Any]:
    window: Window2D = node.layer.geometry(node.input.shape)  # type: ignore[attr-defined]
    return {"kernel": window.kernel, "stride": window.stride, "margins": window.margins}


def _convolved(node: Node) -> dict[str, Any]:
    window: Window2D = node.layer.geometry(node.input.shape)  # type: ignore[attr-defined]
    more = {"groups": window.groups} if window.groups > 1 else {}
    return {"stride": window.stride, "margins": window.margins, **more}


def _given(*names: str) -> Callable[[Node], dict[str, Any]]:
    return lambda node: {name: getattr(node.layer, name) for name in names}


def _grouped(node: Node) -> dict[str, Any]:
    return {"groups": node.layer.groups_of(node.input.shape), "eps": node.layer.eps}  # type: ignore[attr-defined]


LAYERS: Mapping[str, tuple[Callable[..., Array] | None, Callable[[Node], dict[str, Any]]]] = {
    "affine": (affine, _given()),
    "conv": (conv, _convolved),
    "pool": (pool, _windowed),
    "avgpool": (avgpool, _windowed),
    "globalpool": (globalpool, _given()),
    "bn": (bn, _given("eps")),
    "layernorm": (groupnorm, _grouped),
    "groupnorm": (groupnorm, _grouped),
    "relu": (relu, _given()),
    "leaky_relu": (leaky_relu, _given("slope")),
    "prelu": (prelu, _given()),
    "elu": (elu, _given("alpha")),
    "gelu": (gelu, _given()),
    "silu": (silu, _given()),
    "softplus": (softplus, _given()),
    "sigmoid": (sigmoid, _given()),
    "tanh": (tanh, _given()),
    "flatten": (flatten, _given()),
    "reshape": (reshape, _given("shape")),
    "upsample": (upsample, _given("factor")),
    "concat": (concat, _given()),
    "dropout": (None, _given()),
    "dropout2d": (None, _given()),
    "id": (None, _given()),
}
"""The function of a layer by its name, None where rows stay as they are; and its arguments by key."""
OPERATORS: Mapping[str, str] = {"add": " + ", "mul": " * "}
