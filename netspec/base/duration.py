"""A length of training: `20ep` in epochs, `500it` in updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Duration:
    """So many epochs (`ep`) or updates (`it`)."""

    amount: int
    unit: str

    def updates(self, steps_per_epoch: float) -> float:
        """How many updates that is."""
        return self.amount if self.unit == "it" else self.amount * steps_per_epoch

    def __str__(self) -> str:
        return f"{self.amount}{self.unit}"


def _length(value: Any) -> Duration:
    if isinstance(value, Duration) and value.amount >= 1:
        return value
    raise PydanticCustomError("length", "a duration of at least 1, such as 20ep (epochs) or 500it (updates)")


Length = Annotated[Duration, BeforeValidator(_length)]
"""A duration of at least one epoch or update."""
