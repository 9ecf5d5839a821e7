"""What the sources inside the package share: one compressed .npz beside each source's file, with arrays `x` and `y`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource, Facts, Rows
from netspec.catalog.arrays import load_npz

FOLDER = Path(__file__).parent / "sources"


class Builtin(DataSource):
    """A data set that ships with the package. A source declares its `known` facts, `labels` (words by class number) and `origin`."""

    builtin: ClassVar[bool] = True
    known: ClassVar[Facts]
    labels: ClassVar[tuple[str, ...] | None] = None
    origin: ClassVar[str]

    def facts(self) -> Facts:
        return self.known

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows, in the order of the original. Takes no path and no keys."""
        x, y = load_npz(FOLDER / f"{self.name}.npz", ("x", "y"))
        return Dataset(Rows(x, y), labels=self.labels, origin=self.origin)
