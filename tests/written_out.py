"""Augmentations, updates and bounds on gradients, each written out with NumPy's own means: not a step at a time, as templates are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# images, from the words that a step draws


def flipped(x: NDArray[Any], words: NDArray[np.uint32], p: float) -> NDArray[Any]:
    return np.where((words / 2**32 < p)[:, None, None, None], x[..., ::-1], x)


def cropped(x: NDArray[Any], words: NDArray[np.uint32], pad: int) -> NDArray[Any]:
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    down, across = (words >> 16) * np.uint64(2 * pad + 1) >> 16, (words & 0xFFFF) * np.uint64(2 * pad + 1) >> 16
    height, width = x.shape[2:]
    return np.stack([image[:, d : d + height, a : a + width] for image, d, a in zip(padded, down.tolist(), across.tolist(), strict=True)])


def cut(x: NDArray[Any], words: NDArray[np.uint32], side: int) -> NDArray[Any]:
    y = x.copy()
    for image, word in zip(y, words.tolist(), strict=True):
        top, left = (word >> 16) * x.shape[2] // 65536 - side // 2, (word & 0xFFFF) * x.shape[3] // 65536 - side // 2
        image[:, max(top, 0) : top + side, max(left, 0) : left + side] = 0
    return y


WRITTEN_OUT: dict[str, tuple[Any, Any]] = {
    "flip": (flipped, 0.5),
    "flip(0.2)": (flipped, 0.2),
    "crop": (cropped, 4),
    "crop(20)": (cropped, 20),
    "cutout": (cut, 8),
    "cutout(3)": (cut, 3),
}

# w after each of the gradients g (T, N)


def _kept(share: float, g: Array) -> Array:
    """Row t of sum over k <= t of share^(t - k) g[k], for each t."""
    past = np.arange(len(g))[:, None] - np.arange(len(g))
    return np.asarray(np.where(past >= 0, share ** np.maximum(past, 0.0), 0.0) @ g)


def sgd(w: Array, g: Array, lr: float, momentum: float = 0.0, nesterov: float = 0.0) -> Array:
    velocity = _kept(momentum, g)
    return w - lr * (g + momentum * velocity if nesterov else velocity).sum(axis=0)


def adagrad(w: Array, g: Array, lr: float, eps: float) -> Array:
    return w - lr * (g / (np.cumsum(g**2, axis=0) ** 0.5 + eps)).sum(axis=0)


def rmsprop(w: Array, g: Array, lr: float, decay: float, eps: float) -> Array:
    return w - lr * (g / (((1 - decay) * _kept(decay, g**2)) ** 0.5 + eps)).sum(axis=0)


def adam(w: Array, g: Array, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float = 0.0) -> Array:
    """Means of the gradients and of their squares, by weights that sum to 1: so the bias at the start needs no correction."""
    ones = np.ones_like(g)
    steps = lr * (_kept(beta1, g) / _kept(beta1, ones)) / ((_kept(beta2, g**2) / _kept(beta2, ones)) ** 0.5 + eps)
    for step in steps:
        w = (1 - lr * weight_decay) * w - step
    return w


UPDATES: dict[str, Callable[..., Array]] = {"sgd": sgd, "adagrad": adagrad, "rmsprop": rmsprop, "adam": adam, "adamw": adam}

# bounds on a gradient g (N,)


def by_norm(g: Array, bound: float) -> Array:
    length = np.linalg.norm(g) + 1e-6
    return g / length * bound if length > bound else g


def by_value(g: Array, bound: float) -> Array:
    return np.clip(g, -bound, bound)


CLIPS: dict[str, Callable[..., Array]] = {"norm": by_norm, "value": by_value}
