"""The machine that figures were taken on, in words."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from netspec.kernels.simd import current
from netspec.save.environment import cpu_name

PACKAGES = {"numba": "numba", "torch": "PyTorch", "jax": "JAX", "optax": "optax", "onnxruntime": "onnxruntime"}


def machine_in_words(threads: int | None) -> str:
    """`AMD EPYC, 2 of 4 cores, AVX-512; Python 3.11.7, numba 0.68.1, ...; 21 November 2026.`"""
    usable, there = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    used = min(threads or usable, usable)
    cores = f"{used} of {there} cores" if used < there else f"{there} cores"
    unit = {"avx512": "AVX-512", "avx2": "AVX2"}.get(current().name, "generic kernels")
    known = [f"{shown} {number}" for name, shown in PACKAGES.items() if (number := _version(name))]
    day = datetime.datetime.now(datetime.UTC).date()
    versions = ", ".join([f"Python {platform.python_version()}", *known])
    return f"{cpu_name()}, {cores}, {unit}; {versions}; {day.day} {day:%B %Y}."


def _version(name: str) -> str | None:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None
