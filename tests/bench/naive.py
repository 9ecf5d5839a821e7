"""Convolution and max pooling beside the loops that courses begin with: python tests/bench/naive.py [ROUNDS]

100 images in float64, forward and backward: loops in Python over NumPy, as Stanford's CS231n has them, and netspec's `forward` and
`backward` called from Python, in turn; both give the same numbers. The published versions in Cython are 485 and 600 times as fast as
their loops in the convolution, 68 and 57 times in the pool.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from machine import machine_in_words
from report import ms, table

import netspec
from netspec.base.layer import Array
from netspec.base.shape import Shape

CALLS = 20
"""Calls of netspec in each round: the median of them counts."""


def conv_forward(x: Array, parameters: Mapping[str, Array]) -> Array:
    """A stride of 2, a margin of 1."""
    w, b = parameters["conv1.W"], parameters["conv1.b"]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    (_, _, height, width), (kh, kw) = x.shape, w.shape[2:]
    y = np.empty((len(x), len(w), (height + 2 - kh) // 2 + 1, (width + 2 - kw) // 2 + 1))
    for n, f, i, j in product(*map(range, y.shape)):
        y[n, f, i, j] = np.sum(padded[n, :, 2 * i : 2 * i + kh, 2 * j : 2 * j + kw] * w[f]) + b[f]
    return y


def conv_backward(dy: Array, x: Array, parameters: Mapping[str, Array]) -> dict[str, Array]:
    w = parameters["conv1.W"]
    kh, kw = w.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dpadded, dw, db = np.zeros_like(padded), np.zeros_like(w), np.zeros(len(w))
    for n, f, i, j in product(*map(range, dy.shape)):
        window = n, slice(None), slice(2 * i, 2 * i + kh), slice(2 * j, 2 * j + kw)
        db[f] += dy[n, f, i, j]
        dw[f] += padded[window] * dy[n, f, i, j]
        dpadded[window] += w[f] * dy[n, f, i, j]
    return {"x": dpadded[:, :, 1:-1, 1:-1], "conv1.W": dw, "conv1.b": db}


def pool_forward(x: Array, _parameters: Mapping[str, Array]) -> Array:
    """A window of 2x2, and as large a stride."""
    y = np.empty((*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2))
    for n, c, i, j in product(*map(range, y.shape)):
        y[n, c, i, j] = np.max(x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2])
    return y


def pool_backward(dy: Array, x: Array, _parameters: Mapping[str, Array]) -> dict[str, Array]:
    dx = np.zeros_like(x)
    for n, c, i, j in product(*map(range, dy.shape)):
        window = n, c, slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2)
        dx[window] += (x[window] == np.max(x[window])) * dy[n, c, i, j]
    return {"x": dx}


@dataclass(frozen=True)
class Case:
    """A net of one layer, the shape of an image, the same in loops."""

    text: str
    shape: Shape
    forward: Callable[..., Array]
    backward: Callable[..., dict[str, Array]]


CASES = (
    Case("conv(25, stride=2, pad=1)", (3, 31, 31), conv_forward, conv_backward),
    Case("pool(2)", (3, 32, 32), pool_forward, pool_backward),
)


class Bench:
    """Both sides of a case on the same images."""

    def __init__(self, case: Case, images: int) -> None:
        draw = np.random.default_rng(0)
        self.case, self.model = case, netspec.compile(case.text, input=case.shape, dtype="float64")
        self.x = draw.normal(size=(images, *case.shape))
        self.dy = draw.normal(size=self.model.forward(self.x, train=True).shape)

    def forward(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """In loops, and by netspec."""
        return lambda: self.case.forward(self.x, self.model.params), lambda: self.model.forward(self.x, train=True)

    def backward(self) -> tuple[Callable[[], Any], Callable[[], Any]]:
        self.model.forward(self.x, train=True)
        return lambda: self.case.backward(self.dy, self.x, self.model.params), lambda: self.model.backward(self.dy)

    def require_equal(self) -> None:
        """Raises AssertionError where the two differ."""
        in_loops, own = (side() for side in self.forward())
        np.testing.assert_allclose(own, in_loops, rtol=1e-9, atol=1e-10)
        in_loops, (dx, grads) = (side() for side in self.backward())
        for name, gradient in {"x": dx, **grads}.items():
            np.testing.assert_allclose(gradient, in_loops.pop(name), rtol=1e-9, atol=1e-10)
        assert not in_loops


def seconds(call: Callable[[], Any], calls: int = 1) -> float:
    """The median time of a call."""
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measured(in_loops: Callable[[], Any], own: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Seconds of both, medians over rounds in which one follows the other."""
    found = [(seconds(in_loops), seconds(own, CALLS)) for _ in range(rounds)]
    return statistics.median(loops for loops, _ in found), statistics.median(net for _, net in found)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows = []
    for case in CASES:
        bench = Bench(case, 100)
        bench.require_equal()
        for pass_name, sides in (("forward", bench.forward()), ("backward", bench.backward())):
            in_loops, own = measured(*sides, rounds)
            rows.append((f"`{case.text}`", pass_name, ms(in_loops), ms(own), f"{in_loops / own:,.0f}"))
    print(machine_in_words(None))
    print(table(("layer", "pass", "loops, ms", "netspec, ms", "times"), rows, left=2))


if __name__ == "__main__":
    main()
