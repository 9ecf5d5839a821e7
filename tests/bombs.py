"""Small files that ask for much: each is refused by one limit. `python tests/bombs.py GROUP` measures them in a process of their own.

Prints a line of JSON for each: what it raised, the seconds of process time (the least of three calls or more), the bytes by which the
process grew (the most of them, by the kernel's high-water mark, which is set back before each call).
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
from pyarrow import parquet

import netspec
from netspec.base.errors import NetspecError
from netspec.base.text import Source
from netspec.catalog.idx import load_idx
from netspec.catalog.sources.images import pictures
from netspec.frontend.convert.read import read_model
from netspec.frontend.convert.sketch import NoChain
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import diagnose
from netspec.model import Model
from netspec.pipeline import restore
from netspec.save.run_folder import RunFolder
from netspec.save.weights import KEY, as_bytes

Call = Callable[[], Any]
Bomb = Callable[[Path], Call]
TAIL = " -> affine -> softmax"
DESCRIPTION = {"path": "<string>", "seed": 0, "step": 0, "epoch": 0}


def text(spec: str) -> Bomb:
    return lambda folder: lambda: netspec.compile(spec, input=(3, 8, 8), classes=4)


def file(content: Callable[[Path], None]) -> Bomb:
    """A .net file that `content` writes."""

    def prepare(folder: Path) -> Call:
        content(folder)
        return lambda: netspec.compile(folder / "spec.net", input=3, classes=2)

    return prepare


def sparse(path: Path, begin: bytes, size: int) -> Path:
    """A file whose end lies far behind what it holds."""
    with path.open("wb") as stream:
        stream.write(begin)
        stream.truncate(size)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def data(source: str, name: str, content: Callable[[Path], Any], more: str = "") -> Bomb:
    """A data section that reads what `content` writes at `name`."""

    def prepare(folder: Path) -> Call:
        content(folder / name)
        spec = f'netspec 1 data {{ source = {source}; path = "{name}"; {more} }} net affine{TAIL}'
        model = Model(load(Source(spec, str(folder / "spec.net"))))
        return lambda: model.splits_of_data()

    return prepare


def npy_header(shape: str, dtype: str = "<f4") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def zipped(members: dict[str, bytes], declared: int | None = None) -> bytes:
    """`declared` is the size that the list of members tells of each."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for entry in archive.infolist():
            entry.file_size = entry.file_size if declared is None else declared
    return stream.getvalue()


def npz(shape: str, declared: int | None = None) -> Bomb:
    """An archive of an array without its numbers."""
    return data("npz", "d.npz", lambda path: path.write_bytes(zipped({"x.npy": npy_header(shape)}, declared)))


def npy(shape: str) -> Bomb:
    def content(path: Path) -> None:
        path.write_bytes(npy_header(shape))
        path.with_name("y.npy").write_bytes(b"")

    return data("npy", "x.npy", content, 'y = "y.npy"')


def idx(sides: tuple[int, int, int], behind: int = 0, packed: bool = True) -> Bomb:
    """A header of images, with so many zeros behind it."""

    def prepare(folder: Path) -> Call:
        content = struct.pack(">4I", 0x803, *sides) + bytes(behind)
        path = written(folder / "i", gzip.compress(content) if packed else content)
        return lambda: load_idx(path, 3)

    return prepare


def table(content: bytes) -> Bomb:
    return data("csv", "d.csv", lambda path: path.write_bytes(content))


def crowded_zip(entries: int) -> bytes:
    """A list of members without their contents, long names in it."""
    name = b"n" * 100
    one = b"PK\1\2" + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, entries & 0xFFFF, entries & 0xFFFF, entries * len(one), 0, 0)
    return one * entries + end


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture(content: bytes, name: str = "p.png") -> Bomb:
    def prepare(folder: Path) -> Call:
        path = written(folder / name, content)
        return lambda: pictures(path, (3, 8, 8))

    return prepare


def tar(path: Path, name: str, size: int) -> None:
    """An archive of zeros, compressed: a megabyte a gigabyte."""
    member = tarfile.TarInfo(name)
    member.size = size
    with gzip.open(path, "wb", compresslevel=6) as stream:
        stream.write(member.tobuf())
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))


def tiny_parquet(path: Path) -> None:
    """A million rows of one text of a megabyte."""
    column = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(1_000_000, np.int32)), arrow.array(["x" * (1 << 20)]))
    parquet.write_table(arrow.table({"a": column, "y": np.arange(1_000_000) % 2}), path)


def with_header(path: Path, header: bytes, size: int = 0) -> Path:
    """A weights file with `size` bytes behind its header that are nowhere."""
    begin = struct.pack("<Q", len(header)) + header
    return sparse(path, begin, len(begin) + size)


def terabyte(path: Path) -> Path:
    array = {"dtype": "U8", "shape": [1 << 40], "data_offsets": [0, 1 << 40]}
    return with_header(path, json.dumps({"__metadata__": {KEY: "{}"}, "a": array}).encode(), 1 << 40)


def weights(content: Callable[[Path], Any]) -> Bomb:
    def prepare(folder: Path) -> Call:
        content(folder / "w.safetensors")
        return lambda: restore(folder / "w.safetensors")

    return prepare


def carrying(spec: str, **more: Any) -> Callable[[Path], Any]:
    """A valid file of a few bytes with a spec that asks for more."""
    tensors = {"affine1.W": np.zeros((3, 2), "f4"), "affine1.b": np.zeros(2, "f4")}
    return lambda path: written(path, as_bytes(tensors, {**DESCRIPTION, "spec": spec, "input": [3], "classes": 2, **more}))


def model_file(content: bytes) -> Bomb:
    return lambda folder: lambda: read_model(io.BytesIO(content), "model")


def results(name: str, content: Callable[[Path], Any]) -> Bomb:
    def prepare(folder: Path) -> Call:
        content(folder / name)
        run = RunFolder(folder)
        return run.read_epochs if name == "results.csv" else run.read_steps

    return prepare


def used_files(folder: Path) -> None:
    for number in range(120):
        (folder / f"f{number}.net").write_text(f"def f{number} = relu\n")
    (folder / "spec.net").write_text("".join(f'use "f{number}.net"\n' for number in range(120)) + "net f0 -> affine -> softmax")


def nested(times: int) -> str:
    return "Sequential(" + "(0): 5000 x Sequential(" * times + ")" * times + ")"


CALLS, NEAR = 8, 0.08
"""On a machine that does much else a call takes longer: from so many seconds on it is tried again."""
ONE = '{"step": 1}'
GROUPS: dict[str, dict[str, tuple[Bomb, str]]] = {
    "spec": {
        "64 KiB of text": (text("# " + "x" * 70_000), "NS801"),
        "a file of 4 GiB": (file(lambda folder: sparse(folder / "spec.net", b"# ", 4 << 30)), "NS801"),
        "a line of 4096": (text("affine(" + "1" * 5000 + ")"), "NS802"),
        "64 brackets deep": (text("[" * 70 + "relu" + "]" * 70), "NS803"),
        "defs 64 deep": (text("def a0 = relu " + "\n".join(f"def a{n} = a{n - 1}" for n in range(1, 300)) + " net a299"), "NS803"),
        "values 64 deep": (text("let a0 = f(1) " + "\n".join(f"let a{n} = f(a{n - 1})" for n in range(1, 300)) + " net a299"), "NS803"),
        "wide values": (text("let a0=f(1) " + "\n".join(f"let a{n}=f(a=a{n - 1},b=a{n - 1})" for n in range(1, 60)) + " net a59"), "NS803"),
        "x1000000000": (text("[affine]x1000000000" + TAIL), "NS804"),
        "repeats of repeats": (text("[" * 6 + "affine]" + "x1000]" * 5 + "x1000" + TAIL), "NS804"),
        "defs that double": (text("def a0=relu " + " ".join(f"def a{n}=a{n - 1}-a{n - 1}" for n in range(1, 60)) + " net a59"), "NS804"),
        "10,001 layers": (text("-\n".join(["relu"] * 10_001)), "NS804"),
        "defs that recurse": (text("def f = g def g = h def h = f net f"), "NS805"),
        "parameters": (text("affine(20000)-affine(20000)" + TAIL), "NS806"),
        "parameters of one layer": (text("affine(2147483647)" + TAIL), "NS806"),
        "memory of the plan": (text("train { batch = 100000000 } net affine(500)" + TAIL), "NS807"),
        "lists of lists": (text("[" * 12 + "[relu]x0" + "".join(f"]x(c{n}: 1, 2, 3)" for n in range(12))), "NS808"),
        "100 files": (file(used_files), "NS809"),
    },
    "data": {
        "npz that declares 100 GB": (npz("(25000000000, 1)"), "NS810"),
        "npz whose list lies": (npz("(500000000, 4)", 8_000_000_128), "cut off|NS810"),
        "npz of 60,000 names": (data("npz", "d.npz", lambda p: p.write_bytes(crowded_zip(60_000))), "NS810"),
        "npy of 70 axes": (npz(f"({'1,' * 70})"), "damaged|not an array"),
        "npy longer than told": (npy("(25000000000, 1)"), "cut off"),
        "IDX of terabytes": (idx((1 << 31, 28, 28), packed=False), "NS810"),
        "IDX of more than gzip can hold": (idx((1 << 20, 28, 28)), "too short"),
        "IDX with 256 MiB behind it": (idx((1, 28, 28), behind=1 << 28), "more follow"),
        "csv with a line of a gigabyte": (data("csv", "d.csv", lambda p: sparse(p, b"a,b,y\n1,2,3\n", 1 << 30)), "NS810"),
        "csv with a first line of a gigabyte": (data("csv", "d.csv", lambda p: sparse(p, b"a,b,y", 1 << 30)), "NS810"),
        "csv with a million columns": (table(b",".join([b"a"] * 1_000_000) + b"\n1\n"), "NS810"),
        "csv with a quote over 64 MiB": (table(b'a,y\n1,"' + b"line\n" * (64 << 18)), "NS810"),
        "csv with a quoted name over 64 MiB": (table(b'"' + b"line\n" * (64 << 18)), "NS810"),
        "parquet of a text a million times": (data("parquet", "d.parquet", tiny_parquet), "NS810"),
        "tar of a gigabyte": (data("cifar10", "c.tar.gz", lambda p: tar(p, "data_batch_1", 1 << 30)), "NS810"),
        "tar of a gigabyte beside": (data("cifar10", "c.tar.gz", lambda p: tar(p, "readme.html", 1 << 30)), "NS810"),
        "picture of 50 Mpx": (picture(png(8000, 7000)), "too large"),
        "PNG of a billion pixels": (picture(png(40_000, 40_000, bytes(1 << 20))), "too large"),
        "zip of a picture of a gigabyte": (picture(zipped({"a/1.png": bytes(1 << 10)}, 1 << 30), "p.zip"), "NS810"),
    },
    "weights": {
        "a header of an exabyte": (weights(lambda p: p.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")), "damaged"),
        "a header of 90 MB": (weights(lambda p: sparse(p, struct.pack("<Q", 90_000_000), 90_000_100)), "NS810"),
        "a header of brackets": (weights(lambda p: with_header(p, b'{"a":' + b"[" * (9 << 20) + b"}")), "NS810"),
        "arrays of a terabyte": (weights(terabyte), "NS810"),
        "a spec of 400 MB": (weights(carrying("netspec 1 net affine(20000)-affine(5000)" + TAIL)), "do not fit"),
        "a spec of 1e9 layers": (weights(carrying("netspec 1 net [affine]x1000000000" + TAIL)), "NS804"),
        "a spec of 1e9 parameters": (weights(carrying("netspec 1 net affine(30000)-affine(30000)" + TAIL)), "NS806"),
        "a row of 2^62 numbers": (weights(carrying("netspec 1 net affine(2)" + TAIL, input=[2**31 - 1, 2**31 - 1])), "NS"),
        "results.csv of a gigabyte": (results("results.csv", lambda p: sparse(p, b"epoch,step", 1 << 30)), "longer than"),
        "events.jsonl of a gigabyte": (results("events.jsonl", lambda p: sparse(p, f"{ONE}\n".encode(), 1 << 30)), "longer than"),
        "an event of brackets": (results("events.jsonl", lambda p: p.write_bytes(b"[" * 60_000 + b"\n")), "no JSON"),
    },
    "convert": {
        "JSON of a million lists": (model_file(b"[" + b"[]," * 1_000_000 + b"[]]"), "values"),
        "JSON of 16 MiB of lists": (model_file(b"[" + b"[]," * 5_500_000 + b"[]]"), "values"),
        "JSON 100,000 deep": (model_file(b"[" * 100_000 + b"]" * 100_000), "deep"),
        "JSON of a quoted 15 MiB": (model_file(b'["' + b"\\\\" * (7 << 20) + b'"'), "values"),
        "a model 17 MiB long": (model_file(b" " * (17 << 20) + b"{}"), "longer than"),
        "modules of modules": (model_file(nested(10).encode()), "modules"),
        "a printed text of 15 MiB": (model_file(b"Sequential(" + b"(0): ReLU()\n" * 1_200_000), "longer than"),
        "words without an end": (model_file(b"Sequential(" + b"0 " * 500_000), "longer than"),
        "an archive of 60,000 names": (model_file(b"PK\3\4" + crowded_zip(60_000)), "NS810"),
        "an archive of a gigabyte": (model_file(zipped({"config.json": b"{}"}, 1 << 30)), "MiB"),
    },
}  # fmt: skip
CONTROLS: dict[str, tuple[Bomb, str]] = {
    "takes 60 MB": (lambda folder: lambda: _raise_after(lambda: np.ones(60_000_000, np.uint8)), "fine"),
    "takes 150 ms": (lambda folder: lambda: _raise_after(lambda: _busy(0.15)), "fine"),
    "is taken": (lambda folder: lambda: None, ""),
    "raises another error": (lambda folder: lambda: {}[1], ""),
}


def _raise_after(work: Call) -> None:
    work()
    raise NetspecError("fine")


def _busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def _status(key: str) -> int:
    """Bytes, of a line of the kernel's account of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise AssertionError(key)


def measure(bomb: Bomb, folder: Path) -> dict[str, Any]:
    """What a bomb raises, its seconds and its bytes."""
    call, seconds, grown, told = bomb(folder), float("inf"), 0, "nothing was raised"
    for number in range(CALLS):
        if number >= 3 and seconds < NEAR:
            break
        Path("/proc/self/clear_refs").write_text("5")
        before, began = _status("VmRSS"), time.process_time()
        try:
            call()
        except (NetspecError, NoChain) as error:
            told = f"{type(error).__name__}: {error}"
        except Exception as error:
            told = f"!{type(error).__name__}: {error}"
        seconds = min(seconds, time.process_time() - began)
        grown = max(grown, _status("VmHWM") - before)
    return {"told": told, "seconds": seconds, "bytes": grown}


def main(group: str) -> None:
    warnings.simplefilter("error")
    bombs = CONTROLS if group == "controls" else GROUPS[group]
    with tempfile.TemporaryDirectory() as place:
        _warm_up(Path(place))
        for number, (name, (bomb, _)) in enumerate(bombs.items()):
            folder = Path(place) / str(number)
            folder.mkdir()
            print(json.dumps({"name": name, **measure(bomb, folder)}), flush=True)


def _warm_up(folder: Path) -> None:
    """What is loaded once is no bomb's cost: each reader reads something small."""
    diagnose(Source("affine -> softmax"), Overrides(input=(3,), classes=2))
    small = [
        data("csv", "w.csv", lambda p: p.write_bytes(b"a,y\n1,2\n3,4\n5,x\n")),
        data("parquet", "w.parquet", lambda p: p.write_bytes(b"PAR1")),
        data("npz", "w.npz", lambda p: p.write_bytes(zipped({"x.npy": npy_header("(0, 1)")}))),
        picture(png(8, 8, bytes(200))), weights(carrying("netspec 1 net affine(2) -> affine -> softmax")),
        model_file(b"{}"), model_file(b"Sequential(\n  (0): ReLU()\n)"), model_file(zipped({"config.json": b"{}"})),
    ]  # fmt: skip
    for bomb in small:
        measure(bomb, folder)


if __name__ == "__main__":
    main(sys.argv[1])
