"""What is promised about names, initial values, gradients and masks, judged on compiled models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netspec
from netspec.base import random


def compiled(text: str, shape: tuple[int, ...] = (5,), **more: Any) -> netspec.Model:
    return netspec.compile(text, input=shape, **{"dtype": "float64", "classes": 3, **more})


def test_names_count_layers_of_a_kind_in_reading_order() -> None:
    model = compiled("[conv(4)-bn-relu-conv(2)]x2 -> affine(6)-bn -> affine -> softmax", (3, 6, 5))
    shapes = {name: array.shape for name, array in model.params.items()}
    assert shapes == {
        "conv1.W": (4, 3, 3, 3), "conv1.b": (4,), "bn1.gamma": (4,), "bn1.beta": (4,), "conv2.W": (2, 4, 3, 3), "conv2.b": (2,),
        "conv3.W": (4, 2, 3, 3), "conv3.b": (4,), "bn2.gamma": (4,), "bn2.beta": (4,), "conv4.W": (2, 4, 3, 3), "conv4.b": (2,),
        "affine1.W": (60, 6), "affine1.b": (6,), "bn3.gamma": (6,), "bn3.beta": (6,), "affine2.W": (6, 3), "affine2.b": (3,),
    }  # fmt: skip
    assert list(shapes) == list(model.params)
    assert list(model.state) == [f"bn{k}.{part}" for k in (1, 2, 3) for part in ("mean", "var")]


def test_affine_reads_images_in_c_order() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 5))
    for text in ("affine -> softmax", "id -> affine -> softmax", "conv(3, kernel=1)-relu -> affine -> softmax"):
        model = compiled(text, (3, 2, 5))
        name = f"affine1.{'W'}"
        seen = model.forward(x, at="relu1") if "relu" in text else x
        np.testing.assert_allclose(model.forward(x), seen.reshape(4, -1) @ model.params[name], rtol=1e-11, atol=1e-12)


def test_the_gradient_of_a_bias_before_bn_is_exactly_zero() -> None:
    draw = np.random.default_rng(0)
    for text, shape, biases in (
        ("affine(7)-bn-relu -> affine -> softmax", (5,), ["affine1.b"]),
        ("conv(3)-bn-relu -> conv(2)-relu-bn -> affine -> softmax", (2, 5, 4), ["conv1.b"]),
    ):
        for fuse in (True, False):
            model = compiled(text, shape, fuse=fuse, train="l2 = 0.1")
            x, y = draw.normal(size=(9, *shape)), draw.integers(0, 3, 9)
            grads = model.loss(x, y)[1]
            assert [name for name in grads if name.endswith(".b") and (grads[name] == 0).all()] == biases
            before = {name: model.params[name].copy() for name in biases}
            model.step(x, y)
            assert all((model.params[name] == before[name]).all() for name in biases)


def test_l2_is_on_weights_only() -> None:
    x, y = np.random.default_rng(0).normal(size=(9, 5)), np.arange(9) % 3
    text = "affine(7)-bn-relu -> affine -> softmax"
    plain, strong = compiled(text), compiled(text, train="l2 = 0.2")
    for model in (plain, strong):
        for name in ("affine2.b", "bn1.gamma", "bn1.beta"):
            model.params[name] += 0.5
    (loss, grads), (more, others) = plain.loss(x, y), strong.loss(x, y)
    weights = ["affine1.W", "affine2.W"]
    assert more - loss == pytest.approx(0.1 * sum((plain.params[name] ** 2).sum() for name in weights), rel=1e-12)
    for name, gradient in grads.items():
        np.testing.assert_allclose(others[name], gradient + (0.2 * plain.params[name] if name in weights else 0), rtol=1e-10, atol=1e-15)
    assert plain.evaluate(x, y)["loss"] == pytest.approx(strong.evaluate(x, y)["loss"], rel=1e-12)


@pytest.mark.parametrize(
    ("text", "relu_like"),
    [
        ("affine(200)-relu -> affine -> softmax", [True, False]),
        ("affine(200)-bn-dropout-leaky_relu -> affine -> softmax", [True, False]),
        ("affine(200)-tanh -> affine(200)-relu -> affine -> softmax", [False, True, False]),
        ("affine(200)-bn -> affine(200)-sigmoid -> affine -> softmax", [False, False, False]),
        ("affine(200)-dropout-tanh-relu -> affine -> softmax", [False, False]),
        ("affine(200)-gelu -> affine(200)-bn-silu -> affine(200)-dropout-elu -> affine -> softmax", [True, True, True, False]),
        ("affine(200)-prelu -> affine(200)-softplus -> affine -> softmax", [True, False, False]),
    ],
)
def test_default_initial_weights(text: str, relu_like: list[bool]) -> None:
    """he, normal with std sqrt(2 / fan_in), before a relu-like activation; else xavier, uniform within sqrt(6 / (fan_in + fan_out))."""
    model = compiled(text, (150,), classes=100)
    for number, he in enumerate(relu_like, start=1):
        w = model.params[f"affine{number}.W"]
        bound = np.sqrt(6 / sum(w.shape))
        spread = np.sqrt(2 / w.shape[0]) if he else bound / np.sqrt(3)
        assert w.std() == pytest.approx(spread, rel=0.03)
        assert abs(w.mean()) < 5 * spread / np.sqrt(w.size)
        assert bool(np.abs(w).max() <= bound) is (not he)
        assert (model.params[f"affine{number}.b"] == 0).all()


def test_fans_of_a_convolution_include_the_kernel() -> None:
    w = compiled("conv(64, kernel=5x3)-relu -> globalpool -> affine -> softmax", (40, 6, 6)).params["conv1.W"]
    assert w.std() == pytest.approx(np.sqrt(2 / (40 * 15)), rel=0.03)
    model = compiled("affine(50, init=normal(std=0.5))-bn -> affine(init=zeros) -> softmax")
    assert model.params["affine1.W"].std() == pytest.approx(0.5, rel=0.15)
    assert not model.params["affine2.W"].any()
    assert (model.params["bn1.gamma"] == 1).all()
    assert not model.params["bn1.beta"].any()
    assert (model.state["bn1.var"] == 1).all()
    assert not model.state["bn1.mean"].any()


def test_seeds_draw_weights_and_a_layer_more_changes_none_before() -> None:
    first, again, other = (compiled("affine(9)-relu -> affine -> softmax", seed=seed).params["affine1.W"] for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    longer = compiled("affine(9)-relu -> affine(4)-relu -> affine -> softmax", seed=1)
    assert (longer.params["affine1.W"] == first).all()


def test_masks_are_inverted_and_belong_to_the_step() -> None:
    model = compiled("dropout(30%) -> affine -> linear", (400,), classes=None, outputs=1, train="optimizer = sgd(lr=1e-9)", seed=5)
    x = np.ones((500, 400))
    first, again = (model.forward(x, train=True, at="dropout1") for _ in range(2))
    assert (first == again).all()
    assert set(np.unique(first)) == {0.0, 1 / 0.7}
    assert (first == 0).mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / first.size))
    words = random.bits(random.stream_key(5, 0, 0), np.arange(first.size, dtype=np.uint32)).reshape(first.shape)
    assert ((words < 0.3 * 2**32) == (first == 0)).all()
    model.step(x, np.zeros(500))
    second = model.forward(x, train=True, at="dropout1")
    assert (second != first).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.01)
    assert (model.forward(x, at="dropout1") == x).all()


def test_masks_of_channels_belong_to_row_and_channel() -> None:
    model = compiled("dropout2d(30%) -> globalpool -> affine -> linear", (40, 3, 2), classes=None, outputs=1, seed=5)
    x = np.ones((500, 40, 3, 2))
    seen = model.forward(x, train=True, at="dropout2d1")
    words = random.bits(random.stream_key(5, 0, 0), np.arange(500 * 40, dtype=np.uint32)).reshape(500, 40)
    np.testing.assert_array_equal(seen, np.where(words < 0.3 * 2**32, 0.0, 1 / 0.7)[:, :, None, None] * x)
    assert (model.forward(x[:7], train=True, at="dropout2d1") == seen[:7]).all()
    model.step(x, np.zeros(500))
    assert (model.forward(x, train=True, at="dropout2d1") != seen).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.02)
    assert (model.forward(x, at="dropout2d1") == x).all()


def test_slopes_start_at_a_quarter_and_have_no_l2() -> None:
    model = compiled("affine(6)-prelu -> affine -> softmax", (4,), train="l2 = 0.5")
    assert (model.params["prelu1.slope"] == 0.25).all()
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(9, 4)), draw.integers(0, 3, 9)
    before = (x @ model.params["affine1.W"] + model.params["affine1.b"]).clip(max=0)
    behind = compiled("affine -> softmax", (6,))  # what follows, for the gradient that reaches the slopes
    for key in ("W", "b"):
        behind.params[f"affine1.{key}"] = model.params[f"affine2.{key}"]
    behind.forward(model.forward(x, at="prelu1"), train=True)
    scores = model.forward(x)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    dscores = (shares / shares.sum(axis=1, keepdims=True) - np.eye(3)[y]) / len(x)
    dx, _ = behind.backward(dscores)
    np.testing.assert_allclose(model.loss(x, y)[1]["prelu1.slope"], (dx * before).sum(axis=0), rtol=1e-10, atol=1e-14)


def test_masks_of_two_layers_differ() -> None:
    model = compiled("dropout -> dropout -> affine -> softmax", (300,))
    x = np.ones((300, 300))
    one, both = (model.forward(x, train=True, at=name) != 0 for name in ("dropout1", "dropout2"))
    assert both.mean() == pytest.approx(0.25, abs=0.01)
    assert one.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("text", "shape"), [("affine(33)-bn-relu -> affine -> softmax", (20,)), ("[conv(5)-bn-relu-pool]x2 -> affine -> softmax", (3, 9, 8))]
)
def test_a_row_is_predicted_alike_in_any_batch(text: str, shape: tuple[int, ...]) -> None:
    model = compiled(text, shape, dtype="float32")
    x = np.random.default_rng(0).normal(size=(2100, *shape)).astype(np.float32)
    together = model.forward(x)
    for rows in (slice(0, 1), slice(7, 20), slice(1000, 1500), slice(2099, 2100)):
        np.testing.assert_allclose(model.forward(x[rows]), together[rows], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model.predict_proba(x[rows]), model.predict_proba(x)[rows], rtol=1e-4, atol=1e-5)


def test_an_epoch_is_all_rows_once() -> None:
    """Each row has a feature of its own, so the first layer's gradient shows which rows a step has seen."""
    model = compiled(
        "affine(1, init=zeros, bias=false) -> linear", (10,), classes=None, outputs=1, train="batch = 4; optimizer = sgd(lr=1.0)"
    )
    model.fit(np.eye(10), np.ones(10), epochs=1)
    # each row moved its weight by lr * 2 / (rows of its batch): 4, 4 and 2 rows
    assert sorted(model.params["affine1.W"][:, 0].round(12)) == [0.5] * 8 + [1.0] * 2
    order = [model.params["affine1.W"][:, 0].argsort()[-2:].tolist()]
    model.reset()
    model.fit(np.eye(10), np.ones(10), epochs=1)
    assert order == [model.params["affine1.W"][:, 0].argsort()[-2:].tolist()]


def test_gradients_are_right_after_every_head() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(9, 5))
    targets = {"softmax": draw.integers(0, 3, 9), "svm": draw.integers(0, 3, 9), "sigmoid": draw.integers(0, 2, (9, 3))}
    for head, y in targets.items():
        assert compiled(f"affine(6)-tanh -> affine -> {head}").gradcheck(x, y).max_error <= 1e-6
    for loss in ("squared_error", "l1"):
        model = compiled("affine(6)-tanh -> affine -> linear", classes=None, outputs=2, train=f"loss = {loss}; l2 = 0.1")
        assert model.gradcheck(x, draw.normal(size=(9, 2))).max_error <= 1e-6
