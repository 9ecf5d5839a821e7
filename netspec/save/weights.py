"""Named arrays and a JSON object in one safetensors file: weights, optimiser state, and the spec that they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from netspec.base.errors import DataError, NetspecError, UsageError
from netspec.base.memory import SHARE, memory_limit
from netspec.catalog.arrays import SMALL_BYTES, first_line, require_file, too_large
from netspec.catalog.tables import listed
from netspec.save.atomic import write_atomic

KEY = "netspec"
"""The one metadata key. Several would be written in an order that differs from process to process."""
DTYPES = "buif"
NUMPY = {
    "F16": "f2", "F32": "f4", "F64": "f8", "BOOL": "?",
    "I8": "i1", "I16": "i2", "I32": "i4", "I64": "i8", "U8": "u1", "U16": "u2", "U32": "u4", "U64": "u8",
}  # fmt: skip
"""The format's words for dtypes that can be read, and NumPy's."""
FOREIGN = "no net that netspec saves has as much; is the file another one?"
STATE_DICT = ". A PyTorch state dict goes into a net of its shapes by netspec.compile(spec, weights=...), or by netspec convert --weights"
ZIP = b"PK\x03\x04"
AS_SAFETENSORS = "safetensors.torch.save_file(net.state_dict(), 'state.safetensors')"
MOST_HEADER_BYTES = 8 << 20
"""Of names, shapes and metadata: a net of ten thousand layers with its optimiser's state takes six."""


def save_weights(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Writes `path` whole or not at all; the same arguments give the same bytes.

    `metadata` is anything that JSON holds. Raises UsageError for an array that the format lacks, SaveError when the disk is full.
    """
    write_atomic(Path(path), as_bytes(tensors, metadata))


def as_bytes(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> bytes:
    """The file that `save_weights` writes. Raises UsageError for an array that the format lacks."""
    # safetensors writes wrong values for arrays that are not in C order, and takes no foreign byte order
    plain = {name: _plain(name, tensors[name]) for name in sorted(tensors)}
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"))  # in ASCII: the spec's path may be no text
    return save(plain, metadata={KEY: text})


def plain_bytes(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """A safetensors file as other libraries write it, without words of netspec."""
    return save({name: _plain(name, tensors[name]) for name in sorted(tensors)}, metadata={"format": "pt"})


def read_header(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What a weights file declares, without reading its numbers: arrays of which only shape and dtype are real, and the metadata.

    Raises DataError for a missing, damaged or foreign file, LimitError for a header, or arrays, too large for this machine.
    """
    path = Path(path)
    require_file(path)
    with _stored(path) as stored:
        metadata = stored.metadata() or {}
        if KEY not in metadata:
            raise DataError(f"{path}: a safetensors file, but not one of netspec's: it carries no spec{STATE_DICT}")
        declared = _declared(path, stored)
        values = json.loads(metadata[KEY])
    if not isinstance(values, dict):
        raise DataError(f"{path}: damaged: its metadata is no object")
    return declared, values


def _declared(path: Path, stored: Any) -> dict[str, NDArray[Any]]:
    """Arrays of which only shape and dtype are real. Raises DataError for dtypes that NumPy lacks, LimitError for what is too large."""
    slices = {name: stored.get_slice(name) for name in sorted(stored.keys())}
    foreign = [f"{name} ({one.get_dtype()})" for name, one in slices.items() if one.get_dtype() not in NUMPY]
    if foreign:
        advice = "; in PyTorch, tensor.float() gives float32" if any(name.endswith("(BF16)") for name in foreign) else ""
        raise DataError(f"{path}: holds arrays of kinds that netspec has not: {listed(foreign)}; it has {', '.join(NUMPY)}{advice}")
    declared = {name: _stand_in(one.get_shape(), NUMPY[one.get_dtype()]) for name, one in slices.items()}
    declared_bytes = sum(array.nbytes for array in declared.values())
    if declared_bytes > SMALL_BYTES and declared_bytes > memory_limit():
        found = f"{path}: its arrays take {declared_bytes / 2**30:.1f} GiB"
        raise too_large(found, memory_limit(), f", {SHARE:.0%} of the memory that is left", FOREIGN)
    return declared


def is_foreign(path: Path) -> bool:
    """Whether a safetensors file carries no words of netspec's: another library wrote it. Raises as `read_header`."""
    require_file(path)
    with _stored(path) as stored:
        return KEY not in (stored.metadata() or {})


def load_foreign(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of another library's safetensors file by name; numbers as they are. Raises as `read_header`."""
    with _stored(path) as stored:
        declared = _declared(path, stored)
        return {name: stored.get_tensor(name) for name in declared}


def load_weights(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays by name, as writable copies, and the metadata. Raises as `read_header`."""
    path = Path(path)
    declared, values = read_header(path)
    with _stored(path) as stored:
        return {name: stored.get_tensor(name) for name in declared}, values


@contextmanager
def _stored(path: Path) -> Iterator[Any]:
    """The open file, its header read. What is wrong with it, or becomes so while it is read, is a DataError."""
    try:
        with path.open("rb") as stream:
            first = stream.read(8)
        if first.startswith(ZIP):
            raise DataError(f"{path}: is an archive, as torch.save writes; in PyTorch write the arrays alone: {AS_SAFETENSORS}")
        declared, stored = int.from_bytes(first, "little"), path.stat().st_size
        if MOST_HEADER_BYTES < declared <= stored:
            raise too_large(f"{path}: its header takes {declared / 2**20:.0f} MiB", MOST_HEADER_BYTES, advice=FOREIGN)
        with safe_open(path, framework="numpy") as file:
            yield file
    except NetspecError:
        raise
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: damaged, cut off, or not a weights file: {first_line(error)}") from None


def _stand_in(shape: Sequence[int], dtype: str) -> NDArray[Any]:
    return np.broadcast_to(np.zeros((), dtype), shape)


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(array)
    if array.dtype.kind not in DTYPES:
        raise UsageError(f"{name}: an array of {array.dtype} cannot be saved; numbers and booleans can")
    native = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    return native.copy() if not native.flags.c_contiguous else native
