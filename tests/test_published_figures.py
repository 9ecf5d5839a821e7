"""Published figures that rest on random inputs: errors of gradients, losses of fresh nets, normalised rows, shares dropped.

Inputs, sizes and error are those of Stanford's CS231n, assignment 2, in float64 and by compiled kernels. How near a limit a right
gradient comes is decided by rounding, where the smallest element of the gradient is nearest to 0; hence the fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_values import error

import netspec
from netspec.base.layer import Array

STEP = 1e-5


def compiled(text: str, shape: tuple[int, ...], **more: Any) -> netspec.Model:
    return netspec.compile(text, input=shape, dtype="float64", **more)


def numeric(value: Callable[[], Any], at: Array, dy: Any = 1.0) -> Array:
    """sum(dy * d value / d at) by central differences, an element at a time."""
    slopes = np.empty_like(at)
    for place in np.ndindex(at.shape):
        here = at[place]
        at[place] = here + STEP
        ahead = value()
        at[place] = here - STEP
        slopes[place] = np.sum((ahead - value()) * dy) / (2 * STEP)
        at[place] = here
    return slopes


GRADIENTS = {
    "affine(5)": ((1, 2, 3), 10, {"x": 2e-10, "W": 2e-10, "b": 2e-11}),
    "relu": ((10,), 10, {"x": 4e-12}),
    "leaky_relu": ((10,), 10, {"x": 7e-12}),
    "id-sigmoid-id": ((10,), 10, {"x": 1e-10}),
    "tanh": ((10,), 10, {"x": 2e-10}),
    "conv(2)": ((3, 5, 5), 4, {"x": 1e-8, "W": 1e-8, "b": 1e-10}),
    "conv(2, stride=2)": ((3, 5, 5), 4, {"x": 1e-8, "W": 1e-8, "b": 1e-10}),
    "pool(2)": ((2, 8, 8), 3, {"x": 1e-11}),
    "pool(3, stride=2)": ((2, 9, 9), 3, {"x": 1e-11}),
}
"""Shape of a row, rows, limits. Published: affine about 1e-10, relu 3e-12, conv 1e-8, pool 1e-11. A sigmoid at the end is a head."""


@pytest.mark.parametrize("text", GRADIENTS)
def test_gradient_errors_of_layers(text: str) -> None:
    shape, rows, limits = GRADIENTS[text]
    draw, model = np.random.default_rng(9), compiled(text, shape)
    x = draw.normal(size=(rows, *shape))
    for array in model.params.values():
        array[...] = draw.normal(size=array.shape)
    dy = draw.normal(size=model.forward(x, train=True).shape)
    dx, grads = model.backward(dy)
    found = {
        name.rpartition(".")[2]: error(gradient, numeric(lambda: model.forward(x, train=True), at, dy))
        for name, gradient, at in [("x", dx, x), *((name, grads[name], model.params[name]) for name in grads)]
    }
    assert found.keys() == limits.keys()
    assert all(found[name] <= limit for name, limit in limits.items()), found


@pytest.mark.parametrize(("head", "wanted", "limit"), [("softmax", 2.3026, 4e-10), ("svm", 9.0, 2e-10)])
def test_gradient_errors_of_losses(head: str, wanted: float, limit: float) -> None:
    """Published: 1e-8 and 1e-9. The scores are the weights that rows of an identity matrix pick; the numeric side moves one row's scores,
    and takes that row's share of the mean alone, so that the rounding of 49 others is not in it."""
    draw, rows = np.random.default_rng(0), np.eye(50)
    model = compiled(f"affine(bias=false) -> {head}", (50,), classes=10)
    scores, labels = model.params["affine1.W"], draw.integers(0, 10, 50)
    scores[...] = 0.001 * draw.normal(size=(50, 10))
    loss, grads = model.loss(rows, labels)
    assert loss == pytest.approx(wanted, rel=1e-3)

    def share(row: int) -> Array:
        return numeric(lambda: model.loss(rows[[row]], labels[[row]])[0], scores[row]) / 50

    assert error(grads["affine1.W"], np.stack([share(row) for row in range(50)])) <= limit


def fresh(hidden: str, widths: str, reg: float, rows: int, seed: int) -> tuple[netspec.Model, Array, Array]:
    """A net whose weights are drawn with a deviation of 0.05, rows, labels."""
    draw = np.random.default_rng(seed)
    text = f"net [affine(h)-{hidden}]x(h: {widths}) -> affine -> softmax defaults {{ affine.init = normal(5e-2) }}"
    model = compiled(text, (15,), classes=10, train=f"l2 = {reg}", seed=seed)
    return model, draw.normal(size=(rows, 15)), draw.integers(0, 10, rows)


@pytest.mark.parametrize("reg", [0, 3.14])
@pytest.mark.parametrize(("hidden", "rows", "seed"), [("relu", 2, 3), ("bn-relu", 10, 6)])
def test_gradient_errors_of_three_layers(hidden: str, rows: int, seed: int, reg: float) -> None:
    """Published: up to 1e-6, of the bias before bn more, for it is 0."""
    model, x, y = fresh(hidden, "20, 30", reg, rows, seed)
    _, grads = model.loss(x, y)
    for name, gradient in grads.items():
        found = numeric(lambda: model.loss(x, y)[0], model.params[name])
        if gradient.any():
            assert error(gradient, found) <= 1e-6, name
        else:
            assert np.abs(found).max() <= 1e-9, name


@pytest.mark.parametrize("reg", [0, 3.14])
@pytest.mark.parametrize("hidden", ["relu", "bn-relu", "bn-relu-dropout(25%)"])
def test_initial_loss_of_five_layers(hidden: str, reg: float) -> None:
    """That of guessing, ln 10, and 0.5 reg |W|^2 over the weights; biases, gamma and beta are away from 0, and count nothing."""
    model, x, y = fresh(hidden, "20, 30, 25, 20", reg, 200, 0)
    for name, array in model.params.items():
        array += 0.0 if name.endswith("W") else 0.1
    scores = model.forward(x, train=True)
    data = np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(200), y])
    weights = [array for name, array in model.params.items() if name.endswith("W")]
    assert len(weights) == 5
    assert data == pytest.approx(np.log(10), abs=0.05)
    assert model.loss(x, y)[0] == pytest.approx(data + 0.5 * reg * sum((w**2).sum() for w in weights), rel=1e-12)
    assert model.gradcheck(x, y).max_error <= 1e-6


@pytest.mark.parametrize(("text", "shape", "rows"), [("affine(60)-relu -> affine(3)-bn", (50,), 200), ("conv(4)-bn", (3, 11, 12), 20)])
def test_normalisation_after_fifty_batches_of_training(text: str, shape: tuple[int, ...], rows: int) -> None:
    """Means within 0.1 of 0 and deviations within 0.1 of 1 in the test form, on rows that were never seen; before that they are not."""
    draw, model = np.random.default_rng(0), compiled(text, shape)
    for name in model.params:
        if name.endswith("W"):
            model.params[name][...] = draw.normal(size=model.params[name].shape)
    unseen = draw.normal(0.5, 1, (25 * rows, *shape))
    before = model.forward(unseen)
    for _ in range(50):
        model.forward(draw.normal(0.5, 1, (rows, *shape)), train=True)
    after, over = model.forward(unseen), (0, *range(2, before.ndim))
    assert np.abs(before.std(over) - 1).min() > 1
    np.testing.assert_allclose(after.mean(over), 0, atol=0.1)
    np.testing.assert_allclose(after.std(over), 1, atol=0.1)


@pytest.mark.parametrize("p", [0.25, 0.4, 0.7])
@pytest.mark.parametrize("seed", [18, 19, 39])
def test_dropout_of_250_000_elements(p: float, seed: int) -> None:
    """The share dropped is within 0.1 % of p, and the mean of the outputs within 0.1 % of that of the inputs.

    One deviation of the share is 0.09 % to 0.10 %, and of the mean 0.12 %, 0.16 % and 0.31 %: 3 seeds of the first 40 keep it six times.
    """
    x = np.random.default_rng(seed).normal(10, 1, (500, 500))
    y = compiled(f"dropout({p})", (500,), seed=seed).forward(x, train=True)
    assert np.mean(y == 0) == pytest.approx(p, abs=1e-3)
    assert y.mean() == pytest.approx(x.mean(), rel=1e-3)


def test_filters_set_by_hand_give_grey_and_edges() -> None:
    """Row 17: a convolution as a bank of image filters, against sums over shifted images."""
    image = np.random.default_rng(0).integers(0, 256, (3, 20, 30)).astype(float)
    bank = netspec.compile("conv(2, pad=0)", input=(3, 20, 30), dtype="float64")
    filters = bank.params["conv1.W"]
    filters[...] = 0
    filters[0, :, 1, 1] = 0.3, 0.6, 0.1
    filters[1] = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    grey, edges = bank.forward(image[np.newaxis])[0]
    np.testing.assert_allclose(grey, np.tensordot([0.3, 0.6, 0.1], image, 1)[1:-1, 1:-1], rtol=1e-13)
    sums = image.sum(axis=0)
    across = sums[:, :-2] - sums[:, 2:]
    np.testing.assert_allclose(edges, across[:-2] + 2 * across[1:-1] + across[2:], atol=1e-10)
