"""Memory: aligned arrays on large pages."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
LARGE_PAGE = 2 << 20
LARGE = 1 << 20  # bytes from which an array gets large pages


def aligned(count: int, dtype: Any) -> NDArray[Any]:
    """Zeros whose first element lies on a multiple of 64 bytes (NumPy promises 16), with as much behind them that kernels may read: they
    load whole vectors. Large arrays lie on large pages where the system has them: kernels walk many rows at once, each on a page of its
    own."""
    size = count * np.dtype(dtype).itemsize
    if size >= LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
        memory = mmap.mmap(-1, -(-(size + ALIGNMENT) // LARGE_PAGE) * LARGE_PAGE + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a kernel built without them
            memory.madvise(mmap.MADV_HUGEPAGE)
        raw = np.frombuffer(memory, np.uint8)
        start = -raw.ctypes.data % LARGE_PAGE
    else:
        raw = np.zeros(size + 2 * ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype)
