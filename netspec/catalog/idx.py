"""The IDX files of MNIST and its like: a magic number, the sides as big-endian 32-bit words, then bytes. Compressed by gzip or not.

Format: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits (the file format at the foot of its page).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Dataset, DataSource, Facts, Rows
from netspec.base.errors import DataError
from netspec.base.shape import show
from netspec.catalog.arrays import LIMIT_BYTES, first_line, load_npz, refuse_larger, require_file
from netspec.catalog.paths import resolve_path

GZIP = b"\x1f\x8b"
MOST_FOR_A_BYTE = 1032
"""Bytes that one byte of gzip can stand for, at most: a match of 258 in two bits."""
SIDE = 28
CLASSES = 10
PARTS = {"train": "train", "test": "t10k"}
KINDS = {"images": "idx3", "labels": "idx1"}


class IdxImages(DataSource):
    """A source of images 1x28x28 in ten classes: a folder with four IDX files, or one .npz. `words` are the labels, or None."""

    keys: ClassVar[tuple[str, ...]] = ("path",)
    words: ClassVar[tuple[str, ...] | None] = None

    def facts(self) -> Facts:
        return Facts(shape=(1, SIDE, SIDE), classes=CLASSES, outputs=None, rows=None, target="class")

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """The training part, and the official test part. Raises DataError naming the file that is missing or damaged, and the row."""
        if path is None:
            raise DataError(f'source = {self.name} needs the folder of its files: path = "data/{self.name}"; netspec downloads nothing')
        limit_bytes = keys.get("limit_bytes", LIMIT_BYTES)
        if path.is_dir():
            allowed = folders or (path,)
            parts = [_from_folder(path, part, allowed, limit_bytes) for part in PARTS]
        else:
            parts = [_from_npz(path, part, limit_bytes) for part in PARTS]
        return Dataset(parts[0], test=parts[1], labels=self.words, origin=str(path))


def load_idx(path: Path, rank: int, limit_bytes: int = LIMIT_BYTES) -> NDArray[np.uint8]:
    """The bytes of an IDX file of that many sides. Raises DataError naming the file, LimitError where it declares too much."""
    require_file(path)
    stored = path.stat().st_size
    try:
        with path.open("rb") as file:
            if file.read(2) == GZIP:
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as stream:
                    return _read(stream, str(path), rank, stored * MOST_FOR_A_BYTE, limit_bytes)
            file.seek(0)
            return _read(file, str(path), rank, stored, limit_bytes)
    except EOFError:
        raise DataError(f"{path}: cut off: the compressed data ends early; fetch the file again") from None
    except (OSError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {first_line(error)}") from None


def _read(stream: IO[bytes] | gzip.GzipFile, name: str, rank: int, most_bytes: int, limit_bytes: int) -> NDArray[np.uint8]:
    header = stream.read(4 + 4 * rank)
    if len(header) < 4 + 4 * rank:
        raise DataError(f"{name}: cut off: {len(header)} bytes, and the header of an IDX file takes {4 + 4 * rank}")
    magic, *sides = struct.unpack(f">{1 + rank}I", header)
    if magic != 0x800 + rank:
        what = {1: "labels", 3: "images"}
        other = f"those of {what[magic - 0x800]}" if magic - 0x800 in what else "no IDX file of bytes"
        raise DataError(f"{name}: its first four bytes are 0x{magic:08x}, {other}; a file of {what[rank]} begins with 0x{0x800 + rank:08x}")
    declared = prod(sides)
    refuse_larger(name, declared, limit_bytes)
    if declared + len(header) > most_bytes:
        raise DataError(f"{name}: cut off: its header declares {show(tuple(sides))} bytes, and the file is too short for them")
    content = stream.read(declared + 1)
    if len(content) != declared:
        found = f"{len(content)} are there" if len(content) < declared else "more follow"
        raise DataError(f"{name}: its header declares {show(tuple(sides))} = {declared} bytes, and {found}")
    return np.frombuffer(content, np.uint8).reshape(sides)


def _from_folder(folder: Path, part: str, allowed: Sequence[Path], limit_bytes: int) -> Rows:
    images, labels = (_find(folder, part, kind, allowed) for kind in KINDS)
    return _rows(load_idx(images, 3, limit_bytes), load_idx(labels, 1, limit_bytes), str(images), str(labels))


def _find(folder: Path, part: str, kind: str, allowed: Sequence[Path]) -> Path:
    stem = f"{PARTS[part]}-{kind}"
    names = [f"{stem}{joint}{KINDS[kind]}-ubyte{suffix}" for suffix in ("", ".gz") for joint in ("-", ".")]
    for name in names:
        if (folder / name).is_file():
            return resolve_path(folder / name, allowed)
    raise DataError(f"{folder}: has no {names[0]}, nor {', '.join(names[1:])}; the folder holds images and labels of both parts")


def _from_npz(path: Path, part: str, limit_bytes: int) -> Rows:
    names = f"x_{part}", f"y_{part}"
    advice = "a file of this set holds x_train, y_train, x_test and y_test"
    x, y = load_npz(path, names, limit_bytes, advice=advice)
    return _rows(x, y, *(f"{path}: array {name}" for name in names))


def _rows(x: NDArray[Any], y: NDArray[Any], x_name: str, y_name: str) -> Rows:
    if x.dtype != np.uint8 or x.shape[1:] != (SIDE, SIDE):
        raise DataError(f"{x_name}: {x.dtype} {x.shape}; the images of this set are bytes of {SIDE}x{SIDE}")
    if len(x) == 0:
        raise DataError(f"{x_name}: has no images")
    if y.shape != (len(x),) or y.dtype.kind not in "ui":
        raise DataError(f"{x_name} has {len(x)} images, and {y_name} is {y.dtype} {y.shape}; each image needs one label")
    wrong = np.flatnonzero((y < 0) | (y >= CLASSES))
    if len(wrong):
        raise DataError(f"{y_name}: label {y[wrong[0]]} in row {wrong[0]} (rows count from 0); allowed are 0 to {CLASSES - 1}")
    return Rows(x[:, np.newaxis], y)
