"""Named arrays and a JSON object in one safetensors file: weights, optimiser state, and the spec that they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from netspec.base.errors import DataError, UsageError
from netspec.save.atomic import write_atomic

KEY = "netspec"
"""The one metadata key. Several would be written in an order that differs from process to process."""
DTYPES = "buif"


def save_weights(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Writes `path` whole or not at all; the same arguments give the same bytes.

    `metadata` is anything that JSON holds. Raises UsageError for an array that the format lacks, SaveError when the disk is full.
    """
    write_atomic(Path(path), as_bytes(tensors, metadata))


def as_bytes(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> bytes:
    """The file that `save_weights` writes. Raises UsageError for an array that the format lacks."""
    # safetensors writes wrong values for arrays that are not in C order, and takes no foreign byte order
    plain = {name: _plain(name, tensors[name]) for name in sorted(tensors)}
    text = json.dumps(metadata, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return save(plain, metadata={KEY: text})


def load_weights(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays by name, as writable copies, and the metadata. Raises DataError for a missing, damaged or foreign file."""
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a weights file")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        with safe_open(path, framework="numpy") as stored:
            metadata = stored.metadata() or {}
            if KEY not in metadata:
                raise DataError(f"{path}: a safetensors file, but not one of netspec's: it carries no spec")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a dict
        values = json.loads(metadata[KEY])
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: damaged, cut off, or not a weights file: {str(error).splitlines()[0] if str(error) else 'unreadable'}"
        ) from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: damaged: its metadata is no object")
    return dict(sorted(tensors.items())), values


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(array)
    if array.dtype.kind not in DTYPES:
        raise UsageError(f"{name}: an array of {array.dtype} cannot be saved; numbers and booleans can")
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    return native.copy() if not native.flags.c_contiguous else native
