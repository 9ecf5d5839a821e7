"""`netspec doctor`: what this installation has: versions, processor, threads, kernel cache, extras."""

from __future__ import annotations

import importlib
import os
import re
import textwrap
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from typing import Any

from numba import config, get_num_threads

from netspec.base.memory import available_bytes
from netspec.catalog.decode import clear_images
from netspec.kernels import store
from netspec.kernels.compile import jobs
from netspec.kernels.simd import current, host_features, supported
from netspec.save.environment import describe_environment
from netspec.ui.screen import bytes_in_words, print_json

FEATURES = ("avx", "avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512vnni", "amx-tile", "neon", "sve")
POOLS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
"""numba's threading layers, and the module that each needs."""


def run(*, clear_cache: bool, json: bool) -> int:
    """Prints the report, after deleting the compiled kernels and the decoded images where that is asked for."""
    cleared = store.clear() if clear_cache else None
    if clear_cache:
        clear_images()
    facts = gather()
    if cleared is not None:
        facts["cache"]["cleared"] = cleared
    if json:
        print_json(facts)
    else:
        print(in_words(facts))
    return 0


def gather() -> dict[str, Any]:
    """The report as data."""
    threads = int(get_num_threads())
    environment = describe_environment(0, threads, None, {}, {})
    present = host_features()
    return {
        "versions": environment["versions"],
        "platform": environment["platform"],
        "cpu": {
            "name": environment["cpu"],
            "count": environment["cpus"],
            "features": [name for name in FEATURES if present.get(name)],
            "simd": current().name,
            "simd_supported": supported(),
        },
        "threads": {"count": threads, "layer": threading_layer()},
        "memory_available_bytes": available_bytes(),
        "cache": cache_facts(),
        "extras": extras(),
    }


def threading_layer() -> str | None:
    """The first layer of numba's order that can be loaded here."""
    settings = vars(config)  # the module fills itself when it is imported
    chosen = str(settings["THREADING_LAYER"])
    for name in [chosen] if chosen in POOLS else list(settings["THREADING_LAYER_PRIORITY"]):
        try:
            importlib.import_module(f"numba.np.ufunc.{POOLS[name]}")
        except ImportError:
            continue
        return str(name)
    return None


def cache_facts() -> dict[str, Any]:
    """Where compiled kernels are kept, how many there are, whether they outlive this process, and how many processes compile."""
    folder = store.cache_folder()
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "folder": str(folder),
        "kernels": len(list(folder.glob("k_*.py"))),
        "bytes": sum(path.stat().st_size for path in files),
        "persistent": not folder.name.startswith("netspec-kernels-"),
        "writable": os.access(folder, os.W_OK),
        "compile_jobs": jobs(),
    }


def extras() -> dict[str, list[str]]:
    """For each extra the packages that are missing; an empty list where it is complete."""
    missing: dict[str, list[str]] = {name: [] for name in distribution("netspec").metadata.get_all("Provides-Extra") or []}
    for line in requires("netspec") or []:
        found = re.match(r"([A-Za-z0-9_.-]+).*;.*extra == ['\"]([\w-]+)['\"]", line)
        if found and not _installed(found[1]):
            missing.setdefault(found[2], []).append(found[1])
    return missing


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def in_words(facts: Mapping[str, Any]) -> str:
    """The report as it is read."""
    cpu, cache, threads = facts["cpu"], facts["cache"], facts["threads"]
    rows = [(name, number or "not installed") for name, number in facts["versions"].items()]
    rows += [
        ("platform", facts["platform"]),
        ("processor", f"{cpu['name']}, {cpu['count']} usable"),
        ("features", " ".join(cpu["features"]) or "none of those that matter"),
        ("kernels for", f"{cpu['simd']} (this machine can run {', '.join(cpu['simd_supported'])})"),
        ("threads", f"{threads['count']}, layer {threads['layer'] or 'none: single-threaded'}"),
        ("memory", f"{bytes_in_words(facts['memory_available_bytes'])} available to this process"),
        ("cache", cache["folder"]),
        ("", f"{cache['kernels']} kernels, {bytes_in_words(cache['bytes'])}{_state(cache)}"),
        ("compiling", f"{cache['compile_jobs']} processes at most (NETSPEC_COMPILE_JOBS)"),
    ]
    rows += [
        (f"extra {name}", "complete" if not lacking else f"missing: {', '.join(lacking)}") for name, lacking in facts["extras"].items()
    ]
    gap = " " * 19
    filled = (
        textwrap.fill(text, 80, initial_indent=f"{name:<18} ", subsequent_indent=gap, break_long_words=False, break_on_hyphens=False)
        for name, text in rows
    )
    return "\n".join(filled)


def _state(cache: Mapping[str, Any]) -> str:
    notes = [] if cache["persistent"] else ["of this process alone: the usual folder cannot be used"]
    notes += [f"{cache['cleared']} deleted just now"] if "cleared" in cache else []
    return f" ({'; '.join(notes)})" if notes else ""
