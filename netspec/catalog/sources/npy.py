"""Two files written by `numpy.save`: `x` is the path of the inputs, `y` that of the labels.

Inputs (N, D) or (N, C, H, W), integers or floating-point; N labels, numbers or text. Pickled arrays are refused. The inputs stay in their
file: a set that would take more than 1 GiB in memory is read piece by piece while it trains (see train/feed.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource, Glimpse
from netspec.base.errors import DataError, Problem
from netspec.catalog.arrays import LIMIT_BYTES, as_rows, load_npy, map_npy, require_file
from netspec.catalog.paths import resolve_path


class Npy(DataSource):
    """Inputs in one .npy file, labels in another; sets larger than memory."""

    name: ClassVar[str] = "npy"
    keys: ClassVar[tuple[str, ...]] = ("path", "x", "y")
    path_keys: ClassVar[tuple[str, ...]] = ("path", "x", "y")

    def glance(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Glimpse | None:
        """Whether both files are there."""
        for key in ("x", "y"):
            if keys.get(key):
                try:
                    require_file(resolve_path(keys[key], folders))
                except DataError as error:
                    raise Problem("W601", str(error), argument=f"data.{key}") from None
        return Glimpse()

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows, the inputs mapped. `path` is another word for x. `folders` are those in which the files may lie."""
        if not keys.get("y") or (path is None) == (not keys.get("x")):
            raise DataError('source = npy needs two files: x = "x.npy"; y = "y.npy"')
        allowed = folders or ((path or Path.cwd()).parent,)
        x_path = path if path is not None else resolve_path(keys["x"], allowed)
        y_path = resolve_path(keys["y"], allowed)
        limit_bytes = keys.get("limit_bytes", LIMIT_BYTES)
        x, y = map_npy(x_path, limit_bytes), load_npy(y_path, limit_bytes)
        return Dataset(as_rows(x, y, str(x_path), str(y_path)), origin=f"{x_path}, {y_path}")
