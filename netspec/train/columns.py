"""Columns of text as columns of numbers: the texts that a net was trained with, and rows written in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Column, Dataset, Rows
from netspec.base.errors import DataError
from netspec.catalog.tables import listed

Columns = tuple[Column, ...]


def one_hot(dataset: Dataset, known: Columns | None, name: str) -> tuple[Dataset, Columns]:
    """The data set with its columns of text spread out, and the columns by which; `known` are those of the net, where it has some.

    Raises DataError for a text that they do not have.
    """
    assert dataset.columns is not None
    columns = known or dataset.columns
    found = spread(dataset.rows.x, dataset.columns, columns, name)
    return replace(dataset, rows=Rows(found, dataset.rows.y), columns=None), columns


def columns_of(x: Any, name: str = "x") -> tuple[NDArray[np.float64], Columns]:
    """Rows (N, D) of numbers and text, a list of lists say, as numbers: of a column of text each row's place among its sorted texts."""
    cells = np.asarray(x, dtype=object)
    if cells.ndim != 2:
        raise DataError(f"{name}: one_hot needs rows of columns (N, D); this is {cells.shape}")
    numbers, columns = np.empty(cells.shape), []
    for place in range(cells.shape[1]):
        column, numbers[:, place] = _column(cells[:, place], place)
        columns.append(column)
    return numbers, tuple(columns)


def _column(cells: NDArray[Any], place: int) -> tuple[Column, NDArray[np.float64]]:
    try:
        return Column(f"column {place}"), cells.astype(np.float64)
    except (TypeError, ValueError):
        texts, numbers = np.unique([str(cell) for cell in cells], return_inverse=True)
        return Column(f"column {place}", tuple(texts.tolist())), numbers.astype(np.float64)


def spread(x: NDArray[Any], own: Columns, known: Columns, name: str) -> NDArray[np.float64]:
    """Rows whose columns of text hold places among the texts of `own`, with a column for each text of `known` instead."""
    if len(own) != len(known):
        raise DataError(f"{name}: {len(own)} columns, and the net was trained with {len(known)}: {listed([c.name for c in known])}")
    parts = []
    for place, (mine, theirs) in enumerate(zip(own, known, strict=True)):
        if theirs.categories is None:
            if mine.categories is not None:
                raise DataError(f"{name}: {theirs.name} holds text ({listed(mine.categories)}), where the net was trained with numbers")
            parts.append(x[:, place : place + 1].astype(np.float64))
        else:
            texts = mine.categories if mine.categories is not None else tuple(f"{value:g}" for value in np.unique(x[:, place]))
            numbers = x[:, place] if mine.categories is not None else np.unique(x[:, place], return_inverse=True)[1]
            parts.append(_coded(numbers.astype(np.int64), texts, theirs, name))
    return np.concatenate(parts, axis=1)


def _coded(numbers: NDArray[np.int64], texts: Sequence[str], column: Column, name: str) -> NDArray[np.float64]:
    wanted = {text: place for place, text in enumerate(column.categories or ())}
    for place, text in enumerate(texts):
        if text not in wanted and (numbers == place).any():
            row = int(np.flatnonzero(numbers == place)[0])
            raise DataError(
                f"{name}: row {row}, {column.name}: {text!r} is not among the texts that the net was trained with: {listed(list(wanted))}"
            )
    places = np.array([wanted.get(text, 0) for text in texts], np.int64)
    return np.eye(len(wanted))[places[numbers]]


def as_metadata(columns: Columns) -> list[dict[str, Any]]:
    """What a weights file says of them."""
    return [{"name": column.name, "categories": column.categories and list(column.categories)} for column in columns]


def from_metadata(found: Sequence[Any]) -> Columns:
    """The inverse of `as_metadata`. Raises DataError where the file holds something else."""
    try:
        return tuple(Column(str(one["name"]), one["categories"] and tuple(map(str, one["categories"]))) for one in found)
    except (TypeError, KeyError):
        raise DataError("its metadata does not tell the columns of a table") from None
