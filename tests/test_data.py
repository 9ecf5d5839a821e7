"""Data on its way in: the shipped sets, array files, paths, labels, splits, statistics. Every bad input has its message."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from alarm import ended_after
from hypothesis import given
from hypothesis import strategies as st

import netspec
from netspec.base.dataset import Dataset, DataSource, Facts, Rows
from netspec.base.errors import DataError, LimitError, Problem
from netspec.catalog.arrays import npz_names
from netspec.catalog.paths import data_folders, resolve_path
from netspec.catalog.registry import entries
from netspec.frontend.program import DataSection
from netspec.graph.counts import check_facts
from netspec.train import normalize
from netspec.train.data import check_rows, check_x, facts_of, fingerprint, prepare, prepare_arrays
from netspec.train.labels import count_classes, decode, encode_labels, learn_labels
from netspec.train.normalize import Normalization, as_input, fit_normalization, fit_preparation
from netspec.train.split import part_sizes, split_rows

SOURCES = entries(DataSource)
BUILTIN = sorted(name for name, source in SOURCES.items() if source.builtin)


def read(name: str, path: Path | None = None, folders: tuple[Path, ...] = (), **keys: object) -> Dataset:
    return SOURCES[name]().read(path, keys, folders)


def message(error: type[Exception], call, *args, **keywords) -> str:
    with pytest.raises(error) as caught:
        call(*args, **keywords)
    return str(caught.value)


# The shipped sets


@pytest.mark.parametrize("name", BUILTIN)
def test_shipped_arrays_are_scikit_learns(name):
    pytest.importorskip("sklearn", reason="scikit-learn, which the shipped data comes from, is not installed")
    from make_builtin_data import arrays  # noqa: PLC0415  imports scikit-learn

    rows = read(name).rows
    for shipped, original in zip((rows.x, rows.y), arrays()[name], strict=True):
        assert shipped.dtype == original.dtype
        np.testing.assert_array_equal(shipped, original)


@pytest.mark.parametrize("name", BUILTIN)
def test_facts_are_what_reading_gives(name):
    known, dataset = SOURCES[name]().facts(), read(name)
    assert known == facts_of(dataset, known.target)
    assert dataset.origin
    assert SOURCES[name].__doc__


def test_the_three_sets_are_there():
    assert {"breast_cancer", "diabetes", "digits"} <= set(BUILTIN)
    assert set(read("breast_cancer").rows.y.tolist()) == {0, 1}
    assert read("digits").rows.x.max() == 16


# Paths


def test_paths_inside_the_folders_are_found_in_order(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "x.npz").write_bytes(b"")
    (second / "y.npz").write_bytes(b"")
    assert resolve_path("x.npz", (first, second)) == first / "x.npz"
    assert resolve_path("y.npz", (first, second)) == second / "y.npz"
    assert resolve_path("../b/y.npz", (first, second)) == second / "y.npz"
    assert resolve_path(second / "y.npz", (first, second)) == second / "y.npz"


@pytest.mark.parametrize("kind", ["parent", "absolute", "symlink", "symlinked folder"])
def test_escapes_are_refused_unless_allowed(tmp_path, kind):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "x.npz").write_bytes(b"")
    (inside / "link.npz").symlink_to(outside / "x.npz")
    (inside / "folder").symlink_to(outside)
    path = {
        "parent": "../out/x.npz", "absolute": str(outside / "x.npz"), "symlink": "link.npz", "symlinked folder": "folder/x.npz",
    }[kind]  # fmt: skip
    assert "outside the folders" in message(DataError, resolve_path, path, (inside,))
    assert resolve_path(path, (inside,), (outside,)) == outside / "x.npz"


def test_a_refusal_does_not_tell_whether_the_file_exists(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "there").write_bytes(b"")
    for name in ("there", "absent"):
        assert f"../{name}: lies outside" in message(DataError, resolve_path, f"../{name}", (tmp_path / "in",))


@pytest.mark.parametrize(
    ("path", "part"), [("", "names no file"), ("a\0b", "names no file"), ("none.npz", "no such file"), ("x" * 5000, "no such file")]
)
def test_paths_that_name_nothing(tmp_path, path, part):
    assert part in message(DataError, resolve_path, path, (tmp_path,))


def test_links_in_a_circle_and_to_nowhere(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "gone")
    assert "circle" in message(DataError, resolve_path, "a", (tmp_path,))
    assert "does not exist" in message(DataError, resolve_path, "c", (tmp_path,))


def test_data_folders_in_order(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("NETSPEC_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert data_folders(tmp_path / "specs" / "a.net") == (tmp_path / "specs", tmp_path, tmp_path / "data")
    monkeypatch.delenv("NETSPEC_DATA")
    assert data_folders() == (tmp_path,)


# Array files

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2


@pytest.mark.parametrize("compress", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("x", [X, X.astype(">f4"), np.asfortranarray(X), (X > 3), np.arange(96, dtype=np.uint8).reshape(6, 1, 4, 4)])
@pytest.mark.parametrize("y", [Y, Y.astype("U3"), Y.astype("S3"), X])
def test_npz_gives_what_was_saved(tmp_path, compress, x, y):
    compress(tmp_path / "d.npz", x=x, y=y)
    rows = read("npz", tmp_path / "d.npz").rows
    np.testing.assert_array_equal(rows.x, x)
    np.testing.assert_array_equal(rows.y, y.astype("U3") if y.dtype.kind == "S" else y)


def test_npz_other_names(tmp_path):
    np.savez(tmp_path / "d.npz", images=X, labels=Y)
    np.testing.assert_array_equal(read("npz", tmp_path / "d.npz", x="images", y="labels").rows.x, X)


def test_npy_reads_two_files(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    np.save(tmp_path / "y.npy", Y)
    rows = read("npy", tmp_path / "x.npy", (tmp_path,), y="y.npy").rows
    np.testing.assert_array_equal(rows.x, X)
    np.testing.assert_array_equal(rows.y, Y)
    by_keys = read("npy", None, (tmp_path,), x="x.npy", y="y.npy").rows
    np.testing.assert_array_equal(by_keys.x, X)
    assert "outside the folders" in message(DataError, read, "npy", tmp_path / "x.npy", (tmp_path,), y="../y.npy")
    for keys in ({"y": "y.npy"}, {"x": "x.npy"}):
        assert "needs two files" in message(DataError, read, "npy", None, (tmp_path,), **keys)
    assert "needs two files" in message(DataError, read, "npy", tmp_path / "x.npy", (tmp_path,), x="x.npy", y="y.npy")


def npz_bytes(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", content)
        archive.writestr("y.npy", content)
    return stream.getvalue()


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def flipped(content: bytes, needle: bytes) -> bytes:
    """One byte changed inside `needle`, which is array data, so that the checksum of the archive is wrong."""
    at = content.index(needle)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


BAD_NPZ = {
    "not a zip": (b"no zip file at all", ["not a zip file"]),
    "empty file": (b"", ["not a zip file"]),
    "cut off": (npz_bytes(x=X, y=Y)[:-40], ["d.npz", "cut off"]),
    "checksum": (flipped(npz_bytes(x=X, y=Y), X[3:].tobytes()), ["damaged", "CRC"]),
    "no array": (npz_bytes(xs=X, y=Y), ["no array x", "did you mean xs?", "It holds xs, y"]),
    "no arrays": (npz_bytes(), ["no arrays"]),
    "text inside": (zipped(b"hello"), ["array x", "not an array in NumPy's format"]),
    "short data": (zipped(npy_bytes(X)[:-8]), ["array x", "cut off", "declares 96 bytes", "88 are there"]),
    "short header": (zipped(npy_bytes(X)[:30]), ["cut off in its header"]),
    "header": (zipped(npy_bytes(X).replace(b"'fortran_order':", b"'fortran_order'[")), ["not an array in NumPy's format"]),
    "negative side": (zipped(npy_bytes(X).replace(b"(6, 2)", b"(-6,2)")), ["damaged", "(-6, 2)"]),
    "objects": (npz_bytes(x=X.astype(object), y=Y), ["array x", "Python objects", "only pickle"]),
    "object labels": (npz_bytes(x=X, y=np.array([1, "a", 0, 0, 0, 0], object)), ["array y", "Python objects"]),
    "complex": (npz_bytes(x=X.astype(complex), y=Y), ["array x", "complex128"]),
    "text inputs": (npz_bytes(x=X.astype("U4"), y=Y), ["array x", "<U4"]),
    "dates": (npz_bytes(x=X, y=Y.astype("M8[s]")), ["array y", "datetime64"]),
    "records": (npz_bytes(x=X, y=np.zeros(6, [("a", "i4")])), ["array y", "dtype"]),
    "one axis": (npz_bytes(x=X[:, 0], y=Y), ["(6,)", "x.reshape(-1, 1)"]),
    "three axes": (npz_bytes(x=X[:, None], y=Y), ["(6, 1, 2)", "reshape to (N, 1, H, W)"]),
    "lengths": (npz_bytes(x=X, y=Y[:5]), ["array x has 6 rows", "array y has 5"]),
    "no rows": (npz_bytes(x=X[:0], y=Y[:0]), ["(0, 2)", "no rows"]),
    "no columns": (npz_bytes(x=X[:, :0], y=Y), ["rows are empty"]),
    "single label": (npz_bytes(x=X, y=np.array(3)), ["array y", "single value"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_NPZ)
def test_bad_npz_files_are_named(tmp_path, case):
    content, parts = BAD_NPZ[case]
    (tmp_path / "d.npz").write_bytes(content)
    text = message(DataError, read, "npz", tmp_path / "d.npz")
    assert "d.npz" in text
    assert "\n" not in text
    for part in parts:
        assert part in text


def declaring(header: str | bytes, data: bytes = bytes(64)) -> bytes:
    """An .npy file with that header."""
    text = (header if isinstance(header, bytes) else header.encode()) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + data


def header(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


BAD_HEADERS = {
    "side beyond": (declaring(header("(0, 1180591620717411303424)")), ["damaged", "(0, 1180591620717411303424)"]),
    "product beyond": (declaring(header("(6, 0, 9223372036854775807)")), ["damaged", "(6, 0, 9223372036854775807)"]),
    "truth values": (declaring(header("(True, True)")), ["damaged", "(True, True)"]),
    "negative": (declaring(header("(-6, 2)")), ["damaged", "(-6, 2)"]),
    "70 axes": (declaring(header(f"({'1,' * 70})")), ["damaged", "(1, 1, 1"]),
    "text of no letters": (declaring(header("(6, 99999999999)", "'<U0'")), ["damaged", "<U0"]),
    "bytes of none": (declaring(header("(6, 2)", "'|V0'")), ["damaged", "|V0"]),
    "part of an array": (declaring(header("(6,)", "('<f4', (2,))")), ["damaged", "('<f4', (2,))"]),
    "minus signs": (declaring("{" + "-" * 9000 + "1:1}"), ["not an array in NumPy's format"]),
    "brackets": (declaring("(" * 9000), ["not an array in NumPy's format"]),
    "key of bytes": (declaring("{'descr': '<f4', b'fortran_order': False, 'shape': (6, 2)}"), ["not an array in NumPy's format"]),
    "dtype of one": (declaring(header("(6, 2)", "('<f4',)")), ["not an array in NumPy's format"]),
    "dtype of a number": (declaring(header("(6, 2)", "[5]")), ["not an array in NumPy's format"]),
    "dtype beyond": (declaring(header("(6, 2)", "'|S99999999999999999999'")), ["not an array in NumPy's format"]),
}  # fmt: skip


@pytest.mark.parametrize("place", ["x", "y"])
@pytest.mark.parametrize("kind", ["npy", "npz"])
@pytest.mark.parametrize("case", BAD_HEADERS)
def test_headers_of_what_no_array_is_are_refused(tmp_path, case, kind, place):
    content, parts = BAD_HEADERS[case]
    files = {"x": npy_bytes(X), "y": npy_bytes(Y), place: content}
    for name, held in files.items():
        (tmp_path / f"{name}.npy").write_bytes(held)
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        for name in files:
            archive.write(tmp_path / f"{name}.npy", f"{name}.npy")
    keys = {"x": "x.npy", "y": "y.npy"} if kind == "npy" else {}
    text = message(DataError, read, kind, None if keys else tmp_path / "d.npz", (tmp_path,), **keys)
    for part in [f"{place}.npy" if keys else f"d.npz: array {place}", *parts]:
        assert part in text


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("code", "byteorder"), [(0x110000, "<"), (0xFFFFFFFF, "<"), (0xD800, "<"), (0xDFFF, ">")])
def test_labels_of_what_is_no_character_are_refused(tmp_path, code, byteorder, order):
    y = np.array([["ab", "cd", "ef"]] * 6, f"{byteorder}U2", order=order)
    content = npy_bytes(y)
    letter = y[0, 0].encode(f"utf-32-{'l' if byteorder == '<' else 'b'}e")[:4]
    at = len(content) - y.nbytes
    place = at + 8 * (3 * 4 + 1 if order == "C" else 6 + 4) + 4  # the second letter of row 4, column 1
    assert content[at : at + 4] == letter
    for changed, is_text in ((ord("ü"), True), (0x10FFFF, True), (code, False)):
        given_code = struct.pack(f"{byteorder}I", changed)
        np.save(tmp_path / "x.npy", X)
        (tmp_path / "y.npy").write_bytes(content[:place] + given_code + content[place + 4 :])
        if is_text:
            assert read("npy", None, (tmp_path,), x="x.npy", y="y.npy").rows.y[4, 1] == "c" + chr(changed)
        else:
            text = message(DataError, read, "npy", None, (tmp_path,), x="x.npy", y="y.npy")
            assert f"y.npy: damaged: row 4 (rows count from 0): 0x{code:x} is the code of no character" in text


@pytest.mark.parametrize("name", ["npz", "npy", "csv", "parquet", "images", "mnist", "cifar10"])
def test_a_pipe_is_no_file_of_data(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    with ended_after(30):
        assert "pipe: is a pipe or a device; copy what it gives to a file" in message(DataError, read, name, tmp_path / "pipe", y="pipe")
        assert npz_names(tmp_path / "pipe") == []


def test_every_cut_of_an_archive_is_a_data_error(tmp_path):
    path = tmp_path / "d.npz"
    stream = io.BytesIO()
    np.savez_compressed(stream, x=X, y=Y)
    whole = stream.getvalue()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert "d.npz" in message(DataError, read, "npz", path)
    path.write_bytes(whole)
    assert len(read("npz", path).rows) == 6


def test_no_altered_byte_escapes_as_another_error(tmp_path):
    path, whole = tmp_path / "d.npz", npz_bytes(x=X, y=Y)
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read("npz", path)
        except (DataError, LimitError):
            refused += 1
    assert refused > len(whole) // 2


def test_missing_files_and_keys(tmp_path):
    assert "no such file" in message(DataError, read, "npz", tmp_path / "none.npz")
    assert "is a folder" in message(DataError, read, "npz", tmp_path)
    assert "path = " in message(DataError, read, "npz")
    assert "y = " in message(DataError, read, "npy", tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(npz_bytes(x=X))
    assert "not an array in NumPy's format" in message(DataError, read, "npy", tmp_path / "x.npy", (tmp_path,), y="x.npy")


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.save(tmp_path / "x.npy", np.array([Trap()], object), allow_pickle=True)
    assert "Python objects" in message(DataError, read, "npy", tmp_path / "x.npy", (tmp_path,), y="x.npy")
    assert not (tmp_path / "sprung").exists()
    np.load(tmp_path / "x.npy", allow_pickle=True)  # the control: the trap works
    assert (tmp_path / "sprung").exists()


def test_declared_size_is_checked_before_reading(tmp_path):
    header = npy_bytes(X).replace(b"(6, 2), }          ", b"(60000000000, 2), }")
    assert header != npy_bytes(X)
    (tmp_path / "d.npz").write_bytes(zipped(header))
    assert "NS810" in message(LimitError, read, "npz", tmp_path / "d.npz")
    (tmp_path / "d.npz").write_bytes(npz_bytes(x=X, y=Y))
    assert "limit" in message(LimitError, read, "npz", tmp_path / "d.npz", limit_bytes=X.nbytes - 1)
    assert len(read("npz", tmp_path / "d.npz", limit_bytes=X.nbytes).rows) == 6


# Labels


@pytest.mark.parametrize(
    "y",
    [
        [0, 2, 1, 2],
        np.array([0, 2, 1, 2], np.uint8),
        [0.0, 2.0, 1.0, 2.0],
        [[0], [2], [1], [2]],
        np.eye(3)[[0, 2, 1, 2]],
        np.eye(3, dtype=bool)[[0, 2, 1, 2]],
    ],
)
def test_class_numbers_in_every_form(y):
    encoded = encode_labels(y, "class", 3, None)
    assert encoded.dtype == np.int64
    assert encoded.tolist() == [0, 2, 1, 2]


@pytest.mark.parametrize("target", ["class", "binary"])
@pytest.mark.parametrize(
    "y",
    [
        ["cat", "ape", "cat"],
        np.array(["cat", "ape", "cat"], object),
        np.array([b"cat", b"ape", b"cat"]),
        np.array(["cat", "ape", "cat"], np.dtypes.StringDType()),
    ],
)
def test_text_labels_come_back(target, y):
    given_array = np.array(["cat", "ape", "cat"])
    data = prepare_arrays(np.zeros((3, 1)), y, target)
    assert data.labels == ("ape", "cat")
    assert data.classes == 2
    assert data.train.y.reshape(-1).tolist() == [1, 0, 1]
    np.testing.assert_array_equal(decode(data.train.y.reshape(-1), data.labels), given_array)


@pytest.mark.parametrize(
    ("values", "labels"), [([0, 1, 1], None), ([-1, 1, 1], (-1, 1)), ([3.5, 7.0, 7.0], (3.5, 7.0)), ([False, True, True], None)]
)
@pytest.mark.parametrize("column", [False, True])
def test_binary_takes_any_two_values(values, labels, column):
    y = np.array(values)
    y = y[:, None] if column else y
    learnt = learn_labels(y, "binary", 2)
    assert learnt == labels
    encoded = encode_labels(y, "binary", 2, learnt)
    assert encoded.dtype == np.float64
    assert encoded.tolist() == [[0], [1], [1]]


def test_multi_label_rows_and_values():
    rows = np.array([[0, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(encode_labels(rows, "binary", 3, None), rows)
    assert encode_labels([1, 2], "value", None, None, score_shape=(1,)).tolist() == [[1], [2]]
    images = np.zeros((2, 1, 3, 3), np.float32)
    assert encode_labels(images, "value", None, None, score_shape=(1, 3, 3)).shape == images.shape


def test_unsorted_words_of_a_source_are_found():
    labels = ("malignant", "benign")
    assert encode_labels(["benign", "malignant"], "class", 2, labels).tolist() == [1, 0]
    assert encode_labels([1, 0], "binary", 2, labels).tolist() == [[1], [0]]
    assert encode_labels(["benign", "malignant"], "binary", 2, labels).tolist() == [[1], [0]]


BAD_LABELS = {
    "too large": ([0, 1, 10], "class", 10, None, ["label 10 in row 2", "out of range", "0 to 9"]),
    "negative": ([0, -1], "class", 3, None, ["label -1 in row 1", "0 to 2"]),
    "fraction": ([0, 1.5], "class", 3, None, ["label 1.5 in row 1", "not a whole number", "linear"]),
    "nan class": ([0, float("nan")], "class", 3, None, ["label NaN in row 1", "finite"]),
    "infinite": ([0, float("inf")], "value", None, None, ["label inf in row 1"]),
    "nan column": ([[0, 1.0], [1, float("nan")]], "value", None, None, ["row 1, column 1"]),
    "unknown word": (["ape", "dog"], "class", 2, ("ape", "cat"), ["label 'dog' in row 1", "'ape', 'cat'"]),
    "text for numbers": (["ape"], "class", 2, None, ["label 'ape'", "class numbers from 0"]),
    "number for words": ([2], "binary", 2, (-1, 1), ["label 2 in row 0", "-1, 1"]),
    "text value": (["a"], "value", None, None, ["'a'", "linear predicts numbers"]),
    "two ones": ([[1, 1, 0], [0, 0, 1]], "class", 3, None, ["row 0", "1, 1, 0", "one-hot"]),
    "no one": ([[0, 0, 1], [0, 0, 0]], "class", 3, None, ["row 1", "one-hot"]),
    "half": ([[0.5, 0.5, 0]], "class", 3, None, ["row 0", "one-hot"]),
    "text rows": ([["a", "b"]], "class", 2, None, ["(1, 2)"]),
    "class rank": (np.zeros((2, 2, 2)), "class", 2, None, ["(2, 2, 2)"]),
    "binary 2": ([0, 2], "binary", 2, None, ["label 2 in row 1", "0 and 1"]),
    "binary width": ([[0, 1]], "binary", 2, None, ["(1, 2)", "(N,) or (N, 1)"]),
    "multi-label width": ([[0, 1]], "binary", 3, None, ["(1, 2)", "(N, 3)"]),
    "multi-label value": ([[0, 1, 3]], "binary", 3, None, ["label 3 in row 0, column 2"]),
    "multi-label flat": ([0, 1], "binary", 3, None, ["(2,)", "(N, 3)"]),
    "binary text": (["a"], "binary", 2, None, ["'a'", "0 and 1"]),
    "ragged": ([[0], [0, 1]], "class", 2, None, ["different lengths"]),
    "missing": ([0, None], "class", 2, None, ["position 1", "None"]),
    "mixture": (np.array([0, "a"], object), "class", 2, None, ["mixture", "'a' at position 1"]),
    "mixed list": ([1, "a"], "class", 2, None, ["mixture"]),
    "nan among words": (["a", float("nan"), "b"], "class", 2, None, ["the label at position 1", "is missing (nan)"]),
    "none among words": (["a", None], "class", 2, None, ["position 1", "None"]),
    "strange": (np.array([object()]), "class", 2, None, ["Python type object"]),
    "complex": ([1j], "value", None, None, ["complex128"]),
    "scalar": (3, "class", 5, None, ["single value"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_named(case):
    y, target, classes, labels, parts = BAD_LABELS[case]
    text = message(DataError, encode_labels, y, target, classes, labels, name="file.npz: y")
    assert text.startswith("file.npz: y")
    for part in parts:
        assert part in text


def test_class_numbers_are_a_copy():
    """Kernels read labels as places: what a caller writes into his array meanwhile must not reach them."""
    y = np.array([0, 1, 2])
    encoded = encode_labels(y, "class", 3, None)
    y[:] = 10**8
    assert encoded.tolist() == [0, 1, 2]


def test_value_shape_must_be_that_of_the_scores():
    assert "(2, 3)" in message(DataError, encode_labels, np.zeros((2, 3)), "value", None, None, score_shape=(2,))
    assert "one number" in message(DataError, encode_labels, [1, 2], "value", None, None, score_shape=(1, 3, 3))


def test_contradicting_class_counts_are_problems():
    for call in (
        lambda: learn_labels(np.array(["a", "b"]), "class", 3),
        lambda: encode_labels(np.eye(3), "class", 4, None),
        lambda: prepare(Dataset(read("breast_cancer").rows, labels=("malignant", "benign")), DataSection(), "class", 0, classes=3),
    ):
        with pytest.raises(Problem) as caught:
            call()
        assert caught.value.code == "NS601"
        assert caught.value.argument == "classes"
        assert "classes" in caught.value.help


def test_facts_that_contradict():
    image = Facts((1, 8, 8), 10, None, 5, "class")
    check_facts(image, input=(1, 8, 8), classes=10, outputs=None, target="class")
    check_facts(image, input=None, classes=None, outputs=None, target="class")
    number = Facts((10,), None, 1, 5, "value")
    cases = [(image, {"classes": 7}, "NS601"), (image, {"input": (3, 8, 8)}, "NS603"), (number, {"outputs": 2}, "NS602")]
    for facts, given_counts, code in cases:
        with pytest.raises(Problem) as caught:
            check_facts(facts, **{"input": None, "classes": None, "outputs": None, "target": facts.target, **given_counts})
        assert caught.value.code == code
        assert caught.value.argument == next(iter(given_counts))


@pytest.mark.parametrize(
    "y", [[1, 2, 3] * 4, [1.0, 2.0, 3.0] * 4, [10, 30, 20] * 4, list(range(1, 13)), [1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 4, 3]]
)
def test_numbers_without_0_are_words(y):
    found = netspec.compile("affine -> softmax", train="epochs = 1")
    x = np.random.default_rng(0).normal(size=(12, 4))
    found.fit(x, y)
    assert found.classes_.tolist() == sorted(set(y))
    assert set(found.predict(x).tolist()) <= set(y)
    assert found.evaluate(x, y)["accuracy"] == np.mean(found.predict(x) == y)
    with pytest.raises(DataError, match=r"out of range; allowed are 0 to \d"):
        netspec.compile("affine -> softmax", classes=len(set(y)), train="epochs = 1").fit(x, y)


def test_a_trained_net_keeps_the_meaning_of_its_classes():
    x, y = np.eye(3)[np.arange(30) % 3], np.arange(30) % 3
    model = netspec.compile("affine -> softmax", train="optimizer = adam(lr=0.1); epochs = 30")
    model.fit(x, y)
    model.fit(x[y > 0], y[y > 0], epochs=1)
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict(np.eye(3)).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="label 3 in row 2"):
        model.fit(x, y + 1)


@pytest.mark.parametrize(
    ("y", "classes"), [([0, 1, 2] * 4, None), ([1, 2, 3] * 4, 3), ([1, 2, 3] * 4, 10), ([2] * 12, None), ([150, 480, 210, 390], None)]
)
def test_numbers_that_are_class_numbers(y, classes):
    assert learn_labels(np.array(y), "class", classes) is None


def test_counting_classes():
    assert count_classes(np.array([0, 4, 1]), None, "class") == 5
    assert count_classes(np.zeros((3, 4)), None, "binary") == 4
    assert count_classes(np.zeros(3), None, "value") is None
    assert "number the classes from 0" in message(DataError, count_classes, np.array([1990, 2020]), None, "class")


@pytest.mark.parametrize(
    ("target", "y"), [("class", [3] * 5), ("class", ["a"] * 5), ("binary", [1] * 5), ("binary", [-1] * 5), ("binary", ["a"] * 5)]
)
def test_one_class_cannot_be_learnt(target, y):
    text = message(DataError, prepare_arrays, np.zeros((5, 1)), y, target)
    assert "every label is" in text or "all 5 training rows" in text


def test_sigmoid_with_three_words_names_softmax():
    assert "use softmax" in message(DataError, learn_labels, np.array(["a", "b", "c"]), "binary", None)


# Inputs

BAD_X = {
    "nan": (np.where(np.arange(12).reshape(6, 2) == 7, np.nan, 1.0), ["row 3, feature 1 is NaN"]),
    "infinite pixel": (np.where(np.arange(36).reshape(2, 2, 3, 3) == 32, -np.inf, 1.0), ["row 1, channel 1, pixel (1, 2) is infinite"]),
    "ragged": ([[1], [1, 2]], ["different lengths"]),
    "text": ([["a", "b"]], ["<U1"]),
    "none": ([[1, None]], ["row 0, feature 1 is NaN"]),
    "words in objects": (np.array([[1, "a"]], object), ["row 0, column 1 holds 'a'", "no number"]),
    "empty": ([], ["(0,)"]),
    "rank": ([1.0, 2.0], ["(2,)", "x.reshape(-1, 1)"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_X)
def test_bad_inputs_are_named(case):
    x, parts = BAD_X[case]
    text = message(DataError, check_x, x, None, "file.npz: x")
    assert text.startswith("file.npz: x")
    for part in parts:
        assert part in text


def test_rows_must_fit_the_net_and_each_other():
    assert "a row is 3, and the net takes 4" in message(DataError, check_x, np.zeros((2, 3)), (4,))
    assert "2 rows" in message(DataError, check_rows, np.zeros((2, 3)), [0, 1, 0], "class", classes=2)


def test_nan_is_found_in_any_chunk(monkeypatch):
    monkeypatch.setattr(normalize, "CHUNK_ELEMENTS", 8)
    for row in range(20):
        x = np.zeros((20, 3))
        x[row, 2] = np.nan
        assert f"row {row}, feature 2" in message(DataError, check_x, x)


# Splits


@given(st.integers(3, 500), st.lists(st.floats(0.05, 0.5), min_size=2, max_size=3), st.integers(0, 2**64))
def test_parts_are_disjoint_and_of_the_declared_size(rows, fractions, seed):
    try:
        sizes = part_sizes(fractions, rows)
    except (DataError, Problem):
        return
    for size, fraction in zip(sizes, fractions, strict=True):
        assert abs(size - fraction * rows) <= 1
    parts = split_rows(rows, sizes, seed)
    assert tuple(map(len, parts)) == sizes
    used = np.concatenate(parts)
    assert len(np.unique(used)) == len(used)
    assert set(used) <= set(range(rows))


@pytest.mark.parametrize("rows", [10, 99, 100, 569, 1797])
@pytest.mark.parametrize("split", [(0.8, 0.1, 0.1), (0.9, 0.1), (0.7, 0.2, 0.1)])
def test_fractions_that_sum_to_one_use_every_row(rows, split):
    assert sum(part_sizes(split, rows)) == rows


def test_counts_are_rows_and_the_rest_is_unused():
    assert part_sizes((49, 10), 100) == (49, 10)
    assert part_sizes((50, 0.25), 100) == (50, 25)


@pytest.mark.parametrize(
    ("split", "rows", "parts"),
    [
        ((90, 20), 100, ["90 / 20", "110 rows", "there are 100"]),
        ((0.9, 20), 100, ["90% / 20"]),
        ((0.8, 0.1, 0.1), 3, ["no rows for test"]),
    ],
)
def test_splits_that_the_data_cannot_have(split, rows, parts):
    text = message(DataError, part_sizes, split, rows, "digits")
    for part in ["digits", *parts]:
        assert part in text


@pytest.mark.parametrize("split", [(0.8, 0.4), (), (1, 1, 1, 1)])
def test_splits_that_no_data_can_have(split):
    with pytest.raises(Problem) as caught:
        part_sizes(split, 100)
    assert (caught.value.code, caught.value.argument) == ("NS604", "split")


def imbalance(classes: np.ndarray, parts: list[np.ndarray]) -> float:
    """How many rows of a class a part has too many or too few, at most."""
    share = np.bincount(classes) / len(classes)
    return max(np.abs(np.bincount(classes[part], minlength=len(share)) - share * len(part)).max() for part in parts)


@given(st.lists(st.integers(0, 4), min_size=60, max_size=300), st.integers(0, 1000))
def test_stratified_parts_hold_each_class_in_proportion(labels, seed):
    classes = np.array(labels)
    parts = split_rows(len(classes), part_sizes((0.6, 0.2, 0.2), len(classes)), seed, classes)
    assert imbalance(classes, parts) <= 3
    assert len(np.unique(np.concatenate(parts))) == len(classes)


def test_without_classes_the_proportions_drift():
    classes = np.repeat(np.arange(5), 60)
    worst = max(imbalance(classes, split_rows(300, (180, 60, 60), seed)) for seed in range(5))
    assert worst > 3  # the control of the law above


def test_the_seed_decides_and_nothing_else():
    classes = np.arange(100) % 3
    one, again, other = (split_rows(100, (80, 20), seed, classes) for seed in (1, 1, 2))
    for part, same in zip(one, again, strict=True):
        np.testing.assert_array_equal(part, same)
    assert set(one[1]) != set(other[1])
    split_rows(10, (5, 5), -3)


@pytest.mark.parametrize(("name", "target"), [("digits", "class"), ("breast_cancer", "binary"), ("diabetes", "value")])
def test_prepare_splits_rows_with_their_labels(name, target):
    dataset = read(name)
    data = prepare(dataset, DataSection(), target, seed=3)
    pairs = {(x.tobytes(), float(np.ravel(y)[0])) for x, y in zip(dataset.rows.x, dataset.rows.y, strict=True)}
    for part in (data.train, data.validation, data.test):
        for x, y in zip(part.x, part.y, strict=True):
            assert (x.tobytes(), float(np.ravel(y)[0])) in pairs
    assert len(data.train) + len(data.validation) + len(data.test) == len(dataset.rows)
    assert data.fingerprint == prepare(dataset, DataSection(), target, seed=4).fingerprint


def test_messages_name_the_file_the_row_and_the_column(tmp_path):
    np.savez(tmp_path / "bad.npz", x=np.where(np.arange(12).reshape(6, 2) == 7, np.nan, 1.0), y=Y)
    section = DataSection(source=SOURCES["npz"](), path="bad.npz")
    dataset = read("npz", tmp_path / "bad.npz")
    assert "bad.npz: x: row 3, feature 1 is NaN" in message(DataError, prepare, dataset, section, "class", 0)
    wrong = Dataset(Rows(X, Y + 3))
    assert "bad.npz: y: label 3 in row 0" in message(DataError, prepare, wrong, section, "class", 0, classes=2)


def test_an_official_test_part_is_the_test_split():
    test = Rows(np.full((4, 2), 9.0), np.array(["b", "a", "a", "b"]))
    dataset = Dataset(Rows(np.zeros((20, 2)), np.array(["a", "b"] * 10)), test=test)
    data = prepare(dataset, DataSection(split=(0.8, 0.2)), "class", 0)
    np.testing.assert_array_equal(data.test.x, test.x)
    assert data.test.y.tolist() == [1, 0, 0, 1]
    bad = Dataset(dataset.rows, test=Rows(test.x, np.array(["b", "a", "a", "zebra"])))
    assert "(test): y: label 'zebra' in row 3" in message(DataError, prepare, bad, DataSection(), "class", 0)


def test_arrays_with_and_without_validation():
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    whole = prepare_arrays(x, y, "class")
    np.testing.assert_array_equal(whole.train.x, x)
    assert whole.validation is None
    part = prepare_arrays(x, y, "class", validation=0.2)
    assert (len(part.train), len(part.validation)) == (16, 4)
    assert part.validation.y.sum() == 2
    pair = prepare_arrays(x, y, "class", validation=(x[:3], y[:3]))
    assert len(pair.validation) == 3
    for validation, text in [(1.5, "between 0 and 1"), ((x,), "a pair"), ((x[:, :1], y), "net takes 2"), ((x, y + 5), "out of range")]:
        assert text in message(DataError, prepare_arrays, x, y, "class", validation=validation)


def test_the_fingerprint_is_of_every_byte():
    rows = read("digits").rows
    mark = fingerprint(Dataset(rows))
    changed = rows.x.copy()
    changed[-1, 0, 7, 7] += 1
    assert len({mark, fingerprint(Dataset(Rows(changed, rows.y))), fingerprint(Dataset(Rows(rows.x.astype(np.int32), rows.y)))}) == 3
    assert mark == fingerprint(Dataset(Rows(np.asfortranarray(rows.x), rows.y)))


# Normalisation

ROWS = {
    "vectors": np.random.default_rng(0).normal(5, 3, (53, 7)) * np.logspace(-3, 3, 7),
    "images": np.random.default_rng(1).integers(0, 256, (31, 3, 5, 4)).astype(np.uint8),
    "far from zero": np.random.default_rng(2).normal(1e8, 1, (1000, 2)),
}


@pytest.mark.parametrize("chunk", [1, 64, 1 << 20])
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("kind", ["per_feature", "per_channel", "rescale"])
def test_statistics_are_numpys(monkeypatch, name, kind, chunk):
    monkeypatch.setattr(normalize, "CHUNK_ELEMENTS", chunk)
    x = ROWS[name]
    exact = x.astype(np.longdouble)
    axes = (0, 2, 3) if kind == "per_channel" and x.ndim == 4 else 0
    if kind == "rescale":
        expected = (exact - exact.min()) / (exact.max() - exact.min())
    else:
        expected = (exact - exact.mean(axis=axes, keepdims=True)) / exact.std(axis=axes, keepdims=True)
    fitted = fit_normalization(x, kind)
    # the shift is rounded to a float64, so half a unit in its last place, over the scale, is the best there can be
    last_place = np.spacing(np.abs(x).max().astype(np.float64)) / fitted.scale.min()
    np.testing.assert_allclose(as_input(x, fitted, np.float64), expected.astype(np.float64), rtol=1e-11, atol=max(1e-13, last_place))
    assert fitted.kind == kind
    assert as_input(x, fitted, np.float32).dtype == np.float32
    restored = Normalization.from_tensors(kind, fitted.tensors(), x.shape[1:])
    np.testing.assert_array_equal(as_input(x, restored, np.float32), as_input(x, fitted, np.float32))


def test_statistics_know_the_training_part_only():
    x, y = np.random.default_rng(5).normal(size=(100, 3)), np.arange(100) % 2
    section = DataSection(normalize="per_feature")
    data = prepare(Dataset(Rows(x, y)), section, "class", 0)
    np.testing.assert_allclose(data.normalization.shift, data.train.x.mean(axis=0))
    assert np.abs(data.normalization.shift - x.mean(axis=0)).max() > 1e-4  # the control: the whole has other means
    held = {row.tobytes() for row in np.concatenate([data.validation.x, data.test.x])}
    altered = x + 100 * np.array([[row.tobytes() in held] for row in x])
    again = prepare(Dataset(Rows(altered, y)), section, "class", 0)
    np.testing.assert_array_equal(again.normalization.shift, data.normalization.shift)
    np.testing.assert_array_equal(again.normalization.scale, data.normalization.scale)


@pytest.mark.parametrize("kind", ["per_feature", "per_channel", "rescale"])
def test_constant_values_become_zero(kind):
    x = np.full((1000, 2), 0.1)  # its mean, summed, is not exactly 0.1
    fitted = fit_normalization(x, kind)
    assert (fitted.scale == 1).all()
    assert (as_input(x, fitted, np.float64) == 0).all()


def test_none_is_no_normalisation():
    assert fit_preparation(ROWS["vectors"], ()) is None
    x = ROWS["images"]
    np.testing.assert_array_equal(as_input(x, None, np.float32), x.astype(np.float32))
    ready = x.astype(np.float32)
    assert as_input(ready, None, np.float32) is ready


def test_values_that_no_dtype_holds():
    assert "too large to be normalised" in message(DataError, fit_normalization, np.array([[1e200], [-1e200]]), "per_feature")
    assert "row 1: the value 1e+200 is too large for float32" in message(DataError, as_input, np.array([[1.0], [1e200]]), None, np.float32)
    assert as_input(np.array([[1e200]]), None, np.float64)[0, 0] == 1e200


def test_statistics_of_other_rows_are_refused():
    fitted = fit_normalization(ROWS["images"], "per_channel")
    for x in (ROWS["vectors"], np.zeros((2, 4, 5, 4))):
        assert "cannot be normalised" in message(DataError, as_input, x, fitted, np.float32)
    assert "normalization.scale" in message(DataError, Normalization.from_tensors, "rescale", {"normalization.shift": np.zeros(1)}, (1,))
    for shift, scale, found in (((1, 1), (1,), "has the shape (1, 1)"), ((2,), (1,), "(2,)"), ((0,), (1,), "(0,)"), ((1,), (0,), "(0,)")):
        tensors = {"normalization.shift": np.ones(shift), "normalization.scale": np.ones(scale)}
        assert found in message(DataError, Normalization.from_tensors, "rescale", tensors, (3,))
    for scale in (0.0, np.nan):
        tensors = {"normalization.shift": np.ones(1), "normalization.scale": np.full(1, scale)}
        assert "normalization.scale is damaged" in message(DataError, Normalization.from_tensors, "rescale", tensors, (3,))


@pytest.mark.parametrize("kind", ["per_feature", "per_channel", "rescale"])
def test_statistics_need_no_more_memory_for_more_rows(kind):
    x = np.ones((40_000, 1, 32, 32), np.uint8)  # 40 MB, and 320 MB as float64
    peaks = {}
    for name, work in {"chunked": lambda: fit_normalization(x, kind), "whole": lambda: x.astype(np.float64).mean(axis=0)}.items():
        tracemalloc.start()
        work()
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["chunked"] < 40e6
    assert peaks["whole"] > 300e6  # the control: what tracemalloc sees when all is converted at once


def test_data_errors_exit_with_4():
    assert DataError.exit_code == 4
    assert LimitError.exit_code == 6
