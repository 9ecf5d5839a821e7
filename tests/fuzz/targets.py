"""What is fuzzed: bytes to a call of netspec that may refuse them with an error of its own, and may do nothing else.

Each target takes any bytes. The first byte chooses how the rest is dressed, so that a mutation reaches the code behind lengths and
checksums that chance would never get right.
"""

from __future__ import annotations

import atexit
import gzip
import io
import json
import pickle
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as arrow
from PIL import Image
from pyarrow import parquet as arrow_parquet

from netspec.base.errors import NetspecError
from netspec.base.text import Source
from netspec.catalog.idx import load_idx
from netspec.catalog.pickled import load_pickled
from netspec.catalog.sources.images import pictures
from netspec.frontend.program import Overrides, Program
from netspec.frontend.validate import load
from netspec.graph.check import diagnose
from netspec.model import Model
from netspec.pipeline import restore_file
from netspec.save.weights import as_bytes

FOLDER = Path(tempfile.mkdtemp(prefix="netspec-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
atexit.register(shutil.rmtree, FOLDER, True)

SPEC = "netspec 1 input 3 classes 2 net affine(2)-bn -> affine -> softmax"
DESCRIPTION = {"spec": SPEC, "path": "<string>", "input": [3], "classes": 2, "seed": 0, "step": 1, "epoch": 1, "labels": ["a", "b"]}
LEARNED = {"normalization": "per_feature", "columns": [{"name": "a"}], "class_weights": [1.0, 2.0]}
TENSORS = {
    "affine1.W": np.ones((3, 2), "f4"), "affine1.b": np.ones(2, "f4"), "affine2.W": np.ones((2, 2), "f4"), "affine2.b": np.ones(2, "f4"),
    "bn1.gamma": np.ones(2, "f4"), "bn1.beta": np.ones(2, "f4"), "bn1.mean": np.ones(2, "f4"), "bn1.var": np.ones(2, "f4"),
}  # fmt: skip


def spec(data: bytes) -> None:
    """Everything that is wrong with a text."""
    diagnose(Source(data.decode("utf-8", "surrogateescape")), Overrides(input=(3, 8, 8), classes=4) if len(data) % 2 else Overrides())


def weights(data: bytes) -> None:
    """A weights file: as it is; its header with the right length; its metadata in a valid file."""
    kind, rest = data[:1], data[1:]
    if kind == b"h":
        header, _, body = rest.partition(b"\n")
        rest = struct.pack("<Q", len(header)) + header + body
    elif kind == b"m":
        header_size = struct.unpack("<Q", VALID[:8])[0]
        header = json.loads(VALID[8 : 8 + header_size])
        header["__metadata__"]["netspec"] = rest.decode("utf-8", "replace")
        text = json.dumps(header).encode()
        rest = struct.pack("<Q", len(text)) + text + VALID[8 + header_size :]
    restore_file(_file("w.safetensors", rest))


def csv(data: bytes) -> None:
    """A table, to the rows that a net trains on."""
    _split("csv", _file("d.csv", data[1:]), "transforms = one_hot; normalize = per_feature" if data[:1] == b"o" else "")


def npz(data: bytes) -> None:
    """An archive of arrays as it is, or one of the fuzzed x, the fuzzed y, or both."""
    kind, rest = data[:1], data[1:]
    if kind in (b"x", b"y", b"b"):
        first, second = {b"x": (rest, GOOD_Y), b"y": (GOOD_X, rest)}.get(kind, (rest[: len(rest) // 2], rest[len(rest) // 2 :]))
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("x.npy", first)
            archive.writestr("y.npy", second)
        rest = stream.getvalue()
    _split("npz", _file("d.npz", rest), "normalize = per_feature")


def files(data: bytes) -> None:
    """IDX files and such packed by gzip, pickles of CIFAR-10, pictures, a zip, and one of a picture."""
    kind, rest = data[:1], data[1:]
    if kind in (b"1", b"3"):
        load_idx(_file("d.idx", rest), int(kind))
    elif kind == b"g":
        load_idx(_file("d.idx.gz", gzip.compress(rest, 1)), 3)
    elif kind == b"c":
        load_pickled(rest, "d")
    elif kind == b"i":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a/1.png", rest)
        pictures(_file("d.zip", stream.getvalue()), (3, 4, 4))
    elif kind == b"z":
        pictures(_file("d.zip", rest), (3, 4, 4))
    else:
        pictures(_file("d.png", rest), (1, 4, 4))


def parquet(data: bytes) -> None:
    """A table of Parquet, whose reader is not ours."""
    _split("parquet", _file("d.parquet", data[1:]), "transforms = one_hot" if data[:1] == b"o" else "")


def _split(source: str, path: Path, more: str) -> None:
    Model(_program(source, path.name, more)).splits_of_data()


@cache
def _program(source: str, name: str, more: str) -> Program:
    text = f'netspec 1 data {{ source = {source}; path = "{name}"; split = 50% / 50%; {more} }} net affine(2) -> affine -> softmax'
    return load(Source(text, str(FOLDER / "spec.net")))


def _file(name: str, content: bytes) -> Path:
    path = FOLDER / name
    path.write_bytes(content)
    return path


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _picture(form: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(stream, form)
    return stream.getvalue()


def _zipped(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


VALID = as_bytes(TENSORS, DESCRIPTION)
_HEADER_SIZE = struct.unpack("<Q", VALID[:8])[0]
X, Y = np.arange(24, dtype="f4").reshape(8, 3) % 7, np.arange(8) % 2
GOOD_X, GOOD_Y = _npy(X), _npy(Y)
TABLE = b"a,b,c,label\n" + b"".join(f"{row % 7},{row * row % 5},{row % 3}.5,{'pq'[row % 2]}\n".encode() for row in range(12))
PICKLED = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8)[:, :4].copy(), b"labels": [1, 2]}, protocol=2)
IDX = struct.pack(">4I", 0x803, 2, 3, 2) + bytes(12)

TARGETS: dict[str, tuple[Callable[[bytes], None], Sequence[bytes]]] = {
    "spec": (
        spec,
        [
            SPEC.encode(),
            b"[affine-bn-relu-dropout]x4 -> affine -> softmax",
            b"let w = 3 def rb(c, act = relu) = res[conv(c)-bn-act](proj) net conv(w)-relu @s -> [rb(4)]x2 -> add(id | @s) -> affine",
            b"input 6 net affine(6) @e -> [affine(6)]x3 tied -> concat(id | affine(tie = e.T)) -> mul(id | id) -> linear",
            b"data { source = csv; path = \"a.csv\"; split = 80% / 20% } train { schedule = warmup(2ep, then=cosine(20ep)) } net affine",
        ],
    ),
    "weights": (
        weights,
        [
            b"r" + VALID,
            b"h" + VALID[8 : 8 + _HEADER_SIZE] + b"\n" + VALID[8 + _HEADER_SIZE :],
            b"m" + json.dumps(DESCRIPTION).encode(),
            b"m" + json.dumps({**DESCRIPTION, **LEARNED}).encode(),
        ],
    ),
    "csv": (csv, [b"n" + TABLE, b"o" + TABLE, b"o" + TABLE.replace(b"1", b"x"), b"n" + TABLE.replace(b",", b";")]),
    "npz": (
        npz,
        [
            b"x" + GOOD_X,
            b"y" + GOOD_Y,
            b"y" + _npy(np.array(["cat", "dog"] * 4)),
            b"b" + GOOD_X + GOOD_Y,
            b"r" + _zipped(x=X, y=Y),
            b"r" + _zipped(x=X.reshape(4, 1, 2, 3), y=Y[:4]),
        ],
    ),
    "files": (
        files,
        [
            b"3" + IDX,
            b"g" + IDX,
            b"c" + PICKLED,
            b"i" + _picture("PNG"),
            b"1" + struct.pack(">2I", 0x801, 3) + bytes(3),
            *(b"p" + _picture(form) for form in ("PNG", "JPEG", "BMP")),
        ],
    ),
}  # fmt: skip


def _parquet() -> bytes:
    stream = io.BytesIO()
    arrow_parquet.write_table(arrow.table({"a": [1, 5, 3, 4], "t": ["x", "y", "x", "y"], "y": ["p", "q", "p", "q"]}), stream)
    return stream.getvalue()


TARGETS["parquet"] = (parquet, [b"n" + _parquet(), b"o" + _parquet()])


def refuses_or_takes(target: str, data: bytes) -> None:
    """Calls a target; an error of netspec's is an answer, and any other comes through."""
    with suppress(NetspecError):
        TARGETS[target][0](data)
