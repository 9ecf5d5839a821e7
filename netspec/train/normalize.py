"""Normalisation of inputs: statistics of the training part, stored with the weights, applied to raw rows.

Every kind is `(x - shift) / scale`, in float64, then rounded to the model's dtype:

- per_feature: mean and standard deviation (divided by N, not N - 1) of each element of a row, over the rows;
- per_channel: the same of each channel of an image, over rows and pixels; for vectors it is per_feature;
- rescale: smallest value and range (largest - smallest) of the whole training part, which so becomes [0, 1].

Of several in a row each takes its statistics after the one before, and all become one shift and scale. `kind` is that of the last.
Where all values are equal the scale is 1. Statistics take two passes in chunks, so memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from netspec.base.errors import DataError
from netspec.base.mapped import let_go, mapping_of
from netspec.base.shape import Shape, show, size
from netspec.base.transform import Flattening, Scaling, Transform

Kind = Literal["per_feature", "per_channel", "rescale"]
CHUNK_ELEMENTS = 1 << 20
"""Elements treated at once: 8 MiB in float64."""


@dataclass(frozen=True)
class Normalization:
    """`(x - shift) / scale` on rows; both arrays float64 and of the rank of a row: its shape, (C, 1, 1), or all ones."""

    kind: Kind
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]

    def flattened(self, row: Shape) -> Normalization:
        """The same on rows of that shape laid out as vectors."""
        shift, scale = (np.broadcast_to(array, row).reshape(-1).copy() for array in (self.shift, self.scale))
        return Normalization(self.kind, shift, scale)

    def tensors(self) -> dict[str, NDArray[np.float64]]:
        """The arrays under the names that a weights file gives them."""
        return {"normalization.shift": self.shift, "normalization.scale": self.scale}

    @classmethod
    def from_tensors(cls, kind: Kind, tensors: Mapping[str, NDArray[Any]], row: Shape) -> Normalization:
        """The inverse of `tensors()` for rows of that shape, with the kind from the file's metadata. Raises DataError where the arrays are
        missing, of another shape, or of values that no statistics have."""
        try:
            shift, scale = (np.asarray(tensors[f"normalization.{part}"], np.float64) for part in ("shift", "scale"))
        except KeyError as missing:
            raise DataError(f"the array {missing.args[0]} is missing") from None
        for part, array in (("shift", shift), ("scale", scale)):
            if array.ndim != len(row) or any(side not in (1, wanted) for side, wanted in zip(array.shape, row, strict=True)):
                raise DataError(f"normalization.{part} has the shape {array.shape}, and a row is {show(row)}")
            if not np.isfinite(array).all() or (part == "scale" and (array == 0).any()):
                raise DataError(f"normalization.{part} is damaged: it holds values that no statistics have")
        return cls(kind, shift, scale)


def fit_preparation(
    x: NDArray[Any], steps: Sequence[Transform], index: NDArray[np.int64] | None = None
) -> Normalization | None:  # fmt: skip
    """What the training rows of `x` (N, D) or (N, C, H, W), as the data has them, go through in order, as one shift and scale of a prepared
    row; None where nothing is scaled. `index` lists the rows (None: all). Raises DataError as `fit_normalization`."""
    fitted: Normalization | None = None
    for step in steps:
        if isinstance(step, Flattening):
            fitted, x = fitted and fitted.flattened(x.shape[1:]), x.reshape(len(x), -1)
        elif isinstance(step, Scaling):
            fitted = fit_normalization(x, step.statistics, index, fitted)
    return fitted


def arranged(x: Any, steps: Sequence[Transform]) -> Any:
    """Rows in the shape that these steps give them; an array is not copied."""
    if not any(isinstance(step, Flattening) for step in steps):
        return x
    array = np.asanyarray(x)
    return array.reshape(len(array), -1) if array.ndim > 2 else array


def fit_normalization(
    x: NDArray[Any], kind: Kind, index: NDArray[np.int64] | None = None, before: Normalization | None = None
) -> Normalization:
    """Statistics of the rows of `x` (N, D) or (N, C, H, W) that `index` lists (None: all), after another normalisation, and both in one.

    Raises DataError where the values are too large for their variance to be a float64.
    """
    if index is not None and mapping_of(x) is not None:
        index = np.sort(index)  # a file is read from its start to its end
    sample = _Sample(x, index, before)
    rank = x.ndim - 1
    if kind == "rescale":
        low, high = sample.extremes(None)
        ones = (1,) * rank
        return _after(before, _checked("rescale", low.reshape(ones), (high - low).reshape(ones)))
    axes = (0, 2, 3) if kind == "per_channel" and rank == 3 else (0,)
    low, high = sample.extremes(axes)
    count = sample.rows * size(x.shape[1:]) // max(1, low.size)
    with np.errstate(over="ignore", invalid="ignore"):
        # around the smallest value, sums of numbers far from zero lose no digits
        above = sum(((chunk - low).sum(axis=axes, keepdims=True) for chunk in sample.chunks()), np.zeros(()))
        mean = low + above / count
        squares: NDArray[Any] = sum((np.square(chunk - mean).sum(axis=axes, keepdims=True) for chunk in sample.chunks()), np.zeros(()))
    constant = low == high
    shift, scale = np.where(constant, low, mean), np.where(constant, 0.0, np.sqrt(squares / count))
    return _after(before, _checked("per_channel" if kind == "per_channel" else "per_feature", shift[0], scale[0]))


def _after(before: Normalization | None, found: Normalization) -> Normalization:
    """((x - a) / b - shift) / scale as one."""
    if before is None:
        return found
    return Normalization(found.kind, before.shift + before.scale * found.shift, before.scale * found.scale)


def as_input(
    x: NDArray[Any], normalization: Normalization | None, dtype: DTypeLike, index: NDArray[np.int64] | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:  # fmt: skip
    """The rows of `x` that `index` lists (None: all) as the net reads them: normalised where there is something to apply, C-contiguous, in
    `dtype`; a copy unless they are so already, into the first rows of `out` where it is given.

    Raises DataError naming the row where a finite value has no finite form in `dtype`.
    """
    wanted = np.dtype(dtype)
    if normalization is None and x.dtype == wanted and index is None:
        return np.ascontiguousarray(x)
    count = len(x) if index is None else len(index)
    out = np.empty((count, *x.shape[1:]), wanted) if out is None else out[:count]
    start = 0
    for part in _parts(x, index):
        stop = start + len(part)
        with np.errstate(over="ignore", invalid="ignore"):
            if normalization is None:
                out[start:stop] = part
            else:
                out[start:stop] = _shifted(part, normalization)
        _require_representable(out[start:stop], part, np.arange(start, stop) if index is None else index[start:stop])
        start = stop
    return out


def _shifted(part: NDArray[Any], normalization: Normalization) -> NDArray[np.float64]:
    shift = normalization.shift
    fits = shift.ndim == part.ndim - 1 and all(a in (1, b) for a, b in zip(shift.shape, part.shape[1:], strict=True))
    if not fits:
        raise DataError(f"rows of shape {part.shape[1:]} cannot be normalised by the statistics of rows {shift.shape}")
    result: NDArray[np.float64] = (part.astype(np.float64) - shift) / normalization.scale
    return result


def _require_representable(converted: NDArray[Any], original: NDArray[Any], numbers: NDArray[np.int64]) -> None:
    if np.isfinite(converted).all():
        return
    lost = np.argwhere(~np.isfinite(converted) & np.isfinite(original.astype(np.float64)))
    if len(lost):
        at = tuple(lost[0])
        raise DataError(
            f"x: row {numbers[at[0]]}: the value {float(original[at]):g} is too large for {converted.dtype}; scale it, or use float64"
        )


def _checked(kind: Kind, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> Normalization:
    scale = np.where(scale == 0.0, 1.0, scale)
    wrong = np.flatnonzero(~(np.isfinite(shift) & np.isfinite(scale)))
    if len(wrong):
        raise DataError(f"normalize = {kind}: element {wrong[0]} of the rows has values too large to be normalised; scale the data first")
    return Normalization(kind, np.ascontiguousarray(shift, np.float64), np.ascontiguousarray(scale, np.float64))


@dataclass(frozen=True)
class _Sample:
    """The rows that statistics are taken of: those that `index` lists, after a normalisation."""

    x: NDArray[Any]
    index: NDArray[np.int64] | None
    before: Normalization | None

    @property
    def rows(self) -> int:
        return len(self.x) if self.index is None else len(self.index)

    def chunks(self) -> Iterator[NDArray[np.float64]]:
        """The rows in float64, piece by piece."""
        parts = _parts(self.x, self.index)
        return (part.astype(np.float64) if self.before is None else _shifted(part, self.before) for part in parts)

    def extremes(self, axes: tuple[int, ...] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest over the axes."""
        parts = _parts(self.x, self.index) if self.before is None else self.chunks()
        lows, highs = zip(*((part.min(axis=axes, keepdims=True), part.max(axis=axes, keepdims=True)) for part in parts), strict=True)
        return np.minimum.reduce(lows).astype(np.float64), np.maximum.reduce(highs).astype(np.float64)


def _parts(x: NDArray[Any], index: NDArray[np.int64] | None = None) -> Iterator[NDArray[Any]]:
    """The rows, piece by piece; of a mapped array each piece is let go when the next one is asked for."""
    rows, count = chunk_rows(x.shape[1:]), len(x) if index is None else len(index)
    for start in range(0, count, rows):
        yield x[start : start + rows] if index is None else x[index[start : start + rows]]
        let_go(x)


def chunk_rows(row: Shape) -> int:
    """How many rows of that shape are treated at once."""
    return max(1, CHUNK_ELEMENTS // max(1, size(row)))
