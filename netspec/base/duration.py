"""Lengths of training, as a spec writes them: so many epochs or so many updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Duration:
    """`20ep`, epochs, or `500it`, updates."""

    amount: int
    unit: Literal["ep", "it"]

    def __str__(self) -> str:
        return f"{self.amount}{self.unit}"


def _length(value: Any) -> Any:
    if isinstance(value, Duration) and value.amount >= 1:
        return value
    raise PydanticCustomError("length", "a length of at least 1 such as 20ep (epochs) or 500it (updates)")


def _epochs(value: Any) -> Any:
    if isinstance(value, Duration) and value.amount >= 1 and value.unit == "ep":
        return value
    raise PydanticCustomError("epochs", "a number of epochs such as 10ep")


Length = Annotated[Duration, BeforeValidator(_length)]
"""At least one epoch or update."""
Epochs = Annotated[Duration, BeforeValidator(_epochs)]
"""At least one epoch."""
