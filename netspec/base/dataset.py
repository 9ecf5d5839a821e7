"""Rows in memory, and the contract of a source of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from netspec.base.entry import Entry
from netspec.base.kinds import Target
from netspec.base.shape import Shape


@dataclass(frozen=True)
class Rows:
    """Inputs x (N, D) or (N, C, H, W) and labels y: (N,) integers for classes, else (N,) or (N, ...) numbers."""

    x: NDArray[Any]
    y: NDArray[Any]

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Column:
    """A feature of a table. Where it holds text, `categories` are its distinct texts in sorted order, x holds each row's place among
    them, and `text_at` is the first cell that is no number, for messages: `line 7 holds 'red'`."""

    name: str
    categories: tuple[str, ...] | None = None
    text_at: str = ""
    named: bool = True
    """Whether the name is the table's own; else it counts the columns, for messages."""


@dataclass(frozen=True)
class Dataset:
    """What a source gives: all rows; an official test part where there is one; the label words by class number (None for numbers).

    Of a table also its feature `columns` in the order of x (N, D), and `target`, what messages call its labels: `column price`;
    `target_column` is the name alone, and `place` says where a row (from 0) stands in the file: `line 7`.
    """

    rows: Rows
    test: Rows | None = None
    labels: tuple[str, ...] | None = None
    origin: str = ""
    columns: tuple[Column, ...] | None = None
    target: str = "y"
    target_column: str | None = None
    place: Callable[[int], str] | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a source without reading it: the shape of a row, how many classes or outputs, how the target is meant."""

    shape: Shape
    classes: int | None
    outputs: int | None
    rows: int | None
    target: Target


@dataclass(frozen=True)
class Glimpse:
    """What the beginning of a source tells: its first `labels`, text or numbers, none where only their names were looked at; and what
    messages call them: `column price`."""

    target: str = "y"
    labels: tuple[str | float, ...] = ()


class DataSource(Entry):
    """A file in catalog/sources: `facts()` without touching the data where that is possible, `read()` the rows. Keys are `data`'s."""

    builtin: ClassVar[bool] = False
    keys: ClassVar[tuple[str, ...]] = ()
    """Which keys of the data section it takes, beyond split and normalize: path, x, y, target, features, size."""
    path_keys: ClassVar[tuple[str, ...]] = ("path",)
    """Those of them that are paths."""
    usual: ClassVar[Mapping[str, str]] = {}
    """What is read where a key is left out."""

    def facts(self) -> Facts | None:
        """None when only reading can tell."""
        return None

    def glance(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Glimpse | None:
        """What can be told in milliseconds and without a library; None where nothing can. The arguments are those of `read`. Raises
        DataError as that would, Problem with the key at fault as `argument`."""
        return None

    @abstractmethod
    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows. `path` is already resolved and allowed. Raises DataError naming file, row and column."""
