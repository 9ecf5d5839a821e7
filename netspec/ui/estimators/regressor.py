"""Nets that give values as scikit-learn's regressors."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Target
from netspec.ui.estimators.estimator import NetEstimator
from netspec.ui.estimators.extra import RegressorMixin
from netspec.ui.estimators.rows import Rows

DEFAULT = "let width = 100 data { transforms = per_feature } net affine(width)-relu -> affine -> linear"


class NetRegressor(RegressorMixin, NetEstimator):
    """A net that ends in linear, or in no head, as scikit-learn's regressor.

    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.preprocessing import StandardScaler
    >>> from netspec import NetRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> net = NetRegressor("data { transforms = per_feature } net affine(16)-tanh -> affine -> linear train { l2 = 1e-2; epochs = 50 }")
    >>> bool(cross_val_score(TransformedTargetRegressor(net, transformer=StandardScaler()), X, y).mean() > 0.4)
    True

    Parameters, rows and weights are those of NetClassifier, without `class_weight`; the loss is the text's, `train { loss = l1 }` say.
    y (N,) or (N, K) of finite numbers. They are taken as they are: where they are far from 0, or from 1 in size, scale them, as
    above.

    Attributes: `n_features_in_`, `feature_names_in_` of a table, `model_`, the netspec.Model, `history_`, `loss_curve_` by epoch,
    `n_iter_`, the epochs done. Invalid texts and rows raise ValueErrors of netspec: SpecError, DataError, UsageError.
    """

    _targets: ClassVar[tuple[Target, ...]] = ("value",)
    _advice: ClassVar[str] = "end it in linear, or give it to NetClassifier"

    _is_vector: bool
    """Whether y had one number a row, and no second axis."""

    def __init__(
        self, /, spec: Any = DEFAULT, *, warm_start: bool = False, validation_fraction: float | None = None, random_state: Any = None,
        verbose: int = 0, **params: Any,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.warm_start = warm_start
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        self._keys = params

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of an estimator: y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains anew for as many epochs as the text says, or goes on where `warm_start` is set. Raises SpecError, DataError, UsageError,
        DivergedError; scikit-learn's ValueErrors for rows that no estimator takes."""
        return self._learn(X, y, sample_weight, go_on=bool(self.warm_start) and hasattr(self, "model_"), once=False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Trains one epoch on these rows, and goes on from the calls before. The first call's rows are those that statistics of the
        features are taken of. Raises as `fit`."""
        return self._learn(X, y, sample_weight, go_on=hasattr(self, "model_"), once=True)

    def _learn(self, x: Any, y: Any, sample_weight: Any, *, go_on: bool, once: bool) -> Self:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        x, y = self._validated(x, y, reset=not go_on, y_numeric=True)
        weights = self._weights(sample_weight, x)
        model = self._again() if go_on else self._built(self._read(), x, outputs=1 if y.ndim == 1 else y.shape[1])
        self._is_vector = y.ndim == 1
        rows = Rows(self._in_shape(x, self._row), np.asarray(y, np.float64), np.stack([weights, np.ones(len(x))], axis=1))
        return self._train(model, rows, once=once)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The values of rows X, (N,) or (N, K) as y was. Raises NotFittedError, ValueError."""
        scores = self._scores(X)
        return scores[:, 0] if self._is_vector else scores
