"""`netspec doctor`: what this installation has: versions, processor, threads, kernel cache, extras."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import textwrap
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path
from typing import Any

from numba import config, get_num_threads

from netspec.base.cache import image_bytes, image_folder, kernel_bytes, kernel_folder, why_not_used
from netspec.base.entries import entries
from netspec.base.memory import available_bytes
from netspec.base.units import bytes_in_words
from netspec.catalog.decode import ARRAY, clear_images
from netspec.kernels import store
from netspec.kernels.compile import jobs
from netspec.kernels.simd import current, host_features, supported
from netspec.save.environment import describe_environment
from netspec.ui.screen import print_json

FEATURES = ("avx", "avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512vnni", "amx-tile", "neon", "sve")
POOLS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
"""numba's threading layers, and the module that each needs."""


def run(*, clear_cache: bool, json: bool) -> int:
    """Prints the report, after deleting the compiled kernels and the decoded images where that is asked for."""
    deleted = (store.clear(), clear_images()) if clear_cache else None
    facts = gather()
    if deleted is not None:
        for part, (gone, left) in zip((facts["cache"], facts["cache"]["images"]), deleted, strict=True):
            part |= {"cleared": gone, "not_cleared": left}
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
    """Where compiled kernels are kept and where decoded images are, how many, how large, when the one that was not used for longest was
    used last (seconds since 1970), the most bytes that are kept, and why the folder of the kernels cannot be used, where that is so."""
    usual = kernel_folder()
    reason = why_not_used(usual)
    with contextlib.suppress(OSError):
        usual = store.cache_folder()
    images = image_folder()
    return {
        "folder": str(usual),
        "kernels": len(entries(usual, store.KERNEL)),
        **_contents(usual, store.KERNEL, kernel_bytes()),
        "persistent": reason is None,
        "writable": os.access(usual, os.W_OK),
        "refused": None if reason is None else {"folder": str(kernel_folder()), "reason": reason},
        "compile_jobs": jobs(),
        "images": {
            "folder": str(images),
            "arrays": len(entries(images, ARRAY)),
            **_contents(images, ARRAY, image_bytes()),
            "refused": why_not_used(images),
        },
    }


def _contents(folder: Path, start: str, most: int) -> dict[str, Any]:
    found = entries(folder, start)
    return {"bytes": sum(entry.bytes for entry in found), "most_bytes": most, "oldest": found[0].used if found else None}


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
        *_refusal(cache["refused"]),
        ("", f"{_how_much(cache, 'kernel')} (NETSPEC_CACHE_BYTES){_cleared(cache)}"),
        ("", f"{_how_much(cache['images'], 'array')} of images (NETSPEC_IMAGE_CACHE_BYTES){_cleared(cache['images'])}"),
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


def _how_much(part: Mapping[str, Any], what: str) -> str:
    """`12 kernels, 3.1 MB of at most 512 MB, the oldest used 3 days ago`."""
    count = part[f"{what}s"]
    said = f"{count:,} {what}{'' if count == 1 else 's'}, {bytes_in_words(part['bytes'])} of at most {bytes_in_words(part['most_bytes'])}"
    if part["oldest"] is None:
        return said
    return f"{said}, {'the oldest' if count > 1 else 'it was'} used {_ago(time.time() - part['oldest'])}"


def _ago(seconds: float) -> str:
    """To the hour, as times of use are kept."""
    hours = int(seconds // 3600)
    if hours < 1:
        return "within the hour"
    count, unit = (hours, "hour") if hours < 48 else (hours // 24, "day")
    return f"{count} {unit}{'' if count == 1 else 's'} ago"


def _cleared(part: Mapping[str, Any]) -> str:
    if "cleared" not in part:
        return ""
    left = f", {part['not_cleared']} could not be" if part["not_cleared"] else ""
    return f"; {part['cleared']} deleted just now{left}"


def _refusal(refused: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Why kernels are in a folder of this process alone, and where they would be."""
    if refused is None:
        return []
    kept = "Kernels that are compiled now last as long as this process, and every process compiles its own"
    return [("", f"in place of {refused['folder']}: {refused['reason']}. {kept}; put this right, or name another folder in NETSPEC_CACHE")]
