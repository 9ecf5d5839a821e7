"""The contract of an optimiser: one element's update, as a template."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.entry import Entry, refuse_unfinished


class Optimizer(Entry):
    """A file in catalog/optimizers declares the formula in its docstring, its `slots`, and the template `update`.

    `update(w, g, <slots>, lr, <constants>, <scalars>)` returns `(w, <slots>)`, all new, for one element. It must also work on NumPy
    arrays (so: arithmetic and np functions, no `if`). `constants()` are floats fixed for the run; `scalars(t)` floats that depend on
    the number of the update, t from 1. `lr` is always the first field. Slots start at 0. The constants named in `of_weights` are 0 for
    parameters that are no weights (b, gamma, beta).
    """

    lr: Annotated[float, Field(gt=0, description="learning rate")]
    slots: ClassVar[tuple[str, ...]] = ()
    of_weights: ClassVar[tuple[str, ...]] = ()
    update: ClassVar[Callable[..., Any]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            refuse_unfinished(cls, [] if hasattr(cls, "update") else ["update"])

    def constants(self) -> dict[str, float]:
        """Template parameters that stay the same; computed in float64."""
        return {name: float(getattr(self, name)) for name in type(self).model_fields if name != "lr"}

    def stored(self) -> tuple[str, ...]:
        """The slots whose old values matter with these arguments; the others are neither kept nor read."""
        return self.slots

    def scalars(self, t: int) -> dict[str, float]:
        """Template parameters of update number `t`, computed in float64."""
        return {}
