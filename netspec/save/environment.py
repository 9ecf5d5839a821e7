"""What a run ran on: versions, processor, threads, seed, fingerprint of the data."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from netspec.kernels.context import Share

PACKAGES = ("netspec", "numpy", "numba", "llvmlite", "lark", "pydantic", "safetensors")
OWN_ROWS = "own rows"
"""What env.json says of bn where each process takes the statistics of its own part of a batch."""


def describe_environment(
    seed: int, threads: int, fingerprint: str | None, rows: Mapping[str, int], uses: Mapping[str, str], share: Share | None = None
) -> dict[str, Any]:  # fmt: skip
    """The contents of env.json. `fingerprint` is that of the data (`Splits.fingerprint`), None without data; `rows` counts those of each
    split; `uses` has the sha256 of each file that the spec uses, by its path; `share` tells of the processes that share each batch."""
    return {
        "versions": {"python": platform.python_version(), **{name: version_of(name) for name in PACKAGES}},
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "seed": seed,
        "data": fingerprint,
        "rows": dict(rows),
        "uses": dict(uses),
        **({"ranks": share.ranks, "bn": "whole batch" if share.statistics else OWN_ROWS} if share is not None else {}),
    }


def cpu_name() -> str:
    """The processor's model, as the system names it."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def version_of(name: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
