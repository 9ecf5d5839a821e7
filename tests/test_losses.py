"""What changes a loss: its arguments, label smoothing, weights of classes; labels as one-hot rows and as several answers a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytorch import pytorch

import netspec
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.train.class_weights import balanced

ROWS, FEATURES = 40, 5
draw = np.random.default_rng(3)
X = draw.normal(size=(ROWS, FEATURES))
LABELS = draw.choice(3, ROWS, p=[0.6, 0.3, 0.1])
ANSWERS = draw.integers(0, 2, (ROWS, 4))
VALUES = draw.normal(0, 3, (ROWS, 2))


def model_of(head: str, train: str = "", **counts: Any) -> netspec.Model:
    return netspec.compile(f"affine(7)-tanh -> affine -> {head}", input=FEATURES, dtype="float64", seed=1, train=train, **counts)


def torch_loss(model: netspec.Model, mean_loss: Any) -> tuple[float, dict[str, Any]]:
    """Loss and gradients of the same net in PyTorch, `mean_loss` of its scores."""
    torch = pytorch()
    params = {name: torch.tensor(array, requires_grad=True) for name, array in model.params.items()}
    hidden = torch.tanh(torch.tensor(X) @ params["affine1.W"] + params["affine1.b"])
    value = mean_loss(torch, hidden @ params["affine2.W"] + params["affine2.b"])
    value.backward()
    return value.item(), {name: array.grad.numpy() for name, array in params.items()}


def rows_weighed(weights: Any, losses: Any) -> Any:
    """Mean over rows, not over the sum of the weights."""
    return (weights * losses).sum() / len(losses)


WEIGHTS = (1.0, 2.0, 0.5)
AGAINST_TORCH: dict[str, tuple[str, dict[str, int], str, Any, Any]] = {
    "smoothing": (
        "softmax", {"classes": 3}, "label_smoothing = 0.2", LABELS,
        lambda torch, s: torch.nn.functional.cross_entropy(s, torch.tensor(LABELS), label_smoothing=0.2),
    ),
    "huber": (
        "linear", {"outputs": 2}, "loss = huber", VALUES, lambda torch, s: torch.nn.HuberLoss()(s, torch.tensor(VALUES)),
    ),
    "huber, small delta": (
        "linear", {"outputs": 2}, "loss = huber(0.25)", VALUES, lambda torch, s: torch.nn.HuberLoss(delta=0.25)(s, torch.tensor(VALUES)),
    ),
    "weights, softmax": (
        "softmax", {"classes": 3}, "class_weights = 1, 2, 0.5", LABELS,
        lambda torch, s: torch.nn.functional.cross_entropy(s, torch.tensor(LABELS), torch.tensor(WEIGHTS).double(), reduction="sum") / ROWS,
    ),
    "weights, smoothing": (
        "softmax", {"classes": 3}, "class_weights = 1, 2, 0.5; label_smoothing = 0.1", LABELS,
        lambda torch, s: rows_weighed(
            torch.tensor(WEIGHTS)[LABELS],
            torch.nn.functional.cross_entropy(s, torch.tensor(LABELS), label_smoothing=0.1, reduction="none"),
        ),
    ),
    "weights, svm": (
        "svm", {"classes": 3}, "class_weights = 1, 2, 0.5", LABELS,
        lambda torch, s: 3 * rows_weighed(
            torch.tensor(WEIGHTS)[LABELS], torch.nn.functional.multi_margin_loss(s, torch.tensor(LABELS), reduction="none")
        ),
    ),
    "weights, sigmoid": (
        "sigmoid", {"classes": 2}, "class_weights = 1, 3", LABELS > 0,
        lambda torch, s: torch.nn.functional.binary_cross_entropy_with_logits(
            s[:, 0], torch.tensor(LABELS > 0).double(), weight=torch.where(torch.tensor(LABELS > 0), 3.0, 1.0)
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AGAINST_TORCH)
def test_loss_and_gradients_are_those_of_pytorch(name: str) -> None:
    head, counts, train, y, mean_loss = AGAINST_TORCH[name]
    model = model_of(head, train, **counts)
    wanted, gradients = torch_loss(model, mean_loss)
    found, own = model.loss(X, y)
    assert found == pytest.approx(wanted, rel=1e-12)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(own[key], gradient, rtol=1e-9, atol=1e-13)
    assert model_of(head, **counts).loss(X, y)[0] != pytest.approx(wanted, rel=1e-3), "the key changed nothing"
    assert model.step(X, y) == found
    assert model.gradcheck(X[:3], y[:3]).max_error < 1e-6


def test_pytorch_divides_by_the_weights_and_netspec_by_the_rows() -> None:
    head, counts, train, y, _ = AGAINST_TORCH["weights, softmax"]
    model = model_of(head, train, **counts)
    other, _ = torch_loss(model, lambda torch, s: torch.nn.CrossEntropyLoss(torch.tensor(WEIGHTS).double())(s, torch.tensor(y)))
    assert model.loss(X, y)[0] == pytest.approx(other * np.mean(np.take(WEIGHTS, y)), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_balanced_weights_are_those_of_scikit_learn(seed: int) -> None:
    utils = pytest.importorskip("sklearn.utils", reason="scikit-learn is not installed")
    y = np.random.default_rng(seed).choice(6, 50, p=[0.5, 0.2, 0.15, 0.1, 0.05, 0])
    occur = np.unique(y)
    found = balanced(y, 6)
    np.testing.assert_allclose(found[occur], utils.compute_class_weight("balanced", classes=occur, y=y), rtol=1e-14)
    assert (np.delete(found, occur) == 1).all()
    assert found[y].mean() == pytest.approx(1)


@pytest.mark.parametrize(("head", "y"), [("softmax", LABELS), ("svm", LABELS), ("sigmoid", np.where(LABELS > 0, "yes", "no"))])
def test_balanced_counts_the_training_rows(head: str, y: Any) -> None:
    train = "optimizer = sgd(lr=0.1); batch = 9; epochs = 3; class_weights = {}"
    model = model_of(head, train.format("balanced"), classes=len(np.unique(y)))
    model.fit(X, y, validation=(X[:9], y[:9]))
    assert model.class_weights is not None
    listed = model_of(head, train.format(", ".join(map(repr, model.class_weights.tolist()))), classes=len(np.unique(y)))
    listed.fit(X, y, validation=(X[:9], y[:9]))
    np.testing.assert_array_equal(model.params.flat, listed.params.flat)
    np.testing.assert_allclose(model.class_weights, balanced(np.unique(y, return_inverse=True)[1], len(np.unique(y))))


def test_balanced_counts_no_row_that_is_held_out() -> None:
    model = model_of("softmax", "epochs = 1; class_weights = balanced", classes=3)
    splits = model.splits_of(X, LABELS, 0.5)
    model.training_of(splits, 1)
    np.testing.assert_allclose(model.class_weights, balanced(splits.train.y, 3))
    assert len(splits.train.y) == ROWS // 2
    assert not np.allclose(balanced(LABELS[: ROWS // 2], 3), balanced(LABELS, 3)), "the halves are alike, and nothing is tested"


def test_weights_of_classes_and_of_rows_are_multiplied() -> None:
    weights = draw.uniform(0, 2, ROWS)
    train = "optimizer = sgd(lr=0.1); batch = 40; epochs = 1"
    both = model_of("softmax", f"{train}; class_weights = 1, 2, 0.5", classes=3)
    rows = model_of("softmax", train, classes=3)
    both.fit(X, LABELS, sample_weight=weights)
    rows.fit(X, LABELS, sample_weight=weights * np.take(WEIGHTS, LABELS))
    np.testing.assert_allclose(both.params.flat, rows.params.flat, rtol=1e-12, atol=1e-15)


def test_an_evaluation_weighs_no_classes() -> None:
    plain, weighed = model_of("softmax", classes=3), model_of("softmax", "class_weights = 1, 2, 0.5", classes=3)
    assert weighed.evaluate(X, LABELS) == plain.evaluate(X, LABELS)


def test_balanced_weights_are_counted_by_fit_and_kept_with_the_weights(tmp_path: Path) -> None:
    model = model_of("softmax", "epochs = 1; class_weights = balanced", classes=3)
    for call in (model.loss, model.step):
        with pytest.raises(netspec.NetspecError, match="class_weights = balanced are counted by fit"):
            call(X, LABELS)
    assert model.gradcheck(X[:3], LABELS[:3]).max_error < 1e-6
    model.fit(X, LABELS)
    model.save(tmp_path / "model.safetensors")
    again = netspec.restore(tmp_path / "model.safetensors")
    assert again.loss(X, LABELS)[0] == model.loss(X, LABELS)[0]
    model.reset()
    assert model.class_weights is None


def test_the_weights_are_part_of_the_plan_that_is_known_before() -> None:
    plain, weighed = model_of("softmax", classes=3), model_of("softmax", "class_weights = 1, 2, 0.5", classes=3)
    assert "gather weights" in str(weighed.plan)
    assert "gather weights" not in str(plain.plan)
    assert weighed.network.plan(1).weighted
    assert weighed.network.plan(1).layout is weighed.plan.train


@pytest.mark.parametrize(
    ("chain", "counts", "train", "message"),
    [
        ("affine -> softmax", {"classes": 3}, "class_weights = 1, 2", "NS611.*has 2 numbers, and there are 3 classes"),
        ("affine -> softmax", {"classes": 2}, "class_weights = 3", "NS611.*has 1 number, and there are 2 classes"),
        ("affine -> sigmoid", {"classes": 4}, "class_weights = balanced", "NS515.*4 answers, each yes or no"),
        ("affine -> linear", {"outputs": 4}, "class_weights = 1, 2", "NS515.*ends in values"),
        ("affine -> sigmoid", {"classes": 2}, "label_smoothing = 0.1", "NS515.*sigmoid is trained with the loss bce"),
        ("affine", {}, "label_smoothing = 0.1", "NS515.*linear is trained with the loss squared_error"),
        ("affine", {}, "loss = huber(delta = 0)", "NS302.*`delta` of huber must be a number above 0; this is 0"),
        ("affine -> softmax", {"classes": 2}, "loss = huber", "NS508.*softmax cannot be trained with the loss huber"),
    ],
)
def test_what_does_not_go_together_is_refused(chain: str, counts: dict[str, int], train: str, message: str) -> None:
    with pytest.raises(netspec.SpecError, match=message):
        netspec.compile(chain, input=FEATURES, train=train, **counts)


def test_no_label_smoothing_goes_with_any_head() -> None:
    assert netspec.compile("affine -> svm", input=3, classes=3, train="label_smoothing = 0").graph.loss.name == "hinge"


@pytest.mark.parametrize("weights", ["1, 2, 0.5", "balanced", "7"])
def test_the_resolved_text_repeats_the_weights(weights: str) -> None:
    program = load(Source(f"netspec 1 net affine -> softmax train {{ class_weights = {weights}; label_smoothing = 0.25 }}"))
    assert load(Source(program.resolved)).train == program.train


@pytest.mark.parametrize(("given", "wanted"), [("balanced", "balanced"), ("1, 2, 0.5", WEIGHTS), ((1, 2), (1.0, 2.0)), ([0.5], (0.5,))])
def test_weights_from_outside(given: Any, wanted: Any) -> None:
    overrides = Overrides(keys={"train.class_weights": given})
    assert load(Source("netspec 1 net affine -> softmax"), overrides).train.class_weights == wanted


# labels that are rows


def one_hot(y: Any, classes: int) -> Any:
    return np.eye(classes)[y]


@pytest.mark.parametrize("head", ["softmax", "svm"])
@pytest.mark.parametrize("dtype", [float, np.float32, int, bool, np.uint8])
def test_one_hot_rows_are_classes(head: str, dtype: Any) -> None:
    train = "batch = 8; epochs = 2; class_weights = balanced"
    numbers, rows = (model_of(head, train, classes=3) for _ in range(2))
    numbers.fit(X, LABELS, validation=0.25)
    rows.fit(X, one_hot(LABELS, 3).astype(dtype), validation=0.25)
    np.testing.assert_array_equal(numbers.params.flat, rows.params.flat)
    assert rows.evaluate(X, one_hot(LABELS, 3)) == numbers.evaluate(X, LABELS)
    np.testing.assert_array_equal(rows.predict(X), numbers.predict(X))


@pytest.mark.parametrize(
    ("head", "labels", "wanted"),
    [
        ("softmax", one_hot(LABELS, 3), {"classes": 3}), ("svm", one_hot(LABELS, 3).tolist(), {"classes": 3}),
        ("sigmoid", ANSWERS, {"classes": 4}), ("sigmoid", ANSWERS.astype(bool), {"classes": 4}),
    ],
)  # fmt: skip
def test_rows_of_labels_tell_the_number_of_classes(head: str, labels: Any, wanted: dict[str, int]) -> None:
    model = netspec.compile(f"affine(7)-relu -> affine -> {head}", train="epochs = 1")
    model.fit(X, labels)
    assert model.graph.classes == wanted["classes"]
    assert model.predict(X).shape == ((ROWS,) if head != "sigmoid" else (ROWS, 4))


@pytest.mark.parametrize("wrong", ["soft", "empty", "two"])
@pytest.mark.parametrize("head", ["softmax", "svm"])
def test_a_row_that_is_not_one_hot_is_named(head: str, wrong: str) -> None:
    labels = one_hot(LABELS, 3)
    labels[11] = {"soft": (0.5, 0.25, 0.25), "empty": (0, 0, 0), "two": (1, 0, 1)}[wrong]
    with pytest.raises(netspec.DataError, match=r"row 11 \(rows count from 0\) is .*; a one-hot row has a single 1 and zeros"):
        model_of(head, classes=3).fit(X, labels)


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_an_answer_that_is_neither_yes_nor_no_is_named(value: float) -> None:
    answers = ANSWERS.astype(float)
    answers[7, 2] = value
    with pytest.raises(netspec.DataError, match="in row 7, column 2"):
        model_of("sigmoid", classes=4).fit(X, answers)


@pytest.mark.parametrize(
    ("head", "classes", "labels", "message"),
    [
        ("softmax", 4, one_hot(LABELS, 3), "one-hot rows have 3 columns"), ("svm", 2, one_hot(LABELS, 3), "one-hot rows have 3 columns"),
        ("sigmoid", 2, ANSWERS, r"takes \(N,\) or \(N, 1\)"), ("sigmoid", 3, ANSWERS, r"takes 0/1 rows \(N, 3\)"),
        ("sigmoid", 4, LABELS, r"takes 0/1 rows \(N, 4\)"), ("softmax", 3, np.zeros((ROWS, 3, 2)), "class labels are"),
        ("softmax", 3, np.full((ROWS, 3), "a"), "of text"),
    ],
)  # fmt: skip
def test_rows_of_another_width_are_refused(head: str, classes: int, labels: Any, message: str) -> None:
    with pytest.raises((netspec.DataError, netspec.SpecError), match=message):
        model_of(head, classes=classes).fit(X, labels)


@pytest.mark.parametrize(("head", "labels", "classes"), [("softmax", one_hot(LABELS, 3), 3), ("svm", LABELS, 3), ("sigmoid", ANSWERS, 4)])
@pytest.mark.parametrize("counted", [True, False])
def test_rows_of_labels_from_a_file(tmp_path: Path, head: str, labels: Any, classes: int, counted: bool) -> None:
    np.savez(tmp_path / "rows.npz", x=X, y=labels)
    text = f'netspec 1 data {{ source = npz; path = "rows.npz"; split = 30 / 10 }} net affine -> {head} train {{ epochs = 1; batch = 8 }}'
    path = tmp_path / "net.net"
    path.write_text(f"{text} classes {classes}" if counted else text)
    run = netspec.train(path, run_dir=tmp_path / f"run-{counted}")
    assert run.model.graph.classes == classes
    assert set(run.metrics) >= {"loss", "accuracy"}


def test_a_wrong_row_of_labels_in_a_file_is_named(tmp_path: Path) -> None:
    labels = one_hot(LABELS, 3)
    labels[5] = 1
    np.savez(tmp_path / "rows.npz", x=X, y=labels)
    (tmp_path / "net.net").write_text('netspec 1 data { source = npz; path = "rows.npz" } net affine -> softmax')
    with pytest.raises(netspec.DataError, match=r"rows\.npz.*: row 5 .*single 1"):
        netspec.train(tmp_path / "net.net", run_dir=tmp_path / "run")
