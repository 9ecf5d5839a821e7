"""Nets with a head for classes as scikit-learn's classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Head, Target
from netspec.frontend.program import Program
from netspec.graph.counts import split_head
from netspec.model import Model
from netspec.ui.estimators.estimator import NetEstimator
from netspec.ui.estimators.extra import ClassifierMixin, available_if, multiclass, validation
from netspec.ui.estimators.rows import Rows, balanced, by_label

DEFAULT = "let width = 100 data { transforms = per_feature } net affine(width)-relu -> affine -> softmax"


def _has_probabilities(estimator: NetClassifier) -> bool:
    head = estimator._head()
    if head is not None and not head.has_probabilities:
        raise AttributeError(f"{head.name} gives scores, not probabilities: use the head softmax, or call decision_function")
    return True


class NetClassifier(ClassifierMixin, NetEstimator):
    """A net that ends in softmax, svm or sigmoid, as scikit-learn's classifier.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from netspec import NetClassifier
    >>> text = "let width = 8 data { transforms = per_feature } net affine(width)-relu -> affine -> softmax train { epochs = 50 }"
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(NetClassifier(text), {"width": [2, 16], "train.lr": [1e-3, 1e-2]}).fit(X, y)
    >>> search.best_params_["train.lr"], bool(search.best_score_ > 0.9)
    (0.01, True)

    Parameters: `spec` is a text, a str ending in .net or a Path that names a file, or what was built in Python; the default is a hidden
    layer behind standardised features. Where the text says nothing of them, it trains for 100 epochs with lr = 1e-2. `class_weight` is a
    mapping from labels to weights, or "balanced". `warm_start` lets `fit` go on from where the last one ended. `validation_fraction`
    holds out such a share of the rows, by which the best epoch is chosen and the text's `early_stop` stops. `random_state` is the seed,
    or a RandomState that one is drawn from; None is the text's own `seed`. `verbose=1` prints a line an epoch. All others are the text's
    own: `let` values by name, and keys such as `train.lr`; None leaves the text's value. `get_params()` lists them with their values;
    `set_params`, and so a search, refuses a name that the text does not have.

    X (N, D) or images (N, C, H, W); rows (N, D) are taken for images where the text's `input` has as many numbers. y (N,) of any labels;
    for sigmoid two of them, or 0/1 (N, K) of three or more labels each. The order of the rows does not matter. A row of weight w is
    trained on as round(w) rows, at least one, each of the weight w / round(w), and a row of weight 0 not at all.

    Attributes: `classes_`, `n_features_in_`, `feature_names_in_` of a table, `model_`, the netspec.Model, `history_`, `loss_curve_` by
    epoch, `n_iter_`, the epochs done. Invalid texts and rows raise ValueErrors of netspec: SpecError, DataError, UsageError.
    """

    _targets: ClassVar[tuple[Target, ...]] = ("class", "binary")
    _advice: ClassVar[str] = "end it in softmax, svm or sigmoid, or give it to NetRegressor"

    classes_: NDArray[Any]
    _multilabel: bool

    def __init__(
        self, /, spec: Any = DEFAULT, *, class_weight: Any = None, warm_start: bool = False, validation_fraction: float | None = None,
        random_state: Any = None, verbose: int = 0, **params: Any,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        self._keys = params

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: sigmoid takes two classes, or several labels a row."""
        tags, head = super().__sklearn_tags__(), self._head()
        binary = head is not None and head.target == "binary"
        tags.classifier_tags.multi_class = not binary
        tags.classifier_tags.multi_label = binary
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains anew for as many epochs as the text says, or goes on where `warm_start` is set. Raises SpecError, DataError, UsageError,
        DivergedError; scikit-learn's ValueErrors for rows that no estimator takes."""
        return self._learn(X, y, sample_weight, None, go_on=bool(self.warm_start) and hasattr(self, "model_"), once=False)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains one epoch on these rows, and goes on from the calls before. The first call needs all labels as `classes`; its rows are
        those that statistics of the features are taken of; "balanced" weights of classes are counted in each call's own. Raises as
        `fit`."""
        go_on = hasattr(self, "model_")
        if not go_on and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return self._learn(X, y, sample_weight, classes, go_on=go_on, once=True)

    def _learn(self, x: Any, y: Any, sample_weight: Any, classes: Any, *, go_on: bool, once: bool) -> Self:
        x, y = self._checked(x, y, reset=not go_on)
        weights = self._weights(sample_weight, x)
        if go_on:
            model = self._again()
            if classes is not None and not np.array_equal(self.classes_, multiclass.unique_labels(classes)):
                raise ValueError(f"classes={classes!r} are not those of the first call, {self.classes_}")
        else:
            model = self._new(x, y, classes)
        encoded = self._encoded(y)
        by_class = self._class_weights(encoded, weights)
        rows = Rows(self._in_shape(x, self._row), encoded, np.stack([weights, by_class], axis=1))
        if not once and not self._multilabel and len(left := np.unique(encoded[rows.products > 0])) == 1:
            raise ValueError(f"rows of weight above 0 have 1 class alone, {self.classes_[left].tolist()}; a classifier needs two to learn")
        return self._train(model, rows, once=once)

    def _checked(self, x: Any, y: Any, *, reset: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows, and labels (N,), or (N, K) of several a row."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        x, y = self._validated(x, y, reset=reset)
        if hasattr(y, "toarray"):
            y = y.toarray()
        multiclass.check_classification_targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = validation.column_or_1d(y, warn=True)
        return x, y

    # labels

    def _new(self, x: NDArray[Any], y: NDArray[Any], classes: Any) -> Model:
        """A net for the labels of y, or those that a caller lists, which `classes_` are then."""
        program = self._read()
        head = split_head(program)[1]
        self._multilabel = y.ndim == 2
        if self._multilabel:
            self.classes_ = _several_labels(head, y)
            return self._built(program, x, classes=len(self.classes_))
        found = np.unique(y) if classes is None else multiclass.unique_labels(classes)
        self.classes_ = _all_classes(program, found) if head.target == "class" else found
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {self.classes_.tolist()}; a classifier needs two to learn")
        if head.target == "binary" and len(self.classes_) > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {multiclass.type_of_target(y)}: the head sigmoid "
                f"tells two labels apart, and there are {len(self.classes_)}; end the chain in softmax"
            )
        return self._built(program, x, classes=len(self.classes_))

    def _encoded(self, y: NDArray[Any]) -> NDArray[Any]:
        """Labels by their places among the classes; 0/1 of several labels a row as they are. Raises ValueError for labels that are new."""
        if (y.ndim == 2) != self._multilabel:
            expected = f"(N, {len(self.classes_)})" if self._multilabel else "(N,)"
            raise ValueError(f"y: shape {y.shape}; the net was trained with labels {expected}")
        if self._multilabel:
            return y.astype(np.int64)
        new = np.setdiff1d(y, self.classes_)
        if len(new):
            raise ValueError(f"y: the labels {new.tolist()} are none of the classes {self.classes_.tolist()}")
        return np.searchsorted(self.classes_, y).astype(np.int64)

    def _words(self) -> tuple[Any, ...] | None:
        words = tuple(self.classes_.tolist())
        plain = (
            self._multilabel or words == tuple(range(len(words))) or not all(isinstance(word, str | bool | int | float) for word in words)
        )
        return None if plain else words

    def _class_weights(self, y: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """What rows (N,) count by their classes. Raises ValueError."""
        given = self.class_weight
        if given is None:
            return np.ones(len(y))
        if self._multilabel:
            raise ValueError("class_weight needs one label a row; write class_weights into the text's train section")
        if isinstance(given, str) and given == "balanced":
            return np.asarray(balanced(y, weights, len(self.classes_))[y])
        if not isinstance(given, Mapping):
            raise ValueError(f"class_weight={given!r}: give 'balanced', a mapping from labels to weights, or None")
        return np.asarray(by_label(given, self.classes_)[y])

    # predictions

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The labels (N,) of rows X, or 0/1 (N, K). Raises NotFittedError, ValueError."""
        scores = self._scores(X)
        predicted = self.model_.graph.head.predict(scores)
        return predicted if self._multilabel else self.classes_[predicted]

    def decision_function(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Scores before the head: (N, C); of two classes (N,), above 0 for the second, the difference of both where each has one; of
        several labels a row (N, K)."""
        scores = self._scores(X)
        if self._multilabel or scores.shape[1] > 2:
            return scores
        return np.asarray(scores[:, -1] - scores[:, 0] if scores.shape[1] == 2 else scores[:, 0])

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Probabilities (N, C) in the order of `classes_`; of several labels a row, of each of them to be 1. Not with the head svm."""
        scores = self._scores(X)
        return self.model_.graph.head.predict_proba(scores)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Logarithms of `predict_proba`, exact also where a probability is 0 or 1 in floating point."""
        scores = self._scores(X)
        return self.model_.graph.head.confidence(scores)


def _all_classes(program: Program, found: NDArray[Any]) -> NDArray[Any]:
    """The labels found; where the text counts more `classes` and the labels are numbers of them, all of those numbers."""
    counted = program.classes
    if counted is None or len(found) >= counted or found.dtype.kind not in "iu":
        return found
    numbers = np.arange(counted, dtype=found.dtype)
    return numbers if np.isin(found, numbers).all() else found


def _several_labels(head: Head, y: NDArray[Any]) -> NDArray[Any]:
    """The numbers of the labels in 0/1 (N, K). Raises ValueError."""
    if head.target != "binary" or multiclass.type_of_target(y) != "multilabel-indicator":
        raise ValueError(f"y: shape {y.shape}; {head.name} takes one label a row. For 0/1 of several labels end the chain in sigmoid")
    if y.shape[1] == 2:
        raise ValueError("y: 0/1 of two labels a row, where sigmoid takes three or more: add a column of zeros")
    return np.arange(y.shape[1])
