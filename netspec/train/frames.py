"""Tables and single columns in memory, whatever library holds them, as NumPy's arrays.

pandas, polars, pyarrow and NumPy's records are asked by the methods that their tables have, without importing them; other tables by the
stream that Arrow's PyCapsule interface gives, which pyarrow reads:
https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html. Numbers never become Python's objects on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError
from netspec.base.extras import library
from netspec.catalog.tables import cut, repeated, require_columns
from netspec.train.finite import require_finite

PIECE_ROWS = 4096
"""Rows that are put side by side at a time, so that a cache line is written while it is there."""
WIDE_INTEGERS = ("Int128", "UInt128")
"""Of polars, which NumPy has not."""
ONE_HOT = "where it is a category write transforms = one_hot into the text: data { transforms = one_hot, per_feature }"
MAKE_A_TABLE = "make a table of it, such as pandas.DataFrame(x) or polars.DataFrame(x)"
DATES = "holds dates or times ({}); make numbers of them first, such as the days since a date, the month or the weekday"
NESTED = "holds several values in a row ({}); give each a column of its own, or the column alone as an array: numpy.stack(frame[{!r}])"
SEVERAL = (list, tuple, dict, set, np.ndarray)
COMPLEX = "holds complex numbers; give their real and imaginary parts as columns of their own"
BYTES = "holds bytes; decode them to text first"


@dataclass(frozen=True)
class Cells:
    """A column: `values` (rows,) are numbers, dates, or Python's objects such as texts; `kind` is what its library calls them, `missing`
    the first row without a value, as far as the library tells. `categorical` are those that are declared to be categories."""

    values: NDArray[Any]
    kind: str
    missing: int | None = None
    categorical: bool = False


@dataclass(frozen=True)
class Frame:
    """A table: its columns in their order, each read when it is asked for by its place. `block` gives all of them as one array, where the
    library holds them so."""

    names: tuple[str, ...]
    rows: int
    cells: Callable[[int], Cells]
    block: Callable[[], NDArray[Any]] | None = None

    def __len__(self) -> int:
        return self.rows

    def take(self, wanted: Sequence[str]) -> Frame:
        """These columns alone, in this order."""
        if tuple(wanted) == self.names:
            return self
        own = {name: place for place, name in enumerate(self.names)}
        places = [own[name] for name in wanted]
        return Frame(tuple(wanted), self.rows, lambda place: self.cells(places[place]))


def rows_of(x: Any, name: str = "x") -> Any:
    """A table in memory as a Frame; arrays, lists and what else is none, as they are. Raises DataError for a table that is lazy or grouped,
    has no columns or two of a name, and for a single column."""
    objects = isinstance(x, (list, tuple)) or (isinstance(x, np.ndarray) and x.dtype.kind == "O" and x.ndim == 1)
    if objects and len(x) and isinstance(x[0], Mapping):
        raise DataError(f"{name}: its rows are {type(x[0]).__name__}s; {MAKE_A_TABLE}")
    if isinstance(x, (Frame, list, tuple)) or hasattr(x, "toarray"):  # sparse matrices, of which some are mappings
        return x
    if isinstance(x, np.ndarray):
        return _of_records(x) if x.dtype.names and x.ndim == 1 else x
    if isinstance(x, Mapping):
        raise DataError(f"{name}: a {type(x).__name__}; {MAKE_A_TABLE}")
    if hasattr(x, "collect") and hasattr(x, "lazy"):
        raise DataError(f"{name}: a lazy table has no rows yet: call .collect() first")
    if "GroupBy" in type(x).__name__:
        raise DataError(f"{name}: {type(x).__name__} is a table in groups, which has no rows yet: aggregate it first, such as by .mean()")
    reader = _reader(x)
    if reader is not None:
        one = "table.select(['a'])" if reader is _of_arrow else "frame[['a']]"
        raise DataError(f"{name}: a {type(x).__name__}, where a table is needed: {one} is one of a single column, and [:1] of a single row")
    frame = _frame_of(x)
    if frame is None:
        return x
    if not frame.names:
        raise DataError(f"{name}: the table has no columns")
    twice = repeated(frame.names)
    if twice:
        raise DataError(f"{name}: two columns are named {frame.names[twice[0]]}; rename one of them")
    return frame


def _frame_of(x: Any) -> Frame | None:
    if hasattr(x, "iloc") and hasattr(x, "columns"):  # pandas
        kinds = set(x.dtypes)
        whole = len(kinds) == 1 and isinstance(kind := kinds.pop(), np.dtype) and kind.kind in "buif"
        names, block = tuple(map(str, x.columns)), (lambda: np.asarray(x)) if whole else None
        return Frame(names, len(x), lambda place: _of_pandas(x.iloc[:, place]), block)
    if hasattr(x, "to_series") and hasattr(x, "height"):  # polars
        return Frame(tuple(x.columns), x.height, lambda place: _of_polars(x.to_series(place)))
    if not hasattr(x, "column_names") and hasattr(x, "__arrow_c_stream__"):
        x = library("pyarrow", "data").table(x)
    if hasattr(x, "column_names") and hasattr(x, "column"):  # pyarrow
        return Frame(tuple(x.column_names), x.num_rows, lambda place: _of_arrow(x.column(place)))
    return None


def _of_records(x: NDArray[Any]) -> Frame:
    names = x.dtype.names or ()
    return Frame(names, len(x), lambda place: Cells(x[names[place]], str(x.dtype[place])))


def _reader(column: Any) -> Callable[[Any], Cells] | None:
    """How a column of pandas, polars or pyarrow is read; None for what is none."""
    if hasattr(column, "iloc") and not hasattr(column, "columns"):
        return _of_pandas
    if hasattr(column, "null_count") and not hasattr(column, "collect") and not hasattr(column, "columns"):
        return _of_arrow if hasattr(column, "type") else _of_polars
    return None


def _of_pandas(series: Any) -> Cells:
    kind, absent = series.dtype, None
    if not (isinstance(kind, np.dtype) and kind.kind in "buif"):
        absent = _first(series.isna())
    return Cells(np.asarray(series), str(kind), absent, hasattr(kind, "categories"))


def _of_polars(series: Any) -> Cells:
    kind = type(series.dtype).__name__
    values = np.array(series.to_list(), object) if kind in WIDE_INTEGERS else series.to_numpy()
    absent = _first(series.is_null()) if series.null_count() else None
    return Cells(values, str(series.dtype), absent, kind in ("Categorical", "Enum"))


def _of_arrow(column: Any) -> Cells:
    absent = _first(column.is_null()) if column.null_count else None
    return Cells(np.asarray(column), str(column.type), absent, hasattr(column.type, "index_type"))


def _first(where: Any) -> int | None:
    rows = np.flatnonzero(np.asarray(where))
    return int(rows[0]) if len(rows) else None


# what is made of them


def numbers_of(frame: Frame, name: str = "x", for_text: str = ONE_HOT) -> NDArray[Any]:
    """All columns as one array (rows, columns) of a dtype that holds each. Raises DataError naming row and column for what is no finite
    number; `for_text` is what it advises for texts."""
    if frame.block is not None:
        array = frame.block()
    else:
        columns = [numbers_in(frame.cells(place), column, name, for_text) for place, column in enumerate(frame.names)]
        array = side_by_side(columns)
    require_finite(array, name, frame.names)
    return array


def side_by_side(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Columns (rows,) as one array in C order."""
    rows = len(columns[0])
    array = np.empty((rows, len(columns)), np.result_type(*(column.dtype for column in columns)))
    for start in range(0, rows, PIECE_ROWS):
        for place, column in enumerate(columns):
            array[start : start + PIECE_ROWS, place] = column[start : start + PIECE_ROWS]
    return array


def numbers_in(cells: Cells, column: str, name: str, for_text: str = ONE_HOT) -> NDArray[Any]:
    """The column as numbers in the dtype that it has; texts that are numbers as float64. Raises DataError for others."""
    require_present(cells, column, name)
    require_plain(cells, column, name)
    if cells.values.dtype.kind in "buif":
        return cells.values
    try:
        return cells.values.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    row, cell = next((one for one in enumerate(cells.values.tolist()) if not is_number(one[1])), (0, cells.values[0]))
    raise DataError(f"{name}: row {row}, {column} {no_number(cell, for_text)}")


def is_number(cell: Any) -> bool:
    """Whether Python makes a number of it."""
    try:
        float(cell)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def require_present(cells: Cells, column: str, name: str) -> None:
    """Raises DataError where the library tells of a cell without a value."""
    if cells.missing is not None:
        cell = cells.values[cells.missing]
        raise DataError(f"{name}: row {cells.missing}, {column} {no_value('null' if isinstance(cell, np.generic) else repr(cell))}")


def require_plain(cells: Cells, column: str, name: str) -> None:
    """Raises DataError where a column holds dates, bytes, complex numbers, or several values in a row."""
    found = _unfit(cells, column)
    if found is not None:
        raise DataError(f"{name}: column {column} {found}")


def _unfit(cells: Cells, column: str) -> str | None:
    kind = cells.values.dtype.kind
    first = cells.values.flat[0] if kind == "O" and cells.values.size else None
    if kind in "mM" or isinstance(first, (date, time, timedelta)):
        return DATES.format(cells.kind)
    if cells.values.ndim != 1 or isinstance(first, SEVERAL):
        return NESTED.format(cells.kind, column)
    if kind == "c" or isinstance(first, complex):
        return COMPLEX
    return BYTES if kind == "S" or isinstance(first, bytes) else None


def no_number(cell: Any, for_text: str = ONE_HOT) -> str:
    """What a message says of a cell that is no number: what it holds and what to do."""
    if is_missing(cell):
        return no_value(repr(cell))
    return f"holds {cut(repr(cell))}, which is no number" + (f"; {for_text}" if isinstance(cell, str) else "")


def no_value(shown: str) -> str:
    """What a message says of a cell that is empty."""
    return f"holds {shown}, no value (rows count from 0); fill it in, or leave the row or the column out"


def is_missing(cell: Any) -> bool:
    """None, an empty text, NaN, NaT, and pandas' NA, which compares with nothing."""
    try:
        return cell is None or bool(cell == "") or bool(cell != cell)
    except (TypeError, ValueError):
        return True


# labels


def labels_of(y: Any, name: str = "y") -> Any:
    """A column of labels, or a table of them, as an array: (N,) of one column, (N, K) of more; arrays, lists and what else is no column, as
    they are. Raises DataError for a label that is missing."""
    reader = None if isinstance(y, (np.ndarray, list, tuple)) else _reader(y)
    if reader is not None:
        return _labels_in(reader(y), "y", name)
    table = rows_of(y, name)
    if not isinstance(table, Frame):
        return y
    columns = [_labels_in(table.cells(place), column, name) for place, column in enumerate(table.names)]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=1)


def _labels_in(cells: Cells, column: str, name: str) -> NDArray[Any]:
    if cells.missing is not None:
        raise DataError(f"{name}: the label in row {cells.missing} is missing (rows count from 0); fill it in, or leave the row out")
    found = _unfit(cells, column)
    if found is not None and cells.values.dtype.kind != "S":
        raise DataError(f"{name}: {found}")
    return cells.values


def require_apart(x: Frame, y: Any) -> None:
    """Raises DataError where the column of labels is one of the table, by its name and its values."""
    reader, told = _reader(y), str(getattr(y, "name", None))
    if reader is None or told not in x.names or not np.array_equal(reader(y).values, x.cells(x.names.index(told)).values):
        return
    raise DataError(f"x: {told} is y and among the columns of x: a net would read its own answer; give y as {told!r}, or leave it out of x")


def separated(x: Any, y: Any, name: str = "") -> tuple[Any, Any]:
    """Rows and labels, a table as a Frame; where `y` is the name of a column of the table, that column and the rest. `name` opens every
    message. Raises DataError where x has no such column, or no other."""
    rows = rows_of(x, f"{name}x")
    if not isinstance(y, str):
        return rows, y
    if not isinstance(rows, Frame):
        raise DataError(f"{name}y = {y!r} names a column, and x is no table that has columns with names; give one label for each row")
    require_columns(f"{name}x", rows.names, [y])
    rest = [column for column in rows.names if column != y]
    if not rest:
        raise DataError(f"{name}x: {y} is the only column; a table needs features beside its target")
    return rows.take(rest), _labels_in(rows.cells(rows.names.index(y)), y, f"{name}column {y}")
