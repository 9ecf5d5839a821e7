"""The contract of a loss: one row's loss and the gradient of its scores, as a template."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.entry import Entry, refuse_unfinished
from netspec.base.kinds import Target


class Loss(Entry):
    """A file in catalog/losses declares the formula in its docstring, `target` (see Head), `per_element`, and the template `row`.

    `row(scores, label, gradient, scale, <constants>)` gets one row: `scores` (C,), `label` (an integer for the target `class`, else a
    (C,) row), `gradient` (C,) to be filled with d loss / d scores times `scale`; it returns the row's loss, unscaled. Plain loops over
    `range(scores.size)` on scalars, `np.exp`, `np.log` and so on; no other globals, no slices, no allocations; float literals are typed
    by the emitter. The loss of a batch is the mean of the rows' losses, and with `per_element = True` further divided by C.
    """

    target: ClassVar[Target]
    per_element: ClassVar[bool] = False
    smoothed: ClassVar[type[Loss] | None] = None
    """The form for smoothed labels, which takes `label_smoothing`; found through the loss whose word it shares."""
    row: ClassVar[Callable[..., Any]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        missing = [part for part in ("target", "row") if not hasattr(cls, part)] + sorted(getattr(cls, "__abstractmethods__", ()))
        if "name" in cls.__dict__:
            refuse_unfinished(cls, missing)

    def constants(self) -> dict[str, float | int]:
        return {name: float(getattr(self, name)) for name in type(self).model_fields}

    @abstractmethod
    def reference(self, scores: NDArray[np.float64], labels: NDArray[Any]) -> float:
        """Mean loss of a batch in float64 NumPy, written independently of the template. scores (N, C); labels (N,) or (N, C)."""
