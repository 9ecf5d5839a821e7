"""Labels in, labels out: what users write as y becomes what the kernels read, and predictions become words again.

Three targets (`netspec.base.kinds.Target`). `class`: whole numbers 0..C-1, one-hot rows, or text. `binary`: any two values as (N,) or
(N, 1), or 0/1 of any other shape (N, ...), flattened to rows (N, K), for several labels a row, such as the mask of an image. `value`:
numbers of the shape of the scores. Rows count from 0 in messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError, Problem, RowError
from netspec.base.kinds import Target
from netspec.base.shape import Shape, show, size
from netspec.train.frames import is_missing, labels_of

Words = tuple[Any, ...]
"""The label of each class number, sorted: texts or numbers. None where the labels are the class numbers themselves."""
SHOWN = 10
"""How many labels a message lists."""


def as_labels(y: Any, name: str = "y") -> NDArray[Any]:
    """`y` as an array of numbers or text; it may be a column, or a table of columns, of pandas, polars or pyarrow. Raises DataError for
    anything else: ragged or mixed lists, None, dates, complex numbers."""
    y = labels_of(y, name)
    try:
        array = np.asarray(y)
        if array.dtype.kind == "U" and not hasattr(y, "dtype"):  # NumPy makes text of whatever stands beside it in a list
            array = np.asarray(y, dtype=object)
    except ValueError:
        raise DataError(f"{name}: its rows have different lengths") from None
    if array.dtype.kind in "OT":  # T: NumPy's strings of any length
        array = _from_objects(array, name)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind not in "buifU":
        raise DataError(f"{name}: labels have dtype {array.dtype}; allowed are numbers and text")
    if array.ndim == 0:
        raise DataError(f"{name}: a single value, where one label for each row is needed")
    if len(array) and not array.size:
        raise DataError(f"{name}: labels of shape {array.shape}: its rows are empty")
    return array


def learn_labels(y: NDArray[Any], target: Target, classes: int | None, name: str = "y") -> Words | None:
    """The words of the classes as found in `y`, in sorted order; None where labels are class numbers, 0/1, or values. Whole numbers of
    which none is 0, such as 1 to 3, are words too where nobody counted the `classes`.

    Raises Problem NS601 when `classes` is not the number of words, DataError when a binary target has more than two values.
    """
    if target == "value" or (y.ndim > 1 and size(y.shape[1:]) != 1):
        return None
    flat = y.reshape(-1)
    if target == "class":
        return _text_words(flat, classes, name) if flat.dtype.kind == "U" else None if classes is not None else _number_words(flat)
    if classes is not None and classes > 2:
        return None
    _require_finite(flat, name)
    found = np.unique(flat)
    if len(found) > 2:
        raise DataError(
            f"{name}: {len(found)} different labels ({_listed(found)}), where sigmoid with classes 2 takes two; use softmax for more"
        )
    if found.dtype.kind != "U" and np.isin(found, (0, 1)).all():
        return None
    if len(found) < 2:
        raise DataError(f"{name}: every label is {_shown(found[0])}; two are needed to learn from")
    return tuple(found.tolist())


def encode_labels(
    y: Any, target: Target, classes: int | None, labels: Words | None, *, score_shape: Shape | None = None, name: str = "y"
) -> NDArray[Any]:
    """Labels as the kernels read them, C-contiguous: `class` int64 (N,); `binary` float64 (N, 1) or (N, K); `value`
    (N, ...), float32 where given so, else float64.

    `labels` are the words that training learnt; `score_shape` is the shape of one row of scores, which `value` labels must have
    ((N,) counts as (N, 1)). Raises DataError naming the row and the value, and Problem NS601 for one-hot rows of another width.
    """
    array = as_labels(y, name)
    if target == "class":
        return _class_numbers(array, classes, labels, name)
    if target == "binary":
        return _binary(array, classes, labels, name)
    return _values(array, score_shape, name)


def decode(predictions: NDArray[Any], labels: Words | None) -> NDArray[Any]:
    """Class numbers or 0/1 as the labels that they stand for; unchanged where `labels` is None."""
    if labels is None:
        return predictions
    return np.asarray(labels)[predictions.astype(np.int64)]


def count_classes(y: NDArray[Any], labels: Words | None, target: Target, name: str = "y") -> int | None:
    """How many classes labels that nobody counted have; None for values. Raises DataError where the numbers cannot be class numbers."""
    if target == "value":
        return None
    if labels is not None:
        return len(labels)
    if y.ndim > 1 and size(y.shape[1:]) != 1:
        if target == "class":
            _require_class_shape(y, name)
        return size(y.shape[1:])
    if target == "binary":
        return 2
    numbers = _whole_numbers(y.reshape(-1), None, name)
    classes, distinct = int(numbers.max()) + 1, len(np.unique(numbers))
    if classes > 10 * distinct:
        raise DataError(
            f"{name}: labels go up to {classes - 1}, and only {distinct} different ones occur; number the classes from 0, "
            "store the labels as text, or give classes"
        )
    return max(classes, 2)


def require_two_classes(y: NDArray[Any], target: Target, labels: Words | None, name: str = "y") -> None:
    """Raises DataError where every row of encoded training labels has the same class: there is nothing to learn."""
    one_column = target == "class" or (target == "binary" and y.shape[1:] == (1,))
    if one_column and len(y) and (y == y[0]).all():
        only = decode(y.reshape(-1)[:1].astype(np.int64), labels)[0]
        raise DataError(f"{name}: all {len(y)} training rows have the label {_shown(only)}; at least two classes are needed to learn from")


def _text_words(flat: NDArray[Any], classes: int | None, name: str) -> Words:
    empty = np.flatnonzero(np.char.str_len(flat) == 0)
    if len(empty):
        raise DataError(f"{name}: the label in row {empty[0]} is empty (rows count from 0)")
    found = np.unique(flat)
    if classes is not None and classes != len(found):
        raise Problem(
            "NS601",
            f"classes {classes} contradicts the data, which has {len(found)} different labels: {_listed(found)}",
            help=f"write classes {len(found)}, or leave it out",
            argument="classes",
        )
    return tuple(found.tolist())


def _number_words(flat: NDArray[Any]) -> Words | None:
    if flat.dtype.kind == "b" or not len(flat) or not (np.isfinite(flat).all() and (flat == np.floor(flat)).all() and flat.min() >= 1):
        return None
    found = np.unique(flat)
    few = flat.max() <= 10 * len(found) or 2 * len(found) <= len(flat)  # else they measure something
    return tuple(int(word) for word in found) if len(found) > 1 and few else None


def _class_numbers(y: NDArray[Any], classes: int | None, labels: Words | None, name: str) -> NDArray[np.int64]:
    if y.ndim == 2 and y.shape[1] > 1:
        return _from_one_hot(y, classes, name)
    _require_class_shape(y, name)
    flat = y.reshape(-1)
    if flat.dtype.kind == "U" or (labels is not None and not isinstance(labels[0], str)):
        return _from_words(flat, labels, name)
    return _whole_numbers(flat, classes if classes is not None else None if labels is None else len(labels), name)


def _require_class_shape(y: NDArray[Any], name: str) -> None:
    if y.ndim > 2 and size(y.shape[1:]) != 1:
        raise DataError(
            f"{name}: shape {y.shape}; class labels are (N,), or one-hot rows (N, classes). For {show(y.shape[1:])} answers of 0 or 1 "
            f"a row, such as a mask, end the net in {size(y.shape[1:])} scores and sigmoid"
        )


def _from_words(flat: NDArray[Any], labels: Words | None, name: str) -> NDArray[np.int64]:
    if labels is None or (flat.dtype.kind == "U") != isinstance(labels[0], str):
        known = "class numbers from 0" if labels is None else _listed(np.asarray(labels))
        raise RowError(f"{name}: label {_shown(flat[0])} in ", 0, f"; the labels known from training are {known}", "")
    _require_finite(flat, name)
    words = np.asarray(labels)
    at = np.minimum(np.searchsorted(words, flat), len(words) - 1) if _sorted(words) else _search(words, flat)
    wrong = np.flatnonzero(words[at] != flat)
    if len(wrong):
        row = int(wrong[0])
        raise RowError(f"{name}: label {_shown(flat[row])} in ", row, f"; the known labels are {_listed(words)}")
    return np.ascontiguousarray(at, dtype=np.int64)


def _sorted(words: NDArray[Any]) -> bool:
    return bool((words[:-1] < words[1:]).all())


def _search(words: NDArray[Any], flat: NDArray[Any]) -> NDArray[np.int64]:
    order = np.argsort(words)
    return order[np.minimum(np.searchsorted(words[order], flat), len(words) - 1)]


def _whole_numbers(flat: NDArray[Any], classes: int | None, name: str) -> NDArray[np.int64]:
    if flat.dtype.kind == "U":
        raise RowError(f"{name}: label {_shown(flat[0])} in ", 0, " is text, where class numbers are needed", "")
    _require_finite(flat, name)
    if flat.dtype.kind == "f":
        broken = np.flatnonzero(flat != np.floor(flat))
        if len(broken):
            row = int(broken[0])
            advice = "use the head linear for measured values"
            raise RowError(f"{name}: label {_shown(flat[row])} in ", row, f" is not a whole number, as classes are; {advice}")
    wrong = flat < 0 if classes is None else (flat < 0) | (flat >= classes)
    wrong_rows = np.flatnonzero(wrong)
    if len(wrong_rows):
        row = int(wrong_rows[0])
        allowed = "0 and up" if classes is None else f"0 to {classes - 1}"
        if flat.min() == 1 and flat.max() == classes:
            allowed += "; number the classes from 0, or leave their count out"
        raise RowError(f"{name}: label {_shown(flat[row])} in ", row, f" is out of range; allowed are {allowed}")
    return flat.astype(np.int64)  # a copy: kernels read labels as places, and the caller's array may change meanwhile


def _from_one_hot(y: NDArray[Any], classes: int | None, name: str) -> NDArray[np.int64]:
    if classes is not None and y.shape[1] != classes:
        raise Problem(
            "NS601",
            f"classes {classes} contradicts the data, whose one-hot rows have {y.shape[1]} columns",
            help=f"write classes {y.shape[1]}, or leave it out",
            argument="classes",
        )
    if y.dtype.kind == "U":
        raise DataError(f"{name}: shape {y.shape} of text; class labels are (N,), or one-hot rows of 0 and 1")
    ones = y == 1
    wrong = np.flatnonzero((ones.sum(axis=1) != 1) | ((y != 0) & ~ones).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{name}: row {row} (rows count from 0) is {_listed(y[row])}; a one-hot row has a single 1 and zeros")
    return np.ascontiguousarray(ones.argmax(axis=1), dtype=np.int64)


def _binary(y: NDArray[Any], classes: int | None, labels: Words | None, name: str) -> NDArray[np.float64]:
    columns = size(y.shape[1:])
    wanted = columns if classes is None else 1 if classes == 2 else classes
    if columns != wanted:
        shape = "(N,) or (N, 1)" if wanted == 1 else f"0/1 rows (N, {wanted}), or rows of another shape with as many elements"
        two = "; two labels a row need a third that is always 0" if columns == 2 and wanted == 1 else ""
        raise DataError(f"{name}: shape {y.shape}; sigmoid with classes {classes or columns} takes {shape}{two}")
    if columns == 1:
        flat = y.reshape(-1)
        if labels is not None and not (flat.dtype.kind != "U" and isinstance(labels[0], str)):
            return _from_words(flat, labels, name).astype(np.float64).reshape(-1, 1)
    _require_finite(y, name)
    wrong = np.argwhere((y != 0) & (y != 1)) if y.dtype.kind != "U" else np.zeros((1, y.ndim), np.int64)
    if len(wrong):
        at = tuple(wrong[0])
        raise RowError(
            f"{name}: label {_shown(y[at])} in ", int(at[0]), "; allowed are 0 and 1", f"{_within(at, y.shape)} (counting from 0)"
        )
    return np.ascontiguousarray(y, dtype=np.float64).reshape(len(y), columns)


def _values(y: NDArray[Any], score_shape: Shape | None, name: str) -> NDArray[Any]:
    if y.dtype.kind == "U":
        raise RowError(f"{name}: label {_shown(y.reshape(-1)[0])} in ", 0, " is text; linear predicts numbers, use softmax for classes", "")
    _require_finite(y, name)
    rows = y.reshape(-1, 1) if y.ndim == 1 else y
    if score_shape is not None and rows.shape[1:] != tuple(score_shape):
        found = "one number" if y.ndim == 1 else show(y.shape[1:])
        raise DataError(f"{name}: shape {y.shape}: a row has {found}, and the net gives {show(score_shape)}")
    return np.ascontiguousarray(rows, dtype=rows.dtype if rows.dtype == np.float32 else np.float64)


def _from_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    texts = [isinstance(value, str) for value in array.reshape(-1).tolist()]
    some_text = any(texts)
    for row, value in enumerate(array.reshape(-1).tolist()):
        if texts[row] or (isinstance(value, float) and not some_text):  # a NaN among numbers is found with the infinite ones
            continue
        if isinstance(value, (list, tuple, np.ndarray)):
            raise DataError(f"{name}: its rows have different lengths")
        if is_missing(value):
            raise DataError(f"{name}: the label at position {row} (counting from 0) is missing ({value})")
    if all(texts):
        return np.array(array.tolist(), np.str_)
    if some_text:
        odd = next(row for row, is_text in enumerate(texts) if is_text != texts[0])
        raise DataError(
            f"{name}: a mixture of text and numbers, {_shown(array.reshape(-1)[odd])} at position {odd} (counting from 0); make all labels "
            "text or all numbers"
        )
    plain = np.array(array.tolist())
    if plain.dtype.kind not in "buif":
        raise DataError(f"{name}: labels of Python type {type(array.reshape(-1)[0]).__name__}; allowed are numbers and text")
    return plain


def _require_finite(y: NDArray[Any], name: str) -> None:
    if y.dtype.kind != "f":
        return
    wrong = np.argwhere(~np.isfinite(y))
    if len(wrong):
        at = tuple(wrong[0])
        raise DataError(f"{name}: label {_shown(y[at])} in row {at[0]}{_within(at, y.shape)} (counting from 0); labels must be finite")


def _within(at: tuple[Any, ...], shape: Shape) -> str:
    """Where in its row a label stands, if the row has several."""
    if size(shape[1:]) == 1:
        return ""
    return f", column {at[1]}" if len(shape) == 2 else f", element ({', '.join(map(str, at[1:]))})"


def _shown(value: Any) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float):
        return "NaN" if plain != plain else f"{plain:g}"
    return repr(plain)


def _listed(values: NDArray[Any] | Sequence[Any]) -> str:
    shown = ", ".join(_shown(value) for value in values[:SHOWN])
    return shown + (", ..." if len(values) > SHOWN else "")
