"""The contract of what happens to rows on their way into a net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from netspec.base.entry import Entry, refuse_unfinished


class Transform(Entry):
    """One step on the way, in the order written. A file in catalog/transforms derives from one of the kinds below.

    Those of a lower `turn` stand before those of a higher one: text is encoded before numbers are scaled, and what is done once to all rows
    comes before what is drawn anew in each step.
    """

    turn: ClassVar[int] = 1


class Encoding(Transform):
    """Columns of text become columns of numbers, before all other steps."""

    turn: ClassVar[int] = 0


class Scaling(Transform):
    """Numbers shifted and scaled by statistics of the training part, which are stored with the weights: the same in training and after.

    `statistics` names them: see train/normalize.py.
    """

    statistics: ClassVar[Literal["per_feature", "per_channel", "rescale"]]


class Flattening(Transform):
    """Images become vectors, in C order of (channels, height, width)."""


class Augmentation(Transform):
    """Images changed at random while training alone, inside the native step; draws are keyed by seed, place, step and row, as dropout's.

    The template `place(h, w, height, width, bits, <constants>)` gives the pixel (row, column) of the image before that stands at (h, w)
    after; one outside the image stands for zeros. `bits` is a uniform 32-bit word, the same for all pixels of an image. Whole numbers
    throughout; no globals.
    """

    turn: ClassVar[int] = 2
    place: ClassVar[Callable[..., Any]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            refuse_unfinished(cls, [] if hasattr(cls, "place") else ["place"])

    def constants(self) -> dict[str, int]:
        """The template's other parameters."""
        return {name: getattr(self, name) for name in type(self).model_fields}
