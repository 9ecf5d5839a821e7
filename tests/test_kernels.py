"""Kernels against NumPy over odd sizes, in both element types, on every vector unit that this machine has."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import laws
import numpy as np
import pytest
from calls import layer_of
from compiled import Compiled, everything, graph_of, neighbours, network_of
from guards import guarded
from numba import njit
from numpy.typing import NDArray
from pytorch import pytorch
from runners import Templates

import netspec.kernels
from netspec.base import random
from netspec.base.errors import UsageError
from netspec.base.layer import Layer, Parameter, ReferenceContext
from netspec.base.loss import Loss
from netspec.catalog.registry import entries
from netspec.kernels import native, simd, store, winograd
from netspec.kernels.library import driver
from netspec.plan.network import Network, Settings

TYPES = {4: np.float32, 8: np.float64}
TOLERANCE = {4: 1e-5, 8: 1e-13}
both = pytest.mark.parametrize("itemsize", [4, 8], ids=["float32", "float64"])


def library(name: str, itemsize: int) -> store.Addresses:
    text = (Path(netspec.kernels.__file__).parent / "library" / f"{name}.py").read_text()
    return store.load(text if itemsize == 4 else text.replace("netspec.kernels.f32", "netspec.kernels.f64"))


def at(array: NDArray[Any]) -> int:
    return int(array.ctypes.data)


def operand(draw: np.random.Generator, rows: int, columns: int, dtype: Any, transposed: bool) -> tuple[NDArray[Any], tuple[int, int]]:
    """A matrix that lies in memory by rows or by columns, with its strides in elements, at the end of a larger array."""
    shape = (columns, rows) if transposed else (rows, columns)
    values = draw.normal(size=shape).astype(dtype)
    return (values.T, (1, rows)) if transposed else (values, (columns, 1))


def call_multiply(
    itemsize: int, a: int, a_strides: tuple[int, int], b: int, b_strides: tuple[int, int], c: int, ldc: int, sizes: tuple[int, int, int],
    accumulate: bool = False,
) -> None:  # fmt: skip
    """The library's product of matrices at addresses; its scratch is full of NaN."""
    work = np.full(384 * (1024 + 64 + 64) + 64, np.nan, TYPES[itemsize])
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 18)(library("product", itemsize)["multiply"])
    call(a, *a_strides, b, *b_strides, c, ldc, ldc, *sizes, int(accumulate), at(work) + (-at(work)) % 64, 0, 0, 0, 0)


def multiply(itemsize: int, m: int, n: int, k: int, turned: tuple[bool, bool], accumulate: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """C as the kernel leaves it, inside a frame of sevens, and what it should be."""
    draw, dtype = np.random.default_rng(m + 100 * n + k), TYPES[itemsize]
    a, a_strides = operand(draw, m, k, dtype, turned[0])
    b, b_strides = operand(draw, k, n, dtype, turned[1])
    frame = np.full((m + 2, n + 3), 7, dtype)
    wanted = frame.copy()
    start = 7.0 if accumulate else 0.0
    wanted[1:-1, 1:-2] = (start + a.astype(np.float64) @ b.astype(np.float64)).astype(dtype)
    call_multiply(itemsize, at(a), a_strides, at(b), b_strides, at(frame[1:, 1:]), n + 3, (m, n, k), accumulate)
    return frame, wanted


SIZES = [
    (1, 1, 1), (1, 17, 3), (2, 1, 5), (3, 33, 1), (13, 15, 16), (14, 32, 17), (15, 31, 255), (29, 65, 256), (7, 129, 257),
    (97, 3, 515), (5, 1025, 9), (33, 1060, 70), (64, 64, 64), (1, 100, 300),
]  # fmt: skip


turns = pytest.mark.parametrize("turned", list(product([False, True], repeat=2)), ids=lambda turned: "".join("NT"[one] for one in turned))


@both
@turns
@pytest.mark.parametrize("accumulate", [False, True])
def test_product_equals_numpy(itemsize: int, turned: tuple[bool, bool], accumulate: bool) -> None:
    for m, n, k in SIZES:
        found, wanted = multiply(itemsize, m, n, k, turned, accumulate)
        laws.close(found, wanted, TOLERANCE[itemsize] * k**0.5)


@both
@turns
@pytest.mark.parametrize("accumulate", [False, True])
def test_every_tail_of_columns(itemsize: int, turned: tuple[bool, bool], accumulate: bool) -> None:
    """Behind no panel, behind one and behind three, on all units; the depth is short, of one block, or of two."""
    for n, k in product([*range(1, 48), *range(97, 112)], [20, 107, 400]):
        found, wanted = multiply(itemsize, 17, n, k, turned, accumulate)
        laws.close(found, wanted, TOLERANCE[itemsize] * k**0.5)


def framed(values: NDArray[Any], turned: bool) -> tuple[NDArray[Any], tuple[int, int]]:
    """A matrix amid NaN, with its strides in elements."""
    stored = values.T if turned else values
    frame = np.full((stored.shape[0] + 2, stored.shape[1] + 40), np.nan, values.dtype)
    inner = frame[1:-1, 3:-37]
    inner[:] = stored
    return inner, ((1, frame.shape[1]) if turned else (frame.shape[1], 1))


@both
@turns
def test_product_of_rows_has_the_bits_of_all_rows(itemsize: int, turned: tuple[bool, bool]) -> None:
    """Wherever a row stands among others; what lies beside the matrices never matters, even where the last of the depth is infinite."""
    draw, dtype, rows = np.random.default_rng(5), TYPES[itemsize], 36
    for n, k in product([3, 10, 20, 23, 40, 100, 104], [37, 100, 400]):
        a, b = draw.uniform(1, 2, (rows, k)).astype(dtype), draw.normal(size=(k, n)).astype(dtype)
        b[-1, n // 2 :] = np.inf
        (a_at, a_strides), (b_at, b_strides) = framed(a, turned[0]), framed(b, turned[1])
        found = []
        for height in (rows, 2, 3, 14, 19):
            c = np.empty((rows, n), dtype)
            for i in range(0, rows, height):
                call_multiply(
                    itemsize, at(a_at) + i * a_strides[0] * itemsize, a_strides, at(b_at), b_strides, at(c[i:]), n,
                    (min(height, rows - i), n, k),
                )  # fmt: skip
            found.append(c)
        laws.close(found[0][:, : n // 2], a @ b[:, : n // 2], TOLERANCE[itemsize] * k**0.5)
        assert (found[0][:, n // 2 :] == np.inf).all()
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


@both
def test_product_of_nothing_is_zero(itemsize: int) -> None:
    found, wanted = multiply(itemsize, 5, 19, 0, (False, False), False)
    assert (found == wanted).all()
    found, wanted = multiply(itemsize, 5, 19, 0, (False, False), True)
    assert (found == wanted).all()


@both
@pytest.mark.parametrize(("n", "k"), [(16, 1), (16, 100), (96, 777), (128, 33), (144, 400), (304, 50)])
def test_a_row_alone_has_the_bits_it_has_among_others(itemsize: int, n: int, k: int) -> None:
    # whole vectors of columns: a row alone has no tail, whose sums have an order of their own
    draw, dtype = np.random.default_rng(n + k), TYPES[itemsize]
    a, b = draw.normal(size=(16, k)).astype(dtype), draw.normal(size=(k, n)).astype(dtype)
    work = np.empty((384 * (512 + 64 + 64) * itemsize) + 64, np.uint8)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 18)(library("product", itemsize)["multiply"])
    found = []
    for rows in (16, 1):
        c = np.empty((rows, n), dtype)
        call(at(a), k, 1, at(b), n, 1, at(c), n, n, rows, n, k, 0, at(work) + (-at(work)) % 64, 0, 0, 0, 0)
        found.append(c[0])
    np.testing.assert_array_equal(*found)


def cut_product(
    itemsize: int, sizes: tuple[int, int, int], cuts: tuple[int, int, int], turned: bool
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The parts of C as the launch leaves them, and what they should add up to."""
    (m, n, k), dtype = sizes, TYPES[itemsize]
    draw = np.random.default_rng(0)
    a, a_strides = operand(draw, m, k, dtype, turned)
    b = draw.normal(size=(k, n)).astype(dtype)
    tasks, parts = int(np.prod(cuts)), np.full((cuts[2], m, n), np.nan, dtype)
    per_task = 384 * (512 + 128) * itemsize
    work = np.empty(tasks * per_task + 64, np.uint8)
    control = np.zeros(32, np.int64)
    control[native.ROWS] = m
    module = library("product", itemsize)
    words = np.array(
        [at(control), module["multiply"], at(a), *a_strides, at(b), n, 1, at(parts), n, -1, n, k, *cuts, m * n,
         at(work) + (-at(work)) % 64, per_task, 0, 0], np.int64,
    )  # fmt: skip
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(module["product"])
    for task in reversed(range(tasks)):  # the order of tasks does not matter
        call(at(words), task, tasks, 0)
    return parts, a.astype(np.float64) @ b.astype(np.float64)


@both
@pytest.mark.parametrize("turned", [False, True], ids="NT")
@pytest.mark.parametrize("cuts", [(1, 1, 1), (3, 1, 1), (1, 4, 1), (1, 1, 5), (2, 3, 2), (16, 1, 1), (1, 1, 8)])
@pytest.mark.parametrize("sizes", [(37, 70, 301), (1, 1, 1), (23, 70, 301), (40, 33, 1024), (61, 100, 100)])
def test_cut_products_add_up(itemsize: int, cuts: tuple[int, int, int], sizes: tuple[int, int, int], turned: bool) -> None:
    """Cuts of rows and columns, some of which follow the threads, leave the bits, where no task has one row of several alone."""
    parts, wanted = cut_product(itemsize, sizes, cuts, turned)
    laws.close(parts.astype(np.float64).sum(0), wanted, TOLERANCE[itemsize] * sizes[2] ** 0.5)
    if sizes[0] == 1 or sizes[0] >= 2 * cuts[0]:
        whole, _ = cut_product(itemsize, sizes, (1, 1, cuts[2]), turned)
        np.testing.assert_array_equal(parts, whole)


def equals_numpy(layer: Layer, shape: tuple[int, ...], rows: int, dtype: str) -> None:
    """Forward and backward of a layer against the independent NumPy forms, in memory with guards."""
    parameters, state = laws.arrays(layer, shape)
    x, words = laws.batch(layer, shape, rows)
    context, tolerance = ReferenceContext(True, words), {"float32": 2e-4, "float64": 1e-11}[dtype]
    run = Compiled(dtype)
    if dtype == "float32":
        parameters, state, x = laws.single_precision(parameters), laws.single_precision(state), x.astype(dtype).astype(float)
    dy = np.random.default_rng(3).normal(size=(rows, *layer.output_shape(shape)))
    with guarded():
        laws.close(run.forward(layer, x, parameters, state, context), layer.reference(x, parameters, state, context), tolerance)
        dx, grads = run.backward(layer, dy, x, parameters, state, context)
    wanted_dx, wanted = Templates().backward(layer, dy, x, parameters, state, context)
    laws.close(dx, wanted_dx, tolerance)
    for name, gradient in grads.items():
        laws.close(gradient, wanted[name], tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("rows", "depth", "width"), [(7, 3072, 100), (20, 300, 700), (300, 100, 90), (1, 5000, 3), (501, 70, 33), (128, 64, 2048)]
)
def test_affine_of_every_cut(dtype: str, rows: int, depth: int, width: int) -> None:
    equals_numpy(layer_of(f"affine({width})"), (depth,), rows, dtype)


def geometries(count: int) -> list[tuple[str, tuple[int, int, int], int]]:
    """Convolutions drawn at random: call, shape, rows."""
    draw = np.random.default_rng(11)
    found = []
    while len(found) < count:
        channels, filters = (int(draw.choice([1, 2, 3, 5, 8, 16, 17, 32, 40])) for _ in range(2))
        kernel, stride, sides = draw.integers(1, 6, 2), draw.integers(1, 4, 2), draw.integers(1, 12, 2)
        pad = "same" if draw.random() < 0.5 else "x".join(map(str, draw.integers(0, 4, 2)))
        if pad != "same" and any(side + 2 * int(p) < k for side, p, k in zip(sides, pad.split("x"), kernel, strict=True)):
            continue
        bias = "true" if draw.random() < 0.5 else "false"
        sizes = f"kernel={kernel[0]}x{kernel[1]}, stride={stride[0]}x{stride[1]}"
        groups = int(draw.choice([1, 1, 2, 3]))
        call = f"conv({filters * groups}, {sizes}, pad={pad}, groups={groups}, bias={bias})"
        found.append((call, (channels * groups, int(sides[0]), int(sides[1])), int(draw.choice([1, 2, 7]))))
    return [
        *found,
        ("conv(32)", (16, 16, 16), 24),
        ("conv(7, kernel=1)", (40, 9, 11), 30),
        ("conv(33, kernel=5, stride=2)", (3, 20, 19), 17),
        ("conv(40, groups=40)", (40, 9, 19), 5),
        ("conv(35, kernel=5x2, stride=1x2, pad=2x0, groups=35)", (35, 8, 9), 4),
        ("conv(16, kernel=2, stride=3, groups=16)", (16, 11, 10), 2),
        ("conv(4, kernel=1, stride=2x1, pad=0, groups=4)", (4, 1, 9), 3),
        ("conv(80, groups=2)", (66, 7, 6), 3),
    ]


def tiled_geometries(count: int) -> list[tuple[str, tuple[int, int, int], int]]:
    """Convolutions by tiles: images of every remainder of a tile, all margins, channels around whole vectors and panels."""
    draw = np.random.default_rng(12)
    found = []
    while len(found) < count:
        channels, filters = (int(draw.choice([12, 13, 16, 17, 31, 32, 33, 64, 70])) for _ in range(2))
        sides, pad = draw.integers(1, 20, 2), draw.integers(0, 3, 2)
        if min(sides + 2 * pad) >= 3:
            call = f"conv({filters}, pad={pad[0]}x{pad[1]})"
            found.append((call, (channels, int(sides[0]), int(sides[1])), int(draw.choice([1, 2, 7]))))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("call", "shape", "rows"), [*geometries(40), *tiled_geometries(24)])
def test_convolution_equals_numpy(call: str, shape: tuple[int, int, int], rows: int, dtype: str) -> None:
    equals_numpy(layer_of(call), shape, rows, dtype)


def test_tiles_are_for_small_steps_of_many_channels() -> None:
    assert all(winograd.pays(layer_of(call).geometry(shape)) for call, shape, _ in tiled_geometries(24))
    others = ["conv(11)", "conv(16, stride=2)", "conv(16, kernel=3x5)", "conv(16, kernel=1)", "conv(16, pad=3)", "conv(32, groups=16)"]
    assert not any(winograd.pays(layer_of(call).geometry((16, 9, 9))) for call in others)
    assert not winograd.pays(layer_of("conv(16)").geometry((11, 9, 9)))


def test_tiles_lose_little_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, shape = layer_of("conv(64)"), (64, 15, 16)
    parameters, _ = laws.arrays(layer, shape)
    parameters = laws.single_precision(parameters)
    x = laws.batch(layer, shape, 3)[0].astype(np.float32).astype(float)
    dy = np.random.default_rng(3).normal(size=(3, 64, 15, 16)).astype(np.float32).astype(float)
    context = ReferenceContext(True)
    exact = [layer.reference(x, parameters, {}, context), *_gradients(Templates(), layer, dy, x, parameters, context)]

    def errors() -> list[float]:
        run = Compiled("float32")
        found = [run.forward(layer, x, parameters, {}, context), *_gradients(run, layer, dy, x, parameters, context)]
        return [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, exact, strict=True)]

    by_tiles = errors()
    monkeypatch.setattr(winograd, "LEAST_CHANNELS", 10**9)
    directly = errors()
    assert directly != by_tiles
    assert max(by_tiles) < 2e-6
    assert all(tiled < 4 * direct for tiled, direct in zip(by_tiles, directly, strict=True))


def _gradients(run: Any, layer: Layer, dy: Any, x: Any, parameters: Any, context: ReferenceContext) -> list[Any]:
    dx, grads = run.backward(layer, dy, x, parameters, {}, context)
    return [dx, grads["W"]]


@pytest.mark.parametrize(("call", "shape", "rows"), [*geometries(12), *tiled_geometries(6)])
def test_convolution_equals_torch(call: str, shape: tuple[int, int, int], rows: int) -> None:
    torch = pytorch()
    layer = layer_of(call)
    parameters, _ = laws.arrays(layer, shape)
    x, _ = laws.batch(layer, shape, rows)
    window = layer.geometry(shape)
    top, bottom, left, right = window.margins
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in {"x": x, **parameters}.items()}
    padded = torch.nn.functional.pad(tensors["x"], (left, right, top, bottom))
    y = torch.nn.functional.conv2d(padded, tensors["W"], tensors.get("b"), stride=window.stride, groups=window.groups)
    dy = np.random.default_rng(3).normal(size=tuple(y.shape))
    y.backward(torch.tensor(dy))
    context, run = ReferenceContext(True), Compiled()
    laws.close(run.forward(layer, x, parameters, {}, context), y.detach().numpy(), 1e-12)
    dx, grads = run.backward(layer, dy, x, parameters, {}, context)
    for name, gradient in {"x": dx, **grads}.items():
        laws.close(gradient, tensors[name].grad.numpy(), 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elu_keeps_its_digits_far_below_zero(dtype: str) -> None:
    x = np.array([[-1e-3], [-1.0], [-10.0], [-17.0], [-30.0], [-80.0]])
    dx, _ = Compiled(dtype).backward(layer_of("elu(0.5)"), np.ones((6, 1)), x, {}, {}, ReferenceContext(True))
    np.testing.assert_allclose(dx, 0.5 * np.exp(x), rtol={"float32": 1e-6, "float64": 1e-15}[dtype])


POOLS = [
    ("pool(3, stride=1, pad=1)", (4, 9, 7)), ("pool(2x5, stride=3x2, pad=1x2)", (17, 6, 11)), ("pool(4, stride=3)", (33, 13, 10)),
    ("avgpool(3, stride=1, pad=2)", (5, 4, 6)), ("avgpool(5, stride=2, pad=1)", (40, 9, 9)), ("globalpool", (31, 13, 6)),
    ("bn", (5, 33, 37)), ("bn", (3, 40, 40)), ("bn", (70,)),
    ("groupnorm(4)", (20, 33, 37)), ("groupnorm(3)", (3, 40, 40)), ("layernorm", (5, 17, 20)), ("layernorm", (70,)),
    ("groupnorm(35)", (140,)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("call", "shape"), POOLS)
def test_pools_and_statistics_equal_numpy(call: str, shape: tuple[int, ...], dtype: str) -> None:
    equals_numpy(layer_of(call), shape, 9, dtype)


@both
@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 32, 32), (16, 4, 4), (17, 1, 1), (33, 5, 13), (64, 8, 8)])
def test_flatten_is_c_order(itemsize: int, shape: tuple[int, int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(9, *shape)).astype(TYPES[itemsize])
    run = Compiled(np.dtype(TYPES[itemsize]).name)
    y = run.forward(layer_of("flatten"), x, {}, {}, ReferenceContext(False))
    assert (y == x.reshape(9, -1)).all()
    dx, _ = run.backward(layer_of("flatten"), y, x, {}, {}, ReferenceContext(True))
    assert (dx == x).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_l2_is_on_weights_alone(dtype: str) -> None:
    """0.5 r |W|^2 more loss and r W more gradient, over sizes that are no multiple of anything."""
    graph = graph_of([layer_of("affine(131)"), layer_of("bn"), layer_of("affine(3)")], (77,))
    plain = network_of(graph, dtype)
    strong = Network(plain.grouping, Settings(plain.settings.optimizer, 7, l2=0.3, dtype=dtype, threads=1))
    strong.store.parameters.flat[:] = plain.store.parameters.flat
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(7, 77)).astype(dtype), draw.normal(size=(7, 3)).astype(dtype)
    without, _ = plain.loss(x, y)
    with_l2, _ = strong.loss(x, y)
    weights = [strong.store.parameters[name].astype(float) for name in ("n0.W", "n2.W")]
    tolerance = {"float32": 1e-6, "float64": 1e-13}[dtype]
    assert with_l2 - without == pytest.approx(0.15 * sum((w**2).sum() for w in weights), rel=10 * tolerance)
    for name, gradient in strong.store.gradients.items():
        more = 0.3 * plain.store.parameters[name].astype(float) if name.endswith(".W") else 0.0
        laws.close(gradient, plain.store.gradients[name] + more, 10 * tolerance)
    assert (strong.store.gradients["n0.b"] == 0).all(), "bn cancels this bias"


@pytest.mark.parametrize("name", list(entries(Loss)))
def test_weights_multiply_the_losses_of_rows(name: str) -> None:
    loss = entries(Loss)[name]()
    draw = np.random.default_rng(5)
    scores, weights = draw.normal(0, 2, (9, 4)), draw.uniform(0, 3, 9)
    labels = laws.labels_for(loss, 9, 4)
    network = network_of(graph_of([layer_of("id")], (4,), loss), batch=9)
    y = network.labels_to_layout(labels)
    total, plan = network.loss(scores, y, input_gradient=True, weights=weights)
    one_by_one = [network.loss(scores[r : r + 1], y[r : r + 1])[0] for r in range(9)]
    assert total == pytest.approx(float(np.mean(weights * one_by_one)), rel=1e-12)
    gradient = plan.array("dscores")[:36].reshape(9, 4).copy()
    _, plan = network.loss(scores, y, input_gradient=True)
    laws.close(gradient, weights[:, None] * plan.array("dscores")[:36].reshape(9, 4), 1e-13)


@njit
def words_of(key: int, counters: Any, out: Any) -> None:
    for i in range(counters.size):
        out[i] = native.random_bits(key, counters[i])


@njit
def key_of(seed: int, place: int, step: int) -> int:
    return native.stream_key(seed, place, step)


def signed(word: int) -> int:
    return word - (1 << 64) if word >= 1 << 63 else word


@pytest.mark.parametrize(("seed", "place", "step"), [(0, 0, 0), (1, 2, 3), (2**62, 17, 10**6), (-5, -1, 7), (123456789, 9999, 2**40)])
def test_random_words_are_those_of_the_definition(seed: int, place: int, step: int) -> None:
    key = random.stream_key(seed, place, step)
    assert key_of(seed, place, step) == signed(key)
    counters = np.concatenate([np.arange(1000), [2**31, 2**32 - 1]]).astype(np.uint32)
    out = np.empty(counters.size, np.uint32)
    words_of(signed(key), counters.astype(np.int64), out)
    assert (out == random.bits(key, counters)).all()


@njit
def shuffle(order: Any, rows: Any, seed: int, epoch: int) -> None:
    driver.shuffle(order, rows, seed, epoch)


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_shuffle_is_a_permutation_by_seed_and_epoch(count: int) -> None:
    seen = []
    for seed, epoch in ((0, 1), (0, 2), (1, 1), (-3, 5)):
        order = np.full(count, -1, np.int64)
        shuffle(order, np.arange(count), seed, epoch)
        assert (np.sort(order) == np.arange(count)).all()
        assert (order == laws.shuffled(count, seed, epoch)).all()
        seen.append(tuple(order))
    assert count < 1000 or len(set(seen)) == 4


def test_every_element_gets_everywhere() -> None:
    """Over 2,000 shuffles of five, each element is at each place 400 times, to five standard deviations."""
    hits = np.zeros((5, 5))
    order = np.empty(5, np.int64)
    for epoch in range(2000):
        shuffle(order, np.arange(5), 0, epoch)
        hits[np.arange(5), order] += 1
    assert np.abs(hits - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


@pytest.mark.parametrize("unit", simd.supported()[1:])
def test_other_units(unit: str) -> None:
    """All of this file once more: the unit is fixed for a process."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-k", "not other_units and not torch", __file__]
    done = subprocess.run(command, env={**os.environ, "NETSPEC_SIMD": unit}, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


MANY = pytest.mark.parametrize(("shape", "rows"), [((70,), 2000), ((5, 24, 23), 60), ((3, 300, 200), 1)], ids=["vectors", "images", "one"])


@MANY
def test_parts_of_a_slope_gradient_add_up(shape: tuple[int, ...], rows: int) -> None:
    """Many rows are shared by several tasks, each with its own part of the sums; alone, and behind a contraction and a normalization."""
    prelu = layer_of("prelu")
    network = network_of(graph_of([layer_of("id"), prelu], shape), batch=rows)
    draw = np.random.default_rng(4)
    x, dy = draw.normal(size=(rows, *shape)), draw.normal(size=(rows, *shape))
    network.values(x, None, True)
    dx = network.backward(dy)
    tasks = {launch.label: launch.tasks for launch in network.plan(rows, input_gradient=True).layout.lowered.launches}
    assert tasks["prelu gradient"] > 1
    assert tasks["prelu slope gradient parts"] == 1
    over = (0, *range(2, x.ndim))
    laws.close(network.store.gradients["n1.slope"], (dy * x.clip(max=0)).sum(over), 1e-12)
    slope = network.store.parameters["n1.slope"].reshape(-1, *(1 for _ in shape[1:]))
    laws.close(dx, np.where(x > 0, dy, slope * dy), 1e-14)
    for normalized in (False, True):
        fused, unfused = (everything(neighbours(prelu, shape, normalized), shape, rows, fuse) for fuse in (True, False))
        for name, array in fused.items():
            laws.close(array, unfused[name], 1e-9)


def test_a_pointwise_layer_whose_parameter_no_kernel_takes_is_refused() -> None:
    class Shared(type(layer_of("prelu"))):  # type: ignore[misc]
        """One slope for all."""

        def parameters(self, shape: tuple[int, ...]) -> dict[str, Parameter]:
            return {"slope": Parameter((1,), "slope")}

    class Nameless(type(layer_of("prelu"))):  # type: ignore[misc]
        """A parameter without a gradient."""

        def parameters(self, shape: tuple[int, ...]) -> dict[str, Parameter]:
            return {"bend": Parameter(shape[:1], "slope")}

    for layer, words in ((Shared(), "slope of a pointwise layer has 1 numbers, and here each of the 7"), (Nameless(), "bend_gradient")):
        with pytest.raises(UsageError, match=words):
            network_of(graph_of([layer], (7,))).plan(7)


IMAGE_KERNELS = [("upsample(3x2)", (9, 20, 21)), ("reshape(6x35x54)", (5, 42, 54)), ("reshape(11340)", (5, 42, 54))]


@both
@pytest.mark.parametrize(("call", "shape"), IMAGE_KERNELS)
def test_image_kernels_over_many_rows(call: str, shape: tuple[int, ...], itemsize: int) -> None:
    layer, rows, draw = layer_of(call), 40, np.random.default_rng(4)
    run = Compiled("float32" if itemsize == 4 else "float64")
    x = draw.normal(size=(rows, *shape)).astype(TYPES[itemsize])
    dy = draw.normal(size=(rows, *layer.output_shape(shape))).astype(TYPES[itemsize])
    context = ReferenceContext(True)
    assert (run.forward(layer, x, {}, {}, context) == layer.reference(x, {}, {}, context)).all()
    laws.close(run.backward(layer, dy, x, {}, {}, context)[0], Templates().backward(layer, dy, x, {}, {}, context)[0], TOLERANCE[itemsize])
