"""From a data set or arrays to what training reads: checked rows, encoded labels, seeded splits, statistics of the training part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.ma import is_masked
from numpy.typing import NDArray

from netspec.base.dataset import Dataset, Facts, Rows
from netspec.base.errors import DataError, Problem, rows_told_by
from netspec.base.kinds import Target
from netspec.base.mapped import let_go, mapping_of
from netspec.base.shape import Shape, show, size
from netspec.base.transform import Transform
from netspec.catalog.arrays import check_inputs
from netspec.frontend.program import DataSection
from netspec.train.finite import require_finite
from netspec.train.frames import is_number, no_number
from netspec.train.labels import Words, as_labels, count_classes, encode_labels, learn_labels, require_two_classes
from netspec.train.normalize import Normalization, arranged, chunk_rows, fit_preparation
from netspec.train.split import part_sizes, split_rows


@dataclass(frozen=True)
class Part:
    """Some rows of arrays that hold more: nothing is copied. `index` lists them; None means all, in their order."""

    rows: Rows
    index: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.rows) if self.index is None else len(self.index)

    @property
    def x(self) -> NDArray[Any]:
        """The part's inputs: a copy, where it is not all rows."""
        return self.rows.x if self.index is None else self.rows.x[self.index]

    @property
    def y(self) -> NDArray[Any]:
        return self.rows.y if self.index is None else self.rows.y[self.index]

    def first(self, count: int) -> Part:
        """Its first rows."""
        index = np.arange(len(self.rows), dtype=np.int64) if self.index is None else self.index
        return Part(self.rows, index[:count])


@dataclass(frozen=True)
class Splits:
    """Rows ready for training: inputs raw (`normalization` is to be applied, by `as_input`), labels encoded (`encode_labels`).

    `labels` are the words of the class numbers, None where they are the numbers; `classes` their count, None for values;
    `fingerprint` is a SHA-256, in hexadecimal, of all the data as read; `unused` rows are those that the split leaves out.
    """

    train: Part
    validation: Part | None
    test: Part | None
    labels: Words | None
    normalization: Normalization | None
    fingerprint: str
    classes: int | None = None
    unused: int = 0

    def counts(self) -> dict[str, int]:
        """Rows of each part that there is, and the unused ones."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        counts = {name: len(part) for name, part in parts.items() if part is not None}
        return {**counts, **({"unused": self.unused} if self.unused else {})}


def prepare(
    dataset: Dataset, section: DataSection, target: Target, seed: int, *, classes: int | None = None, counted: bool = True,
    labels: Words | None = None, score_shape: Shape | None = None,
) -> Splits:  # fmt: skip
    """The splits that a data section asks for. An official test part is the test split, and a third part is then left unused.

    `target` is the head's; `classes` are `counted` where a person gave them, or a net that is built, not this data; `labels` the words that
    training learnt, else they are learnt here; `score_shape` the shape of one row of scores, for `value`. Raises DataError naming row and
    column, Problem NS601 where `classes` contradicts the data, NS604 where the split can never be.
    """
    name = section.path or (section.source.name if section.source is not None else "data")
    y_name = f"{name}: {dataset.target}"
    steps, raw = section.preparations, dataset.rows.x.shape[1:]
    x = arranged(dataset.rows.x, steps)
    with rows_told_by(dataset.place):
        y = as_labels(dataset.rows.y, y_name)
        if labels is None or dataset.labels is not None:
            labels = _known_labels(dataset, y, target, classes if counted else None, name)
        classes = classes if classes is not None else count_classes(y, labels, target, y_name)
        rows = check_rows(x, y, target, classes=classes, labels=labels, score_shape=score_shape, name=name, y_name=dataset.target)
    test = dataset.test and check_rows(
        arranged(dataset.test.x, steps),
        dataset.test.y,
        target,
        classes=classes,
        labels=labels,
        score_shape=score_shape,
        shape=rows.x.shape[1:],
        name=f"{name} (test)",
    )
    parts = _divide(rows, part_sizes(section.split, len(rows), name), seed, target)
    require_two_classes(parts[0].y, target, labels, y_name)
    return Splits(
        train=parts[0],
        validation=parts[1] if len(parts) > 1 else None,
        test=Part(test) if test else (parts[2] if len(parts) > 2 else None),
        labels=labels,
        normalization=fit_preparation(rows.x.reshape(-1, *raw), steps, parts[0].index),
        fingerprint=fingerprint(dataset),
        classes=classes,
        unused=len(rows) - sum(len(part) for part in (parts[:2] if test else parts)),
    )


def prepare_arrays(
    x: Any,
    y: Any,
    target: Target,
    *,
    validation: tuple[Any, Any] | float | None = None,
    steps: Sequence[Transform] = (),
    seed: int = 0,
    shape: Shape | None = None,
    classes: int | None = None,
    counted: bool = True,
    labels: Words | None = None,
    score_shape: Shape | None = None,
) -> Splits:
    """The splits of arrays given from Python. Without a fraction as `validation` all rows are training rows, in their order.

    `shape` is what the net takes, `steps` what rows are prepared by; `labels` the words learnt by an earlier fit, else they are learnt
    here; `counted` and what is raised as in `prepare`.
    """
    array, x, raw = as_labels(y, "y"), arranged(x, steps), np.shape(x)[1:]
    labels = labels if labels is not None else learn_labels(array, target, classes if counted else None, "y")
    classes = classes if classes is not None else count_classes(array, labels, target, "y")
    rows = check_rows(x, array, target, classes=classes, labels=labels, score_shape=score_shape, shape=shape)
    train, held = Part(rows), None
    if isinstance(validation, (int, float)) and not isinstance(validation, bool):
        train, held = _hold_out(rows, float(validation), seed, target)
    elif validation is not None:
        xv, yv = _pair(validation)
        xv = arranged(xv, steps)
        shape = rows.x.shape[1:]
        given = check_rows(xv, yv, target, classes=classes, labels=labels, score_shape=score_shape, shape=shape, name="validation")
        held = Part(given)
    require_two_classes(train.y, target, labels)
    mark = fingerprint(Dataset(rows, test=held.rows if held is not None and held.rows is not rows else None))
    return Splits(train, held, None, labels, fit_preparation(train.rows.x.reshape(-1, *raw), steps, train.index), mark, classes)


def check_rows(
    x: Any,
    y: Any,
    target: Target,
    *,
    classes: int | None = None,
    labels: Words | None = None,
    shape: Shape | None = None,
    score_shape: Shape | None = None,
    name: str = "",
    y_name: str = "y",
) -> Rows:
    """Inputs as an array of finite numbers, and labels encoded. `shape` is that of a row, if it is known; `name` opens every message, and
    `y_name` is what messages call the labels."""
    prefix = f"{name}: " if name else ""
    inputs = check_x(x, shape, f"{prefix}x")
    given = as_labels(y, f"{prefix}{y_name}")
    if len(inputs) != len(given):
        raise DataError(f"{prefix}x has {len(inputs)} rows and y has {len(given)}; each row needs one label")
    return Rows(inputs, encode_labels(given, target, classes, labels, score_shape=score_shape, name=f"{prefix}{y_name}"))


def check_x(x: Any, shape: Shape | None = None, name: str = "x", *, advised: Callable[[Shape], Shape | None] | None = None) -> NDArray[Any]:
    """Inputs (N, D) or (N, C, H, W) in the dtype they have, all finite. Raises DataError naming row and feature, or both shapes. Where the
    net has no shape yet, `advised` tells what it may take instead of a row that nothing takes."""
    if is_masked(x):
        raise DataError(f"{name}: a masked array with missing values; fill them in, or leave those rows out")
    try:
        array = np.asarray(x)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (ValueError, TypeError):
        raise DataError(f"{name}: {_no_numbers(x)}") from None
    row = advised(array.shape[1:]) if advised is not None and array.ndim == 3 else shape
    check_inputs(array, name, row)
    if shape is not None and array.shape[1:] != tuple(shape):
        other = len(shape) != array.ndim - 1 and size(shape) == size(array.shape[1:])
        advice = f"; x.reshape(-1, {', '.join(map(str, shape))}) has that shape" if other else ""
        raise DataError(f"{name}: shape {array.shape}: a row is {show(array.shape[1:])}, and the net takes {show(shape)}{advice}")
    require_finite(array, name)
    return array


def _no_numbers(x: Any) -> str:
    """What is wrong with rows that no array of numbers can be made of."""
    if hasattr(x, "toarray"):
        return "a sparse matrix; write x.toarray()"
    try:
        cells = np.asarray(x, dtype=object)
    except ValueError:
        return "its rows have different lengths"
    if cells.ndim != 2:
        return (
            "its rows have different lengths"
            if any(isinstance(row, (list, tuple, np.ndarray)) for row in cells.flat)
            else "no array of numbers"
        )
    for (row, column), cell in np.ndenumerate(cells):
        if not is_number(cell):
            return f"row {row}, column {column} {no_number(cell)}"
    return "no array of numbers"


def facts_of(dataset: Dataset, target: Target, name: str = "data") -> Facts:
    """What reading the data tells: the shape of a row, classes or outputs. For sources whose `facts()` is None. `name` opens messages."""
    y_name = f"{name}: {dataset.target}"
    y = as_labels(dataset.rows.y, y_name)
    shape, rows = dataset.rows.x.shape[1:], len(dataset.rows)
    if target == "value":
        return Facts(shape, None, {1: 1, 2: y.shape[-1]}.get(y.ndim), rows, target)
    labels = _known_labels(dataset, y, target, None, name)
    with rows_told_by(dataset.place):
        return Facts(shape, count_classes(y, labels, target, y_name), None, rows, target)


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of shapes, dtypes and bytes of all arrays and of the label words, in hexadecimal."""
    digest = hashlib.sha256(repr(dataset.labels).encode())
    for rows in (dataset.rows, dataset.test):
        for array in (rows.x, rows.y) if rows is not None else ():
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            step = chunk_rows(array.shape[1:])
            for start in range(0, len(array), step):
                digest.update(np.ascontiguousarray(array[start : start + step]).tobytes())
                let_go(array)
    return digest.hexdigest()


def _known_labels(dataset: Dataset, y: NDArray[Any], target: Target, classes: int | None, name: str) -> Words | None:
    if target == "value" or dataset.labels is None:
        return learn_labels(y, target, classes, f"{name}: {dataset.target}")
    if classes is not None and classes != len(dataset.labels):
        raise Problem(
            "NS601",
            f"classes {classes} contradicts {name}, which has {len(dataset.labels)}: {', '.join(dataset.labels)}",
            help=f"write classes {len(dataset.labels)}, or leave it out",
            argument="classes",
        )
    return dataset.labels


def _divide(rows: Rows, sizes: Sequence[int], seed: int, target: Target) -> list[Part]:
    single = rows.y.ndim == 1 or (target == "binary" and rows.y.shape[1:] == (1,))
    strata = rows.y.reshape(-1).astype(np.int64) if target != "value" and single else None
    parts = split_rows(len(rows), sizes, seed, strata)
    if mapping_of(rows.x) is not None:
        parts[1:] = map(np.sort, parts[1:])  # what is only measured is read from the start of the file to its end
    return [Part(rows, index) for index in parts]


def _hold_out(rows: Rows, fraction: float, seed: int, target: Target) -> tuple[Part, Part]:
    if not 0 < fraction < 1:
        raise DataError(f"validation = {fraction:g}: a fraction of the rows lies between 0 and 1")
    train, held = _divide(rows, part_sizes((1 - fraction, fraction), len(rows), "x"), seed, target)
    return train, held


def _pair(validation: Any) -> tuple[Any, Any]:
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise DataError("validation: give a pair (X, y), or a fraction of the rows")
    return validation[0], validation[1]
