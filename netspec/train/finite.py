"""Rows of finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError
from netspec.base.mapped import let_go
from netspec.train.normalize import chunk_rows

FEW = 8192
"""Elements whose sum of squares is quicker to look at than each of them."""


def require_finite(x: NDArray[Any], name: str, columns: Sequence[str] | None = None) -> None:
    """Raises DataError at the first row of `x` (N, D) or (N, C, H, W) with a NaN or an infinity, naming its column where the `columns` have
    names."""
    if x.dtype.kind != "f":
        return
    if x.size <= FEW and x.dtype.itemsize >= 4 and isfinite(np.vdot(x, x)):
        return  # a square that overflows is looked at below
    step = chunk_rows(x.shape[1:])
    for start in range(0, len(x), step):
        part = x[start : start + step]
        finite = np.isfinite(part)
        let_go(x)
        if not finite.all():
            row, *place = (int(at) for at in np.argwhere(~finite)[0])
            value = part[row][tuple(place)]
            found = "NaN" if np.isnan(value) else "infinite"
            where = f"feature {place[0]}" if len(place) == 1 else f"channel {place[0]}, pixel ({place[1]}, {place[2]})"
            counted = "counting"
            if columns is not None:
                where, counted = columns[place[0]], "rows count"
            raise DataError(f"{name}: row {start + row}, {where} is {found} ({counted} from 0); remove the row or fill the value in")
