"""What the catalogue promises: names, files, documentation, ranges of arguments, and the distribution of initial weights."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from netspec.base.clip import Clip
from netspec.base.entry import Entry
from netspec.base.errors import UsageError
from netspec.base.initializer import Initializer
from netspec.base.kinds import Head, Pointwise
from netspec.base.layer import Layer, OnnxForm, OnnxNode
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.schedule import RateSchedule
from netspec.base.stopping import StoppingRule
from netspec.base.transform import Transform
from netspec.catalog.registry import entries

NAMES = {
    Layer: "add affine avgpool bn concat conv dropout dropout2d elu flatten gelu globalpool groupnorm id layernorm "
    "leaky_relu linear mul pool prelu relu "
    "reshape sigmoid silu softmax softplus svm tanh upsample",
    Loss: "bce cross_entropy hinge huber l1 squared_error",
    Optimizer: "adagrad adam adamw rmsprop sgd",
    Initializer: "he lecun normal orthogonal uniform xavier zeros",
    RateSchedule: "cosine onecycle plateau step warmup",
    Clip: "norm value",
    StoppingRule: "stop",
    Transform: "crop cutout flatten flip one_hot per_channel per_feature rescale",
}
ENTRIES = [entry for contract in NAMES for entry in entries(contract).values()]
NEEDED: dict[str, dict[str, Any]] = {"reshape": {"shape": (4,)}}
"""What an entry cannot be made without."""


def made(entry: type[Entry]) -> Entry:
    return entry(**NEEDED.get(entry.name, {}))


over_entries = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)


@pytest.mark.parametrize("contract", NAMES)
def test_the_names_are_those_of_the_language(contract: type[Entry]) -> None:
    assert list(entries(contract)) == NAMES[contract].split()


@over_entries
def test_an_entry_has_a_file_of_its_name(entry: type[Entry]) -> None:
    assert Path(inspect.getfile(entry)).stem == entry.name


@over_entries
def test_an_entry_tells_its_source_and_its_arguments(entry: type[Entry]) -> None:
    doc = entry.__doc__ or ""
    assert "Source:" in doc
    assert "Shapes: " in doc or not issubclass(entry, (Layer, Loss))
    for name, field in entry.model_fields.items():
        assert field.description, name
    made(entry)


@over_entries
def test_an_entry_is_frozen_and_forbids_unknown_arguments(entry: type[Entry]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        entry(unheard_of=1)
    for name in entry.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(made(entry), name, 1)


@over_entries
@pytest.mark.parametrize("value", ["text", None, float("nan"), float("inf"), -1, (1, 0, 3), (1, 2, 3, 4)])
def test_no_argument_takes_what_is_out_of_range(entry: type[Entry], value: Any) -> None:
    for name, field in entry.model_fields.items():
        if not (value is None and field.default is None):
            with pytest.raises(ValidationError, match=name):
                entry(**{**NEEDED.get(entry.name, {}), name: value})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("affine", {"width": 0}), ("affine", {"width": 1.5}), ("affine", {"width": True}), ("affine", {"bias": 1}),
        ("conv", {"filters": 0}), ("conv", {"kernel": 0}), ("conv", {"stride": (1, 0)}), ("conv", {"pad": "valid"}),
        ("pool", {"window": (2,)}), ("pool", {"window": (1, 2, 3)}), ("pool", {"stride": 0}),
        ("pool", {"window": True}), ("bn", {"eps": 0}), ("bn", {"momentum": 1}),
        ("layernorm", {"eps": 0}), ("groupnorm", {"groups": 0}), ("groupnorm", {"groups": 2.5}), ("groupnorm", {"eps": 0}),
        ("dropout", {"p": 1}), ("dropout", {"p": -0.1}), ("leaky_relu", {"slope": -1}), ("elu", {"alpha": -1}), ("reshape", {}),
        ("reshape", {"shape": (4, 5)}), ("reshape", {"shape": ()}), ("reshape", {"shape": True}), ("upsample", {"factor": (0, 1)}),
    ],
)  # fmt: skip
def test_ranges_of_layers(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        entries(Layer)[name](**arguments)


@pytest.mark.parametrize("name", NAMES[Optimizer].split())
@pytest.mark.parametrize("lr", [0, -1e-3, "1e-3"])
def test_ranges_of_the_learning_rate(name: str, lr: Any) -> None:
    with pytest.raises(ValidationError):
        entries(Optimizer)[name](lr=lr)


def test_positional_arguments() -> None:
    first = {name: layer.positional() for name, layer in entries(Layer).items() if layer.positional()}
    assert first == {
        "affine": "width", "avgpool": "window", "bn": "eps", "conv": "filters", "dropout": "p", "dropout2d": "p", "elu": "alpha",
        "groupnorm": "groups", "layernorm": "eps", "leaky_relu": "slope", "pool": "window", "reshape": "shape", "upsample": "factor",
    }  # fmt: skip
    assert {optimizer.positional() for optimizer in entries(Optimizer).values()} == {"lr"}


def test_sigmoid_is_an_activation_whose_head_has_the_same_word() -> None:
    activation = entries(Layer)["sigmoid"]
    assert issubclass(activation, Pointwise)
    assert activation.head_form
    assert issubclass(activation.head_form, Head)
    assert activation.head_form.name == "sigmoid"


def test_a_layer_defined_outside_is_registered() -> None:
    class Double(Pointwise):
        """y = 2 x. Shapes: any, kept. Source: this test."""

        name: ClassVar[str] = "doubled_for_a_test"

        @staticmethod
        def forward(x: float) -> float:
            return 2.0 * x

        @staticmethod
        def backward(dy: float) -> float:
            return 2.0 * dy

        def onnx(self, shape: tuple[int, ...]) -> OnnxForm:
            return OnnxForm((OnnxNode("Sum", ("x", "x"), ("y",)),))

        def reference(self, x: Any, parameters: Any, state: Any, context: Any) -> Any:
            return x + x

        samples = ()
        bad_samples = ()

    assert entries(Layer)["doubled_for_a_test"] is Double
    del Double.name  # so that no other test finds it
    assert "doubled_for_a_test" not in entries(Layer)


HEADS = {layer.__name__: (layer.head_form or layer)() for layer in entries(Layer).values() if issubclass(layer.head_form or layer, Head)}


def test_predictions_of_heads() -> None:
    scores = np.array([[0.1, 2.0, -1.0], [3.0, 2.0, 1.0]])
    for name in ("Softmax", "Svm"):
        assert HEADS[name].predict(scores).tolist() == [1, 0]
        assert HEADS[name].scores(3) == 3
    assert HEADS["Sigmoid"].predict(scores).tolist() == [[1, 1, 0], [1, 1, 1]]
    assert HEADS["Sigmoid"].predict(scores[:, :1], threshold=0.9).tolist() == [0, 1]
    assert (HEADS["Sigmoid"].scores(2), HEADS["Sigmoid"].scores(3)) == (1, 3)
    assert HEADS["Linear"].predict(scores[:, :1]).tolist() == [0.1, 3.0]
    assert HEADS["Linear"].predict(scores).shape == (2, 3)
    assert HEADS["Linear"].predict(np.zeros((2, 1, 4, 4))).shape == (2, 1, 4, 4)


def test_probabilities_of_heads() -> None:
    extreme = np.array([[1000.0, 0.0], [-1000.0, -1000.0]], dtype=np.float32)
    np.testing.assert_array_equal(HEADS["Softmax"].predict_proba(extreme), [[1, 0], [0.5, 0.5]])
    np.testing.assert_array_equal(HEADS["Sigmoid"].predict_proba(extreme), [[1, 0.5], [0, 0]])
    np.testing.assert_array_equal(HEADS["Sigmoid"].predict_proba(extreme[:, :1]), [[0, 1], [1, 0]])
    small = HEADS["Sigmoid"].predict_proba(np.array([[-40.0]]))
    assert small[0, 1] == pytest.approx(np.exp(-40), rel=1e-12)
    for name, words in (("Svm", "scores, not probabilities"), ("Linear", "values, not probabilities")):
        with pytest.raises(UsageError, match=words):
            HEADS[name].predict_proba(extreme)


FAN_IN, FAN_OUT = 400, 200


@pytest.mark.parametrize(
    ("name", "arguments", "deviation", "bound"),
    [
        ("he", {}, np.sqrt(2 / FAN_IN), np.inf),
        ("lecun", {}, np.sqrt(1 / FAN_IN), np.inf),
        ("xavier", {}, np.sqrt(2 / (FAN_IN + FAN_OUT)), np.sqrt(6 / (FAN_IN + FAN_OUT))),
        ("normal", {}, 0.01, np.inf),
        ("normal", {"std": 0.3}, 0.3, np.inf),
        ("uniform", {}, 0.05 / np.sqrt(3), 0.05),
        ("uniform", {"a": 0.3}, 0.3 / np.sqrt(3), 0.3),
        ("orthogonal", {}, np.sqrt(1 / FAN_IN), 1.0),
        ("zeros", {}, 0.0, 0.0),
    ],
)
def test_spread_of_initial_weights(name: str, arguments: dict[str, Any], deviation: float, bound: float) -> None:
    rule = entries(Initializer)[name](**arguments)
    drawn = rule.draw(np.random.default_rng(5), (FAN_IN, FAN_OUT), FAN_IN, FAN_OUT)
    assert drawn.shape == (FAN_IN, FAN_OUT)
    assert drawn.dtype == np.float64
    count = drawn.size
    # five standard errors
    assert abs(drawn.mean()) <= 5 * deviation / np.sqrt(count)
    assert abs(drawn.std() - deviation) <= 5 * deviation / np.sqrt(2 * count)
    assert np.abs(drawn).max() <= bound
    assert np.array_equal(drawn, rule.draw(np.random.default_rng(5), (FAN_IN, FAN_OUT), FAN_IN, FAN_OUT))


def test_fans_include_the_kernel() -> None:
    weight = entries(Layer)["conv"](filters=8, kernel=(3, 5)).parameters((4, 9, 9))["W"]
    assert (weight.shape, weight.fan_in, weight.fan_out) == ((8, 4, 3, 5), 60, 120)
    weight = entries(Layer)["affine"](width=8).parameters((4,))["W"]
    assert (weight.shape, weight.fan_in, weight.fan_out) == ((4, 8), 4, 8)


def product_with_itself(drawn: Any) -> Any:
    """The smaller of W W' and W' W, for W as a matrix."""
    matrix = drawn.reshape(len(drawn), -1)
    return matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix


@pytest.mark.parametrize("shape", [(7, 7), (4, 9), (9, 4), (1, 5), (6, 2, 3, 3), (30, 2, 3, 2), (3, 1, 1, 1)])
def test_orthogonal_weights_are_orthonormal(shape: tuple[int, ...]) -> None:
    rule = entries(Initializer)["orthogonal"]()
    drawn = rule.draw(np.random.default_rng(5), shape, 1, 1)
    assert drawn.shape == shape
    found = product_with_itself(drawn)
    np.testing.assert_allclose(found, np.eye(len(found)), atol=1e-14)
    changed = drawn.copy()
    changed.flat[0] += 0.01
    assert np.abs(product_with_itself(changed) - np.eye(len(found))).max() > 1e-5


def test_orthogonal_weights_favour_no_sign() -> None:
    """Without the signs of R the first element of Q is never positive."""
    draw, rule = np.random.default_rng(6), entries(Initializer)["orthogonal"]()
    positive = sum(float(rule.draw(draw, (3, 3), 1, 1)[0, 0]) > 0 for _ in range(400))
    assert 150 <= positive <= 250  # five standard errors
