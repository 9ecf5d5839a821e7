"""The contract of a bound on gradients: one element's new gradient, as a template."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from netspec.base.entry import Entry, refuse_unfinished


class Clip(Entry):
    """A file in catalog/clips declares the formula in its docstring, its arguments, and the template `clip`.

    `clip(g, <arguments>)` returns the gradient that the update takes, for one element of the data's gradient plus that of l2. It may also
    take `norm`, the root of the sum of squares over all trained parameters. Arithmetic, conditional expressions and np functions only.
    """

    clip: ClassVar[Callable[..., Any]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            refuse_unfinished(cls, [] if hasattr(cls, "clip") else ["clip"])

    @classmethod
    def needs_norm(cls) -> bool:
        """Whether the template takes the norm of the whole gradient."""
        return "norm" in inspect.signature(cls.clip).parameters

    def constants(self) -> dict[str, float]:
        """Template parameters that stay the same."""
        return {name: float(getattr(self, name)) for name in type(self).model_fields}
