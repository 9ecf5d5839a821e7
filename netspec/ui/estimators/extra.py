"""What is used of scikit-learn, which is an extra and has no types of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from netspec.base.errors import UsageError
from netspec.base.extras import library

Method = TypeVar("Method", bound=Callable[..., Any])

if TYPE_CHECKING:

    class BaseEstimator:
        """scikit-learn's, as far as it is called here."""

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def _get_params_html(self, deep: bool = True, **how: Any) -> Any: ...
        def set_params(self, **params: Any) -> BaseEstimator: ...
        def __sklearn_tags__(self) -> Any: ...
        def __getstate__(self) -> dict[str, Any]: ...
        def __setstate__(self, state: dict[str, Any]) -> None: ...

    class ClassifierMixin(BaseEstimator):
        """scikit-learn's."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...  # noqa: N803

    class RegressorMixin(BaseEstimator):
        """scikit-learn's."""

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...  # noqa: N803

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
        """scikit-learn's."""

else:
    BaseEstimator = library("sklearn.base", "sklearn").BaseEstimator
    ClassifierMixin = library("sklearn.base", "sklearn").ClassifierMixin
    RegressorMixin = library("sklearn.base", "sklearn").RegressorMixin
    available_if = library("sklearn.utils.metaestimators", "sklearn").available_if

validation: Any = library("sklearn.utils.validation", "sklearn")
multiclass: Any = library("sklearn.utils.multiclass", "sklearn")

if not hasattr(validation, "validate_data"):
    raise UsageError(f"this needs scikit-learn 1.6 or newer, and {library('sklearn', 'sklearn').__version__} is installed")
