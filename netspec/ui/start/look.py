"""What data holds: its rows, what their labels are, and which columns of a table a net can use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Column, Dataset
from netspec.base.errors import DataError, UsageError
from netspec.base.shape import Shape
from netspec.catalog.sources import csv as csv_source
from netspec.catalog.sources import parquet as parquet_source
from netspec.catalog.tables import choose, to_features, to_labels
from netspec.train.columns import FEW, require_categories, width
from netspec.train.labels import as_labels
from netspec.ui.start.places import Place, source_named

TABLES = {"csv": csv_source.open_table, "parquet": parquet_source.open_table}
LABEL_NAMES = ("target", "label", "labels", "class", "classes", "y")
"""Columns of these names hold the labels, wherever they stand."""
MOST_CLASSES = 20
"""Different whole numbers that are classes; more measure something, unless there are 50 rows and more of each."""
ROWS_A_CLASS = 50
LARGE_SIDE = 128
FAR = 10
"""Deviations from 0 beyond which a net spends its training on the mean."""
Kind = Literal["classes", "one_hot", "labels", "values"]


@dataclass(frozen=True)
class Found:
    """`kind` says what a row is labelled with: one of several classes, by name or as a one-hot row, several labels at a time, or numbers.
    `count` is how many."""

    place: Place
    shape: Shape
    rows: int
    kind: Kind
    count: int
    example: str
    """The labels in words: `cat, dog`, `35,000 to 755,000`."""
    scale: float = 1.0
    """Of values, how far they spread, or lie from 0."""
    offset: float = 0.0
    """What values lie around, where that is far beyond how they spread."""
    from_zero: bool = True
    """Whether the count of the classes says all: they are words, two, or the numbers 0, 1, ..."""
    has_test: bool = False
    is_bytes: bool = False
    target: str | None = None
    columns: tuple[Column, ...] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns that are no use, and why."""
    size: tuple[int, int] | None = None
    """What pictures are resized to."""

    @property
    def texts(self) -> list[str]:
        """Features of a table that hold text."""
        return [column.name for column in self.columns or () if column.categories is not None]


def look(place: Place, target: str | None) -> Found:
    """Reads the data. Raises DataError, LimitError as training would."""
    if place.source in TABLES:
        return _table(place, target)
    if target is not None:
        raise UsageError(f"--target {target}: {place.source} has no columns with names, as tables have (.csv, .parquet)")
    size = None
    try:
        dataset = _read(place, {})
    except DataError as error:
        if place.source != "images" or "to resize all of them write size" not in str(error):
            raise
        size = (32, 32)
        dataset = _read(place, {"size": size})
    if place.source == "images" and size is None and max(dataset.rows.x.shape[2:]) > LARGE_SIDE:
        size = (64, 64)
        dataset = _read(place, {"size": size})
    return replace(_of_dataset(place, dataset), size=size)


def _read(place: Place, more: dict[str, Any]) -> Dataset:
    keys = {**{key: value for key, value in place.keys.items() if key != "path"}, **more}
    return source_named(place.source).read(place.path, keys, place.folders)


def _of_dataset(place: Place, dataset: Dataset) -> Found:
    x = dataset.rows.x
    name = place.keys.get("path", place.keys.get("y", place.source))
    y = as_labels(dataset.rows.y, f"{name}: y")
    kind, count, example, scale = _labels(y, dataset.labels, name)
    offset = _offset(y) if kind == "values" and count == 1 else 0.0
    return Found(
        place, x.shape[1:], len(x), kind, count, example, scale, offset, _from_zero(y, kind, count),
        has_test=dataset.test is not None, is_bytes=x.dtype == np.uint8,
        target=dataset.target_column,
    )  # fmt: skip


def _table(place: Place, target: str | None) -> Found:
    assert place.path is not None, "a table lies in a file"
    shown = place.keys["path"]

    def every(names: Sequence[str], index: Collection[str]) -> Sequence[str]:
        chosen, features = choose(shown, names, target or _label_column(names), None, index)
        return (chosen, *features)

    table = replace(TABLES[place.source](place.path, every), path=shown)
    own, *names = table.columns
    labels = to_labels(table, own)
    x, columns = to_features(table, names)
    left_out = {column.name: why for column, cells in zip(columns, x.T, strict=True) if (why := _useless(column, cells, shown))}
    kept = tuple(column for column in columns if column.name not in left_out)
    if not kept:
        reasons = "; ".join(f"{name} {why}" for name, why in left_out.items())
        raise DataError(f"{shown}: no column is left to learn {own} from: {reasons}")
    kind, count, example, scale = _labels(labels, None, f"{shown}: column {own}")
    offset = _offset(labels) if kind == "values" else 0.0
    return Found(
        place,
        (width(kept),),
        len(x),
        kind,
        count,
        example,
        scale,
        offset,
        _from_zero(labels, kind, count),
        target=own,
        columns=kept,
        left_out=left_out,
    )


def _label_column(names: Sequence[str]) -> str | None:
    found = [name for name in names if name.lower() in LABEL_NAMES]
    return found[0] if len(found) == 1 else None


def _useless(column: Column, cells: NDArray[np.float64], name: str) -> str:
    """Why nothing is learnt from a column; empty where something may be. Raises DataError for cells that are a fault of the file."""
    if len(cells) > 1 and (cells == cells[0]).all():
        return "is the same in every row"
    if column.categories is None:
        return "counts the rows" if len(cells) >= FEW and (np.diff(cells) == 1).all() else ""
    texts = len(column.categories)
    require_categories((column,), 2 * texts + 2, name)
    return f"holds {texts} different texts in {len(cells)} rows" if texts > max(FEW, len(cells) / 2) else ""


def _labels(y: NDArray[Any], words: Sequence[str] | None, name: str) -> tuple[Kind, int, str, float]:
    """(what the labels are, how many there are, in words, how far values spread). Raises DataError where no net can have them."""
    if words is not None:
        return "classes", len(words), _listed(list(words)), 1.0
    if y.ndim > 2:
        raise DataError(f"{name}: labels of shape {y.shape}: init writes nets for one label a row, or a row of numbers")
    if y.ndim == 2 and y.shape[1] > 1:
        return _rows_of_labels(y)
    flat = y.reshape(-1)
    found = np.unique(flat)
    if flat.dtype.kind in "fc" and not np.isfinite(flat).all():
        row = int(np.flatnonzero(~np.isfinite(flat))[0])
        raise DataError(f"{name}: the label in row {row} (rows count from 0) is {flat[row]}; fill it in, or leave the row out")
    if len(found) < 2:
        raise DataError(f"{name}: every label is {found[0]}; two different ones are needed to learn from")
    if _are_classes(flat, found):
        return "classes", len(found), _listed([str(one) for one in found.tolist()]), 1.0
    return "values", 1, f"{_number(flat.min())} to {_number(flat.max())}", _scale(flat)


def _rows_of_labels(y: NDArray[Any]) -> tuple[Kind, int, str, float]:
    count = y.shape[1]
    if np.isin(y, (0, 1)).all():
        if (y.sum(axis=1) == 1).all():
            return "one_hot", count, f"{count} classes as one-hot rows", 1.0
        if count > 2:
            return "labels", count, f"{count} labels of 0 and 1 a row", 1.0
    return "values", count, f"{count} numbers a row", _scale(y)


def _are_classes(flat: NDArray[Any], found: NDArray[Any]) -> bool:
    """Text, and few different whole numbers; negative ones where there are two."""
    if flat.dtype.kind in "Ub":
        return True
    if not (flat == np.floor(flat)).all() or (len(found) > 2 and found[0] < 0):
        return False
    few = len(found) <= MOST_CLASSES or len(flat) >= ROWS_A_CLASS * len(found)
    return len(found) == 2 or (few and found[-1] <= 10 * len(found) and len(flat) >= 2 * len(found))


def _from_zero(y: NDArray[Any], kind: Kind, count: int) -> bool:
    return kind != "classes" or count == 2 or y.dtype.kind not in "iuf" or bool((np.unique(y) == np.arange(count)).all())


def _scale(values: NDArray[Any]) -> float:
    numbers = np.asarray(values, np.float64)
    return float(max(numbers.std(axis=0).max(), abs(numbers.mean(axis=0)).max() / 3))


def _offset(values: NDArray[Any]) -> float:
    numbers = np.asarray(values, np.float64)
    middle = float(numbers.mean())
    return float(f"{middle:.1e}") if abs(middle) > FAR * numbers.std() else 0.0


def _number(value: Any) -> str:
    return f"{float(value):,.6g}" if abs(float(value)) < 1e6 else f"{float(value):,.0f}"


def _listed(words: Sequence[str], most: int = 10) -> str:
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")
