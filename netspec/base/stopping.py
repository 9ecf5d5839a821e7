"""The contract of a stopping rule: from the epochs so far to the reason why training ends early."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from netspec.base.entry import Entry, refuse_unfinished

Figure = Literal["val_accuracy", "val_loss", "train_accuracy", "loss"]
"""A column of the history that a rule may watch."""


class StoppingRule(Entry):
    """A file in catalog/stopping declares what it `watches`, and the `reason` to stop, a function of the epochs' rows alone."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            refuse_unfinished(cls, sorted(getattr(cls, "__abstractmethods__", ())))

    @abstractmethod
    def watches(self, values: bool) -> Figure:
        """The column that the rule needs; `values` tells nets that end in numbers, which have no accuracy."""

    @abstractmethod
    def reason(self, rows: Sequence[Mapping[str, Any]], values: bool) -> str | None:
        """Why training ends after the last of these epochs, in words; None where it goes on."""
