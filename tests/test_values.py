"""Published figures for small, fully determined computations, and updates against formulas written out again.

The figures are those of Stanford's CS231n, assignment 2; an error is max |x - y| / max(1e-8, |x| + |y|), as published.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import laws
import numpy as np
import pytest
from calls import layer_of
from compiled import Compiled
from runners import Runner, Templates

import netspec
from netspec.base.layer import Array, ReferenceContext
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.random import bits, stream_key
from netspec.catalog.registry import entries

FORWARD: dict[str, Callable[..., Array]] = {
    "reference": lambda layer, *given: layer.reference(*given),
    **{name: run.forward for name, run in {"templates": Templates(), "compiled": Compiled()}.items()},
}
RUN: Runner = Templates()
TRAIN = ReferenceContext(train=True)


def lin(start: float, stop: float, *shape: int) -> Array:
    return np.linspace(start, stop, prod(shape)).reshape(shape)


def error(x: Any, y: Any) -> float:
    x, y = np.asarray(x), np.asarray(y)
    assert x.shape == y.shape
    return float(np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y))))


@pytest.fixture(params=FORWARD)
def forward(request: pytest.FixtureRequest) -> Callable[..., Array]:
    return FORWARD[request.param]


def test_affine_forward(forward: Callable[..., Array]) -> None:
    x = lin(-0.1, 0.5, 2, 4, 5, 6).reshape(2, 120)
    parameters = {"W": lin(-0.2, 0.3, 120, 3), "b": lin(-0.3, 0.1, 3)}
    wanted = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    assert error(forward(layer_of("affine(3)"), x, parameters, {}, TRAIN), wanted) <= 1e-8


def test_relu_forward(forward: Callable[..., Array]) -> None:
    wanted = [[0, 0, 0, 0], [0, 0, 0.04545455, 0.13636364], [0.22727273, 0.31818182, 0.40909091, 0.5]]
    assert error(forward(layer_of("relu"), lin(-0.5, 0.5, 3, 4), {}, {}, TRAIN), wanted) <= 1e-7


def test_conv_forward(forward: Callable[..., Array]) -> None:
    parameters = {"W": lin(-0.2, 0.3, 3, 3, 4, 4), "b": lin(-0.1, 0.2, 3)}
    wanted = [
        [
            [[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]],
            [[0.21027089, 0.21661097], [0.22847626, 0.23004637]],
            [[0.50813986, 0.54309974], [0.64082444, 0.67101435]],
        ],
        [
            [[-0.98053589, -1.03143541], [-1.19128892, -1.24695841]],
            [[0.69108355, 0.66880383], [0.59480972, 0.56776003]],
            [[2.36270298, 2.36904306], [2.38090835, 2.38247847]],
        ],
    ]
    layer = layer_of("conv(3, kernel=4, stride=2, pad=1)")
    assert error(forward(layer, lin(-0.1, 0.5, 2, 3, 4, 4), parameters, {}, TRAIN), wanted) <= 1e-7


def test_two_layer_net(forward: Callable[..., Array]) -> None:
    x = lin(-5.5, 4.5, 5, 3).T
    hidden = forward(layer_of("affine(50)"), x, {"W": lin(-0.7, 0.3, 5, 50), "b": lin(-0.1, 0.9, 50)}, {}, TRAIN)
    hidden = forward(layer_of("relu"), hidden, {}, {}, TRAIN)
    scores = forward(layer_of("affine(7)"), hidden, {"W": lin(-0.3, 0.4, 50, 7), "b": lin(-0.9, 0.1, 7)}, {}, TRAIN)
    loss = entries(Loss)["cross_entropy"]()
    labels = np.array([0, 5, 1])
    assert abs(RUN.loss(loss, scores, labels)[0] - 3.4702243556) <= 1e-9
    assert abs(loss.reference(scores, labels) - 3.4702243556) <= 1e-9


@pytest.mark.parametrize(("name", "wanted"), [("cross_entropy", 2.3026), ("hinge", 9.0)])
def test_losses_of_scores_near_zero(name: str, wanted: float) -> None:
    draw = np.random.default_rng(0)
    scores, labels = 0.001 * draw.normal(size=(50, 10)), draw.integers(0, 10, 50)
    loss = entries(Loss)[name]()
    assert RUN.loss(loss, scores, labels)[0] == pytest.approx(wanted, rel=1e-3)
    assert loss.reference(scores, labels) == pytest.approx(wanted, rel=1e-3)


def test_binary_cross_entropy_of_saturated_scores() -> None:
    scores, labels = np.array([[-800.0], [800.0], [-800.0], [0.0]]), np.array([[0.0], [1.0], [1.0], [1.0]])
    value, gradient = RUN.loss(entries(Loss)["bce"](), scores, labels)
    assert value == pytest.approx((800 + np.log(2)) / 4)
    np.testing.assert_allclose(gradient, np.array([[0.0], [0.0], [-1.0], [-0.5]]) / 4, atol=1e-12)


def test_sgd_with_momentum() -> None:
    sgd = entries(Optimizer)["sgd"](lr=1e-3, momentum=0.9)
    w, slots = laws.update(sgd, lin(-0.4, 0.6, 4, 5), lin(-0.6, 0.4, 4, 5), {"v": lin(0.6, 0.9, 4, 5)}, 1)
    assert error(w[0], [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789]) <= 1e-7
    assert error(w[3], [1.14244211, 1.20923158, 1.27602105, 1.34281053, 1.4096]) <= 1e-7
    assert error(slots["v"][0], [0.5406, 0.55475789, 0.56891579, 0.58307368, 0.59723158]) <= 1e-7


def test_adam() -> None:
    adam = entries(Optimizer)["adam"](lr=1e-2, beta1=0.9, beta2=0.999, eps=1e-8)
    slots = {"m": lin(0.6, 0.9, 4, 5), "v": lin(0.7, 0.5, 4, 5)}
    w, slots = laws.update(adam, lin(-0.4, 0.6, 4, 5), lin(-0.6, 0.4, 4, 5), slots, 6)  # five updates were done before
    assert error(w[0], [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977]) <= 1e-6
    assert error(w[3], [0.38774145, 0.44031188, 0.49288093, 0.54544852, 0.59801459]) <= 1e-6
    assert error(slots["v"][0], [0.69966, 0.68908382, 0.67851319, 0.66794809, 0.65738853]) <= 1e-6
    assert error(slots["m"][0], [0.48, 0.49947368, 0.51894737, 0.53842105, 0.55789474]) <= 1e-6


def sgd_path(w: Array, gradients: Array, lr: float, momentum: float, nesterov: bool) -> Array:
    """The path as a closed sum: update t moves by -lr times the gradients so far, each faded by momentum^age."""
    for t in range(len(gradients)):
        fading = momentum ** np.arange(t, -1, -1.0)
        velocity = -lr * np.einsum("t,tk->k", fading, gradients[: t + 1])
        w = w + (momentum * velocity - lr * gradients[t] if nesterov else velocity)
    return w


def rmsprop_path(w: Array, gradients: Array, lr: float, decay: float, eps: float) -> Array:
    for t in range(len(gradients)):
        fading = (1 - decay) * decay ** np.arange(t, -1, -1.0)
        w = w - lr * gradients[t] / (np.sqrt(np.einsum("t,tk->k", fading, gradients[: t + 1] ** 2)) + eps)
    return w


def adam_path(w: Array, gradients: Array, lr: float, beta1: float, beta2: float, eps: float) -> Array:
    """The corrected means are weighted means: weights beta^age, divided by their sum."""
    for t in range(len(gradients)):
        mean, square = (
            np.average(gradients[: t + 1] ** k, axis=0, weights=b ** np.arange(t, -1, -1.0)) for k, b in ((1, beta1), (2, beta2))
        )
        w = w - lr * mean / (np.sqrt(square) + eps)
    return w


@pytest.mark.parametrize(
    ("name", "path", "settings"),
    [
        ("sgd", sgd_path, {"lr": 0.02, "momentum": 0.0, "nesterov": False}),
        ("sgd", sgd_path, {"lr": 0.02, "momentum": 0.9, "nesterov": False}),
        ("sgd", sgd_path, {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
        ("rmsprop", rmsprop_path, {"lr": 0.01, "decay": 0.99, "eps": 1e-8}),
        ("rmsprop", rmsprop_path, {"lr": 0.01, "decay": 0.5, "eps": 1e-2}),
        ("adam", adam_path, {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
        ("adam", adam_path, {"lr": 0.01, "beta1": 0.5, "beta2": 0.9, "eps": 1e-2}),
    ],
)
def test_a_hundred_updates(name: str, path: Callable[..., Array], settings: dict[str, Any]) -> None:
    draw = np.random.default_rng(1)
    start, gradients = draw.normal(size=9), draw.normal(size=(100, 9))
    optimizer = entries(Optimizer)[name](**settings)
    w, slots = start, {slot: np.zeros(9) for slot in optimizer.slots}
    for t, g in enumerate(gradients, start=1):
        w, slots = laws.update(optimizer, w, g, slots, t)
    np.testing.assert_allclose(w, path(start, gradients, **settings), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("p", [0.25, 0.4, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_dropout_keeps_the_mean_and_drops_its_share(p: float, seed: int) -> None:
    words = bits(stream_key(seed, 1, 0), np.arange(250_000, dtype=np.uint32)).reshape(500, 500)
    x = np.random.default_rng(3).normal(10, 1, (500, 500))
    layer = layer_of(f"dropout({p})")
    y = layer.reference(x, {}, {}, ReferenceContext(train=True, bits=words))
    deviation = np.sqrt(p * (1 - p) / x.size)  # of the dropped share: 0.1 % here
    assert np.mean(y == 0) == pytest.approx(p, abs=3 * deviation)
    assert y.mean() == pytest.approx(x.mean(), rel=3 * 1.01 * deviation / (1 - p))
    assert (layer.reference(x, {}, {}, ReferenceContext(train=False)) == x).all()
    np.testing.assert_allclose(y[y != 0], x[y != 0] / (1 - p), rtol=1e-12)


@pytest.mark.parametrize("shape", [(200, 3), (20, 3, 4, 5)])
def test_batch_normalisation_gives_the_wanted_means_and_deviations(forward: Callable[..., Array], shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(4).normal(12, 5, shape)
    over = (0, *range(2, len(shape)))
    plain = forward(layer_of("bn(eps=1e-9)"), x, {"gamma": np.ones(3), "beta": np.zeros(3)}, {}, TRAIN)
    np.testing.assert_allclose(plain.mean(over), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(plain.std(over), np.ones(3), atol=1e-6)
    gamma, beta = np.array([1.0, 2.0, 3.0]), np.array([11.0, 12.0, 13.0])
    shifted = forward(layer_of("bn(eps=1e-9)"), x, {"gamma": gamma, "beta": beta}, {}, TRAIN)
    np.testing.assert_allclose(shifted.mean(over), beta, atol=1e-6)
    np.testing.assert_allclose(shifted.std(over), gamma, atol=1e-6)


# the same figures, of compiled models


def compiled(text: str, shape: tuple[int, ...], parameters: dict[str, Array], **more: Any) -> netspec.Model:
    model = netspec.compile(text, input=shape, dtype="float64", **more)
    assert set(parameters) == set(model.params)
    for name, array in parameters.items():
        model.params[name][...] = array
    return model


TWO_LAYERS = {
    "affine1.W": lin(-0.7, 0.3, 5, 50),
    "affine1.b": lin(-0.1, 0.9, 50),
    "affine2.W": lin(-0.3, 0.4, 50, 7),
    "affine2.b": lin(-0.9, 0.1, 7),
}


def test_compiled_two_layer_net() -> None:
    model = compiled("affine(50)-relu -> affine -> softmax", (5,), TWO_LAYERS, classes=7)
    x, y = lin(-5.5, 4.5, 5, 3).T, [0, 5, 1]
    assert abs(model.loss(x, y)[0] - 3.4702243556) <= 1e-9
    assert abs(model.evaluate(x, y)["loss"] - 3.4702243556) <= 1e-9
    strong = compiled("affine(50)-relu -> affine -> softmax", (5,), TWO_LAYERS, classes=7, train="l2 = 0.1")
    squares = sum((TWO_LAYERS[name] ** 2).sum() for name in ("affine1.W", "affine2.W"))
    assert abs(strong.loss(x, y)[0] - 3.4702243556 - 0.05 * squares) <= 1e-9


def test_compiled_affine_reads_an_image() -> None:
    parameters = {"affine1.W": lin(-0.2, 0.3, 120, 3), "affine1.b": lin(-0.3, 0.1, 3)}
    model = compiled("affine(3)", (4, 5, 6), parameters)
    wanted = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    assert error(model.forward(lin(-0.1, 0.5, 2, 4, 5, 6)), wanted) <= 1e-8


@pytest.mark.parametrize("head", ["softmax", "svm"])
def test_compiled_losses_of_scores_near_zero(head: str) -> None:
    draw = np.random.default_rng(0)
    model = compiled(f"id -> {head}", (10,), {}, classes=10)
    loss, _ = model.loss(0.001 * draw.normal(size=(50, 10)), draw.integers(0, 10, 50))
    assert loss == pytest.approx({"softmax": 2.3026, "svm": 9.0}[head], rel=1e-3)


def test_rules_of_optimizers_by_their_text() -> None:
    sgd = netspec.optimizer("sgd(lr=1e-3, momentum=0.9)")
    sgd.state["v"] = lin(0.6, 0.9, 4, 5)
    w = sgd.step(lin(-0.4, 0.6, 4, 5), lin(-0.6, 0.4, 4, 5))
    assert error(w[0], [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789]) <= 1e-7
    assert error(sgd.state["v"][0], [0.5406, 0.55475789, 0.56891579, 0.58307368, 0.59723158]) <= 1e-7
    adam = netspec.optimizer("adam(lr=1e-2)")
    adam.state.update(m=lin(0.6, 0.9, 4, 5), v=lin(0.7, 0.5, 4, 5), t=5)
    w = adam.step(lin(-0.4, 0.6, 4, 5), lin(-0.6, 0.4, 4, 5))
    assert error(w[0], [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977]) <= 1e-6
    assert error(adam.state["m"][0], [0.48, 0.49947368, 0.51894737, 0.53842105, 0.55789474]) <= 1e-6
    assert adam.state["t"] == 6
