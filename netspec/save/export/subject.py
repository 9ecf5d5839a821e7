"""What is exported: a net with its arrays, and what it learnt of its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Column
from netspec.base.shape import Shape
from netspec.frontend.program import Program
from netspec.graph.graph import Graph

Words = tuple[Any, ...]


@dataclass(frozen=True)
class Subject:
    """`arrays` are parameters and running averages by their full names, of `dtype`. `row` is the shape of a raw row, which becomes a vector
    where the net takes one; `shift` and `scale` of a row (x - shift) / scale, both or neither. `labels` are the words of the class
    numbers, where they have some; `columns` those of a table; `class_weights` what a row of each class counts in the loss."""

    title: str
    version: str
    program: Program
    graph: Graph
    arrays: Mapping[str, NDArray[Any]]
    dtype: str
    row: Shape
    shift: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None
    labels: Words | None = None
    columns: tuple[Column, ...] | None = None
    class_weights: NDArray[np.float64] | None = None

    @property
    def flattens(self) -> bool:
        """Whether a raw row is an image, and the net takes vectors."""
        return len(self.row) > len(self.graph.input.shape)

    @property
    def has_answers(self) -> bool:
        """Whether scores stand for classes or for 0 and 1."""
        return self.graph.head.target != "value"

    @property
    def several_answers(self) -> bool:
        """Whether a row has several answers of 0 or 1."""
        return self.graph.head.target == "binary" and self.graph.output.shape != (1,)

    @property
    def features(self) -> list[str] | None:
        """What the numbers of a row are called, where they come from a table: `price`, or `city=Oslo` for the 1 of a text."""
        if self.columns is None or not all(column.named for column in self.columns):
            return None
        return [
            name for column in self.columns
            for name in ((column.name,) if column.categories is None else (f"{column.name}={text}" for text in column.categories))
        ]  # fmt: skip

    @property
    def category_texts(self) -> bool:
        """Whether the raw table has columns of text, each spread into a number for each of its texts."""
        return any(column.categories is not None for column in self.columns or ())
