"""How much memory this process may use."""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 0.6
"""Of the memory that is left, what one thing may take."""


def memory_limit() -> int:
    """Bytes that a plan, or what a file declares, may take."""
    return int(SHARE * available_bytes())


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
