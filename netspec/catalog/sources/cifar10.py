"""CIFAR-10: photographs, 50,000 images 3x32x32 of bytes to train and 10,000 to test, in ten classes.

`path` is the folder of the binary version (data_batch_1.bin to data_batch_5.bin, test_batch.bin, batches.meta.txt) or of the one for Python
(data_batch_1 to data_batch_5, test_batch, batches.meta), or the archive of either (.tar.gz) as it is published. The official test part is
the test split, so that a split has two parts: split = 49000 / 1000. The labels are the words of batches.meta. A. Krizhevsky, Learning
Multiple Layers of Features from Tiny Images, 2009.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Dataset, DataSource, Facts, Rows
from netspec.base.errors import DataError, NetspecError
from netspec.base.shape import Shape, size
from netspec.catalog.arrays import LIMIT_BYTES, first_line, refuse_larger, require_file, too_large
from netspec.catalog.idx import GZIP
from netspec.catalog.paths import resolve_path
from netspec.catalog.pickled import load_pickled

SHAPE: Shape = (3, 32, 32)
WORDS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
META = "batches.meta"
FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
"""Where the files lie in a folder: in it, or as the archives are unpacked."""
MOST_FILE_BYTES = 64 << 20
"""Of one file: they have 31 MB."""
MOST_PASSED_BYTES = 16 << 20
"""Of an archive, what is no file of the data set."""
MOST_MEMBERS = 1000
NOT_IT = "take the archive as it is published, or the folder that it unpacks to"

Reader = Callable[[str], bytes]


class Cifar10(DataSource):
    """Photographs in ten classes, images 3x32x32."""

    name: ClassVar[str] = "cifar10"
    keys: ClassVar[tuple[str, ...]] = ("path",)

    def facts(self) -> Facts:
        return Facts(shape=SHAPE, classes=len(WORDS), outputs=None, rows=None, target="class")

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """The five training batches, and the official test part. Raises DataError naming the file that is missing or damaged."""
        if path is None:
            raise DataError('source = cifar10 needs its folder or archive: path = "cifar-10-python.tar.gz"; netspec downloads nothing')
        limit_bytes = keys.get("limit_bytes", LIMIT_BYTES)
        if path.is_dir():
            names, reader = _folder(path, folders or (path,), min(limit_bytes, MOST_FILE_BYTES))
        else:
            names, reader = _archive(path, min(limit_bytes, MOST_FILE_BYTES))
        binary = f"{BATCHES[0]}.bin" in names
        wanted = [f"{name}.bin" if binary else name for name in BATCHES]
        missing = [name for name in wanted if name not in names]
        if missing:
            every = f"{BATCHES[0]} to {BATCHES[4]} and {BATCHES[5]}, all with .bin or all without"
            raise DataError(f"{path}: has no {', '.join(missing)}; CIFAR-10 has {every}")
        parts = [(_binary if binary else _pickled)(reader(name), f"{path}: {name}") for name in wanted]
        rows = Rows(np.concatenate([part.x for part in parts[:-1]]), np.concatenate([part.y for part in parts[:-1]]))
        return Dataset(rows, test=parts[-1], labels=_words(path, names, reader, binary), origin=str(path))


def _folder(path: Path, allowed: Sequence[Path], limit_bytes: int) -> tuple[list[str], Reader]:
    places = [path / name for name in FOLDERS if any((path / name / f"{BATCHES[0]}{suffix}").is_file() for suffix in ("", ".bin"))]
    folder = places[0] if places else path

    def read(name: str) -> bytes:
        file = resolve_path(folder / name, allowed)
        require_file(file)
        refuse_larger(str(file), file.stat().st_size, limit_bytes)
        try:
            return file.read_bytes()
        except OSError as error:
            raise DataError(f"{file}: cannot be read: {error}") from None

    return sorted(one.name for one in folder.iterdir()), read


def _archive(path: Path, limit_bytes: int) -> tuple[list[str], Reader]:
    """What an archive holds of the data set, read in one pass from its start to its end."""
    require_file(path)
    contents: dict[str, bytes] = {}
    wanted = {META, f"{META}.txt", *BATCHES, *(f"{name}.bin" for name in BATCHES)}
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP)) == GZIP
            file.seek(0)
            stream = _Forward(gzip.GzipFile(fileobj=file) if packed else file, str(path), limit_bytes)
            for count, member in enumerate(tarfile.TarFile(fileobj=stream)):  # type: ignore[arg-type]  # reads, and moves on
                name = Path(member.name).name
                if count >= MOST_MEMBERS:
                    raise DataError(f"{path}: holds more than {MOST_MEMBERS} files; the archive of CIFAR-10 has eight")
                if name in wanted and name not in contents and member.isreg() and not member.issparse():
                    contents[name] = stream.content(member)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        if isinstance(error, NetspecError):
            raise
        raise DataError(f"{path}: cannot be read as an archive, .tar or .tar.gz: {first_line(error)}") from None
    return sorted(contents), contents.__getitem__


class _Forward:
    """A stream that tarfile reads from start to end: what it passes over or asks for, and so what is unpacked, is bounded."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, name: str, limit_bytes: int) -> None:
        self.stream, self.name, self.limit_bytes, self.passed = stream, name, limit_bytes, 0

    def content(self, member: tarfile.TarInfo) -> bytes:
        """Raises LimitError for a file that is larger than any of the data set, DataError where it is cut off."""
        if member.size > self.limit_bytes:
            raise too_large(f"{self.name}: {member.name} declares {member.size / 2**20:.0f} MiB", self.limit_bytes, advice=NOT_IT)
        self.seek(member.offset_data)
        content = self.stream.read(member.size)
        if len(content) != member.size:
            raise DataError(f"{self.name}: {member.name} is cut off after {len(content)} of {member.size} bytes")
        return content

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, place: int) -> None:
        self.passed += max(0, place - self.stream.tell())
        if self.passed > MOST_PASSED_BYTES:
            raise too_large(f"{self.name}: holds more than CIFAR-10 beside it", MOST_PASSED_BYTES, advice=NOT_IT)
        self.stream.seek(place)

    def read(self, count: int) -> bytes:
        if count > MOST_PASSED_BYTES:
            raise too_large(f"{self.name}: declares a name of {count / 2**20:.0f} MiB", MOST_PASSED_BYTES, advice=NOT_IT)
        return self.stream.read(count)


def _binary(content: bytes, name: str) -> Rows:
    """Rows of a label and three planes, of a byte a number."""
    width = 1 + size(SHAPE)
    if len(content) == 0 or len(content) % width:
        raise DataError(f"{name}: {len(content)} bytes, cut off in row {len(content) // width}; each row takes {width} (rows count from 0)")
    rows = np.frombuffer(content, np.uint8).reshape(-1, width)
    return _rows(rows[:, 1:], rows[:, 0], name)


def _pickled(content: bytes, name: str) -> Rows:
    """A dict with `data` (N, 3072) uint8 and `labels`, a list."""
    found = load_pickled(content, name)
    x, labels = found.get(b"data"), found.get(b"labels")
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != size(SHAPE) or len(x) == 0:
        raise DataError(f"{name}: `data` is no array of bytes with {size(SHAPE)} columns")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{name}: `labels` is no list of whole numbers")
    if len(labels) != len(x):
        raise DataError(f"{name}: {len(x)} images and {len(labels)} labels; each image needs one")
    return _rows(x, np.array([min(max(label, -1), 255) for label in labels]), name)


def _rows(x: NDArray[np.uint8], y: NDArray[Any], name: str) -> Rows:
    wrong = np.flatnonzero((y < 0) | (y >= len(WORDS)))
    if len(wrong):
        raise DataError(f"{name}: label {y[wrong[0]]} in row {wrong[0]} (rows count from 0); allowed are 0 to {len(WORDS) - 1}")
    return Rows(x.reshape(-1, *SHAPE), y.astype(np.int64))


def _words(path: Path, names: Sequence[str], reader: Reader, binary: bool) -> tuple[str, ...]:
    """The names of the classes, from the file beside the batches where there is one."""
    name = f"{META}.txt" if binary else META
    if name not in names:
        return WORDS
    if binary:
        found = [line.strip() for line in reader(name).splitlines() if line.strip()]
    else:
        found = load_pickled(reader(name), f"{path}: {name}").get(b"label_names")  # type: ignore[assignment]  # checked below
    if not isinstance(found, list) or len(found) != len(WORDS) or not all(isinstance(word, (bytes, str)) for word in found):
        raise DataError(f"{path}: {name}: the names of {len(WORDS)} classes are needed")
    words = tuple(word.decode("utf-8", "replace") if isinstance(word, bytes) else word for word in found)
    for word in words:
        if words.count(word) > 1:
            raise DataError(f"{path}: {name}: {words.count(word)} classes are named {word}; each needs a name of its own")
    return words
