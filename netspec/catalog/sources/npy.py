"""Two files written by `numpy.save`: `path` holds the inputs, `y` is the path of the labels.

Inputs (N, D) or (N, C, H, W), integers or floating-point; N labels, numbers or text. Pickled arrays are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource
from netspec.base.errors import DataError
from netspec.catalog.arrays import LIMIT_BYTES, as_rows, load_npy
from netspec.catalog.paths import resolve_path


class Npy(DataSource):
    """Inputs in one .npy file, labels in another."""

    name: ClassVar[str] = "npy"
    keys: ClassVar[tuple[str, ...]] = ("path", "y")
    path_keys: ClassVar[tuple[str, ...]] = ("path", "y")

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows. `folders` are those in which the file of the labels may lie."""
        if path is None or not keys.get("y"):
            raise DataError('source = npy needs two files: path = "x.npy"; y = "y.npy"')
        y_path = resolve_path(keys["y"], folders or (path.parent,))
        limit_bytes = keys.get("limit_bytes", LIMIT_BYTES)
        x, y = load_npy(path, limit_bytes), load_npy(y_path, limit_bytes)
        return Dataset(as_rows(x, y, str(path), str(y_path)), origin=f"{path}, {y_path}")
