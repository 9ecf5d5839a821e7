"""NumPy's array files, read with distrust: no pickle, and the size that a header declares is checked before anything is allocated.

Format of the headers: NumPy's `numpy.lib.format`, versions 1.0 to 3.0.
"""

from __future__ import annotations

import io
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from difflib import get_close_matches
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Rows
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import DataError, LimitError, NetspecError
from netspec.base.memory import SHARE, memory_limit
from netspec.base.shape import Shape, show

MOST_BYTES = 8
"""Of one number: NumPy's longdouble holds values that become infinite here."""
FEWER_ROWS = "use fewer rows or a smaller dtype; rows in an .npy file (source = npy) are read piece by piece"
SMALL_BYTES = 64 << 20
"""Below it nobody looks how much memory is left."""
MOST_ENTRIES_BYTES = 4 << 20
"""Of the list of an archive of arrays, which is read whole: forty thousand names."""
LIMIT_BYTES = 8 << 30
"""Declared bytes of one array above which reading is refused, unless a caller gives another limit."""
DAMAGE = (
    EOFError,
    ValueError,
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
    SyntaxError,
    tokenize.TokenError,
)
"""What NumPy and zipfile raise on files that are cut off, altered, encrypted or packed in an unknown way."""
HEADER_DAMAGE = (*DAMAGE, ArithmeticError, AttributeError, LookupError, MemoryError, SystemError, TypeError)
"""What else NumPy raises on a header, which may be any expression of Python's literals."""
END_BYTES = (1 << 16) + 128
"""At the end of an archive, where its list is told of: the longest comment, and the records before it."""
ZIP64 = 0xFFFFFFFF
MOST_AXES = 32
"""Of an array: NumPy had as many before its version 2."""


def load_npy(path: Path, limit_bytes: int = LIMIT_BYTES) -> NDArray[Any]:
    """The array of an .npy file. Raises DataError naming the file, LimitError when it declares more than `limit_bytes`."""
    require_file(path)
    try:
        with path.open("rb") as stream:
            return _read(stream, path.stat().st_size, str(path), limit_bytes)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def map_npy(path: Path, limit_bytes: int = LIMIT_BYTES) -> NDArray[Any]:
    """The array of an .npy file, mapped: its numbers stay in the file until they are read. One whose rows do not lie one after the other
    (Fortran's order) is read as `load_npy` does, which also raises for it, as here, DataError naming the file."""
    require_file(path)
    try:
        with path.open("rb") as stream:
            shape, fortran, dtype = _header(stream, str(path))
            start, stored = stream.tell(), path.stat().st_size
            declared = prod(shape) * dtype.itemsize
            if fortran or declared == 0:
                return load_npy(path, limit_bytes)
            _require_stored(str(path), shape, dtype, stored - start)
            return np.memmap(stream, dtype, "r", start, shape)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


NAMES_HELP = "name them with x = and y ="


def load_npz(path: Path, names: Iterable[str], limit_bytes: int = LIMIT_BYTES, *, advice: str = NAMES_HELP) -> list[NDArray[Any]]:
    """The arrays `names` of an .npz file, in that order. Raises DataError naming file and array, LimitError as `load_npy`.

    `advice` is what a message says where an array is missing.
    """
    require_file(path)
    try:
        _require_few(path)
        with zipfile.ZipFile(path) as archive:
            stored = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            arrays = []
            for name in names:
                if name not in stored:
                    raise DataError(f"{missing(path, name, list(stored))}; {advice}")
                with archive.open(stored[name]) as stream:
                    arrays.append(_read(stream, stored[name].file_size, f"{path}: array {name}", limit_bytes))
            return arrays
    except (DataError, LimitError):
        raise
    except zipfile.BadZipFile as error:
        reason = "it is not a zip file, or was cut off" if "not a zip" in str(error) else f"it is damaged: {error}"
        raise DataError(f"{path}: cannot be read as .npz: {reason}; write it with numpy.savez") from None
    except DAMAGE as error:
        raise DataError(f"{path}: cannot be read as .npz: {error}") from None


def npz_names(path: Path) -> list[str]:
    """The names of the arrays of an .npz file; none where it cannot be read."""
    try:
        require_file(path)
        _require_few(path)
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (*DAMAGE, NetspecError):
        return []


def _require_few(path: Path) -> None:
    with path.open("rb") as stream:
        require_short_list(stream, str(path), MOST_ENTRIES_BYTES)


def require_short_list(stream: IO[bytes], name: str, most_bytes: int) -> None:
    """Raises LimitError for a zip file whose list of what it holds is longer than `most_bytes`: Python's reader makes fifteen times as
    many of it, before any entry is looked at. What is no zip file is left to that reader."""
    stored = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, stored - END_BYTES))
    end = stream.read()
    at = end.rfind(b"PK\5\6")
    listed = int.from_bytes(end[at + 12 : at + 16], "little") if at >= 0 else 0
    if listed == ZIP64 and (large := end.rfind(b"PK\6\6", 0, at)) >= 0:
        listed = int.from_bytes(end[large + 40 : large + 48], "little")
    if most_bytes < listed <= stored:
        raise too_large(
            f"{name}: the list of what it holds takes {listed / 2**20:.0f} MiB",
            most_bytes,
            advice="pack fewer files, or leave them in a folder",
        )
    stream.seek(0)


def as_rows(x: NDArray[Any], y: NDArray[Any], x_name: str, y_name: str) -> Rows:
    """Inputs and labels of equal length, their ranks and dtypes checked. The names say where they came from, for the messages."""
    check_inputs(x, x_name)
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    if y.dtype.kind not in "buifU":
        raise DataError(f"{y_name}: labels have dtype {y.dtype}; allowed are numbers and text")
    if y.ndim == 0:
        raise DataError(f"{y_name}: a single value, where one label for each row is needed")
    if len(x) != len(y):
        raise DataError(f"{x_name} has {len(x)} rows and {y_name} has {len(y)}; each row needs one label")
    return Rows(x, y)


def check_inputs(x: NDArray[Any], name: str, row: Shape | None = None) -> None:
    """Raises DataError unless `x` is a non-empty (N, D) or (N, C, H, W) array of real numbers. `row` is what the net takes, if that is
    known."""
    if x.dtype.kind not in "buif" or x.dtype.itemsize > MOST_BYTES:
        raise DataError(f"{name}: dtype {x.dtype}; inputs are integers or floating-point numbers of at most {8 * MOST_BYTES} bits")
    if x.ndim not in (2, 4):
        raise DataError(f"{name}: shape {x.shape}; {axes_help(x.shape, row)}")
    if len(x) == 0:
        raise DataError(f"{name}: shape {x.shape}: it has no rows")
    if x.size == 0:
        raise DataError(f"{name}: shape {x.shape}: its rows are empty")


def axes_help(found: Shape, row: Shape | None = None, x: str = "x") -> str:
    """What to write where an array called `x` has neither two axes nor four; `row` is what the net takes, if that is known."""
    takes = "inputs are vectors (N, D) or images (N, C, H, W)"
    if len(found) == 1:
        return f"{takes}; a single row is {x}[None], rows of one number each are {x}.reshape(-1, 1)"
    if len(found) != 3:
        return takes
    if row is not None and tuple(row) == (1, *found[1:]):
        return f"a row is {show(found[1:])}, and the net takes {show(row)}: write {x}[:, None]"
    if row is not None and tuple(row) == (found[1] * found[2],):
        return f"a row is {show(found[1:])}, and the net takes a vector of {row[0]}: write {x}.reshape(len({x}), -1)"
    if row is not None:
        return f"{takes}, and the net takes {show(row)}"
    return f"{takes}; for images of one channel reshape to (N, 1, H, W), as {x}[:, None] does, for vectors write {x}.reshape(len({x}), -1)"


def require_file(path: Path) -> None:
    """Raises DataError unless a regular file lies there: opening a pipe waits for ever where nobody writes to it."""
    if path.is_file():
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    raise DataError(f"{path}: is a pipe or a device; copy what it gives to a file")


def missing(path: Path, name: str, stored: list[str]) -> str:
    """That an .npz file has no array of that name, the nearest name and all that it has."""
    near = get_close_matches(name, stored, n=1, cutoff=0.65)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{path}: has no array {name}; {hint}It holds {', '.join(sorted(stored)) or 'no arrays'}"


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, Fortran's order, dtype) that the header declares."""
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings(action="ignore"):  # of files by old versions of Python and NumPy, which can be read
            shape, fortran, dtype = read_header(stream)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{name}: damaged: {first_line(error)}") from None
    except HEADER_DAMAGE as error:
        raise DataError(f"{name}: not an array in NumPy's format, or cut off in its header ({first_line(error)[:100]})") from None
    if dtype.itemsize == 0 or dtype.subdtype is not None:
        raise DataError(f"{name}: damaged: its header declares the dtype {str(dtype)[:80]}")
    if not _is_shape(shape, dtype.itemsize):
        raise DataError(f"{name}: damaged: its header declares the shape {str(shape)[:80]}")
    if dtype.hasobject:
        raise DataError(f"{name}: an array of Python objects ({show(shape)}), which only pickle can read; store numbers or text (astype)")
    return shape, fortran, dtype


def _is_shape(shape: tuple[Any, ...], itemsize: int) -> bool:
    """Whether NumPy can have an array of it; it counts the elements as if no side were zero."""
    sides = [side for side in shape if type(side) is int and side >= 0]
    return len(sides) == len(shape) <= MOST_AXES and prod(max(1, side) for side in sides) * itemsize <= sys.maxsize


def _require_stored(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], available: int) -> None:
    declared = prod(shape) * dtype.itemsize
    if declared > available:
        raise DataError(f"{name}: cut off: its header declares {declared} bytes ({dtype}, {show(shape)}), and {available} are there")


def _read(stream: IO[bytes], stored_bytes: int, name: str, limit_bytes: int) -> NDArray[Any]:
    """One array from a stream of `stored_bytes` bytes that starts at the magic string."""
    shape, fortran, dtype = _header(stream, name)
    declared = prod(shape) * dtype.itemsize
    refuse_larger(name, declared, limit_bytes, f" ({dtype}, {show(shape)})")
    _require_stored(name, shape, dtype, stored_bytes - stream.tell())
    if declared == 0:
        return np.empty(shape, dtype)
    data = np.empty(declared, np.uint8)
    view = data.data
    filled = 0
    try:
        while filled < declared:
            part = stream.read(min(1 << 22, declared - filled))
            if not part:
                raise DataError(f"{name}: cut off after {filled} of {declared} bytes")
            view[filled : filled + len(part)] = part
            filled += len(part)
        stream.read(1)  # an entry of a zip file compares its checksum at its end
    except DAMAGE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name}: damaged: {first_line(error)}") from None
    order: Literal["F", "C"] = "F" if fortran else "C"
    if dtype.kind == "U":
        _require_text(data.view(np.dtype("u4").newbyteorder(dtype.byteorder)).reshape(-1, dtype.itemsize // 4), shape, order, name)
    return data.view(dtype).reshape(shape, order=order)


def _require_text(codes: NDArray[np.uint32], shape: tuple[int, ...], order: Literal["F", "C"], name: str) -> None:
    """Raises DataError at the first code, of a row a text, that is no character: Python's text cannot hold it, or no file."""
    wrong = np.argwhere((codes > sys.maxunicode) | ((codes >= 0xD800) & (codes < 0xE000)))
    if len(wrong):
        text, letter = wrong[0]
        row = np.unravel_index(text, (*shape, 1), order)[0]
        raise DataError(f"{name}: damaged: row {row} (rows count from 0): 0x{codes[text, letter]:x} is the code of no character")


def refuse_larger(name: str, declared_bytes: int, limit_bytes: int, more: str = "", *, in_memory: bool = True) -> None:
    """Raises LimitError where data declares more bytes than are read, or, `in_memory`, than this process may take."""
    found = f"{name}: declares {declared_bytes / 2**30:.1f} GiB{more}"
    if declared_bytes > limit_bytes:
        raise too_large(found, limit_bytes)
    if in_memory and declared_bytes > SMALL_BYTES and declared_bytes > memory_limit():
        raise too_large(found, memory_limit(), f", {SHARE:.0%} of the memory that is left")


def too_large(found: str, limit_bytes: int, why: str = "", advice: str = FEWER_ROWS) -> LimitError:
    """For data that declares, as `found` says, more bytes than are read."""
    limit = f"{limit_bytes / 2**30:.1f} GiB" if limit_bytes >= 1 << 29 else f"{limit_bytes / 2**20:g} MiB"
    return LimitError([Diagnostic("NS810", f"{found}; the limit is {limit}{why}", help=advice)])


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
