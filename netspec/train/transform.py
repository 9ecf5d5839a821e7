"""A transform on its own, on arrays in NumPy, by the same templates and statistics as training uses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base import random
from netspec.base.errors import UsageError
from netspec.base.transform import Augmentation, Encoding, Scaling, Transform
from netspec.frontend.bind import entry_from_text
from netspec.frontend.builder_part import Built
from netspec.frontend.builder_value import value_in_text
from netspec.train.columns import Columns, as_numbers, columns_of, in_order, named, spread
from netspec.train.data import check_x
from netspec.train.frames import rows_of
from netspec.train.normalize import Normalization, arranged, as_input, fit_preparation


class TransformRule:
    """`fit` takes statistics where the transform has some, `apply` gives new rows. Source of the draws: netspec/base/random.py."""

    def __init__(self, transform: Transform) -> None:
        self.transform = transform
        self._normalization: Normalization | None = None
        self._columns: Columns | None = None
        """Of tables in memory, and of rows with text."""

    def fit(self, x: Any) -> TransformRule:
        """Takes the statistics of training rows (N, D) or (N, C, H, W), or for one_hot the texts of columns; gives itself. Raises
        DataError."""
        x = rows_of(x)
        if isinstance(self.transform, Encoding):
            self._columns = columns_of(x)[1]
        else:
            self._columns = named(x)
            self._normalization = fit_preparation(check_x(as_numbers(x, None)), (self.transform,))
        return self

    def apply(self, x: Any, seed: int = 0, step: int = 0) -> NDArray[Any]:
        """The rows after it. flip, crop and cutout draw by seed and step (the updates done), as the first transform of a spec does in that
        step of training, and need images. Raises UsageError before `fit` where there is something to take, DataError."""
        if isinstance(self.transform, (Encoding, Scaling)) and self._columns is None and self._normalization is None:
            raise UsageError(f"{self.transform.name} has seen no rows yet: call fit(training rows) first")
        x = rows_of(x)
        if isinstance(self.transform, Encoding):
            assert self._columns is not None
            return spread(*columns_of(in_order(x, self._columns), self._columns), self._columns, "x")
        rows = check_x(as_numbers(x, self._columns))
        if isinstance(self.transform, Augmentation):
            if rows.ndim != 4:
                raise UsageError(f"{self.transform.name} needs images (N, C, H, W); this is {rows.shape}")
            return augmented(rows, self.transform, random.stream_key(seed, -1, step))
        prepared = arranged(rows, (self.transform,))
        return prepared if self._normalization is None else as_input(prepared, self._normalization, np.float64)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={getattr(self.transform, name)!r}" for name in type(self.transform).model_fields)
        return f"{self.transform.name}({given})"


def augmented(images: NDArray[Any], transform: Augmentation, key: int) -> NDArray[Any]:
    """Images (N, C, H, W) with the pixels where the template places them, zeros where it points outside."""
    count, _, height, width = images.shape
    out = np.zeros_like(images)
    words = random.bits(key, np.arange(count, dtype=np.uint32))
    for row, bits in enumerate(words.tolist()):
        for h in range(height):
            for w in range(width):
                i, j = transform.place(h, w, height, width, bits, **transform.constants())
                if 0 <= i < height and 0 <= j < width:
                    out[row, :, h, w] = images[row, :, i, j]
    return out


def transform(text: str | Built) -> TransformRule:
    """The transform that a text like `crop(4)`, or `netspec.crop(4)`, stands for. Raises SpecError."""
    return TransformRule(entry_from_text(Transform, value_in_text(text)))
