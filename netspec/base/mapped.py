"""Arrays whose numbers stay in a file until they are read, and the pages of it that are let go afterwards."""

from __future__ import annotations

import mmap
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class RowReader(Protocol):
    """Rows that are read when they are asked for, as a network takes them: contiguous, in its dtype."""

    def __len__(self) -> int: ...

    def read(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """The rows of those numbers, in that order."""


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The mapped file that an array, or the array that it is a view of, lies in."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, mmap.mmap) else None


def let_go(array: NDArray[Any]) -> None:
    """Takes the pages that were read out of this process's memory: they stay in the system's cache while nothing else needs the room."""
    mapping = mapping_of(array)
    if mapping is not None and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)
