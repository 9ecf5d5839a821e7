"""Tables of named columns: which column is the label, which are features, and what a cell may hold.

Columns come as pyarrow arrays. A column of text is a column of numbers where every cell that is not a word for "missing" is a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Column, Dataset, Rows
from netspec.base.errors import DataError, Problem
from netspec.base.extras import library

MISSING = ("", "?", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "none")
"""Cells without a value, among numbers. In a column of text only an empty cell is one: NA may be a country."""
NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
DECIMAL_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+([eE][+-]?\d+)?$"
LARGE_INTEGER = re.compile(r"([+-]?)0*([0-9]{16,309})")
MOST_NAMES = 20
"""Names that a message lists."""
LONGEST_NAME = 60


@dataclass(frozen=True)
class Table:
    """Columns by name, pyarrow ChunkedArrays of one length. `place` says where a row (from 0) stands in the file: `line 7`."""

    path: str
    columns: Mapping[str, Any]
    place: Callable[[int], str]

    def cell(self, row: int, column: str) -> str:
        """`d.csv: line 7, column age`."""
        return f"{self.path}: {self.place(row)}, column {column}"


def listed(names: Sequence[str]) -> str:
    """Names or texts for a message, the first of many."""
    return ", ".join(map(cut, names[:MOST_NAMES])) + (", ..." if len(names) > MOST_NAMES else "")


def cut(text: str) -> str:
    """A text for a message, the beginning of a long one."""
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def repeated(names: Sequence[str]) -> tuple[int, int] | None:
    """The places of the first name that was there before."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if places.setdefault(name, place) != place:
            return places[name], place
    return None


def choose(
    path: str, names: Sequence[str], target: str | None, features: Sequence[str] | None, index: Collection[str] = ()
) -> tuple[str, tuple[str, ...]]:
    """(target, features) among a file's columns: the last column and all others, where a spec does not say. Those of `index`, which
    number the rows, are taken only by name.

    Raises DataError for a column that is not there (with the nearest name), one given twice, and a target among the features.
    """
    require_columns(path, names, (*([target] if target is not None else []), *(features or ())))
    ordinary = [name for name in names if name not in index]
    if target is None and not ordinary:
        raise DataError(f"{path}: has no columns{' but an index' if names else ''}; a table needs a target and features")
    chosen = ordinary[-1] if target is None else target
    if features is None:
        features = [name for name in ordinary if name != chosen]
    twice = repeated(features)
    if twice:
        raise DataError(f"{path}: features lists {features[twice[0]]} twice")
    if chosen in features:
        default = " (the last column, as no target is given)" if target is None else ""
        raise DataError(f"{path}: {chosen} is the target{default} and among the features: a net would read its own answer")
    if not features:
        raise DataError(f"{path}: {chosen} is the only column; a table needs features beside its target")
    return chosen, tuple(features)


def choose_by_key(
    path: str, names: Sequence[str], target: str | None, features: Sequence[str] | None
) -> tuple[str, tuple[str, ...]]:  # fmt: skip
    """`choose`, whose errors are Problem W601 with the key at fault, "data.target" or "data.features", as `argument`."""
    try:
        require_columns(path, names, [target] if target is not None else [])
    except DataError as error:
        raise Problem("W601", str(error), argument="data.target") from None
    try:
        return choose(path, names, target, features)
    except DataError as error:
        raise Problem("W601", str(error), argument="data.path" if features is None else "data.features") from None


def require_points(cells: Sequence[str], name: str, place: Callable[[int], str]) -> None:
    """Raises DataError where a column of text holds numbers alone, some of them with a decimal comma. `place` says where a row stands."""
    filled = [(row, cell) for row, cell in enumerate(cells) if cell not in MISSING]
    commas = [(row, cell) for row, cell in filled if re.match(DECIMAL_COMMA, cell, re.ASCII)]
    points = sum(1 for _, cell in filled if re.match(NUMBER, cell, re.ASCII))
    if not commas or len(commas) + points < len(filled):
        return
    row, cell = commas[0]
    whole, _, rest = cell.replace(".", "").partition(",")
    raise DataError(
        f"{place(row)}, column {name}: {cell} has a decimal comma; write {whole}.{rest}, and so in all of the file "
        "(pandas: read_csv(..., decimal=',') and to_csv)"
    )


def to_dataset(table: Table, target: str, features: Sequence[str]) -> Dataset:
    """Features (N, D) float64, labels (N,): int64 where all are whole numbers, float64 for numbers, else text.

    Raises DataError naming file, row and column for a cell without a value or one that is not finite, and for a constant feature.
    """
    y = to_labels(table, target)
    if len(y) == 0:
        raise DataError(f"{table.path}: has no rows")
    x = np.empty((len(y), len(features)))
    columns = []
    for place, name in enumerate(features):
        column, x[:, place] = _feature(table, name)
        columns.append(column)
        if len(y) > 1 and (x[:, place] == x[0, place]).all():
            raise DataError(_constant(table, column, x[0, place], features))
    found = Dataset(Rows(x, y), origin=table.path, columns=tuple(columns), place=table.place)
    return replace(found, target=f"column {target}", target_column=target)


def to_features(table: Table, features: Sequence[str], texts: Collection[str] = ()) -> tuple[NDArray[np.float64], tuple[Column, ...]]:
    """Features (N, D) without labels, as in `to_dataset`; a constant column is none the worse here. The columns `texts` are known to hold
    text, whatever their cells look like. Raises DataError."""
    if len(next(iter(table.columns.values()))) == 0:
        raise DataError(f"{table.path}: has no rows")
    found = [_feature(table, name, name in texts) for name in features]
    return np.stack([numbers for _, numbers in found], axis=1), tuple(column for column, _ in found)


def require_columns(path: str, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises DataError where a column is not there, with the nearest name."""
    there = set(names)
    for name in wanted:
        if name not in there:
            near = get_close_matches(name, names, n=1, cutoff=0.65)
            hint = f"did you mean {near[0]}? " if near else ""
            raise DataError(f"{path}: has no column {name}; {hint}{'It' if near else 'it'} has {listed(names) or 'no columns'}")


def _feature(table: Table, name: str, text: bool = False) -> tuple[Column, NDArray[np.float64]]:
    found = None if text else _numbers(table, name)
    if found is not None:
        return Column(name), found
    compute = library("pyarrow.compute", "data")
    words, column = _words(table, name), _as_text(table, name)
    odd = compute.index(compute.match_substring_regex(column, NUMBER), False).as_py()
    first = f"{table.place(max(0, odd))} holds {column[max(0, odd)].as_py()!r}"
    categories, numbers = np.unique(words, return_inverse=True)
    if not text:
        _require_points(table, name, words)
    return Column(name, tuple(categories.tolist()), first), numbers.astype(np.float64)


def to_labels(table: Table, name: str, text: bool = False) -> NDArray[Any]:
    """Labels (N,) as in `to_dataset`; text, if it is known to be such, whatever the cells look like. Raises DataError."""
    found = None if text else _numbers(table, name)
    if found is None:
        words = _words(table, name)
        if not text:
            _require_points(table, name, words)
        return words
    whole = len(found) and (found == np.floor(found)).all() and np.abs(found).max() < 2.0**53
    return found.astype(np.int64) if whole else found


def _require_points(table: Table, name: str, words: NDArray[np.str_]) -> None:
    found = list(dict.fromkeys(words.tolist()))
    require_points(found, name, lambda place: f"{table.path}: {table.place(int(np.flatnonzero(words == found[place])[0]))}")


def _numbers(table: Table, name: str) -> NDArray[np.float64] | None:
    """A column as float64; None where it holds text. Raises DataError at the first cell that has no value, or none that is finite."""
    arrow, compute = library("pyarrow", "data"), library("pyarrow.compute", "data")
    column = table.columns[name]
    if arrow.types.is_string(column.type):
        absent = compute.is_in(column, value_set=arrow.array(MISSING))
        present = compute.if_else(absent, arrow.scalar(None, arrow.string()), column)
        try:
            values = compute.cast(present, arrow.float64())
        except arrow.ArrowInvalid:
            return None
    else:
        values = compute.cast(column, arrow.float64(), safe=False)
    _require_values(table, name, compute.is_null(values))
    numbers: NDArray[np.float64] = values.to_numpy()
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        value = "NaN" if np.isnan(numbers[wrong[0]]) else "infinite, or too large for a float64"
        raise DataError(f"{table.cell(int(wrong[0]), name)}: the value is {value}; remove the row or fill the value in")
    _require_exact(table, name, numbers)
    return numbers


def _as_text(table: Table, name: str) -> Any:
    arrow, compute = library("pyarrow", "data"), library("pyarrow.compute", "data")
    return compute.cast(table.columns[name], arrow.string())


def _require_exact(table: Table, name: str, numbers: NDArray[np.float64]) -> None:
    """Raises DataError at the first integer that its float64 is another than: beyond 2**53 two of them may become one."""
    arrow, column = library("pyarrow", "data"), table.columns[name]
    large = np.flatnonzero(np.abs(numbers) >= 2.0**53)
    if len(large) == 0 or arrow.types.is_floating(column.type):
        return
    for row, cell in zip(large, column.take(arrow.array(large)).to_pylist(), strict=True):
        whole = LARGE_INTEGER.fullmatch(str(cell))
        if whole and int(whole[1] + whole[2]) != int(numbers[row]):
            advice = "subtract a constant from the column, put a letter before each to make them texts, or leave the column out"
            raise DataError(f"{table.cell(int(row), name)}: {cell} is too large an integer to be told from its neighbours; {advice}")


def _words(table: Table, name: str) -> NDArray[np.str_]:
    compute = library("pyarrow.compute", "data")
    column = _as_text(table, name)
    _require_values(table, name, compute.or_kleene(compute.is_null(column), compute.equal(column, "")))
    encoded = column.combine_chunks().dictionary_encode()
    texts: NDArray[np.str_] = np.asarray(encoded.dictionary.to_pylist(), np.str_)
    chosen: NDArray[np.str_] = texts[encoded.indices.to_numpy()]
    return chosen


def _require_values(table: Table, name: str, absent: Any) -> None:
    compute = library("pyarrow.compute", "data")
    count = compute.sum(absent).as_py() or 0
    if count == 0:
        return
    if count == len(absent):
        raise DataError(f"{table.path}: column {name} has no value in any of its {count} rows; leave it out of features")
    row = compute.index(absent, True).as_py()
    cell = table.columns[name][row].as_py()
    held = "is empty" if cell in (None, "") else f"holds {cell!r}"
    more = f" ({count} rows of this column have none)" if count > 1 else ""
    raise DataError(f"{table.cell(row, name)}: no value, the cell {held}{more}; fill it in, or leave the row or the column out")


def _constant(table: Table, column: Column, value: float, features: Sequence[str]) -> str:
    shown = repr(column.categories[0]) if column.categories else f"{value:g}"
    others = [name for name in features if name != column.name]
    advice = f"; leave it out: features = {listed(others)}" if others else ""
    return f"{table.path}: column {column.name} is constant, {shown} in every row, so nothing can be learnt from it{advice}"
