"""A file written by `numpy.savez` or `savez_compressed`: one array of inputs and one of labels, by name.

`x` (N, D) or (N, C, H, W), integers or floating-point; `y` with N labels, numbers or text; of equal length. Pickled arrays are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource
from netspec.base.errors import DataError
from netspec.catalog.arrays import LIMIT_BYTES, as_rows, load_npz


class Npz(DataSource):
    """Arrays `x` and `y` of one .npz file; other names with the keys x and y."""

    name: ClassVar[str] = "npz"
    keys: ClassVar[tuple[str, ...]] = ("path", "x", "y")
    usual: ClassVar[Mapping[str, str]] = {"x": "x", "y": "y"}

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows. `keys["limit_bytes"]`, which only a caller can give, replaces the limit on an array's declared size."""
        if path is None:
            raise DataError('source = npz needs the file: path = "data.npz"')
        x_name, y_name = keys.get("x") or self.usual["x"], keys.get("y") or self.usual["y"]
        x, y = load_npz(path, (x_name, y_name), keys.get("limit_bytes", LIMIT_BYTES))
        return Dataset(as_rows(x, y, f"{path}: array {x_name}", f"{path}: array {y_name}"), origin=str(path))
