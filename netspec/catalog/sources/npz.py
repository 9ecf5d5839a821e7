"""A file written by `numpy.savez` or `savez_compressed`: one array of inputs and one of labels, by name.

`x` (N, D) or (N, C, H, W), integers or floating-point; `y` with N labels, numbers or text; of equal length. Pickled arrays are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource, Glimpse
from netspec.base.errors import DataError, Problem
from netspec.catalog.arrays import LIMIT_BYTES, NAMES_HELP, as_rows, load_npz, missing, npz_names


class Npz(DataSource):
    """Arrays `x` and `y` of one .npz file; other names with the keys x and y."""

    name: ClassVar[str] = "npz"
    keys: ClassVar[tuple[str, ...]] = ("path", "x", "y")
    usual: ClassVar[Mapping[str, str]] = {"x": "x", "y": "y"}

    def glance(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Glimpse | None:
        """Whether the file holds arrays of these names."""
        if path is None:
            return None
        there = npz_names(path)
        if not there:
            raise DataError(f"{path}: cannot be read as .npz; write it with numpy.savez")
        for key, usual in self.usual.items():
            name = keys.get(key) or usual
            if name not in there:
                raise Problem("W601", f"{missing(path, name, there)}; {NAMES_HELP}", argument=f"data.{key}")
        return Glimpse()

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows. `keys["limit_bytes"]`, which only a caller can give, replaces the limit on an array's declared size."""
        if path is None:
            raise DataError('source = npz needs the file: path = "data.npz"')
        x_name, y_name = keys.get("x") or self.usual["x"], keys.get("y") or self.usual["y"]
        x, y = load_npz(path, (x_name, y_name), keys.get("limit_bytes", LIMIT_BYTES))
        return Dataset(as_rows(x, y, f"{path}: array {x_name}", f"{path}: array {y_name}"), origin=str(path))
