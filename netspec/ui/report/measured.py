"""A net measured on rows: scores and figures, computed once for what is printed and for the report."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.train.data import Part
from netspec.train.evaluate import Scored
from netspec.ui.class_report import ClassReport


@dataclass(frozen=True)
class Measured:
    """The rows of a split in test form. `classes` has the figures by class; None for values."""

    split: str
    part: Part
    scored: Scored
    figures: dict[str, float]
    classes: ClassReport | None
