"""What a sweep may try: for each key of the `search` section its candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.base.text import Span

Number = int | float
Tried = Number | str
"""A value that a trial takes: a number, or a text of the language."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these values, each as the language writes it."""

    values: tuple[str, ...]
    spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"choice({', '.join(self.values)})"


@dataclass(frozen=True, slots=True)
class Interval:
    """A number between two, both included: a whole number where both are whole. `log`: as likely in each decade."""

    low: Number
    high: Number
    log: bool = False
    spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        return f"{'log' if self.log else 'range'}({self.low!r}, {self.high!r})"


Candidates = Choice | Interval
Space = Mapping[str, Candidates]
"""Candidates by `let` name, or key of train such as `train.lr`."""


def ends(candidates: Candidates) -> list[tuple[Tried, Span]]:
    """Every value of a choice, or the ends of an interval, each with its words."""
    values: tuple[Tried, ...] = candidates.values if isinstance(candidates, Choice) else (candidates.low, candidates.high)
    return list(zip(values, candidates.spans, strict=True))
