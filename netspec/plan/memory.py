"""Memory: aligned arrays, and how much of it this process may use."""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path
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


def available_bytes() -> int:
    """Memory that this process can still get: what the machine reports as available, or what its cgroups leave, whichever is less."""
    available = _meminfo_available()
    for limit, used in _cgroup_limits():
        available = min(available, max(0, limit - used))
    return available


def _meminfo_available() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))


def _cgroup_limits() -> list[tuple[int, int]]:
    """(limit, used) of the cgroup v2 that this process is in and of those above it, and of cgroup v1's memory controller."""
    found: list[tuple[int, int]] = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = line.split(":", 2)
        version2 = controllers == ""
        if not version2 and "memory" not in controllers.split(","):
            continue
        folder = Path("/sys/fs/cgroup" if version2 else "/sys/fs/cgroup/memory") / path.lstrip("/")
        names = ("memory.max", "memory.current") if version2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        for level in (folder, *folder.parents):
            try:
                limit, used = ((level / name).read_text().strip() for name in names)
            except OSError:
                continue
            if limit != "max" and int(limit) < 1 << 60:
                found.append((int(limit), int(used)))
    return found
