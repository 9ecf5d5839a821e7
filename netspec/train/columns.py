"""Columns of text as columns of numbers: the texts that a net was trained with, and rows written in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Column, Dataset, Rows
from netspec.base.errors import DataError
from netspec.base.shape import Shape, show, size
from netspec.catalog.arrays import LIMIT_BYTES, refuse_larger
from netspec.catalog.tables import NUMBER, cut, listed, require_columns
from netspec.train.finite import require_finite
from netspec.train.frames import SEVERAL, Cells, Frame, is_missing, no_value, numbers_of, require_plain, require_present, rows_of

Columns = tuple[Column, ...]
FEW = 20
"""Different texts in a column that are categories, whatever they look like."""
COMMA = r"^[+-]?\d+,\d+$"


def one_hot(dataset: Dataset, known: Columns | None, name: str) -> tuple[Dataset, Columns]:
    """The data set with its columns of text spread out, and the columns by which; `known` are those of the net, where it has some.

    Raises DataError for a text that they do not have.
    """
    assert dataset.columns is not None
    columns = known or require_categories(dataset.columns, len(dataset.rows), name)
    found = spread(dataset.rows.x, dataset.columns, columns, name)
    return replace(dataset, rows=Rows(found, dataset.rows.y), columns=None), columns


def require_categories(columns: Columns, rows: int, name: str) -> Columns:
    """The columns, if those of text hold categories. Raises DataError for numbers among which a few cells are none, for numbers with a
    decimal comma, and for more different texts than half of the rows."""
    for column in columns:
        texts = column.categories or ()
        if len(texts) <= FEW:
            continue
        odd = [text for text in texts if not re.match(NUMBER, text, re.ASCII)]
        if all(re.match(COMMA, text) for text in odd):
            raise DataError(f"{name}: {column.name} holds numbers with a decimal comma, such as {odd[0]!r}; write them with a point")
        if len(odd) <= len(texts) / 10:
            others = f"{listed([repr(text) for text in odd])} among {len(texts) - len(odd)} different numbers"
            raise DataError(f"{name}: {column.name} holds {others}; correct those cells, or leave the column out of features")
        if len(texts) > rows / 2:
            raise DataError(
                f"{name}: {column.name} holds {len(texts)} different texts in {rows} rows, too many for categories; leave it out"
            )
    return columns


def named(x: Any) -> Columns | None:
    """The columns of a table in memory, as numbers; None for arrays and lists."""
    return tuple(map(Column, x.names)) if isinstance(x, Frame) else None


def in_order(x: Any, columns: Columns, name: str = "x") -> Any:
    """A table in memory with these columns alone, in their order, found by name; arrays, lists, and rows for a net whose columns have no
    names, as they are. Raises DataError for a column that is not there."""
    if not isinstance(x, Frame) or not all(column.named for column in columns):
        return x
    wanted = [column.name for column in columns]
    require_columns(name, x.names, wanted)
    return x.take(wanted)


def as_numbers(x: Any, columns: Columns | None, name: str = "x") -> Any:
    """Rows as an array of numbers: of a table the `columns` that a net was trained with, in their order, their text spread out; where
    there are none, or none with names, its columns as they stand. Arrays and lists are left as they are, but for text that is known to
    stand in them. Raises DataError."""
    x = rows_of(x, name)
    if columns is not None:
        x = in_order(x, columns, name)
        if any(column.categories is not None for column in columns) and (isinstance(x, Frame) or _is_unspread(x, columns, name)):
            return spread(*columns_of(x, columns, name), columns, name)
    return numbers_of(x, name) if isinstance(x, Frame) else x


def _is_unspread(x: Any, columns: Columns, name: str) -> bool:
    """Whether rows are as wide as the columns are before text is spread out."""
    return _cells(x, name).shape[1:] == (len(columns),)


def columns_of(x: Any, known: Columns | None = None, name: str = "x") -> tuple[NDArray[np.float64], Columns]:
    """Rows (N, D) of numbers and text, a table or a list of lists say, as numbers: of a column of text each row's place among its sorted
    texts. Where the columns are `known` they say which hold text, else a column does that is declared to hold categories, or where a cell
    is no number. Raises DataError for a cell without a value."""
    table = x if isinstance(x, Frame) else _numbered(x, name)
    numbers, columns = np.empty((len(table), len(table.names))), []
    for place, own in enumerate(table.names):
        cells = table.cells(place)
        text = cells.categorical if known is None or place >= len(known) else known[place].categories is not None
        column, numbers[:, place] = _column(cells, Column(own, named=table is x), text, name)
        columns.append(column)
    require_finite(numbers, name, table.names)
    return numbers, tuple(columns)


def _numbered(x: Any, name: str) -> Frame:
    """Rows (N, D) as a table whose columns have numbers for names."""
    array = _cells(x, name)
    if array.ndim == 1 and any(isinstance(row, SEVERAL) for row in array):
        raise DataError(f"{name}: its rows have different lengths")
    if array.ndim != 2:
        raise DataError(f"{name}: one_hot needs rows of columns (N, D); this is {array.shape}")
    names = tuple(f"column {place}" for place in range(array.shape[1]))
    return Frame(names, len(array), lambda place: Cells(array[:, place], str(array.dtype)))


def _cells(x: Any, name: str) -> NDArray[Any]:
    """Rows as numbers, or as Python's objects."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "buif":
        return x
    try:
        return np.asarray(x, dtype=object)
    except ValueError:
        raise DataError(f"{name}: its rows have different lengths") from None


def _column(cells: Cells, column: Column, text: bool, name: str) -> tuple[Column, NDArray[np.float64]]:
    require_present(cells, column.name, name)
    require_plain(cells, column.name, name)
    if not text:
        try:
            return column, cells.values.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            pass
    texts = [_text(row, cell, column.name, name) for row, cell in enumerate(cells.values.tolist())]
    categories = tuple(sorted(set(texts)))
    places = {one: float(place) for place, one in enumerate(categories)}
    return replace(column, categories=categories), np.fromiter(map(places.__getitem__, texts), np.float64, len(texts))


def _text(row: int, cell: Any, column: str, name: str) -> str:
    if isinstance(cell, str) and cell:
        return cell
    if is_missing(cell):
        raise DataError(f"{name}: row {row}, {column} {no_value(repr(cell))}")
    require_plain(Cells(np.array([cell, None], object)[:1], type(cell).__name__), column, name)
    return str(cell)


def spread(
    x: NDArray[Any], own: Columns, known: Columns, name: str, place: Callable[[int], str] = "row {} (rows count from 0)".format
) -> NDArray[np.float64]:
    """Rows whose columns of text hold places among the texts of `own`, with a column for each text of `known` instead. `place` says where a
    row stands, for messages. Raises DataError."""
    if len(own) != len(known):
        raise DataError(f"{name}: {len(own)} columns, and the net was trained with {len(known)}: {listed([c.name for c in known])}")
    refuse_larger(f"{name}: with a column for each text it", 8 * len(x) * width(known), LIMIT_BYTES)
    parts = []
    for number, (mine, theirs) in enumerate(zip(own, known, strict=True)):
        if theirs.categories is None:
            if mine.categories is not None:
                text = mine.text_at or listed(mine.categories)
                raise DataError(f"{name}: {theirs.name} holds text ({text}), where the net was trained with numbers")
            parts.append(x[:, number : number + 1].astype(np.float64))
        elif mine.categories is None:
            raise DataError(f"{name}: {theirs.name} holds numbers, where the net was trained with text: {listed(theirs.categories)}")
        else:
            parts.append(_coded(x[:, number].astype(np.int64), mine.categories, theirs, name, place))
    return np.concatenate(parts, axis=1)


def _coded(
    numbers: NDArray[np.int64], texts: Sequence[str], column: Column, name: str, where: Callable[[int], str]
) -> NDArray[np.float64]:  # fmt: skip
    wanted = {text: place for place, text in enumerate(column.categories or ())}
    for place, text in enumerate(texts):
        if text not in wanted and (numbers == place).any():
            row = int(np.flatnonzero(numbers == place)[0])
            known = listed(list(wanted))
            raise DataError(
                f"{name}: {where(row)}, {column.name}: {cut(text)!r} is not among the texts that the net was trained with: {known}"
            )
    places = np.array([wanted.get(text, 0) for text in texts], np.int64)
    coded = np.zeros((len(numbers), len(wanted)))
    coded[np.arange(len(numbers)), places[numbers]] = 1
    return coded


def as_metadata(columns: Columns) -> list[dict[str, Any]]:
    """What a weights file says of them."""
    return [
        {"name": column.name, "categories": column.categories and list(column.categories), **({} if column.named else {"named": False})}
        for column in columns
    ]


def require_width(columns: Columns, row: Shape) -> None:
    """Raises DataError where a row of a table is not what the net takes."""
    found, wanted = width(columns), size(row)
    if (found,) == tuple(row):
        return
    names = [column.name if column.categories is None else f"{column.name} ({len(column.categories)} texts)" for column in columns]
    if found == wanted:
        advice = f"give x.to_numpy().reshape(-1, {', '.join(map(str, row))})"
    else:
        advice = f"{'drop columns that are not features' if found > wanted else 'columns are missing'}, or declare input {found}"
    told = f"{found} number{'s' * (found > 1)} a row, of the column{'s' * (len(columns) > 1)} {listed(names)}"
    raise DataError(f"x: {told}, where the net takes {show(row)}; {advice}")


def width(columns: Columns) -> int:
    """Numbers in a row once it is spread."""
    return sum(1 if column.categories is None else len(column.categories) for column in columns)


def from_metadata(found: Sequence[Any]) -> Columns:
    """The inverse of `as_metadata`. Raises DataError where the file holds something else."""
    try:
        return tuple(
            Column(
                str(one["name"]), None if one["categories"] is None else _distinct(one["categories"]), named=bool(one.get("named", True))
            )
            for one in found
        )
    except (TypeError, KeyError, AttributeError):
        raise DataError("its metadata does not tell the columns of a table") from None


def _distinct(texts: Any) -> tuple[str, ...]:
    if not isinstance(texts, list) or len(set(texts)) != len(texts) or not all(isinstance(text, str) for text in texts):
        raise TypeError
    return tuple(texts)
