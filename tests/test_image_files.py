"""Sources of images: MNIST's files, CIFAR-10's batches, folders of pictures, each against files made here. Bad files have messages."""

from __future__ import annotations

import binascii
import contextlib
import gzip
import io
import os
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alarm import ended_after
from numpy.typing import NDArray

import netspec as ns
from netspec.base import entries as cache_entries
from netspec.base.dataset import Dataset, DataSource
from netspec.base.errors import DataError, LimitError, UsageError
from netspec.catalog import decode
from netspec.catalog.idx import load_idx
from netspec.catalog.pickled import MOST_OPERATIONS, load_pickled
from netspec.catalog.registry import entries


def read(name: str, path: Path | None, **keys: Any) -> Dataset:
    return entries(DataSource)[name]().read(path, keys, ())


def message(error: type[Exception], call: Callable[..., Any], *args: Any, **keywords: Any) -> str:
    with pytest.raises(error) as caught:
        call(*args, **keywords)
    assert "\n" not in str(caught.value) or error is LimitError
    return str(caught.value)


# MNIST

RNG = np.random.default_rng(7)
DIGITS = {
    part: (RNG.integers(0, 256, (rows, 28, 28)).astype(np.uint8), np.arange(rows).astype(np.uint8) % 10)
    for part, rows in (("train", 30), ("t10k", 20))
}


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def idx_folder(folder: Path, joint: str = "-", packed: bool = False) -> Path:
    for part, (x, y) in DIGITS.items():
        for kind, array, number in (("images", x, 3), ("labels", y, 1)):
            content = idx(array)
            name = f"{part}-{kind}{joint}idx{number}-ubyte{'.gz' if packed else ''}"
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("form", ["-", ".", "- packed", "npz"])
def test_idx_files_in_every_form(tmp_path: Path, name: str, form: str) -> None:
    if form == "npz":
        (x, y), (xt, yt) = DIGITS["train"], DIGITS["t10k"]
        path = tmp_path / "mnist.npz"
        np.savez_compressed(path, x_train=x, y_train=y, x_test=xt, y_test=yt)
    else:
        path = idx_folder(tmp_path, form[0], "packed" in form)
    found = read(name, path)
    assert found.test is not None
    for rows, part in ((found.rows, "train"), (found.test, "t10k")):
        assert rows.x.dtype == np.uint8
        np.testing.assert_array_equal(rows.x[:, 0], DIGITS[part][0])
        np.testing.assert_array_equal(rows.y, DIGITS[part][1])
    facts = entries(DataSource)[name]().facts()
    assert facts is not None
    assert facts.shape == found.rows.x.shape[1:] == (1, 28, 28)
    assert found.labels is None or (name, len(found.labels)) == ("fashion_mnist", 10)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
GOOD_X, GOOD_Y = idx(DIGITS["train"][0]), idx(DIGITS["train"][1])
BAD_IDX = {
    "empty": (IMAGES, b"", [IMAGES, "cut off: 0 bytes"]),
    "short header": (IMAGES, GOOD_X[:10], ["cut off: 10 bytes", "takes 16"]),
    "short": (IMAGES, GOOD_X[:-1], ["declares 30x28x28", "too short"]),
    "long": (IMAGES, GOOD_X + b"0", ["30x28x28 = 23520 bytes", "more follow"]),
    "labels for images": (IMAGES, GOOD_Y + bytes(9), ["0x00000801", "those of labels", "begins with 0x00000803"]),
    "floats": (IMAGES, b"\0\0\x0d\x03" + GOOD_X[4:], ["0x00000d03", "no IDX file of bytes"]),
    "other sides": (IMAGES, idx(np.zeros((30, 32, 32), np.uint8)), ["(30, 32, 32)", "28x28"]),
    "other count": (LABELS, idx(np.zeros(29, np.uint8)), ["30 images", "(29,)"]),
    "label out of range": (LABELS, idx(np.full(30, 10, np.uint8)), [LABELS, "label 10 in row 0", "0 to 9"]),
    "none": (IMAGES, idx(np.zeros((0, 28, 28), np.uint8)), ["has no images"]),
    "cut gzip": (IMAGES, gzip.compress(GOOD_X)[:-2000], [IMAGES, "cut off", "ends early"]),
    "cut checksum": (IMAGES, gzip.compress(GOOD_X)[:-4], ["cut off"]),
    "wrong checksum": (IMAGES, gzip.compress(GOOD_X)[:-8] + bytes(8), ["cannot be read: CRC"]),
    "garbled gzip": (IMAGES, gzip.compress(GOOD_X)[:50] + bytes(500), [IMAGES]),
    "short gzip": (IMAGES, gzip.compress(GOOD_X[:-5]), ["= 23520 bytes", "23515 are there"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_IDX)
def test_bad_idx_files_are_named(tmp_path: Path, case: str) -> None:
    name, content, parts = BAD_IDX[case]
    (idx_folder(tmp_path) / name).write_bytes(content)
    text = message(DataError, read, "mnist", tmp_path)
    assert str(tmp_path) in text
    for part in parts:
        assert part in text


def test_declared_sizes_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    """A header of 16 bytes that declares terabytes, or more than its few bytes of gzip could hold."""
    huge = tmp_path / "huge"
    huge.write_bytes(struct.pack(">4I", 0x803, 1 << 31, 28, 28))
    assert "NS810" in message(LimitError, load_idx, huge, 3)
    huge.write_bytes(gzip.compress(struct.pack(">4I", 0x803, 10_000, 28, 28)))
    assert "too short" in message(DataError, load_idx, huge, 3)
    huge.write_bytes(gzip.compress(idx(np.zeros((10_000, 28, 28), np.uint8))))  # the control: zeros do pack as tightly as gzip can
    assert load_idx(huge, 3).shape == (10_000, 28, 28)


def test_what_is_missing_from_a_set_of_idx_files(tmp_path: Path) -> None:
    assert 'path = "data/mnist"' in message(DataError, read, "mnist", None)
    assert f"has no {IMAGES}, nor train-images.idx3-ubyte" in message(DataError, read, "mnist", tmp_path)
    (idx_folder(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    assert "has no t10k-labels-idx1-ubyte" in message(DataError, read, "mnist", tmp_path)
    np.savez(tmp_path / "m.npz", x_train=DIGITS["train"][0])
    assert "no array y_train" in message(DataError, read, "mnist", tmp_path / "m.npz")


def test_a_link_inside_the_folder_leads_nowhere_else(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(GOOD_X)
    (idx_folder(inside) / IMAGES).unlink()
    (inside / IMAGES).symlink_to(tmp_path / "secret")
    source = entries(DataSource)["mnist"]()
    assert "outside the folders" in message(DataError, source.read, inside, {}, (inside,))
    assert len(source.read(inside, {}, (inside, tmp_path)).rows) == 30


# CIFAR-10

WORDS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = {name: (RNG.integers(0, 256, (7, 3072)).astype(np.uint8), RNG.integers(0, 10, 7)) for name in
           (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")}  # fmt: skip


def binary_files() -> dict[str, bytes]:
    files = {f"{name}.bin": np.column_stack([y.astype(np.uint8), x]).tobytes() for name, (x, y) in BATCHES.items()}
    return {**files, "batches.meta.txt": "\n".join(WORDS).encode() + b"\n\n", "readme.html": b"<html>"}


def pickled_files(protocol: int = 2) -> dict[str, bytes]:
    files = {
        name: pickle.dumps({b"batch_label": b"one", b"labels": y.tolist(), b"data": x, b"filenames": [b"a.png"] * len(y)}, protocol)
        for name, (x, y) in BATCHES.items()
    }
    return {**files, "batches.meta": pickle.dumps({b"num_vis": 3072, b"label_names": [word.encode() for word in WORDS]}, protocol)}


PYTHON_2 = (  # of cPickle in Python 2, protocol 2: text is bytes, and the array is built by numpy.core.multiarray
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05"
    b"(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    b"T\x00\x0c\x00\x00" + bytes(range(256)) * 12 + b"tbU\x06labelsq\x08]q\tK\x05au."
)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def archive(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]  # any mode of writing
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


FORMS: dict[str, Callable[[Path], Path]] = {
    "binary": lambda folder: write_files(folder, binary_files()),
    "binary unpacked": lambda folder: write_files(folder / "cifar-10-batches-bin", binary_files()).parent,
    "binary archive": lambda folder: archive(folder / "c.tar.gz", binary_files()),
    "plain archive": lambda folder: archive(folder / "c.tar", binary_files(), "w"),
    "python": lambda folder: write_files(folder, pickled_files()),
    "python archive": lambda folder: archive(folder / "c.tar.gz", pickled_files()),
    **{f"protocol {number}": lambda folder, number=number: write_files(folder, pickled_files(number)) for number in (3, 4, 5)},  # type: ignore[misc]
}


@pytest.mark.parametrize("form", FORMS)
def test_cifar10_in_every_form(tmp_path: Path, form: str) -> None:
    found = read("cifar10", FORMS[form](tmp_path))
    assert found.test is not None
    assert found.labels == tuple(WORDS)
    train = [BATCHES[name] for name in BATCHES if name != "test_batch"]
    for rows, parts in ((found.rows, train), (found.test, [BATCHES["test_batch"]])):
        np.testing.assert_array_equal(rows.x, np.concatenate([x for x, _ in parts]).reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(rows.y, np.concatenate([y for _, y in parts]))
        assert rows.x.dtype == np.uint8


def test_batches_of_python_2_are_read() -> None:
    found = load_pickled(PYTHON_2, "batch")
    assert found == {b"data": found[b"data"], b"labels": [5]}
    np.testing.assert_array_equal(found[b"data"], np.arange(3072).astype(np.uint8).reshape(1, -1))
    there = pickle.loads(PYTHON_2, encoding="bytes")  # the control: Python reads it so
    np.testing.assert_array_equal(there[b"data"], found[b"data"])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.arange(6, dtype=">i4"), np.asfortranarray(np.eye(3, dtype=np.int16)), np.zeros((0, 2))]
)
def test_arrays_come_back_as_pickle_gives_them(protocol: int, array: NDArray[Any]) -> None:
    given = {"x": array, "n": [1, -2, 1 << 40], "t": ("é", b"\xff", None, True), "d": {"k": []}}
    found = load_pickled(pickle.dumps(given, protocol), "f")
    np.testing.assert_array_equal(found[b"x"], array)
    assert found[b"x"].dtype == array.dtype
    assert {key.encode(): value for key, value in given.items() if key != "x"} == {
        key: value for key, value in found.items() if key != b"x"
    }


class Trap:
    """Pickled, it makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


REFUSED = {
    "class": ({"x": Path("a")}, "a call of 'pathlib"),
    "float": ({"x": 1.5}, "the operation BINFLOAT"),
    "set": ({"x": {1, 2}}, "a call of" ),
    "objects": ({"x": np.array([1, "a"], object)}, "a state of array in an unknown form"),
    "text array": ({"x": np.array(["a"])}, "an array of dtype '<U1'"),
    "tuple as key": ({"x": {(b"a", 1): 2}}, "a key of type tuple"),
    "number as key": ({7: 1}, "a key of type int"),
    "nested": ({"x": [[[[[[[[1]]]]]]]]}, "more than 8 deep"),
    "records": ({"x": np.zeros(2, [("a", "i4")])}, "dtype"),
    "function": ({"x": print}, "a call of '__builtin__.print'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_pickles_of_anything_else_are_refused(case: str) -> None:
    value, part = REFUSED[case]
    text = message(DataError, load_pickled, pickle.dumps(value, 2), "data_batch_1")
    assert text.startswith("data_batch_1: holds ")
    assert part in text
    assert "dict, list, tuple, bytes" in text


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_runs_nothing(tmp_path: Path, protocol: int) -> None:
    content = pickle.dumps({b"data": Trap(tmp_path / "sprung"), b"labels": []}, protocol)
    write_files(tmp_path / "c", {**pickled_files(), "data_batch_1": content})
    assert "data_batch_1: " in message(DataError, read, "cifar10", tmp_path / "c")
    assert not (tmp_path / "sprung").exists()
    pickle.loads(content)  # the control: the trap works
    assert (tmp_path / "sprung").exists()


ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01%scnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89U\x00tb"
)
DOUBLED = b"q\x00h\x00\x86"
COLLIDING = b"".join(pickle.dumps(k * (2**61 - 1), 2)[2:-1] + b"N" for k in range(1, 99_999))
MADE_TO_HARM = {
    "deep key": (b"})" + b"\x85" * 900_000 + b"K\x01s.", "a key of type tuple"),
    "deep shape": (b"}U\x01x" + ARRAY % (b")" + b"\x85" * 20_000) + b"s.", "shape is no tuple of sizes"),
    "doubling shape": (b"}U\x01x" + ARRAY % (b")" + DOUBLED * 60) + b"s.", "shape is no tuple of sizes"),
    "long shape": (b"}U\x01x" + ARRAY % (b"(" + b"K\x00" * 500_000 + b"t") + b"s.", "shape is no tuple of sizes"),
    "deep value": (b"}U\x01x)" + b"\x85" * 900_000 + b"s.", "more than 8 deep"),
    "doubling value": (b"}U\x01x)" + DOUBLED * 60 + b"s.", "more than 8 deep"),
    "list of itself": (b"}U\x01x]q\x00h\x00as.", "more than 8 deep"),
    "half a character": (b"}X\x03\x00\x00\x00\xed\xa0\x80K\x01s.", "surrogates not allowed"),
    "colliding keys": (b"}(" + COLLIDING + b"u.", "a key of type int"),
}  # fmt: skip


@pytest.mark.parametrize("case", MADE_TO_HARM)
def test_pickles_made_to_take_the_stack_or_for_ever_are_refused(case: str) -> None:
    content, part = MADE_TO_HARM[case]
    text = message(DataError, load_pickled, b"\x80\x02" + content, "data_batch_1")
    assert part in text
    assert len(text) < 300


def test_no_cut_and_no_altered_byte_of_a_pickle_escapes() -> None:
    whole = pickle.dumps({b"labels": [1, 2], b"data": np.arange(4, dtype=np.uint8), b"d": {b"k": (1, b"x")}}, 2)
    for at in range(len(whole)):
        for content in (
            whole[:at],
            *(whole[:at] + bytes([whole[at] ^ change]) + whole[at + 1 :] for change in (1, 2, 4, 16, 64, 128, 255)),
        ):
            with contextlib.suppress(DataError):
                assert isinstance(load_pickled(content, "f"), dict)


def test_a_pickle_of_many_small_things_is_refused() -> None:
    assert "operations" in message(DataError, load_pickled, b"\x80\x02(" + b"]" * (MOST_OPERATIONS + 9) + b"l.", "f")


BAD_BATCHES: dict[str, tuple[dict[str, bytes], list[str]]] = {
    "cut off": ({"data_batch_3.bin": binary_files()["data_batch_3.bin"][:-5]}, ["data_batch_3.bin", "cut off in row 6", "3073"]),
    "empty": ({"test_batch.bin": b""}, ["test_batch.bin: 0 bytes"]),
    "label": ({"data_batch_2.bin": bytes([200]) + bytes(3072)}, ["data_batch_2.bin: label 200 in row 0", "0 to 9"]),
    "names": ({"batches.meta.txt": b"cat\ndog\n"}, ["batches.meta.txt", "10 classes"]),
    "same names": ({"batches.meta.txt": "\n".join([*WORDS[:9], "cat"]).encode()}, ["batches.meta.txt: 2 classes are named cat"]),
}  # fmt: skip
BAD_PICKLES: dict[str, tuple[Any, list[str]]] = {
    "no data": ({b"labels": [1]}, ["`data` is no array"]),
    "data of floats": ({b"data": np.zeros((1, 3072)), b"labels": [1]}, ["`data` is no array of bytes"]),
    "narrow": ({b"data": np.zeros((1, 3071), np.uint8), b"labels": [1]}, ["3072 columns"]),
    "no labels": ({b"data": np.zeros((1, 3072), np.uint8), b"labels": b"no"}, ["`labels` is no list"]),
    "other count": ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, ["2 images and 1 labels"]),
    "label": ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 10]}, ["label 10 in row 1"]),
    "list": ([1], ["holds a list, where a dict"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_BATCHES)
def test_bad_batches_are_named(tmp_path: Path, case: str) -> None:
    files, parts = BAD_BATCHES[case]
    text = message(DataError, read, "cifar10", write_files(tmp_path, {**binary_files(), **files}))
    for part in [str(tmp_path), *parts]:
        assert part in text


@pytest.mark.parametrize("case", BAD_PICKLES)
def test_bad_pickled_batches_are_named(tmp_path: Path, case: str) -> None:
    value, parts = BAD_PICKLES[case]
    files = {**pickled_files(), "data_batch_4": pickle.dumps(value, 2)}
    text = message(DataError, read, "cifar10", archive(tmp_path / "c.tar.gz", files))
    for part in ["c.tar.gz: data_batch_4", *parts]:
        assert part in text


def test_pickled_names_are_each_their_own(tmp_path: Path) -> None:
    files = {**pickled_files(), "batches.meta": pickle.dumps({b"label_names": [b"cat", *WORDS[1:]]}, 2)}
    assert "batches.meta: 2 classes are named cat" in message(DataError, read, "cifar10", write_files(tmp_path, files))


def test_what_is_missing_from_cifar10(tmp_path: Path) -> None:
    assert "netspec downloads nothing" in message(DataError, read, "cifar10", None)
    assert "no such file" in message(DataError, read, "cifar10", tmp_path / "c.tar.gz")
    files = binary_files()
    del files["data_batch_2.bin"], files["test_batch.bin"]
    assert "has no data_batch_2.bin, test_batch.bin" in message(DataError, read, "cifar10", write_files(tmp_path, files))
    without = {name: content for name, content in pickled_files().items() if name != "batches.meta"}
    assert read("cifar10", archive(tmp_path / "c.tar.gz", without)).labels == tuple(WORDS)


def test_every_cut_of_an_archive_is_a_data_error(tmp_path: Path) -> None:
    path = archive(tmp_path / "c.tar.gz", pickled_files())
    whole = path.read_bytes()
    for end in range(0, len(whole), 2003):
        path.write_bytes(whole[:end])
        assert "c.tar.gz: " in message(DataError, read, "cifar10", path)


def test_an_archive_that_unpacks_to_more_than_its_limit_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "bomb.tar.gz", {"data_batch_1.bin": bytes(1 << 24)})
    assert path.stat().st_size < 50_000
    assert "NS810" in message(LimitError, read, "cifar10", path, limit_bytes=1 << 20)


# Folders of pictures

pillow = pytest.importorskip("PIL.Image", reason="Pillow, of the extra data, is not installed")
COLOURS = {
    f"{word}/{number}.png": RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8) for word in ("dog", "cat", "ape") for number in (1, 2, 10)
}
GRAYS = {name: array[:, :, 0] for name, array in COLOURS.items()}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for decoded images; kernels stay where they are."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(decode, "image_folder", lambda: folder / "images")
    return folder


def encoded(array: NDArray[np.uint8], kind: str = "png", **options: Any) -> bytes:
    stream = io.BytesIO()
    pillow.fromarray(array).save(stream, {"png": "PNG", "bmp": "BMP", "jpg": "JPEG", "gif": "GIF"}[kind], **options)
    return stream.getvalue()


def pictures(folder: Path, arrays: dict[str, NDArray[np.uint8]] | None = None, **files: bytes) -> Path:
    for name, content in {**{name: encoded(array, name[-3:]) for name, array in (arrays or COLOURS).items()}, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for one in sorted(folder.rglob("*")):
            file.write(one, one.relative_to(folder))
    return path


def expected(arrays: dict[str, NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], list[str]]:
    """Images and words in the order of rows: by class, then by name."""
    names = sorted(arrays, key=lambda name: name.split("/"))
    stacked = np.stack([arrays[name] for name in names])
    return (stacked.transpose(0, 3, 1, 2) if stacked.ndim == 4 else stacked[:, np.newaxis]), [name.split("/")[-2] for name in names]


def assert_holds(found: Dataset, arrays: dict[str, NDArray[np.uint8]]) -> None:
    x, words = expected(arrays)
    assert found.rows.x.dtype == np.uint8
    np.testing.assert_array_equal(found.rows.x, x)
    assert found.labels == tuple(sorted(set(words)))
    assert [found.labels[label] for label in found.rows.y] == words


@pytest.mark.parametrize("arrays", [COLOURS, GRAYS], ids=["colour", "gray"])
@pytest.mark.parametrize("form", ["folder", "zip", "wrapped", "wrapped zip", "twice wrapped zip"])
def test_pictures_in_every_form(tmp_path: Path, form: str, arrays: dict[str, NDArray[np.uint8]]) -> None:
    inside = tmp_path / "p" / ("a/b" if "twice" in form else "train" if "wrapped" in form else "")
    pictures(inside, arrays)
    (tmp_path / "p" / ".DS_Store").write_bytes(b"of another system")
    (tmp_path / "p" / "README.txt").write_bytes(b"beside the folders")
    assert_holds(read("images", zipped(tmp_path / "p.zip", tmp_path / "p") if "zip" in form else tmp_path / "p"), arrays)


def test_bmp_and_jpeg(tmp_path: Path) -> None:
    smooth = {f"{word}/{number}.png": np.full((8, 8, 3), 40 * number, np.uint8) for word in "ab" for number in (1, 2)}
    bmp = {name.replace("png", "bmp"): array for name, array in smooth.items()}
    assert_holds(read("images", pictures(tmp_path / "bmp", bmp)), bmp)
    jpeg = {name.replace("png", "jpg"): array for name, array in smooth.items()}
    found = read("images", pictures(tmp_path / "jpg", jpeg)).rows.x.astype(int)
    assert np.abs(found - expected(jpeg)[0].astype(int)).max() <= 2  # flat colours pass JPEG almost unchanged


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)])
def test_modes_of_pictures(tmp_path: Path, mode: str, channels: int) -> None:
    for word in "ab":
        image = pillow.fromarray(np.random.default_rng(3).integers(0, 256, (4, 6, 3)).astype(np.uint8)).convert(mode)
        (tmp_path / word).mkdir()
        image.save(tmp_path / word / "1.png")
    assert read("images", tmp_path).rows.x.shape == (2, channels, 4, 6)


def test_train_and_test_folders_are_the_two_parts(tmp_path: Path) -> None:
    parts = {f"{part}/{name}": array for part in ("train", "test") for name, array in COLOURS.items() if part == "train" or "ape" in name}
    found = read("images", pictures(tmp_path, parts))
    assert found.test is not None
    assert_holds(found, COLOURS)
    np.testing.assert_array_equal(found.test.x, expected({n: a for n, a in COLOURS.items() if "ape" in n})[0])
    pictures(tmp_path, {"test/emu/1.png": COLOURS["cat/1.png"]})
    assert "test/emu: the training part has no class emu; it has ape, cat, dog" in message(DataError, read, "images", tmp_path)


def test_size_resizes_each(tmp_path: Path) -> None:
    flat = {f"{word}/{side}.png": np.full((side, 2 * side, 3), side, np.uint8) for word in "ab" for side in (4, 9)}
    found = read("images", pictures(tmp_path, flat), size=(6, 5))
    assert found.rows.x.shape == (4, 3, 6, 5)
    assert [int(image.min()) for image in found.rows.x] == [int(image.max()) for image in found.rows.x] == [4, 9, 4, 9]


def png_of_16_bits(array: NDArray[np.uint8]) -> bytes:
    """Colours as Pillow cannot write them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", binascii.crc32(kind + content))

    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in array)
    header = struct.pack(">2I5B", array.shape[1], array.shape[0], 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


X = COLOURS["cat/1.png"]
BAD_PICTURES: dict[str, tuple[dict[str, bytes], list[str]]] = {
    "not an image": ({"cat/3.png": b"hello"}, ["cat/3.png is no image", "PNG, JPEG, BMP"]),
    "no bytes": ({"cat/3.png": b""}, ["cat/3.png is no image"]),
    "another format": ({"cat/3.png": encoded(X, "gif")}, ["cat/3.png is no image"]),
    "text in a class": ({"cat/notes.txt": b"hello"}, ["cat/notes.txt is no image"]),
    "cut off": ({"cat/2.png": encoded(X)[:-30]}, ["cat/2.png does not decode"]),
    "other size": ({"cat/2.png": encoded(X[:4])}, ["cat/2.png is 4x7 pixels (height x width), and ape/1.png is 5x7", "size = 5x7"]),
    "grayscale": ({"cat/2.png": encoded(X[:, :, 0])}, ["cat/2.png is grayscale, and ape/1.png is colour"]),
    "16 bits": ({"cat/2.png": encoded(X[:, :, 0].astype(np.uint16) * 256)}, ["cat/2.png", "I;16", "8 bits a channel"]),
    "16 bits of colour": ({"cat/2.png": png_of_16_bits(X)}, ["cat/2.png has 16 bits a channel", "8 bits a channel"]),
    "beside the classes": ({"1.png": encoded(X)}, ["1.png lies beside the folders of the classes"]),
    "too deep": ({"cat/old/1.png": encoded(X)}, ["cat/old/1.png lies in a folder inside"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("case", BAD_PICTURES)
def test_bad_pictures_are_named(tmp_path: Path, case: str, kind: str, cache: Path) -> None:
    files, parts = BAD_PICTURES[case]
    folder = pictures(tmp_path / "p", **files)
    text = message(DataError, read, "images", folder if kind == "folder" else zipped(tmp_path / "p.zip", folder))
    for part in [str(tmp_path), *parts]:
        assert part in text
    assert text.count(str(tmp_path)) == 1
    assert not list(cache.rglob("*.npy"))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_empty_class_folder_is_named(tmp_path: Path, kind: str) -> None:
    folder = pictures(tmp_path / "p")
    (folder / "emu").mkdir()
    assert "the class folder emu is empty" in message(
        DataError, read, "images", folder if kind == "folder" else zipped(tmp_path / "p.zip", folder)
    )


def test_what_is_missing_from_a_folder_of_pictures(tmp_path: Path) -> None:
    assert 'path = "pictures"' in message(DataError, read, "images", None)
    assert "no such file" in message(DataError, read, "images", tmp_path / "none.zip")
    assert "has no pictures" in message(DataError, read, "images", tmp_path)
    assert "at least two classes" in message(DataError, read, "images", pictures(tmp_path, {"cat/1.png": X}))
    (tmp_path / "text.zip").write_bytes(b"no zip")
    assert "cannot be read as a zip file" in message(DataError, read, "images", tmp_path / "text.zip")


def test_a_header_that_declares_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for sides in ((10_000, 6_000), (20_000, 20_000), (60_000, 60_000)):
        header = encoded(X)
        header = header[:16] + struct.pack(">2I", *sides) + header[24:]
        header = header[:29] + struct.pack(">I", binascii.crc32(header[12:29])) + header[33:]
        text = message(DataError, read, "images", pictures(tmp_path, **{"cat/2.png": header}))
        assert "cat/2.png is too large" in text
        assert "50 million" in text


def test_a_zip_of_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures(tmp_path / "p", **{"cat/2.png": bytes(100_000)})
    monkeypatch.setattr("netspec.catalog.sources.images.MOST_FILE_BYTES", 50_000)
    assert "NS810" in message(LimitError, read, "images", zipped(tmp_path / "p.zip", folder))
    assert "NS810" in message(LimitError, read, "images", pictures(tmp_path / "q"), limit_bytes=100)


def test_links_to_other_places_are_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "p")
    (tmp_path / "secret.png").write_bytes(encoded(X))
    (folder / "cat" / "9.png").symlink_to(tmp_path / "secret.png")
    source = entries(DataSource)["images"]()
    assert "outside the folders" in message(DataError, source.read, folder, {}, (folder,))
    assert len(source.read(folder, {}, (tmp_path,)).rows) == 10


def test_every_cut_of_a_zip_is_a_data_error(tmp_path: Path) -> None:
    path = zipped(tmp_path / "p.zip", pictures(tmp_path / "p"))
    whole = path.read_bytes()
    for end in range(0, len(whole), 37):
        path.write_bytes(whole[:end])
        assert "p.zip" in message(DataError, read, "images", path)


def test_pictures_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures(tmp_path)
    first = read("images", folder)
    decoded: list[int] = []
    once = decode.Images.decoded
    monkeypatch.setattr(decode.Images, "decoded", lambda self, row, shape=None: decoded.append(row) or once(self, row, shape))
    np.testing.assert_array_equal(read("images", folder).rows.x, first.rows.x)
    assert decoded == []
    changed = pictures(tmp_path, {"cat/1.png": X[::-1]})
    assert (read("images", changed).rows.x != first.rows.x).any()
    assert sorted(set(decoded)) == list(range(9))
    assert len(list(decode.image_folder().glob("*"))) == 1  # the array of the pictures as they were is gone
    decode.clear_images()
    assert not list(decode.image_folder().glob("*"))


@pytest.mark.parametrize("harm", ["cut", "byte", "text", "longer", "syntax", "order", "key"])
def test_damaged_entries_are_decoded_anew(tmp_path: Path, harm: str) -> None:
    folder = pictures(tmp_path)
    read("images", folder)
    (entry,) = decode.image_folder().glob("*.npy")
    whole = entry.read_bytes()
    entry.unlink()  # the array of the first reading is mapped
    harmed = {"cut": whole[:-100], "byte": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], "text": b"hello", "longer": whole + b"1"}
    harmed |= {"syntax": whole.replace(b"'fortran_order':", b"'fortran_order'["), "order": whole.replace(b"False", b" True")}
    harmed |= {"key": whole.replace(b"'shape'", b"b'hape'")}
    entry.write_bytes(harmed[harm])
    assert_holds(read("images", folder), COLOURS)
    assert entry.read_bytes() == whole


@pytest.mark.parametrize("state", ["open to others", "a link", "a file", "read-only"])
def test_a_cache_that_cannot_be_trusted_is_not_used(tmp_path: Path, cache: Path, state: str) -> None:
    folder, place = pictures(tmp_path / "p"), cache / "images"
    other = tmp_path / "other"
    other.mkdir()
    if state == "a link":
        place.symlink_to(other)
    elif state == "a file":
        place.write_bytes(b"")
    else:
        place.mkdir()
        place.chmod(0o777 if state == "open to others" else 0o500)
    assert_holds(read("images", folder), COLOURS)
    if state != "read-only" or os.getuid():  # root writes anywhere
        assert not [*other.iterdir(), *(place.iterdir() if place.is_dir() else ())]


@pytest.mark.parametrize("what", ["a folder", "a full folder", "a pipe", "a link", "open to others"])
def test_what_stands_in_an_entry_s_place_is_written_over(tmp_path: Path, what: str) -> None:
    folder = pictures(tmp_path)
    read("images", folder)
    (entry,) = decode.image_folder().glob("*.npy")
    whole = entry.read_bytes()
    entry.unlink()
    if what == "a pipe":
        os.mkfifo(entry)
    elif what == "a link":
        (tmp_path / "elsewhere.npy").write_bytes(whole)
        entry.symlink_to(tmp_path / "elsewhere.npy")
    elif what == "open to others":
        entry.write_bytes(whole)
        entry.chmod(0o666)
    else:
        entry.mkdir()
        (entry / "x").write_bytes(b"") if what == "a full folder" else None
    assert_holds(read("images", folder), COLOURS)
    assert entry.read_bytes() == whole
    assert entry.stat().st_mode & 0o777 == 0o600
    assert not entry.is_symlink()


def test_images_that_were_not_used_for_longest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (pictures(tmp_path / name) for name in "abc")
    read("images", one)
    (first,) = decode.image_folder().glob("*.npy")
    read("images", two)
    (second,) = set(decode.image_folder().glob("*.npy")) - {first}
    os.utime(first, (0, 0))
    os.utime(second, (1, 1))
    monkeypatch.setenv("NETSPEC_IMAGE_CACHE_BYTES", str(int(2.5 * first.stat().st_size)))
    read("images", three)
    assert not first.exists()
    assert second.exists()
    assert_holds(read("images", two), COLOURS)
    assert second.stat().st_mtime > 1, "reading counts as use"
    monkeypatch.setenv("NETSPEC_IMAGE_CACHE_BYTES", "0")
    assert_holds(read("images", pictures(tmp_path / "d")), COLOURS)
    assert len(list(decode.image_folder().glob("*.npy"))) == 3, "all of them were used just now"
    monkeypatch.setenv("NETSPEC_IMAGE_CACHE_BYTES", "much")
    with pytest.raises(UsageError, match="NETSPEC_IMAGE_CACHE_BYTES=much"):
        read("images", pictures(tmp_path / "e"))


def test_a_full_disk_costs_only_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: Any, **_named: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_entries.tempfile, "NamedTemporaryFile", full)
    assert_holds(read("images", pictures(tmp_path)), COLOURS)


@pytest.mark.parametrize("change", ["swapped", "written over"])
def test_other_files_of_the_same_size_and_time_are_decoded_anew(tmp_path: Path, change: str) -> None:
    arrays = {f"{word}/1.bmp": np.full((4, 4, 3), level, np.uint8) for word, level in (("dark", 9), ("light", 200))}
    folder = pictures(tmp_path / "p", arrays)
    one, other = (folder / name for name in arrays)
    for path in (one, other):
        os.utime(path, ns=(10**18, 10**18))
    assert_holds(read("images", folder), arrays)
    if change == "swapped":
        one.rename(tmp_path / "t")
        other.rename(one)
        (tmp_path / "t").rename(other)
    else:
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        for path in (one, other):
            os.utime(path, ns=(10**18, 10**18))
    assert_holds(read("images", folder), dict(zip(arrays, reversed(arrays.values()), strict=True)))


def test_entries_of_a_zip_without_a_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "p.zip", pictures(tmp_path / "p"))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("./", b"")  # the folder itself, as some programs write it
    assert_holds(read("images", path), COLOURS)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"PK\1\2")
    whole[at + 28], whole[at + 32] = 0, whole[at + 28]  # what was the name is a comment
    path.write_bytes(whole)
    assert "p.zip: cannot be read as a zip file: a file in it has no name" in message(DataError, read, "images", path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(".", b"")
    assert "a file in it has no name" in message(DataError, read, "images", path)


def test_a_pipe_among_pictures_is_refused(tmp_path: Path) -> None:
    os.mkfifo(pictures(tmp_path) / "cat" / "3.png")
    with ended_after(30):
        assert "3.png: is a pipe or a device" in message(DataError, read, "images", tmp_path)


def test_more_pictures_than_a_block_come_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "BLOCK", 2)
    assert_holds(read("images", pictures(tmp_path)), COLOURS)


def test_the_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pictures(tmp_path)
    for name in list(sys.modules):
        if name.split(".")[0] == "PIL":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert message(UsageError, read, "images", folder) == "this needs PIL: pip install 'netspec[data]'"


# From a spec


def test_a_folder_of_pictures_trains_and_its_words_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    dark = {f"night/{n}.png": draw.integers(0, 90, (8 + n % 3, 9, 3)).astype(np.uint8) for n in range(30)}
    bright = {f"day/{n}.png": draw.integers(160, 256, (8 + n % 3, 9, 3)).astype(np.uint8) for n in range(30)}
    pictures(tmp_path / "sky", {**dark, **bright})
    Path("sky.net").write_text(
        'netspec 1 net conv(4)-relu-globalpool -> affine -> softmax train { optimizer = adam(lr = 2e-2); batch = 10 }\n'
        'data { source = images; path = "sky"; size = 6x8; split = 80% / 20%; transforms = rescale, flip }'
    )  # fmt: skip
    run = ns.train("sky.net")
    assert run.metrics["accuracy"] > 0.9
    assert run.model.graph.input.shape == (3, 6, 8)
    assert run.model.predict(np.full((1, 3, 6, 8), 230, np.uint8)).tolist() == ["day"]
    again = ns.train(run.path / "spec.resolved.net", run_dir=tmp_path / "again")
    assert again.history.loss == run.history.loss


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_shapes_of_published_sets_are_checked_without_their_files(name: str) -> None:
    text = f'netspec 1 data {{ source = {name}; path = "nowhere" }} net affine -> softmax'
    assert not [one for one in ns.check(text) if one.severity == "error"]
    assert ns.compile(text).graph.classes == 10
    with pytest.raises(ns.SpecError, match="classes 7 contradicts the data, which has 10"):
        ns.compile(f"{text} classes 7")


def test_the_official_test_part_is_what_a_run_is_measured_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(idx_folder(tmp_path))
    Path("m.net").write_text('netspec 1 data { source = mnist; path = "."; split = 20 / 10 } net affine -> softmax train { epochs = 1 }')
    run = ns.train("m.net")
    assert run.split == "test"
    assert run.model.evaluate(DIGITS["t10k"][0][:, np.newaxis], DIGITS["t10k"][1]) == run.metrics
