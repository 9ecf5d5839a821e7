"""NetClassifier and NetRegressor by scikit-learn's own checks, against its linear models, and in its pipelines, searches and scores."""

from __future__ import annotations

import copy
import doctest
import os
import pickle
import pickletools
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import netspec as ns
from netspec.base.errors import DataError, SpecError, UsageError

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
joblib = pytest.importorskip("joblib", reason="scikit-learn is not installed")

import pandas as pd  # noqa: E402
import polars  # noqa: E402
from scipy import sparse  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification, make_regression  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.experimental import enable_halving_search_cv  # noqa: E402, F401
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: E402
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_predict, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import check_estimator  # noqa: E402

from netspec.ui.estimators import classifier, regressor  # noqa: E402
from netspec.ui.estimators.estimator import NetEstimator  # noqa: E402
from netspec.ui.estimators.rows import MOST, Rows, held_out, in_copies, in_own_order  # noqa: E402

NetClassifier, NetRegressor = ns.NetClassifier, ns.NetRegressor
SMALL = "let width = 8 data { transforms = per_feature } net affine(width)-relu -> affine -> softmax train { lr = 1e-2; epochs = 20 }"
VALUES = "let width = 8 data { transforms = per_feature } net affine(width)-relu -> affine -> linear train { lr = 1e-2; epochs = 20 }"
STIRRED = "net [affine(8)-bn-relu-dropout(25%)]x2 -> affine -> {} train {{ batch = 16; lr = 1e-2; epochs = 5 }}"
"""Rows of a batch change one another's scores, and each has masks of its own."""
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def scores(estimator: Any, x: Any = X) -> bytes:
    """All bytes of what an estimator says of rows."""
    return (estimator.decision_function if isinstance(estimator, NetClassifier) else estimator.predict)(x).tobytes()


# scikit-learn's suite

CHECKED: dict[str, Any] = {
    "classifier of a chain": NetClassifier("affine(16)-relu -> affine -> softmax"),
    "classifier with parameters, batches, bn and dropout": NetClassifier(
        "let width = 4 net [affine(width)-bn-relu-dropout(10%)]x2 -> affine -> softmax train { batch = 16; lr = 1e-2; epochs = 10 }",
        class_weight="balanced", random_state=3, width=24, **{"train.epochs": 40},
    ),
    "svm in float64": NetClassifier("net affine -> svm train { optimizer = sgd(lr = 0.1, momentum = 0.9); epochs = 40; dtype = float64 }"),
    "sigmoid": NetClassifier("affine(16)-tanh -> affine -> sigmoid"),
    "regressor with batches, bn and dropout": NetRegressor(
        "net affine(24)-bn-relu-dropout(10%) -> affine -> linear train { batch = 16; lr = 1e-2; epochs = 40 }"
    ),
    "huber with a schedule": NetRegressor(
        "data { transforms = rescale } net affine(9)-gelu -> affine train { loss = huber; schedule = cosine(60ep); lr = 3e-2; epochs = 60 }"
    ),
}  # fmt: skip
NOT_SET = {"check_array_api_input": "SCIPY_ARRAY_API is not set: not checking array_api input"}
"""What is skipped unless the environment has a variable when SciPy is imported; the test below has it."""


def outcomes(estimator: Any) -> dict[str, str]:
    """What became of each check that did not pass, and how many did."""
    found = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(found) > 55
    assert not [one for one in found if one["expected_to_fail"]]
    return {one["check_name"]: str(one["exception"]) or one["status"] for one in found if one["status"] != "passed"}


@pytest.mark.parametrize("case", CHECKED)
def test_every_check_of_scikit_learn_passes(case: str) -> None:
    assert outcomes(CHECKED[case]) in (NOT_SET, {})


def test_of_the_defaults_none_is_skipped_where_the_environment_allows_it() -> None:
    code = (
        "import netspec; from sklearn.utils.estimator_checks import check_estimator\n"
        "for kind in (netspec.NetClassifier, netspec.NetRegressor):\n"
        "    print({one['status'] for one in check_estimator(kind(), on_skip=None, on_fail=None)})"
    )
    assert fresh(code, SCIPY_ARRAY_API="1") == "{'passed'}\n{'passed'}"


def fresh(code: str, **environment: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Unsorted(NetClassifier):
    """Leaves rows in the caller's order, and multiplies losses by the weights."""

    def _epochs(self, model: Any, rows: Rows) -> None:
        model.fit(rows.x, rows.y, sample_weight=rows.products)


class Forgetful(NetRegressor):
    """Has another seed in every fit."""

    def _seed(self) -> int:
        return int(np.random.default_rng().integers(2**31))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Unsorted(STIRRED.format("softmax")), "check_sample_weight_equivalence_on_dense_data"),
        (Forgetful(VALUES), "check_fit_idempotent"),
    ],
)
def test_the_suite_rejects(broken: Any, check: str) -> None:
    assert check in outcomes(broken)


# against scikit-learn's models

FULL = "train {{ optimizer = sgd(lr = {lr}, momentum = 0.9); batch = 100000; epochs = 2000; l2 = {l2}; dtype = float64; monitor_rows = 0 }}"


def test_softmax_is_logistic_regression() -> None:
    x = StandardScaler().fit_transform(X)
    net = NetClassifier("net affine -> softmax " + FULL.format(lr=0.5, l2=1 / len(x))).fit(x, NAMES)
    wanted = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, NAMES)
    np.testing.assert_allclose(net.model_.params["affine1.W"].T, wanted.coef_, atol=1e-4)
    free = net.model_.params["affine1.b"] - net.model_.params["affine1.b"].mean()
    np.testing.assert_allclose(free, wanted.intercept_ - wanted.intercept_.mean(), atol=1e-3)
    np.testing.assert_allclose(net.predict_proba(x), wanted.predict_proba(x), atol=1e-4)
    np.testing.assert_allclose(net.predict_log_proba(x), wanted.predict_log_proba(x), atol=1e-3)
    assert (net.classes_ == wanted.classes_).all()


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_two_classes_with_weights_are_logistic_regression(head: str) -> None:
    """Of classes and of rows, whole and not."""
    x, y = make_classification(120, 5, weights=[0.8], class_sep=0.5, random_state=0)
    rows = np.random.default_rng(0).choice([0.0, 0.5, 1.0, 1.25, 2.0, 3.0], len(x))
    copies = np.where(rows > 0, np.maximum(np.rint(rows), 1), 0) @ np.where(y == 0, 1, 2)
    half = 1 if head == "sigmoid" else 2  # of softmax, W has two columns, and the score is their difference
    net = NetClassifier(f"net affine -> {head} " + FULL.format(lr=0.5, l2=half / copies), class_weight={0: 0.5, 1: 2.5})
    net.fit(x, y, sample_weight=rows)
    wanted = LogisticRegression(C=1.0, class_weight={0: 0.5, 1: 2.5}, tol=1e-10, max_iter=10_000).fit(x, y, sample_weight=rows)
    np.testing.assert_allclose(net.decision_function(x), wanted.decision_function(x), atol=1e-3)
    np.testing.assert_allclose(net.predict_proba(x), wanted.predict_proba(x), atol=1e-4)
    assert np.abs(net.decision_function(x) - clone(net).fit(x, y).decision_function(x)).max() > 0.1


@pytest.mark.parametrize("columns", [1, 3])
def test_values_are_ridge_regression(columns: int) -> None:
    x, y = make_regression(80, 6, n_targets=columns, noise=5.0, random_state=0)
    y = y / 100
    weights = np.random.default_rng(0).choice([0, 1, 2, 4], len(x))
    l2 = 2 * 3.0 / (weights.sum() * columns)  # the loss is a mean over elements, without a half
    net = NetRegressor("net affine -> linear " + FULL.format(lr=0.3, l2=l2)).fit(x, y, sample_weight=weights)
    wanted = Ridge(alpha=3.0, tol=1e-12).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(net.predict(x), wanted.predict(x), atol=1e-6)
    assert net.predict(x).shape == y.shape


# weights and the order of rows


@pytest.mark.parametrize("case", [(NetClassifier, "softmax"), (NetRegressor, "linear")])
def test_weights_are_repeats_and_the_order_does_not_matter(case: tuple[Any, str]) -> None:
    """To the last bit, with batches, bn and dropout."""
    kind, head = case
    net = kind(STIRRED.format(head))
    generator = np.random.default_rng(1)
    weights, order = generator.integers(0, 4, len(X)), generator.permutation(len(X))
    repeated = scores(clone(net).fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights)))
    assert scores(clone(net).fit(X, Y, sample_weight=weights)) == repeated
    assert scores(clone(net).fit(X[order], Y[order], sample_weight=weights[order])) == repeated
    assert scores(clone(net).fit(X[weights > 0], Y[weights > 0], sample_weight=weights[weights > 0])) == repeated
    assert scores(clone(net).fit(X, Y, sample_weight=np.maximum(weights, 1))) != repeated
    assert scores(clone(net).fit(X, Y)) != repeated
    assert scores(clone(net).fit(X, Y)) == scores(clone(net).fit(X[order], Y[order])) == scores(clone(net).fit(X, Y, np.ones(len(X))))


def test_the_order_of_rows_matters_to_a_model() -> None:
    """The control of the test above."""
    order = np.random.default_rng(1).permutation(len(X))
    model = ns.compile(STIRRED.format("softmax"), input=4, classes=3)
    before = model.fit(X, Y).loss
    model.reset()
    assert model.fit(X[order], Y[order]).loss != before


def test_weights_of_a_part_are_repeats_too() -> None:
    net, weights = NetClassifier(STIRRED.format("softmax")), np.arange(len(X)) % 3
    parts = clone(net).partial_fit(X, Y, classes=[0, 1, 2], sample_weight=weights)
    repeated = clone(net).partial_fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights), classes=[0, 1, 2])
    assert scores(parts) == scores(repeated) != scores(clone(net).partial_fit(X, Y, classes=[0, 1, 2]))
    for zero in ({"sample_weight": np.zeros(len(X))}, {}):
        with pytest.raises(ValueError, match=r"weight.*zero|zero.*weight"):
            clone(net).set_params(class_weight={0: 0, 1: 0, 2: 0}).partial_fit(X, Y, classes=[0, 1, 2], **zero)


def test_weights_of_classes_are_weights_of_rows() -> None:
    net = NetClassifier(STIRRED.format("softmax"))
    some = np.flatnonzero((Y != 2) | (np.arange(len(Y)) % 5 == 0))
    x, y = X[some], NAMES[some]
    given = np.array([{"setosa": 2, "versicolor": 0.5, "virginica": 1}[name] for name in y])
    by_class = scores(clone(net).set_params(class_weight={"setosa": 2, "versicolor": 0.5}).fit(x, y))
    assert by_class == scores(clone(net).fit(x, y, sample_weight=given)) != scores(clone(net).fit(x, y))
    balanced = scores(clone(net).set_params(class_weight="balanced").fit(x, y))
    counts = {name: int((y == name).sum()) for name in set(y)}
    weights = np.array([len(y) / (3 * counts[name]) for name in y])
    assert balanced == scores(clone(net).fit(x, y, sample_weight=weights))
    twice = {"class_weight": "balanced"}
    whole = np.random.default_rng(0).integers(0, 3, len(x))
    repeated = scores(clone(net).set_params(**twice).fit(np.repeat(x, whole, axis=0), np.repeat(y, whole)))
    assert scores(clone(net).set_params(**twice).fit(x, y, sample_weight=whole)) == repeated


def rows_of(weights: Any) -> Rows:
    count = len(weights)
    given = np.asarray(weights, np.float64)
    return Rows(np.arange(count)[:, None], np.arange(count), given if given.ndim == 2 else np.stack([given, np.ones(count)], axis=1))


@pytest.mark.parametrize(
    ("weights", "copies", "factors"),
    [
        ([1, 1, 1], [1, 1, 1], [1, 1, 1]),
        ([0, 2, 3], [0, 2, 3], [1, 1, 1]),
        ([0.25, 1.25, 2.6], [1, 1, 3], [0.25, 1.25, 2.6 / 3]),
        ([1000, 1000, 0], [10, 10, 0], [1, 1, 1]),
        ([[2, 1.4], [3, 1.6], [1, 0.2]], [2, 6, 1], [1.4, 0.8, 0.2]),
    ],
)
def test_copies_weigh_what_their_row_does(weights: list[Any], copies: list[int], factors: list[float]) -> None:
    x, y, found = in_copies(in_own_order(rows_of(weights)))
    np.testing.assert_array_equal(x[:, 0], y)
    assert [int((y == row).sum()) for row in range(3)] == copies
    if factors == [1, 1, 1]:
        assert found is None
        return
    assert found is not None
    for row, (count, factor) in enumerate(zip(copies, factors, strict=True)):
        np.testing.assert_allclose(found[y == row], [factor] * count)


def test_an_epoch_is_bounded_however_large_weights_are() -> None:
    weights = np.random.default_rng(0).lognormal(0, 4, 500)
    _, y, factors = in_copies(in_own_order(rows_of(weights)))
    assert len(y) <= (MOST + 1) * 500
    shares = np.bincount(y, factors, 500)
    np.testing.assert_allclose(shares / shares.sum(), weights / weights.sum(), rtol=1e-9)


def test_held_out_rows_are_no_copies_of_the_others() -> None:
    rows = Rows(X, Y.astype(np.int64), np.full((len(X), 2), 3.0))
    train, held = held_out(rows, 0.2, 0)
    assert len(train) == 120
    assert np.bincount(held.y).tolist() == [10, 10, 10]
    both = np.concatenate([train.x, held.x])
    np.testing.assert_array_equal(both[np.lexsort(both.T)], X[np.lexsort(X.T)])


# epochs


@pytest.mark.parametrize("case", [(NetClassifier, "softmax"), (NetRegressor, "linear")])
@pytest.mark.parametrize("scaled", [False, True])
def test_so_many_calls_of_partial_fit_are_a_fit(case: tuple[Any, str], scaled: bool) -> None:
    kind, head = case
    text = ("data { transforms = per_feature } " if scaled else "") + STIRRED.format(head)
    whole = kind(text, random_state=5).fit(X, Y)
    parts = kind(text, random_state=5)
    for _ in range(5):
        parts.partial_fit(X, Y, **({"classes": [0, 1, 2]} if head == "softmax" else {}))
    assert scores(parts) == scores(whole)
    assert parts.n_iter_ == whole.n_iter_ == 5
    assert parts.loss_curve_ == whole.loss_curve_ == [row["loss"] for row in whole.history_.epochs]
    model = parts.model_
    assert scores(parts.partial_fit(X, Y)) != scores(whole)
    assert parts.model_ is model  # which is built once
    assert parts.n_iter_ == 6
    assert scores(whole.partial_fit(X, Y)) == scores(parts)


def test_a_fit_starts_anew_unless_it_is_warm() -> None:
    net = NetClassifier(SMALL, **{"train.epochs": 4})
    once = scores(net.fit(X, Y))
    assert scores(net.fit(X, Y)) == once
    warm = NetClassifier(SMALL, warm_start=True, **{"train.epochs": 2}).fit(X, Y)
    assert scores(warm) != once
    assert scores(warm.fit(X, Y)) == once
    assert (warm.n_iter_, len(warm.loss_curve_)) == (4, 4)


def test_a_warm_start_takes_changed_parameters() -> None:
    net = NetClassifier(SMALL, warm_start=True).fit(X, Y)
    net.set_params(**{"train.epochs": 3, "train.lr": 1e-4}).fit(X, Y)
    assert net.n_iter_ == 23
    assert [row["lr"] for row in net.history_.epochs[-4:]] == [1e-2, 1e-4, 1e-4, 1e-4]
    assert net.set_params(**{"train.optimizer": "sgd(0.1)", "train.lr": None}).fit(X, Y).n_iter_ == 26
    for _ in range(2):
        with pytest.raises(DataError, match=r"to go on from the last fit: the weights do not fit the spec:\n  affine1.W is 4x8"):
            net.set_params(width=9).fit(X, Y)
    assert net.set_params(width=9, warm_start=False).fit(X, Y).n_iter_ == 3


def test_parts_of_one_class_go_on() -> None:
    net = NetClassifier(SMALL).partial_fit(X[:50], NAMES[:50], classes=np.unique(NAMES))  # all setosa
    for start in (50, 100):
        net.partial_fit(X[start : start + 50], NAMES[start : start + 50])
    assert net.n_iter_ == 3
    assert net.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match=r"classes must be passed on the first call"):
        NetClassifier(SMALL).partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"are not those of the first call, \['setosa'"):
        net.partial_fit(X, NAMES, classes=["setosa", "virginica"])
    with pytest.raises(ValueError, match=r"the labels \['rose'\] are none of the classes \['setosa', 'versicolor', 'virginica'\]"):
        net.partial_fit(X[:1], ["rose"])
    once = clone(net).set_params(class_weight="balanced", **{"train.epochs": 1})
    some = np.r_[:60, 140:150]
    assert scores(once.fit(X[some], NAMES[some])) == scores(clone(once).partial_fit(X[some], NAMES[some], classes=np.unique(NAMES)))


def test_held_out_rows_choose_the_epoch() -> None:
    text = SMALL.replace("lr = 1e-2; epochs = 20", "lr = 3e-2; epochs = 500; early_stop = 20ep")
    net = NetClassifier(text, validation_fraction=0.2).fit(X, NAMES)
    assert net.history_.stopped is not None
    assert net.history_.stopped.startswith("early_stop: val_accuracy")
    assert net.n_iter_ < 500
    assert max(row["val_accuracy"] for row in net.history_.epochs) > 0.9
    assert net.score(X, NAMES) > 0.9
    with pytest.raises(UsageError, match=r"early_stop watches val_accuracy: hold rows out for it, as in validation_fraction=0\.1"):
        NetClassifier(text).fit(X, NAMES)
    for wrong in (0, 1, 1.5, "half"):
        with pytest.raises(UsageError, match=r"validation_fraction=.*: give a share of the rows between 0 and 1"):
            NetClassifier(SMALL, validation_fraction=wrong).fit(X, NAMES)
    rate = NetRegressor(VALUES, validation_fraction=0.3).fit(X, Y).history_.epochs[-1]
    assert rate["val_loss"] > 0


# parameters


def test_any_let_and_key_is_a_parameter() -> None:
    net = NetClassifier(SMALL, width=3, **{"train.lr": 0.5})
    assert net.get_params()["width"] == 3
    assert net.get_params()["train.lr"] == 0.5
    copied = clone(net).set_params(**{"train.epochs": np.int64(2), "width": np.int32(5), "class_weight": "balanced"})
    assert net.get_params(deep=False).keys() < copied.get_params(deep=False).keys()
    copied.fit(X, Y)
    assert copied.model_.params["affine1.W"].shape == (4, 5)
    assert copied.n_iter_ == 2
    assert copied.history_.epochs[-1]["lr"] == 0.5
    assert clone(copied).get_params() == copied.get_params()
    assert "width=np.int32(5)" in repr(copied)
    assert "train.lr=0.5" in repr(copied)
    assert "train.lr" in copied._repr_html_()
    assert copied.set_params(width=None).fit(X, Y).model_.params["affine1.W"].shape == (4, 8)
    assert NetClassifier(f"let act = relu {SMALL.replace('relu', 'act')}", act="tanh").fit(X, Y).model_.graph.nodes[1].name == "tanh1"


def test_all_parameters_of_a_text_are_listed_with_their_values() -> None:
    net = NetClassifier(SMALL, **{"train.batch": 32})
    listed = net.get_params()
    assert (listed["width"], listed["train.lr"], listed["train.epochs"], listed["train.batch"], listed["train.schedule"]) == (
        8,
        1e-2,
        20,
        32,
        None,
    )
    assert listed["train.optimizer"].startswith("adam(lr=0.01")
    assert {name for name in listed if "." not in name} == {*net.get_params(deep=False), "width"} - {"train.batch"}
    steps = make_pipeline(StandardScaler(), net)
    assert {f"netclassifier__{name}" for name in listed} < steps.get_params().keys()
    assert NetClassifier("affine -> softmax").get_params()["train.epochs"] == 100
    assert NetRegressor(VALUES.replace("lr = 1e-2", "lr = 3e-2")).get_params()["train.lr"] == 3e-2
    assert NetClassifier(f"let act = relu {SMALL.replace('relu', 'act')}").get_params()["act"] == "relu"
    for spec in ("affine(3", "affine(width) -> softmax", "nowhere.net", 3):  # no programs, which fit tells
        assert "train.lr" not in NetClassifier(spec).get_params()
    assert "train.lr" in NetClassifier("affine(width) -> softmax", width=3).get_params()


@pytest.mark.parametrize(
    "given",
    [
        {}, {"width": 3, "train.optimizer": "sgd(0.3, momentum = 0.9)"}, {"train.schedule": "cosine(5ep)", "train.clip": 1.0},
        {"train.early_stop": "stop(loss, patience = 3ep)", "train.checkpoint": "5ep", "train.class_weights": (1.0, 2.0, 3.0)},
        {"train.drop_last": True, "train.dtype": "float64", "train.threads": 1, "train.loss": "cross_entropy"},
    ],
)  # fmt: skip
def test_what_is_listed_is_the_same_program_when_it_is_set(given: dict[str, Any]) -> None:
    net = NetClassifier(SMALL, **given)
    again = NetClassifier(SMALL).set_params(**net.get_params())
    assert again._program().resolved == net._program().resolved
    assert again._program().train == net._program().train
    assert again.get_params() == net.get_params()


def test_listing_pins_nothing() -> None:
    """A copy has what was given alone, so that another text has its own values."""
    net = NetClassifier(SMALL, **{"train.batch": 32})
    net.get_params()
    assert clone(net).get_params(deep=False) == net.get_params(deep=False)
    assert "width" not in clone(net).get_params(deep=False)
    assert "width" not in repr(net).replace("affine(width)", "").replace("let width", "")
    assert "train.epochs" not in net._repr_html_()
    other = SMALL.replace("width = 8", "wide = 9").replace("(width)", "(wide)").replace("1e-2", "3e-2")
    assert clone(net).set_params(spec=other).get_params()["train.lr"] == 3e-2
    assert clone(net).set_params(spec=other, wide=4).fit(X, Y).model_.params["affine1.W"].shape == (4, 4)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("widht", "width"), ("train.epoch", "train.epochs"), ("epochs", "train.epochs"), ("lr", "train.lr"),
        ("clas_weight", "class_weight"), ("transforms", "data.transforms"), ("unheard_of", None),
    ],
)  # fmt: skip
def test_a_name_that_the_text_has_not_is_refused_when_it_is_set(name: str, near: str | None) -> None:
    net = NetClassifier(SMALL, width=3)
    with pytest.raises(ValueError, match=rf"^NetClassifier has no parameter `{name}`") as told:
        net.set_params(verbose=1, **{name: 5})
    assert (f"(did you mean `{near}`?)" if near else f"`{name}`. Its own: class_weight, ") in str(told.value)
    assert "the text's lets: width; the text's keys: train.optimizer, train.batch, " in str(told.value)
    assert net.get_params(deep=False) == NetClassifier(SMALL, width=3).get_params(deep=False), "nothing is set"
    steps = make_pipeline(StandardScaler(), net)
    with pytest.raises(ValueError, match=rf"^NetClassifier has no parameter `{name}`"):
        GridSearchCV(steps, {f"netclassifier__{name}": [1, 2]}, cv=2).fit(X, Y)


def test_only_names_are_refused_when_they_are_set() -> None:
    """Values, and texts that are no programs, are told by fit; and the constructor refuses nothing."""
    for spec in ("affine(3", "affin(3) -> softmax", "nowhere.net", 3, None):
        assert NetClassifier(SMALL).set_params(spec=spec, widht=3).get_params(deep=False)["widht"] == 3
    for values in ({"train.lr": "abc"}, {"width": -1}, {"widht": None}, {"data.transforms": "rescale"}, {"seed": 3}):
        NetClassifier(SMALL).set_params(**values)
    assert NetClassifier(SMALL, widht=3).set_params(width=4).get_params(deep=False)["widht"] == 3
    assert NetClassifier("affine(w) -> affine -> softmax").set_params(w=3).fit(X, Y).model_.params["affine1.W"].shape == (4, 3)


def test_a_spec_may_be_a_file_or_built(tmp_path: Path) -> None:
    path = tmp_path / "small.net"
    path.write_text(SMALL)
    wanted = scores(NetClassifier(SMALL).fit(X, Y))
    for spec in (path, str(path)):
        assert scores(clone(NetClassifier(spec)).fit(X, Y)) == wanted
    chain = ns.affine(8) - ns.relu >> ns.affine >> ns.softmax
    net = clone(NetClassifier(chain, **{"train.epochs": 20}))
    assert scores(net.fit(X, Y)) == scores(NetClassifier(str(chain), **{"train.epochs": 20}).fit(X, Y))
    assert "affine(8)-relu" in repr(net)


def test_a_chain_alone_is_trained_for_a_while() -> None:
    """A text that says how it is trained is trained so."""
    assert NetClassifier("affine -> softmax").fit(X, Y).n_iter_ == 100
    assert NetClassifier("affine -> softmax", **{"train.epochs": 3}).fit(X, Y).n_iter_ == 3
    assert NetClassifier("net affine -> softmax train { batch = 50; epochs = 10 }").fit(X, Y).n_iter_ == 10
    net = NetClassifier("affine -> softmax", **{"train.optimizer": "sgd(0.3)", "train.epochs": 2}).fit(X, Y)
    assert [row["lr"] for row in net.history_.epochs] == [0.3, 0.3]


def test_seeds() -> None:
    plain = scores(NetClassifier(SMALL).fit(X, Y))
    assert plain == scores(NetClassifier(SMALL, random_state=0).fit(X, Y)) == scores(NetClassifier(f"seed 0 {SMALL}").fit(X, Y))
    seven = scores(NetClassifier(SMALL, random_state=7).fit(X, Y))
    assert (
        plain
        != seven
        == scores(NetClassifier(f"seed 7 {SMALL}").fit(X, Y))
        == scores(NetClassifier(SMALL, random_state=np.int64(7)).fit(X, Y))
    )
    drawn = [scores(NetClassifier(SMALL, random_state=np.random.RandomState(seed)).fit(X, Y)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(SpecError, match="seed takes a whole number of at least 0; this is -1"):
        NetClassifier(SMALL, random_state=-1).fit(X, Y)


@pytest.mark.parametrize(
    ("net", "y", "error", "told"),
    [
        (NetClassifier(SMALL, widht=3), Y, SpecError, r"`widht` is given a value[\s\S]*lets of the text: width[\s\S]*did you mean `width`"),
        (NetClassifier(SMALL, **{"train.epoch": 3}), Y, SpecError, r"train has no key `epoch`[\s\S]*did you mean `epochs`"),
        (NetClassifier(SMALL, epochs=3), Y, SpecError, r'help: `epochs` is a key of train: write \*\*\{"train.epochs": 3\}$'),
        (NetClassifier(SMALL, **{"train.lr": "abc"}), Y, SpecError, r"help: give a value, such as 0\.01, 64 or true"),
        (NetClassifier("affine(3) -> linear"), Y, UsageError, r"^NetClassifier: the chain ends in linear; end it in softmax, svm"),
        (NetClassifier("affine"), Y, UsageError, r"the chain has no head, so that it gives values; end it in softmax, svm or sigmoid"),
        (NetRegressor("affine -> softmax"), Y, UsageError, r"^NetRegressor: the chain ends in softmax; end it in linear"),
        (NetClassifier("affine(3) -> sofmax"), Y, SpecError, r"did you mean `softmax`"),
        (NetClassifier(3), Y, UsageError, r"a spec is a text \(str\)"),
        (NetClassifier("nowhere.net"), Y, UsageError, r"nowhere\.net: no such file"),
        (NetClassifier("affine -> sigmoid"), Y, ValueError, r"Only binary classification is supported.*end the chain in softmax"),
        (NetClassifier(), np.eye(3)[Y], ValueError, r"softmax takes one label a row\. For 0/1 of several labels end the chain in sigmoid"),
        (NetClassifier("affine -> sigmoid"), np.eye(2)[Y % 2], ValueError, r"two labels a row, where sigmoid takes three or more"),
        (NetClassifier(), Y + 0.5, ValueError, r"Unknown label type: continuous"),
        (NetClassifier(), Y * 0, ValueError, r"y has 1 class, \[0\]; a classifier needs two"),
        (NetClassifier(class_weight={0: 0, 1: 0}), Y, ValueError, r"rows of weight above 0 have 1 class alone, \[2\]"),
        (NetClassifier(class_weight={"rose": 2}), Y, ValueError, r"the labels \['rose'\] are none of the classes \[0, 1, 2\]"),
        (NetClassifier(class_weight={0: -2}), Y, ValueError, r"weights are finite numbers of at least 0"),
        (NetClassifier(class_weight="even"), Y, ValueError, r"class_weight='even': give 'balanced', a mapping"),
        (NetClassifier("net affine -> softmax classes 4"), NAMES, SpecError, r"NS601.*classes 4 contradicts the data, which has 3"),
        (NetClassifier("net affine -> softmax input 5"), Y, SpecError, r"NS603.*input 5 contradicts the data, whose rows are 4"),
        (NetRegressor("net affine outputs 3"), Y, SpecError, r"NS602.*outputs 3 contradicts the data, which has 1"),
    ],
)  # fmt: skip
def test_messages(net: Any, y: NDArray[Any], error: type[Exception], told: str) -> None:
    params = net.get_params()
    with pytest.raises(error, match=told):
        net.fit(X, y)
    assert net.get_params() == params
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_a_fit_that_fails_leaves_nothing_that_was_fitted_before() -> None:
    net = NetClassifier(SMALL).fit(X, NAMES)
    with pytest.raises(SpecError):
        net.set_params(width="wide").fit(X[:, :3], Y)
    with pytest.raises(NotFittedError):
        net.predict(X)


# rows and labels


@pytest.mark.parametrize(
    "labels",
    [np.array(["b", "a", "c"]), np.array([5, 2, 9]), np.array([-1.0, 1.0, 3.0]), np.array(["b", "a", "c"], object), [True, False, True]],
)
@pytest.mark.parametrize("head", ["softmax", "svm"])
def test_labels_come_back_as_they_were(labels: Any, head: str) -> None:
    y = np.asarray(labels)[Y]
    net = NetClassifier(SMALL.replace("softmax", head)).fit(X, y)
    assert net.classes_.dtype == y.dtype
    assert net.predict(X).dtype == y.dtype
    np.testing.assert_array_equal(net.classes_, np.unique(y))
    np.testing.assert_array_equal(net.predict(X), net.model_.predict(X).astype(y.dtype))
    assert net.score(X, y) == net.model_.evaluate(X, y)["accuracy"] > 0.6
    wide = net.decision_function(X)
    assert wide.shape == ((150,) if len(net.classes_) == 2 else (150, 3))
    assert wide.dtype == np.float64
    chosen = (wide > 0).astype(int) if wide.ndim == 1 else wide.argmax(axis=1)
    np.testing.assert_array_equal(net.classes_[chosen], net.predict(X))


def test_a_count_in_the_text_makes_classes_of_all_its_numbers() -> None:
    net = NetClassifier(f"{SMALL} classes 5").fit(X, Y)
    assert net.classes_.tolist() == [0, 1, 2, 3, 4]
    assert net.predict_proba(X).shape == (150, 5)


def test_probabilities_are_there_where_the_head_has_them() -> None:
    svm = NetClassifier("affine -> svm")
    assert not hasattr(svm, "predict_proba")
    assert not hasattr(svm.fit(X, Y), "predict_log_proba")
    assert not hasattr(NetRegressor(), "predict_proba")
    assert not hasattr(NetRegressor(), "decision_function")
    assert hasattr(NetClassifier(), "predict_proba")
    with pytest.raises(AttributeError) as told:
        svm.predict_proba(X)
    assert "svm gives scores, not probabilities" in str(told.value.__cause__)


def test_several_labels_a_row() -> None:
    y = np.eye(3, dtype=int)[Y]
    net = NetClassifier("data { transforms = per_feature } net affine(8)-relu -> affine -> sigmoid").fit(X, y)
    np.testing.assert_array_equal(net.predict(X), net.decision_function(X) > 0)
    np.testing.assert_array_equal(net.predict_proba(X) > 0.5, net.decision_function(X) > 0)
    assert net.score(X, y) > 0.9
    assert scores(clone(net).fit(X, sparse.csr_array(y))) == scores(net)
    with pytest.raises(ValueError, match=r"y: shape \(150,\); the net was trained with labels \(N, 3\)"):
        net.partial_fit(X, Y)


def test_rows_that_no_estimator_takes_are_scikit_learns_errors() -> None:
    net = NetClassifier(SMALL).fit(X, Y)
    broken = X.copy()
    broken[3, 1] = np.nan
    for rows, told in (
        (broken, "Input X contains NaN"),
        (sparse.csr_array(X), "Sparse data was passed"),
        (X[:, :3], "expecting 4 features"),
    ):
        with pytest.raises((ValueError, TypeError), match=told):
            net.predict(rows)
    with pytest.raises(ValueError, match="Found array with dim 5"):
        net.predict(X.reshape(150, 2, 2, 1, 1))


COLUMNS = {"a": X[:, 0], "b": X[:, 1]}
ENCODED = r"which is no number; where it is a category make numbers of the column before the net, as in make_pipeline\(make_column_transf"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pd.DataFrame(X, columns=list("abca")), r"^X: two columns are named a; rename one of them$"),
        (pd.DataFrame({**COLUMNS, "kind": NAMES}), rf"^X: row 0, kind holds 'setosa', {ENCODED}"),
        (pd.DataFrame({**COLUMNS, "kind": NAMES}).astype({"kind": "category"}), rf"^X: row 0, kind holds 'setosa', {ENCODED}"),
        (polars.DataFrame({**COLUMNS, "kind": NAMES}), rf"^X: row 0, kind holds 'setosa', {ENCODED}"),
        (pd.DataFrame({**COLUMNS, "when": pd.Timestamp("2020-01-01")}), r"^X: column when holds dates or times"),
        (pd.DataFrame({**COLUMNS, "c": [None, *X[1:, 2]]}), r"^X: row 0, c is NaN \(rows count from 0\)"),
        (polars.DataFrame({**COLUMNS, "c": [None, *X[1:, 2]]}), r"^X: row 0, c holds null, no value"),
        (polars.DataFrame(COLUMNS).lazy(), r"^X: a lazy table has no rows yet: call \.collect\(\) first"),
        ([[1.0, 2.0]] * 149 + [[1.0]], r"^X: its rows have different lengths$"),
        ([{"a": 1.0, "b": 2.0}] * 150, r"^X: its rows are dicts; make a table of it, such as pandas\.DataFrame\(x\)"),
    ],
)
def test_tables_that_cannot_be_learnt_are_told_by_row_and_column(table: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        NetClassifier(SMALL).fit(table, Y)


def test_labels_are_no_name_of_a_column() -> None:
    table = pd.DataFrame({**COLUMNS, "kind": NAMES})
    with pytest.raises(DataError, match=r"^y = 'kind' names a column; give the labels: fit\(X\.drop\(columns='kind'\), X\['kind'\]\)$"):
        NetClassifier(SMALL).fit(table, "kind")


def test_tables_of_any_library_are_the_same_rows() -> None:
    table = pd.DataFrame(COLUMNS)
    wanted = NetClassifier(SMALL).fit(table, NAMES)
    texts = polars.DataFrame(table).with_columns(polars.col("a").cast(polars.String))  # which are numbers
    for other in (polars.DataFrame(table), texts, table.astype({"a": object})):
        assert scores(NetClassifier(SMALL).fit(other, NAMES), other) == scores(wanted, table)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("input 1x8x8 net conv(4)-relu -> affine -> softmax", r"a row is 8x8, and the net takes 1x8x8: write X\[:, None\]$"),
        ("net conv(4)-relu -> affine -> softmax", r"a row is 8x8, and the net takes 1x8x8: write X\[:, None\]$"),
        ("data { source = digits } net affine -> softmax", r"and the net takes 1x8x8: write X\[:, None\]$"),
        ("input 64 net affine -> softmax", r"a row is 8x8, and the net takes a vector of 64: write X\.reshape\(len\(X\), -1\)$"),
        ("data { source = digits; transforms = flatten } net affine -> softmax", r"and the net takes a vector of 64: write X\.reshape\("),
        ("input 3x8x8 net conv -> affine -> softmax", r"images \(N, C, H, W\), and the net takes 3x8x8$"),
        ("affine -> softmax", r"as X\[:, None\] does, for vectors write X\.reshape\(len\(X\), -1\)$"),
    ],
)
def test_images_without_a_channel_are_told_what_the_net_takes(text: str, advice: str) -> None:
    digits = load_digits()
    net = NetClassifier(text, **{"train.epochs": 1})
    for rows in (digits.images[:100], digits.images[:100].tolist()):
        with pytest.raises(DataError, match=rf"^X: shape \(100, 8, 8\); .*{advice}"):
            net.fit(rows, digits.target[:100])
    if text.endswith("affine -> softmax") and "3x8x8" not in text:
        rows = digits.images[:100, None] if "None" in advice and "vectors" not in advice else digits.data[:100]
        net.fit(rows, digits.target[:100])
        with pytest.raises(DataError, match=r"and the net takes .*: write X"):
            net.predict(digits.images[:100])


def test_names_of_features() -> None:
    table = pd.DataFrame(X, columns=list("abcd"))
    net = NetClassifier(SMALL).fit(table, pd.Series(NAMES))
    assert net.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert net.n_features_in_ == 4
    assert scores(net, table) == scores(NetClassifier(SMALL).fit(X, NAMES))
    with pytest.raises(ValueError, match="must be in the same order"):
        net.predict(table[list("dcba")])
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- e"):
        net.predict(table.rename(columns={"a": "e"}))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        net.predict(X)
    assert not hasattr(NetClassifier(SMALL).fit(X, Y), "feature_names_in_")


def test_images() -> None:
    """(N, C, H, W), or their flattened rows where the text says what they are."""
    digits = load_digits()
    images, rows, y = digits.images[:300, None] / 16, digits.data[:300] / 16, digits.target[:300]
    chain = "net conv(8)-relu-pool -> affine -> softmax {} train {{ lr = 1e-2; epochs = 15 }}"
    net = NetClassifier(chain.format("")).fit(images, y)
    assert net.n_features_in_ == 64
    assert net.score(images, y) > 0.8
    assert scores(net, rows) == scores(net, images)
    for data in ("input 1x8x8", "data { source = digits }"):
        assert scores(NetClassifier(chain.format(data)).fit(rows, y), images) == scores(net, images)
        assert scores(NetClassifier(chain.format(data)).fit(images, y), rows) == scores(net, images)
    with pytest.raises(SpecError, match=r"NS401.*conv needs an image"):
        clone(net).fit(rows, y)
    with pytest.raises(DataError, match=r"X: shape \(300, 8, 8, 1\): a row is 8x8x1, and the net takes 1x8x8"):
        net.predict(images.transpose(0, 2, 3, 1))
    flat = make_pipeline(StandardScaler(), NetClassifier(chain.format("input 1x8x8"))).fit(rows, y)
    assert flat.score(rows, y) > 0.8


@pytest.mark.parametrize(
    "text",
    ["affine(100)-relu -> affine -> {}", "affine(33)-tanh -> affine(7)-gelu -> affine -> {}", "[affine(9)-bn-silu]x3 -> affine -> {}"],
)
def test_a_row_has_the_same_scores_in_any_company(text: str) -> None:
    x = np.random.default_rng(0).normal(size=(1030, 5))
    net = NetRegressor(text.format("linear"), **{"train.epochs": 1}).fit(x, x[:, 0])
    whole = net.predict(x)
    for size in (1, 2, 7, 33, 1025):
        for start in (0, 4):
            some = slice(start, start + size)
            assert net.predict(x[some]).tobytes() == whole[some].tobytes(), size


# copies


def fitted() -> list[NetEstimator]:
    warm = {"warm_start": True, "random_state": 2}
    nets = [
        NetClassifier(SMALL, width=5, class_weight={"setosa": 2}, **warm).fit(X, NAMES),
        NetClassifier(STIRRED.format("sigmoid"), **warm).fit(X, NAMES == "setosa"),
        NetRegressor(VALUES, **warm).fit(pd.DataFrame(X, columns=list("abcd")), np.stack([Y, X[:, 0]], axis=1)),
    ]
    return [*nets]


FITTED = ("classifier", "sigmoid", "regressor")


@pytest.mark.parametrize("place", range(3), ids=FITTED)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_copy_says_the_same_and_goes_on_alike(place: int, tmp_path: Path) -> None:
    net: Any = fitted()[place]
    labels = {0: NAMES, 1: NAMES == "setosa", 2: np.stack([Y, X[:, 0]], axis=1)}[place]
    joblib.dump(net, tmp_path / "net.joblib", compress=3)
    copies = [pickle.loads(pickle.dumps(net)), copy.deepcopy(net), copy.copy(net), joblib.load(tmp_path / "net.joblib")]
    wanted = scores(net)
    further = [scores(one) for one in copies]
    assert further == [wanted] * 4
    for one in copies:
        assert one.get_params() == net.get_params()
        assert (one.n_iter_, one.loss_curve_, one.history_.epochs) == (net.n_iter_, net.loss_curve_, net.history_.epochs)
        assert one.history_ is one.model_.history
    trained = scores(net.fit(X, labels))
    assert trained != wanted
    assert [scores(one) for one in copies] == [wanted] * 4
    assert [scores(one.fit(X, labels)) for one in copies] == [trained] * 4
    assert scores(net.partial_fit(X, labels)) == scores(copies[0].partial_fit(X, labels))


def test_a_fresh_process_says_the_same(tmp_path: Path) -> None:
    net = fitted()[0]
    (tmp_path / "net.pickle").write_bytes(pickle.dumps(net))
    np.save(tmp_path / "x.npy", X)
    code = (
        "import pickle, sys, numpy\n"
        "net = pickle.load(open(sys.argv[1], 'rb'))\n"
        "sys.stdout.write(net.decision_function(numpy.load(sys.argv[2])).tobytes().hex())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code, tmp_path / "net.pickle", tmp_path / "x.npy"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert bytes.fromhex(done.stdout) == scores(net)


def test_a_pickle_holds_texts_and_arrays() -> None:
    content = pickle.dumps(fitted()[0], protocol=4)
    words = [argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)]
    modules = {word for word in words if re.fullmatch(r"(netspec|numpy|numba|sklearn|pydantic)[\w.]*", word)}
    assert {module for module in modules if module.startswith("netspec.")} == {"netspec.ui.estimators.classifier"}
    assert {module.split(".")[0] for module in modules} == {"netspec", "numpy"}
    assert any("net affine(width)-relu -> affine -> softmax" in word for word in words)
    assert {"affine1.W", "affine2.b", "normalization.shift", "optimizer/m/affine1.W"} <= set(words)
    assert len(content) < 12_000


def test_a_file_of_the_model_has_the_labels(tmp_path: Path) -> None:
    net = NetClassifier(SMALL).fit(X, NAMES)
    net.model_.save(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(ns.restore(tmp_path / "net.safetensors").predict(X), net.predict(X))


# in scikit-learn's company


def test_a_search_in_a_pipeline_over_a_let_and_a_rate() -> None:
    steps = make_pipeline(StandardScaler(), NetClassifier(SMALL.replace("data { transforms = per_feature } ", ""), random_state=0))
    grid = {"netclassifier__width": [1, 16], "netclassifier__train.lr": [1e-4, 3e-2]}
    alone = GridSearchCV(steps, grid, cv=3, error_score="raise").fit(X, NAMES)
    assert alone.best_params_ == {"netclassifier__width": 16, "netclassifier__train.lr": 3e-2}
    assert alone.best_score_ > 0.9
    beside = GridSearchCV(steps, grid, cv=3, n_jobs=2, error_score="raise").fit(X, NAMES)
    np.testing.assert_array_equal(beside.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert scores(beside.best_estimator_[-1]) == scores(alone.best_estimator_[-1])


@pytest.mark.parametrize("lets", ["let sizes = 4, 8", "let random_state = 3", "let spec = 3 let self = 4"])
def test_what_is_listed_can_be_given_back(lets: str) -> None:
    """A `let` that the text does not use is no parameter, and one that has the name of a parameter of the constructor none of its own."""
    used = "".join(f"affine({name})-relu -> " for name in ("random_state", "spec", "self") if f"let {name} " in lets)
    first = NetClassifier(f"{lets} net {used}affine -> softmax train {{ epochs = 2 }}", random_state=5)
    scores = first.fit(X, Y).decision_function(X)
    assert first.get_params()["random_state"] == 5
    again = NetClassifier(**first.get_params())
    again.set_params(**first.get_params())
    np.testing.assert_array_equal(again.fit(X, Y).decision_function(X), scores)


def test_a_search_by_halves_spends_epochs() -> None:
    """It asks the list of parameters whether the net has such a resource."""
    grid = {"width": [1, 16], "train.lr": [1e-4, 3e-2]}
    search = HalvingGridSearchCV(NetClassifier(SMALL), grid, resource="train.epochs", min_resources=5, max_resources=20, factor=2, cv=3)
    search.set_params(random_state=0, error_score="raise").fit(X, Y)
    assert search.n_resources_ == [5, 10, 20]
    assert search.best_params_["train.lr"] == 3e-2
    assert search.best_estimator_.n_iter_ == search.best_params_["train.epochs"] == 20


def test_threads_may_fit_side_by_side() -> None:
    with joblib.parallel_backend("threading", n_jobs=2):
        beside = cross_val_predict(NetClassifier(SMALL), X, Y, method="predict_proba", cv=4)
    np.testing.assert_array_equal(beside, cross_val_predict(NetClassifier(SMALL), X, Y, method="predict_proba", cv=4))


def test_the_defaults_do_well() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    assert cross_val_score(NetClassifier(), x, y, cv=3).mean() > 0.95
    assert cross_val_score(NetClassifier(), x, y, cv=3, scoring="roc_auc").mean() > 0.98
    x, y = make_regression(200, 5, noise=1.0, random_state=0)
    assert cross_val_score(NetRegressor(), x, y / y.std(), cv=3).mean() > 0.9


def test_ctrl_c_ends_a_search() -> None:
    """Each candidate's own error would only be counted as its failure."""
    code = (
        "import netspec, numpy; from sklearn.model_selection import cross_val_score\n"
        "x = numpy.random.default_rng(0).normal(size=(2000, 20))\n"
        "net = netspec.NetClassifier(**{'train.epochs': 1000000})\n"
        "netspec.NetClassifier(**{'train.epochs': 1}).fit(x, x[:, 0] > 0); print('go', flush=True)\n"
        "cross_val_score(net, x, x[:, 0] > 0)"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "go\n"
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == -signal.SIGINT
    assert told.strip().endswith("KeyboardInterrupt")


def test_without_scikit_learn_one_line_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import netspec\nfrom netspec import *\n"
        "assert 'NetClassifier' not in globals()\n"
        "for name in ('NetClassifier', 'NetRegressor'):\n"
        "    try:\n        getattr(netspec, name)\n"
        "    except netspec.UsageError as error:\n        print(error)"
    )
    assert fresh(code).splitlines() == ["this needs sklearn: pip install 'netspec[sklearn]'"] * 2


def test_an_old_scikit_learn_is_told() -> None:
    code = (
        "import netspec, sklearn.utils.validation as old; del old.validate_data\n"
        "try:\n    netspec.NetClassifier\n"
        "except netspec.UsageError as error:\n    print(error)"
    )
    assert re.fullmatch(r"this needs scikit-learn 1\.6 or newer, and [\d.]+ is installed", fresh(code))


@pytest.mark.parametrize("statement", ["import netspec", "import netspec; dir(netspec)", "from netspec import *"])
def test_scikit_learn_stays_out_of_the_way(statement: str) -> None:
    assert fresh(f"import sys\n{statement}\nprint('sklearn' in sys.modules)") == "False"


@pytest.mark.parametrize("module", [classifier, regressor])
def test_the_examples_of_the_docstrings_run(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted >= 6
    assert found.failed == 0


def test_a_train_section_keeps_the_values_that_it_does_not_name() -> None:
    """Of the rate and the epochs, each by itself; an optimizer has a rate of its own."""
    chain = "net affine(8)-relu -> affine -> softmax"
    plain = ns.NetClassifier(chain).fit(X, Y)
    for same in ("train { epochs = 100 }", "train { lr = 1e-2 }", "train { lr = 1e-2; epochs = 100 }", "train { batch = 100 }"):
        assert np.array_equal(ns.NetClassifier(f"{chain} {same}").fit(X, Y).predict_proba(X), plain.predict_proba(X)), same
    assert ns.NetClassifier(f"{chain} train {{ epochs = 3 }}").fit(X, Y).n_iter_ == 3
    own = ns.NetClassifier(f"{chain} train {{ optimizer = adam(lr=1e-3) }}").fit(X, Y)
    assert not np.array_equal(own.predict_proba(X), plain.predict_proba(X))
