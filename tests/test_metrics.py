"""Metrics against scikit-learn over random cases: ties, classes that are missing, one class only; and the choice of a threshold."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.base.kinds import Head
from netspec.base.layer import Layer
from netspec.catalog.registry import entries
from netspec.train.evaluate import Scored
from netspec.train.metrics import by_class, confusion_matrix, figures, log_loss, roc_auc, top_k_accuracy
from netspec.train.threshold import METRICS, best_threshold
from netspec.ui.class_report import LONGEST, ClassReport, report_of
from netspec.ui.tables import as_text

metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
HEADS: dict[str, Head] = {
    name: (entries(Layer)[name].head_form or entries(Layer)[name])()  # type: ignore[misc]
    for name in ("softmax", "svm", "sigmoid", "linear")
}
SEEDS = range(12)


def test_rows_are_ranked_where_probabilities_have_come_to_their_end() -> None:
    """Shifted or widened, the scores rank the rows as before."""
    draw = np.random.default_rng(0)
    z, y = draw.normal(size=(200, 1)), draw.integers(0, 2, (200, 1))
    wanted = metrics.roc_auc_score(y[:, 0], z[:, 0])
    for far in (z, z - 800, z + 800, z * 1000):
        for head, scores, labels in (
            ("sigmoid", far, y), ("sigmoid", np.hstack([far] * 3), np.hstack([y] * 3)), ("softmax", np.hstack([0 * far, far]), y[:, 0]),
            ("svm", np.hstack([0 * far, far]), y[:, 0]),
        ):  # fmt: skip
            found = by_class(HEADS[head], scores, HEADS[head].confidence(scores), labels).roc_auc
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def classes_case(seed: int) -> tuple[Any, Any]:
    """Scores (N, C) with ties and labels (N,) of which some classes may be missing, in labels, in predictions, or in both."""
    draw = np.random.default_rng(seed)
    rows, classes = int(draw.integers(2, 60)), int(draw.integers(2, 12))
    scores = draw.normal(0, 2, (rows, classes))
    if seed % 2:
        scores = np.round(scores)
    scores[:, draw.random(classes) < 0.2] -= 15
    y = draw.choice(draw.permutation(classes)[: max(1, classes - 2 * (seed % 3))], rows)
    return scores.astype(np.float32), y


def answers_case(seed: int) -> tuple[Any, Any]:
    """Scores (N, K) with ties, and answers 0/1 of which a column may be of one value."""
    draw = np.random.default_rng(seed)
    rows, columns = int(draw.integers(2, 60)), 1 if seed % 3 == 0 else int(draw.integers(3, 6))
    scores = np.round(draw.normal(0, 2, (rows, columns)), 1 if seed % 2 else 6)
    return scores.astype(np.float32), (draw.random((rows, columns)) < draw.choice([0.0, 0.3, 0.7, 1.0], columns)).astype(float)


def one_against_rest(confidence: Any, answers: Any) -> list[float]:
    """ROC AUC by column, NaN where it is undefined."""
    both = [0 < column.sum() < len(column) for column in answers.T]
    return [metrics.roc_auc_score(a, c) if one else float("nan") for a, c, one in zip(answers.T, confidence.T, both, strict=True)]


def close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["softmax", "svm"])
def test_figures_of_classes_are_those_of_scikit_learn(name: str, seed: int) -> None:
    head, (scores, y) = HEADS[name], classes_case(seed)
    predicted, classes = head.predict(scores), scores.shape[1]
    found = by_class(head, scores, head.confidence(scores), y)
    every = list(range(classes))
    wanted = metrics.precision_recall_fscore_support(y, predicted, labels=every, zero_division=0)
    for one, other in zip((found.precision, found.recall, found.f1, found.support), wanted, strict=True):
        close(one, other)
    np.testing.assert_array_equal(confusion_matrix(head, scores, y), metrics.confusion_matrix(y, predicted, labels=every))
    for key, score in (("precision", metrics.precision_score), ("recall", metrics.recall_score), ("f1", metrics.f1_score)):
        close(found.macro()[key], score(y, predicted, average="macro", zero_division=0))
    confidence = head.predict_proba(scores) if name == "softmax" else head.confidence(scores)
    close(found.roc_auc, one_against_rest(confidence, np.eye(classes)[y]))
    # scikit-learn takes the last of equal scores for the larger one
    for k in range(1, classes) if classes > 2 else ():
        close(top_k_accuracy(scores, y, k), metrics.top_k_accuracy_score(classes - 1 - y, scores[:, ::-1], k=k, labels=every))
    close(top_k_accuracy(scores, y, 1), metrics.accuracy_score(y, predicted))
    if name == "softmax":
        close(log_loss(scores, head.confidence(scores), y), metrics.log_loss(y, head.predict_proba(scores), labels=every), 1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_of_answers_are_those_of_scikit_learn(seed: int) -> None:
    head, (scores, y) = HEADS["sigmoid"], answers_case(seed)
    predicted, found = head.predict(scores), by_class(head, scores, head.confidence(scores), y)
    numbers = figures(head, scores, head.confidence(scores), y, found)
    p = head.predict_proba(scores)
    if scores.shape[1] == 1:
        wanted = metrics.precision_recall_fscore_support(y[:, 0], predicted, labels=[0, 1], zero_division=0)
        close(numbers["f1"], metrics.f1_score(y[:, 0], predicted, zero_division=0))
        close(found.roc_auc, [one_against_rest(p[:, 1:], y)[0]] * 2)
        np.testing.assert_array_equal(confusion_matrix(head, scores, y), metrics.confusion_matrix(y, predicted, labels=[0, 1]))
        close(numbers["log_loss"], metrics.log_loss(y[:, 0], p, labels=[0, 1]), 1e-9)
    else:
        wanted = metrics.precision_recall_fscore_support(y, predicted, zero_division=0)
        close(numbers["f1"], metrics.f1_score(y, predicted, average="macro", zero_division=0))
        close(found.roc_auc, one_against_rest(p, y))
        np.testing.assert_array_equal(confusion_matrix(head, scores, y), metrics.multilabel_confusion_matrix(y, predicted))
        each = [metrics.log_loss(y[:, k], p[:, k], labels=[0, 1]) for k in range(y.shape[1])]
        close(numbers["log_loss"], np.mean(each), 1e-9)
    for one, other in zip((found.precision, found.recall, found.f1, found.support), wanted, strict=True):
        close(one, other)
    assert ("roc_auc" in numbers) == (not np.isnan(found.roc_auc).all())
    if "roc_auc" in numbers:
        close(numbers["roc_auc"], np.nanmean(found.roc_auc))


def test_the_cases_hold_what_they_promise() -> None:
    cases = [classes_case(seed) for seed in SEEDS]
    assert any(len(np.unique(y)) == 1 for _, y in cases), "one class only"
    assert any(len(np.unique(y)) < scores.shape[1] for scores, y in cases), "a class that is missing"
    assert any((np.sort(scores, axis=1)[:, -2] == scores.max(axis=1)).any() for scores, _ in cases), "ties for the largest score"
    assert any((y == y[0]).all() for _, y in map(answers_case, SEEDS)), "one answer only"


@pytest.mark.parametrize("wrong", [lambda c, y: roc_auc(-c, y), lambda c, y: roc_auc(c + np.arange(len(c)) * 1e-9, y)])
def test_a_wrong_rank_is_noticed(wrong: Any) -> None:
    """The law sees a reversed order, and ties that are broken by place."""
    draw = np.random.default_rng(0)
    confidence, y = np.round(draw.normal(size=60)), draw.integers(0, 2, 60)
    wanted = metrics.roc_auc_score(y, confidence)
    close(roc_auc(confidence, y), wanted)
    assert abs(wrong(confidence, y) - wanted) > 1e-4


def test_confidence_ranks_what_probabilities_cannot() -> None:
    scores = np.array([[-800.0], [-40.0], [0.0], [40.0], [50.0]])
    found = HEADS["sigmoid"].confidence(scores)
    assert (np.diff(found[:, 1]) > 0).all()
    assert (np.diff(found[:, 0]) < 0).all()
    assert found[0, 1] == -800
    both = HEADS["softmax"].confidence(np.hstack([np.zeros_like(scores), scores]))
    close(both[:4], found[:4])
    assert log_loss(np.full((1, 2), 800.0), HEADS["sigmoid"].confidence(np.full((1, 2), 800.0)), np.array([[0.0, 1.0]])) == 400
    close(HEADS["svm"].confidence(np.array([[1.0, 3.0, 3.0], [5.0, 2.0, 4.0]])), [[-2, 0, 0], [1, -3, -1]])


# what a model gives

draw = np.random.default_rng(7)
X = draw.normal(size=(200, 5))
NAMES = np.array(["ant", "bee", "cat", "dog", "elk", "fox", "gnu"])[np.argmax(X @ draw.normal(size=(5, 7)), axis=1)]
TWO = np.where(X[:, 0] + draw.normal(size=200) > 0.8, "yes", "no")
THREE = (X[:, :3] + draw.normal(size=(200, 3)) > [0.0, 0.5, 1.0]).astype(int)
TRAIN = "optimizer = adam(lr=0.03); epochs = 8; batch = 20"


def fitted(head: str, y: Any, train: str = TRAIN) -> netspec.Model:
    model = netspec.compile(f"affine(9)-tanh -> affine -> {head}", train=train, dtype="float64")
    model.fit(X, y)
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, netspec.Model]:
    return {
        "softmax": fitted("softmax", NAMES),
        "svm": fitted("svm", NAMES),
        "two": fitted("sigmoid", TWO),
        "three": fitted("sigmoid", THREE),
    }


LABELS = {"softmax": NAMES, "svm": NAMES, "two": TWO, "three": THREE}
KEYS = {
    "softmax": ["loss", "accuracy", "f1", "top5", "roc_auc", "log_loss"], "svm": ["loss", "accuracy", "f1", "top5", "roc_auc"],
    "two": ["loss", "accuracy", "f1", "roc_auc", "log_loss"], "three": ["loss", "accuracy", "f1", "roc_auc", "log_loss"],
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_evaluate_gives_flat_numbers(models: dict[str, netspec.Model], name: str) -> None:
    found = models[name].evaluate(X, LABELS[name])
    assert list(found) == KEYS[name]
    assert all(type(value) is float and np.isfinite(value) for value in found.values())
    if "log_loss" in found:
        assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-12)


def test_one_class_only_leaves_out_what_is_undefined(models: dict[str, netspec.Model]) -> None:
    some = NAMES == "bee"
    assert "roc_auc" not in models["softmax"].evaluate(X[some], NAMES[some])
    report = models["softmax"].report(X[some], NAMES[some])
    assert np.isnan(report.roc_auc).all()
    assert " - " in str(report)


def test_log_loss_knows_no_label_smoothing() -> None:
    model = fitted("softmax", NAMES, f"{TRAIN}; label_smoothing = 0.2")
    found = model.evaluate(X, NAMES)
    close(found["log_loss"], metrics.log_loss(NAMES, model.predict_proba(X)), 1e-9)
    assert found["loss"] > found["log_loss"]


def test_values_keep_their_figures() -> None:
    model = fitted("linear", X[:, 1])
    assert list(model.evaluate(X, X[:, 1])) == ["loss", "r2", "mae", "rmse"]
    with pytest.raises(netspec.NetspecError, match="this net gives values: call evaluate"):
        model.report(X, X[:, 1])


@pytest.mark.parametrize("name", KEYS)
def test_the_report_is_that_of_the_predictions(models: dict[str, netspec.Model], name: str) -> None:
    model, y = models[name], LABELS[name]
    report = model.report(X, y)
    assert report.figures == model.evaluate(X, y)
    assert (report.rows, len(report.labels)) == (200, report.f1.size)
    wanted = metrics.precision_recall_fscore_support(y, model.predict(X), zero_division=0)
    for one, other in zip((report.precision, report.recall, report.f1, report.support), wanted, strict=True):
        close(one, other)
    matrix = metrics.multilabel_confusion_matrix if name == "three" else metrics.confusion_matrix
    np.testing.assert_array_equal(report.confusion, matrix(y, model.predict(X)))
    if name != "three":
        assert report.labels.tolist() == np.unique(y).tolist()


def report_for(classes: int, label: str = "class {}", rows: int = 400) -> ClassReport:
    draw = np.random.default_rng(classes)
    y = draw.integers(0, classes, rows)
    scores = draw.normal(size=(rows, classes)) + 2 * np.eye(classes)[y]
    return report_of(Scored(HEADS["softmax"], scores, y, 1.0), np.array([label.format(k) for k in range(classes)]))


@pytest.mark.parametrize("label", ["{}", "class {}", "a label of very many letters that is told by its end {}"])
@pytest.mark.parametrize("classes", [2, 3, 10, 25, 100, 1000])
def test_a_report_fits_80_columns(classes: int, label: str) -> None:
    text = str(report_for(classes, label))
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 80
    assert ("confusion matrix" in text) == (classes <= 10)
    assert ("most frequent confusions" in text) == (classes > 10)
    assert ("lowest f1" in text) == (classes > 40)
    shown = label.format(classes - 1)
    if classes <= 25:
        assert (shown if len(shown) <= LONGEST else shown[-8:]) in text


def test_a_wider_terminal_shows_a_larger_matrix() -> None:
    report = report_for(25)
    assert report.matrix(80) is None
    assert report.matrix(200) is not None
    assert "confusion matrix" in as_text(*report.parts(200), width=200)


def test_the_matrix_prints_its_counts() -> None:
    report = report_for(3)
    lines = str(report).splitlines()
    first = lines.index("confusion matrix: a line for each label, a column for each prediction")
    assert lines[first + 1].split() == ["class", "0", "class", "1", "class", "2"]
    assert [list(map(int, line.split()[2:])) for line in lines[first + 2 :]] == report.confusion.tolist()


def test_confusions_are_the_largest_counts_beside_the_diagonal() -> None:
    table = report_for(30).confusions()
    assert table is not None
    counts = [int(str(cell)) for cell in table.columns[2].cells]
    off = report_for(30).confusion.copy()
    np.fill_diagonal(off, 0)
    assert counts == sorted(off.reshape(-1).tolist(), reverse=True)[:10]


# thresholds


def test_a_threshold_decides(models: dict[str, netspec.Model]) -> None:
    model = models["two"]
    p = model.predict_proba(X)[:, 1]
    for threshold in (0.1, 0.3, 0.5, 0.9, np.float32(0.25)):
        predicted = np.where(p > threshold, "yes", "no")
        np.testing.assert_array_equal(model.predict(X, threshold=threshold), predicted)
        found = model.evaluate(X, TWO, threshold=threshold)
        close(found["accuracy"], np.mean(predicted == TWO))
        close(found["f1"], metrics.f1_score(TWO, predicted, pos_label="yes"))
        np.testing.assert_array_equal(model.report(X, TWO, threshold=threshold).confusion, metrics.confusion_matrix(TWO, predicted))
    np.testing.assert_array_equal(model.predict(X), model.predict(X, threshold=0.5))
    assert {key: model.evaluate(X, TWO, threshold=0.1)[key] for key in ("loss", "roc_auc", "log_loss")} == {
        key: model.evaluate(X, TWO)[key] for key in ("loss", "roc_auc", "log_loss")
    }


def test_a_threshold_for_each_answer(models: dict[str, netspec.Model]) -> None:
    model = models["three"]
    p = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict(X, threshold=0.3), p > 0.3)
    np.testing.assert_array_equal(model.predict(X, threshold=[0.2, 0.5, 0.8]), p > [0.2, 0.5, 0.8])


@pytest.mark.parametrize("wrong", [0, 1, -0.1, 1.5, float("nan"), "half", [0.5, 0.5], [[0.5]], True, None.__class__])
def test_a_wrong_threshold_is_refused(models: dict[str, netspec.Model], wrong: Any) -> None:
    for call in (lambda: models["two"].predict(X, threshold=wrong), lambda: models["two"].evaluate(X, TWO, threshold=wrong)):
        with pytest.raises(netspec.NetspecError, match="give a number between 0 and 1"):
            call()
    with pytest.raises(netspec.NetspecError, match="or 3 of them, one for each label"):
        models["three"].predict(X, threshold=wrong)


def test_a_head_without_a_threshold_says_so(models: dict[str, netspec.Model]) -> None:
    for name, words in (("softmax", "softmax takes the class with the largest score"), ("svm", "svm takes the class")):
        for call in (
            lambda m=models[name]: m.predict(X, threshold=0.5), lambda m=models[name]: m.evaluate(X, NAMES, threshold=0.5),
            lambda m=models[name]: m.report(X, NAMES, threshold=0.5), lambda m=models[name]: m.best_threshold(X, NAMES),
        ):  # fmt: skip
            with pytest.raises(netspec.NetspecError, match=f"{words}.*goes with the head sigmoid"):
                call()
    with pytest.raises(netspec.NetspecError, match="linear gives values and has none"):
        fitted("linear", X[:, 1]).predict(X, threshold=0.5)


QUALITIES = {"f1": metrics.f1_score, "accuracy": metrics.accuracy_score, "balanced_accuracy": metrics.balanced_accuracy_score}


@pytest.mark.parametrize("metric", QUALITIES)
@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better_than_the_best(metric: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = int(draw.integers(2, 40))
    p = draw.random(rows)
    if seed % 2:
        p = np.round(p, 1)  # ties, and probabilities of exactly 0 and 1
    y = (draw.random(rows) < 0.2 + 0.6 * p).astype(int)
    y[:2] = 0, 1
    found = best_threshold(p, y, metric)
    assert 0 < found < 1
    every = np.unique([*p, *(np.unique(p)[1:] + np.unique(p)[:-1]) / 2, 0.5, p.min() / 2, (1 + p.max()) / 2])
    every = every[(every > 0) & (every < 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = max(QUALITIES[metric](y, p > threshold) for threshold in every)
        assert QUALITIES[metric](y, p > found) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(
    ("p", "y", "wanted"),
    [
        ([0.2, 0.6], [0, 1], 0.4),
        ([0.1, 0.2, 0.9], [0, 1, 1], 0.15),
        ([0.0, 1.0], [1, 0], 0.5),  # nothing to choose: of equally good ones nearest to a half
        ([0.3, np.nextafter(0.3, 1)], [0, 1], 0.3),  # no number lies between
        ([0.0, 5e-324, 1.0], [0, 1, 1], 0.5),  # 5e-324 cannot be told from 0 by a threshold above 0
    ],
)
def test_where_the_best_threshold_lies(p: list[float], y: list[int], wanted: float) -> None:
    assert best_threshold(np.array(p), np.array(y), "accuracy") == pytest.approx(wanted, rel=1e-15)


def test_best_thresholds_of_a_model(models: dict[str, netspec.Model]) -> None:
    found = models["two"].best_threshold(X, TWO)
    assert type(found) is float
    best = models["two"].evaluate(X, TWO, threshold=found)["f1"]
    assert all(models["two"].evaluate(X, TWO, threshold=t)["f1"] <= best for t in np.linspace(0.01, 0.99, 99))
    assert best > models["two"].evaluate(X, TWO)["f1"]
    each = models["three"].best_threshold(X, THREE, metric="balanced_accuracy")
    assert each.shape == (3,)
    for k in range(3):
        wanted = best_threshold(models["three"].predict_proba(X)[:, k], THREE[:, k], "balanced_accuracy")
        assert each[k] == wanted
    assert models["three"].predict(X, threshold=each).shape == (200, 3)


def test_a_threshold_that_cannot_be_chosen(models: dict[str, netspec.Model]) -> None:
    with pytest.raises(netspec.NetspecError, match=f"metric='auc': a threshold is chosen by {', '.join(METRICS)}"):
        models["two"].best_threshold(X, TWO, metric="auc")
    some = TWO == "yes"
    with pytest.raises(netspec.DataError, match="every label is 1; a threshold is chosen on rows of both"):
        models["two"].best_threshold(X[some], TWO[some])
