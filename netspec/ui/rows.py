"""Rows that the command line names: arrays, tables by the names of their columns, pictures."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError, rows_told_by
from netspec.base.shape import Shape, show, size
from netspec.catalog.arrays import as_rows, load_npy, load_npz, require_file
from netspec.catalog.sources import csv as csv_source
from netspec.catalog.sources import parquet as parquet_source
from netspec.catalog.sources.images import SUFFIXES, ImageFolders, pictures
from netspec.catalog.tables import NUMBER, Table, cut, listed, require_columns, to_features, to_labels
from netspec.model import Model
from netspec.train.columns import Columns, spread
from netspec.train.data import Part
from netspec.ui.given import array_names

TABLES = {".csv": csv_source.open_table, ".parquet": parquet_source.open_table}


@dataclass(frozen=True)
class Inputs:
    """Rows x (N, ...) as the data had them; `files` are the names of pictures."""

    x: NDArray[Any]
    files: Sequence[str] | None = None


def read_inputs(model: Model, path: Path) -> Inputs:
    """Rows from an .npy file, from an .npz (the array that the run's data section names, else x), from a table by the names of the columns
    that the net was trained with, from a .csv of numbers, or pictures from a file, folder or zip. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    shape = model.graph.input.shape
    if path.is_dir() or path.suffix.lower() in (".zip", *SUFFIXES):
        return Inputs(*pictures(path, _picture_shape(model, path)))
    if model.columns is not None and path.suffix.lower() in TABLES:
        return Inputs(table_rows(path, _named(model, path)))
    match path.suffix.lower():
        case ".npy":
            x = load_npy(path)
        case ".npz":
            name = array_names(path, model.program.data)[0]
            x = load_npz(path, [name], advice=f"store the rows as {name}, or in an .npy file")[0]
        case ".csv":
            x = read_csv(path, shape)
        case _:
            tables = "; a .parquet file needs a net whose columns have names" if path.suffix.lower() == ".parquet" else ""
            kinds = f"rows are read from .npy, .npz (array x) and .csv files, pictures from {', '.join(SUFFIXES)}, folders and .zip"
            raise DataError(f"{path}: {kinds}{tables}")
    return Inputs(x[np.newaxis] if x.shape == shape else x)


def read_part(model: Model, path: Path) -> Part:
    """Rows with their labels, encoded: an .npz with both, a table with the target's column, or a folder or zip of pictures with a folder
    for each class. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_dir() or path.suffix.lower() == ".zip":
        channels, *sides = _picture_shape(model, path)
        found = ImageFolders().read(path, {"size": tuple(sides), "channels": channels}, ())
        rows = found.rows if found.test is None else found.test
        return model.part(rows.x, np.asarray(found.labels)[rows.y])
    if path.suffix.lower() in TABLES:
        return _table_part(model, path)
    names = array_names(path, model.program.data)
    if path.suffix.lower() != ".npz":
        raise DataError(
            f"{path}: rows with labels are read from an .npz file with the arrays {names[0]} and {names[1]}, from .csv and .parquet files, "
            "and from folders and zips of pictures"
        )
    x, y = load_npz(path, names, advice=f"store inputs as {names[0]} and labels as {names[1]}")
    given = as_rows(x, y, f"{path}: array {names[0]}", f"{path}: array {names[1]}")
    return model.part(given.x, given.y)


def table_rows(path: Path, columns: Columns) -> NDArray[Any]:
    """Rows (N, D) of a table, as a net takes them that was trained with these columns."""
    names = [column.name for column in columns]

    def chosen(there: Sequence[str], _index: Collection[str]) -> Sequence[str]:
        require_columns(str(path), there, names)
        return names

    return _spread(TABLES[path.suffix.lower()](path, chosen), columns)


def _table_part(model: Model, path: Path) -> Part:
    columns = _named(model, path)
    names = [column.name for column in columns]

    def chosen(there: Sequence[str], _index: Collection[str]) -> Sequence[str]:
        target = model.origin.target if model.origin is not None else None
        others = [name for name in there if name not in names]
        if target is None and len(others) != 1:
            raise DataError(f"{path}: which column holds the labels? Beside the net's columns there is {listed(others) or 'none'}")
        target = others[0] if target is None else target
        require_columns(str(path), there, [target, *names])
        return (target, *names)

    table = TABLES[path.suffix.lower()](path, chosen)
    target = next(iter(table.columns))
    with rows_told_by(table.place):
        return model.part(_spread(table, columns), to_labels(table, target, text=model.has_text_labels), f"{path}: column {target}")


def _named(model: Model, path: Path) -> Columns:
    """The columns that the net was trained with. Raises DataError where they have no names."""
    columns = model.columns
    if columns is None or not all(column.named for column in columns):
        raise DataError(f"{path}: the net was not trained on a table, so its columns have no names; give an .npz file")
    return columns


def _spread(table: Table, columns: Columns) -> NDArray[np.float64]:
    texts = [column.name for column in columns if column.categories is not None]
    x, found = to_features(table, [column.name for column in columns], texts)
    return spread(x, found, columns, table.path, table.place)


def _picture_shape(model: Model, path: Path) -> Shape:
    """(C, H, W) of the pictures that the net takes, also where they become vectors first. Raises DataError."""
    shape, section = model.graph.input.shape, model.program.data
    if len(shape) == 3:
        return shape
    row = tuple(model.origin.row) if model.origin is not None else ()
    if len(row) == 3:
        return row if section is None or section.size is None else (row[0], *section.size)
    raise DataError(f"{path}: the net takes rows of {show(shape)} numbers, no pictures")


def read_csv(path: Path, shape: Shape) -> NDArray[np.float64]:
    """Numbers in rows of as many columns as an input has elements. Raises DataError naming row and column, from 1, LimitError."""
    require_file(path)
    wanted = size(shape)
    rows: list[NDArray[np.float64]] = []
    try:
        for place, (line, cells, _) in enumerate(one for one in csv_source.records(path, ",") if one[1]):
            if place > 0 or any(map(_may_be_number, cells)):
                rows.append(_numbers(path, line, cells, wanted))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not rows:
        raise DataError(f"{path}: no rows")
    return np.stack(rows).reshape(-1, *shape)


def _numbers(path: Path, line: int, cells: Sequence[str], wanted: int) -> NDArray[np.float64]:
    if len(cells) != wanted:
        raise DataError(f"{path}: row {line} has {len(cells)} columns, and the net takes {wanted} numbers")
    for column, cell in enumerate(cells):
        if not re.fullmatch(NUMBER, cell.strip(), re.ASCII):
            raise DataError(f"{path}: row {line}, column {column + 1}: {cut(cell)!r} is not a number")
    return np.array(list(map(float, cells)))


def _may_be_number(cell: str) -> bool:
    """Python's notion, wider than that of tables: a first row of `nan` or `1_0` is no row of names to be passed over."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
