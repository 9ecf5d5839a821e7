"""Transforms: augmentation in the native step against NumPy, statistics in a row, and what a model keeps of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from written_out import WRITTEN_OUT

import netspec
from netspec.base import random
from netspec.base.errors import DataError, SpecError, UsageError
from netspec.base.transform import Augmentation, Transform
from netspec.catalog.registry import entries
from netspec.plan.network import from_layout

SHAPE = (3, 9, 7)
ROWS = 40


def images(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(5, 3, (ROWS, *shape)).astype(np.float32)


def labels() -> NDArray[Any]:
    return np.random.default_rng(1).integers(0, 3, ROWS)


def model(transforms: str, net: str = "conv(4)-relu -> affine -> softmax", batch: int = ROWS, **more: Any) -> Any:
    text = f"data {{ transforms = {transforms} }} net {net}"
    return netspec.compile(text, input=SHAPE, classes=3, train=f"batch = {batch}", **more)


def batch_of(net: Any, x: NDArray[Any], on: bool = True) -> NDArray[Any]:
    """What a training step gets of these rows."""
    network = net.network
    plan = network.plan(len(x))
    plan.bind(x=np.ascontiguousarray(x), y=network.labels_to_layout(labels()[: len(x)]), order=np.arange(len(x), dtype=np.int64))
    network.store.augment(on)
    plan.run(len(x), 0, "forward")
    flat = plan.array("x")
    return flat[: x.size].reshape(x.shape).copy() if network.flat_input else from_layout(flat, len(x), x.shape[1:])


SEVERAL = [["flip", "crop"], ["cutout(3)", "crop(20)", "flip"], ["crop", "crop"]]
NETS = {"channels last": "conv(4)-relu -> affine -> softmax", "vectors": "affine(5)-bn-relu -> affine -> softmax"}


def test_every_augmentation_is_written_out_here() -> None:
    names = {name for name, entry in entries(Transform).items() if issubclass(entry, Augmentation)}  # type: ignore[type-abstract]
    assert names <= set(WRITTEN_OUT)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("steps", [*([name] for name in WRITTEN_OUT), *SEVERAL])
def test_the_step_sees_what_numpy_makes_of_the_rows(steps: list[str], net: str) -> None:
    x = images()
    made = model(", ".join(steps), NETS[net], seed=11)
    made.network.store.step = 6
    expected: NDArray[Any] = x
    for number, name in enumerate(steps):
        words = random.bits(random.stream_key(11, -1 - number, 6), np.arange(ROWS, dtype=np.uint32))
        function, argument = WRITTEN_OUT[name]
        expected = function(expected, words, argument)
    np.testing.assert_array_equal(batch_of(made, x), expected)
    np.testing.assert_array_equal(batch_of(made, x, on=False), x)
    assert (expected != x).any()


def test_an_image_of_one_channel() -> None:
    x = images(shape=(1, 6, 5))
    made = netspec.compile("data { transforms = flip(1) } net conv(2) -> affine -> softmax", input=(1, 6, 5), classes=3, train="batch = 40")
    np.testing.assert_array_equal(batch_of(made, x), x[..., ::-1])


def test_draws_are_spread_evenly() -> None:
    words = random.bits(random.stream_key(3, -1, 0), np.arange(20_000, dtype=np.uint32)).tolist()
    flip, crop, cutout = (entries(Transform)[name]() for name in ("flip", "crop", "cutout"))  # type: ignore[type-abstract]
    mirrored = sum(flip.place(0, 0, 32, 32, bits, **flip.constants())[1] == 31 for bits in words)
    assert abs(mirrored - 10_000) < 5 * np.sqrt(5000)
    shifts = np.array([crop.place(0, 0, 32, 32, bits, **crop.constants()) for bits in words])
    counts = np.zeros((9, 9))
    np.add.at(counts, (shifts[:, 0] + 4, shifts[:, 1] + 4), 1)
    assert np.abs(counts - 20_000 / 81).max() < 5 * np.sqrt(20_000 / 81)
    blank = np.mean([cutout.place(16, 16, 32, 32, bits, **cutout.constants())[0] < 0 for bits in words])
    assert abs(blank - 64 / 1024) < 5 * np.sqrt(0.0625 / 20_000)


@pytest.mark.parametrize("threads", [2, 4])
def test_same_bits_on_any_number_of_threads(threads: int) -> None:
    def weights(count: int) -> bytes:
        net = model("flip, crop(2)", batch=16, threads=count)
        net.fit(images(), labels(), epochs=3)
        return b"".join(array.tobytes() for _, array in sorted(net.params.items()))

    assert weights(threads) == weights(1)
    plain = model("rescale", batch=16, threads=1)
    plain.fit(images(), labels(), epochs=3)
    assert b"".join(array.tobytes() for _, array in sorted(plain.params.items())) != weights(1)


def test_steps_differ_and_calls_on_rows_as_they_are_do_not_draw() -> None:
    x, y, net = images(), labels(), model("flip, crop, cutout")
    plain = netspec.compile(NETS["channels last"], input=SHAPE, classes=3, train="batch = 40")
    first = batch_of(net, x)
    net.network.store.step = 1
    assert (batch_of(net, x) != first).any()
    net.network.store.step = 0
    assert net.loss(x, y)[0] == plain.loss(x, y)[0]
    assert net.step(x, y) == plain.step(x, y)
    assert net.evaluate(x, y) == plain.evaluate(x, y)
    assert net.fit(x, y, epochs=1).epochs[-1]["loss"] != plain.fit(x, y, epochs=1).epochs[-1]["loss"]


def standardised(x: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    return (x - x.mean(axes, keepdims=True)) / x.std(axes, keepdims=True)


def rescaled(x: NDArray[Any]) -> NDArray[Any]:
    return (x - x.min()) / (x.max() - x.min())


PREPARED = {
    "per_channel, rescale": lambda x: rescaled(standardised(x, (0, 2, 3))),
    "rescale, per_feature": lambda x: standardised(rescaled(x), (0,)),
    "per_channel, per_feature": lambda x: standardised(x, (0,)),
    "per_channel, flatten": lambda x: standardised(x, (0, 2, 3)).reshape(len(x), -1),
    "flatten, per_feature, rescale": lambda x: rescaled(standardised(x.reshape(len(x), -1), (0,))),
    "flatten": lambda x: x.reshape(len(x), -1),
}  # fmt: skip


@pytest.mark.parametrize("steps", PREPARED)
def test_preparations_in_a_row(steps: str, tmp_path: Path) -> None:
    x, y = images().astype(float), labels()
    text = f"data {{ transforms = {steps} }} net affine -> softmax"
    net = netspec.compile(text, train="dtype = float64; batch = 8")
    net.fit(x, y, epochs=2)
    wanted = PREPARED[steps](x)
    assert net.graph.input.shape == wanted.shape[1:]
    np.testing.assert_allclose(net.predict_proba(x), _softmax(net.forward(wanted)), atol=1e-12)
    net.save(tmp_path / "w.safetensors")
    again = netspec.restore(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(again.predict_proba(x), net.predict_proba(x))
    assert net.evaluate(x, y) == again.evaluate(x, y)


def _softmax(scores: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def test_normalize_comes_before_transforms() -> None:
    x, y = images().astype(float), labels()
    one, other = (
        netspec.compile(f"data {{ {keys} }} net affine -> softmax", train="dtype = float64")
        for keys in ("normalize = per_channel; transforms = rescale", "transforms = per_channel, rescale")
    )
    one.fit(x, y, epochs=1)
    other.fit(x, y, epochs=1)
    np.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x))
    np.testing.assert_array_equal(one.normalization.scale, other.normalization.scale)


def test_a_transform_on_its_own() -> None:
    x = images()
    net = model("crop(2)", seed=5)
    np.testing.assert_array_equal(netspec.transform("crop(2)").apply(x, seed=5), batch_of(net, x))
    rule = netspec.transform("per_channel")
    assert repr(rule) == "per_channel()"
    assert repr(netspec.transform("cutout(3)")) == "cutout(side=3)"
    with pytest.raises(UsageError, match="call fit"):
        rule.apply(x)
    np.testing.assert_allclose(rule.fit(x[:20]).apply(x[:20]).mean((0, 2, 3)), 0, atol=1e-6)
    assert netspec.transform("flatten").apply(x).shape == (ROWS, 189)
    with pytest.raises(UsageError, match="needs images"):
        netspec.transform("flip").apply(np.zeros((3, 4)))
    with pytest.raises(SpecError, match="unknown transform"):
        netspec.transform("blur")
    for wrong in (np.zeros((0, 3)), [[1, "a"]], [[1], [2, 3]], None, np.full((2, 2), np.nan), np.ones((4, 2), np.longdouble)):
        with pytest.raises(DataError):
            rule.fit(wrong)


def test_one_hot_on_its_own() -> None:
    rule = netspec.transform("one_hot")
    with pytest.raises(UsageError, match="call fit"):
        rule.apply([["a", 1.0]])
    np.testing.assert_array_equal(rule.fit([["a", 1.0], ["b", 2.0]]).apply([["b", 5], ["a", 3]]), [[0, 1, 5], [1, 0, 3]])
    with pytest.raises(DataError, match="'c' is not among"):
        rule.apply([["c", 1.0]])


def test_what_is_refused() -> None:
    with pytest.raises(SpecError, match=r"flip needs images .* a vector of 8") as vectors:
        netspec.compile("data { transforms = flip } net affine -> softmax", input=8, classes=3)
    assert vectors.value.diagnostics[0].code == "NS607"
    with pytest.raises(SpecError, match="crop needs images"):
        model("flatten, crop", "affine -> softmax").fit(images(), labels())
    for steps, right in (
        ("cutout(8), per_channel", "per_channel, cutout(side=8)"), ("per_feature, one_hot", "one_hot, per_feature"),
        ("flip, rescale, crop", "rescale, flip, crop"),
    ):  # fmt: skip
        with pytest.raises(SpecError) as order:
            model(steps)
        assert order.value.diagnostics[0].code == "NS315"
        assert order.value.diagnostics[0].help == f"write transforms = {right}"
    with pytest.raises(SpecError, match=r"`pad` of crop must be a whole number of at least 1; this is 0"):
        model("flip, crop(0)")
    with pytest.raises(SpecError, match="did you mean `cutout`"):
        model("flip, cutouts")


def test_a_user_may_add_one() -> None:
    with pytest.raises(TypeError, match="lacks place"):

        class Nothing(Augmentation):
            """Nothing."""

            name = "nothing"
