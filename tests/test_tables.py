"""Sources of tables: csv and parquet against files made here. Every bad file has its message, which names file, row and column."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec as ns
from netspec.base.dataset import Dataset, DataSource
from netspec.base.errors import DataError, LimitError, UsageError
from netspec.catalog.registry import entries
from netspec.catalog.sources import csv as csv_source
from netspec.pipeline import read as read_spec
from netspec.ui.rows import read_part

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow, of the extra data, is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow, of the extra data, is not installed")

CITIES = ["Oslo", "Rome", "Bern", "Oslo"]
TABLE: dict[str, list[Any]] = {"rooms": [3, 1, 2, 4], "area": [70.5, 30.0, 45.25, 90.0], "city": CITIES, "price": [500, 120, 300, 610]}


def write_csv(path: Path, table: dict[str, list[Any]], **dialect: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n", **dialect)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def write_parquet(path: Path, table: dict[str, list[Any]]) -> Path:
    parquet.write_table(pyarrow.table(table), path)
    return path


WRITERS: dict[str, Callable[[Path, dict[str, list[Any]]], Path]] = {"csv": write_csv, "parquet": write_parquet}
over_kinds = pytest.mark.parametrize("kind", WRITERS)


def read(kind: str, path: Path | None, **keys: Any) -> Dataset:
    return entries(DataSource)[kind]().read(path, keys, ())


def message(error: type[Exception], kind: str, path: Path | None, **keys: Any) -> str:
    with pytest.raises(error) as caught:
        read(kind, path, **keys)
    assert "\n" not in str(caught.value) or error is LimitError
    return str(caught.value)


def text_file(folder: Path, content: str | bytes) -> Path:
    path = folder / "d.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# What a good file gives


@over_kinds
def test_columns_by_name(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path / "d", TABLE)
    found = read(kind, path, target="price", features=("area", "rooms"))
    np.testing.assert_array_equal(found.rows.x, np.array([TABLE["area"], TABLE["rooms"]]).T)
    np.testing.assert_array_equal(found.rows.y, TABLE["price"])
    assert found.rows.y.dtype == np.int64
    assert [column.name for column in found.columns or ()] == ["area", "rooms"]
    assert found.target == "column price"


@over_kinds
def test_the_last_column_is_the_target_and_all_others_features(tmp_path: Path, kind: str) -> None:
    table = {name: column for name, column in TABLE.items() if name != "city"}
    found = read(kind, WRITERS[kind](tmp_path / "d", table))
    assert ([column.name for column in found.columns or ()], found.target) == (["rooms", "area"], "column price")


@over_kinds
def test_text_is_kept_as_labels_and_as_categories(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path / "d", TABLE)
    assert read(kind, path, target="city", features=("area",)).rows.y.tolist() == CITIES
    found = read(kind, path, target="price", features=("area", "city"))
    column = (found.columns or ())[1]
    assert column.categories == ("Bern", "Oslo", "Rome")
    np.testing.assert_array_equal(np.array(column.categories)[found.rows.x[:, 1].astype(int)], CITIES)
    assert "'Oslo'" in column.text_at


@over_kinds
def test_labels_are_whole_numbers_only_where_all_are(tmp_path: Path, kind: str) -> None:
    path = WRITERS[kind](tmp_path / "d", TABLE)
    assert read(kind, path, target="area", features=("rooms",)).rows.y.dtype == np.float64


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=8).filter(lambda text: text.strip() != "")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), CELLS), min_size=2, max_size=20), st.sampled_from(",;\t"))
def test_whatever_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str]], separator: str) -> None:
    """Quotes, separators inside cells, numbers of every size: what Python's csv module writes comes back."""
    numbers = [number for number, _ in rows]
    words = [f"w{word}" for _, word in rows]  # no number, and no missing value
    path = write_csv(tmp_path_factory.mktemp("t") / "d.csv", {"a": numbers, "b": words}, delimiter=separator)
    if len(set(numbers)) == 1:
        return
    found = read("csv", path)
    np.testing.assert_array_equal(found.rows.x[:, 0], numbers)
    assert found.rows.y.tolist() == [word.strip() for word in words]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x\n2,y\n", "a;b\n1;x\n2;y\n", "a\tb\n1\tx\n2\ty\n", "a , b\r\n 1 , x\r\n 2,y \r\n",
        "\ufeffa,b\n1,x\n2,y", '"a","b"\n"1","x"\n"2","y"',
        "a,b\n\n1,x\n\n2,y\n\n", '"a","b"\n1e0,x\n+2.0,y\n',
    ],
)  # fmt: skip
def test_forms_of_the_same_table(tmp_path: Path, content: str) -> None:
    found = read("csv", text_file(tmp_path, content))
    assert (found.rows.x.tolist(), found.rows.y.tolist()) == ([[1], [2]], ["x", "y"])


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (pyarrow.array([True, False, True]), [1, 0, 1]), (pyarrow.array([1, 2, 3], pyarrow.uint8()), [1, 2, 3]),
        (pyarrow.array([1.5, 2.5, 3.5], pyarrow.float32()), [1.5, 2.5, 3.5]),
        (pyarrow.array(["a", "b", "a"], pyarrow.large_string()), [0, 1, 0]),
        (pyarrow.array(["a", "b", "a"]).dictionary_encode(), [0, 1, 0]),
    ],
)  # fmt: skip
def test_types_of_parquet(tmp_path: Path, column: Any, numbers: list[float]) -> None:
    parquet.write_table(pyarrow.table({"a": column, "y": [1, 2, 3]}), tmp_path / "d")
    assert read("parquet", tmp_path / "d").rows.x[:, 0].tolist() == numbers


def indexed(path: Path, table: dict[str, Any], index: Any) -> Path:
    """As pandas writes a frame from which rows were taken out."""
    metadata = json.dumps({"index_columns": index}) if index is not None else "[[[["
    parquet.write_table(pyarrow.table(table).replace_schema_metadata({"pandas": metadata}), path)
    return path


INDEX = "__index_level_0__"


def test_the_index_of_pandas_is_neither_target_nor_feature(tmp_path: Path) -> None:
    table = {"a": [1.5, 2.5, 3.5], "b": [1, 4, 9], INDEX: [0, 2, 3]}
    path = indexed(tmp_path / "d", table, [INDEX])
    for keys, names in (
        ({}, (["a"], "column b")), ({"target": "a"}, (["b"], "column a")),
        ({"target": INDEX}, (["a", "b"], f"column {INDEX}")), ({"features": ("a", INDEX)}, (["a", INDEX], "column b")),
    ):  # fmt: skip
        found = read("parquet", path, **keys)
        assert ([column.name for column in found.columns or ()], found.target) == names
    assert "has no columns but an index" in message(DataError, "parquet", indexed(tmp_path / "d", {INDEX: [0, 2]}, [INDEX]))
    named = indexed(tmp_path / "d", {"a": [1, 2], "year": [3, 4]}, ["year"])  # an index with a name is a column that someone meant
    assert read("parquet", named).target == "column year"
    for index in (None, [], [{"kind": "range"}], {"a": 1}, 5):  # the control: no index of pandas
        assert read("parquet", indexed(tmp_path / "d", table, index)).target == f"column {INDEX}"


@over_kinds
def test_large_numbers_that_float64_holds_are_read(tmp_path: Path, kind: str) -> None:
    table = {"a": [2**53, 2**53 + 2, -(2**63)], "b": [1e300, 2.0**60, -1e16], "y": [1, 2, 3]}
    np.testing.assert_array_equal(read(kind, WRITERS[kind](tmp_path / "d", table)).rows.x, np.array([table["a"], table["b"]], float).T)


def test_rows_and_names_of_any_length(tmp_path: Path) -> None:
    """Longer than a cell may be for Python's csv module, and than two blocks of pyarrow's."""
    limit = csv.field_size_limit()
    names = [f"a rather long name {number}" for number in range(60_000)]
    rows = "".join(",".join(str(number * number % 11 + row) for number in range(60_000)) + f",{row}\n" for row in range(3))
    start = time.monotonic()
    separator, found = csv_source.read_header(text_file(tmp_path, ",".join([*names, "y"]) + "\n" + rows))
    assert time.monotonic() - start < 2  # quadratic in the names, it takes more than ten
    assert (separator, found) == (",", [*names, "y"])
    table = csv_source.open_table(tmp_path / "d.csv", lambda _names, _index: ("y", names[-1]))
    assert table.columns["y"].to_pylist() == ["0", "1", "2"]
    long = "x" * 3_000_000
    found_rows = read("csv", text_file(tmp_path, f'a,t,y\n1,{long},u\n2,"z, {long}",v\n'), target="y", features=("a",)).rows
    assert (found_rows.x.tolist(), found_rows.y.tolist()) == ([[1], [2]], ["u", "v"])
    text = message(DataError, "csv", text_file(tmp_path, f"a,t,y\n1,{long},u\n,z,v\n"), target="y", features=("a",))
    assert "line 3, column a: no value" in text
    assert "line 3 has 2 cells" in message(DataError, "csv", text_file(tmp_path, f"a,t,y\n1,{long},u\n2,v\n"))
    assert csv.field_size_limit() == limit
    start = time.monotonic()
    assert "is the only column" in message(DataError, "csv", text_file(tmp_path, f"{'1' * 100_000}x\n2\n"))
    assert time.monotonic() - start < 2  # a pattern that tries every cut of the digits takes minutes


# What a bad file gives

BAD = {
    "empty file": ("", {}, ["d.csv", "is empty"]),
    "empty line": ("\n\n1,2\n", {}, ["empty first line"]),
    "no rows": ("a,b\n", {}, ["has no rows"]),
    "no rows, no end of line": ("a,b", {}, ["has no rows"]),
    "open quote in the names": ('a,"b\n1,2\n', {}, ["line 1: a quote is opened and never closed"]),
    "open quote in all names": ('"a,b\n1,2\n', {}, ["line 1: a quote is opened and never closed"]),
    "open quote": ('a,b,c\n1,2,3\n4,"5,6\n7,8,9\n', {}, ["line 3: a quote is opened and never closed"]),
    "large integers": ("a,b\n9007199254740992,1\n-9007199254740993,2\n", {}, ["line 3, column a: -9007199254740993 is too large"]),
    "large labels": ("a,b\n1,9007199254740992\n2,0009007199254740993\n", {}, ["line 3, column b", "is too large an integer"]),
    "no names": ("1,2.5\n3,4\n", {}, ["line 1 holds numbers", "1, 2.5", "names of the columns"]),
    "nameless": (",a,b\n0,1,2\n", {}, ["line 1: column 1 has no name"]),
    "same name": ("a,b,a\n0,1,2\n", {}, ["columns 1 and 3 are both named a"]),
    "one column": ("a\n1\n", {}, ["a is the only column"]),
    "short row": ("a,b,c\n1,2,3\n4,5\n", {}, ["line 3 has 2 cells", "names 3 columns"]),
    "long row": ("a,b\n1,2\n\n3,4,5\n", {}, ["line 4 has 3 cells"]),
    "short row after a broken one": ('a,b\n"1\n2",3\n4\n', {}, ["line 4 has 1 cell,"]),
    "unknown target": ("price,area\n1,2\n", {"target": "prize"}, ["has no column prize", "did you mean price?", "price, area"]),
    "unknown feature": ("price,area\n1,2\n", {"features": ("aera",), "target": "price"}, ["no column aera", "did you mean area?"]),
    "feature twice": ("a,b\n1,2\n", {"features": ("a", "a")}, ["lists a twice"]),
    "target as feature": ("a,b\n1,2\n", {"features": ("a", "b")}, ["b is the target (the last column", "among the features"]),
    "missing number": ("a,b\n1,2\n,3\n", {}, ["line 3, column a: no value, the cell is empty"]),
    "missing word": ("a,b\n1,2\n2,4\nNA,3\n?,3\n", {}, ["line 4, column a", "holds 'NA'", "2 rows of this column"]),
    "missing label": ("a,b\n1,x\n2,\n", {}, ["line 3, column b: no value"]),
    "missing after a broken row": ('a,b\n1,"x\ny"\n,z\n', {}, ["line 4, column a"]),
    "all missing": ("a,b\n,1\nNaN,2\n", {}, ["column a has no value in any of its 2 rows"]),
    "infinite": ("a,b\n1,1\n1e999,2\n", {}, ["line 3, column a", "infinite, or too large"]),
    "constant": ("a,b,c\n1,7,1\n2,7,2\n", {}, ["column b is constant, 7 in every row", "features = a"]),
    "constant text": ("a,b,c\n1,u,1\n2,u,2\n", {}, ["column b is constant, 'u' in every row"]),
    "not UTF-8": (b"a,b\n1,x\n2,caf\xe9\n", {}, ["line 3: the byte 0xe9 is no text in UTF-8"]),
    "name not UTF-8": (b"caf\xe9,b\n1,x\n", {}, ["line 1: the byte 0xe9"]),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), {}, ["line 1: the byte 0xff"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_csv_files_are_named(tmp_path: Path, case: str) -> None:
    content, keys, parts = BAD[case]
    text = message(DataError, "csv", text_file(tmp_path, content), **keys)
    assert "d.csv" in text
    for part in parts:
        assert part in text


def test_every_cut_and_every_altered_byte_is_a_data_error_or_a_table(tmp_path: Path) -> None:
    whole = b'a,b\n1,"x, y"\n2,z\n3,"w\nv"\n'
    for at in range(len(whole)):
        for content in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :], whole[:at] + b'"' + whole[at + 1 :]):
            path = text_file(tmp_path, content)
            with contextlib.suppress(DataError):
                read("csv", path)


BAD_PARQUET = {
    "dates": ({"a": pyarrow.array([1, 2], pyarrow.date32()), "y": [1, 2]}, ["column a holds date32", "allowed are numbers"]),
    "lists": ({"a": [[1], [2]], "y": [1, 2]}, ["column a holds list"]),
    "null": ({"a": [1.0, None, 3.0], "y": [1, 2, 3]}, ["row 1 (rows count from 0), column a: no value"]),
    "NaN": ({"a": [1.0, 2.0, float("nan")], "y": [1, 2, 3]}, ["row 2", "column a", "NaN"]),
    "null text": ({"a": [1.0, 2.0], "y": ["x", None]}, ["row 1", "column y", "no value"]),
    "no rows": ({"a": pyarrow.array([], pyarrow.int64()), "y": pyarrow.array([], pyarrow.int64())}, ["has no rows"]),
    "constant": ({"a": [5, 5], "y": [1, 2]}, ["column a is constant, 5"]),
    "no columns": ({}, ["has no columns; a table needs"]),
    "large integers": (
        {"a": pyarrow.array([2**63 + k for k in range(8)], pyarrow.uint64()), "y": range(8)},
        ["row 1 (rows count from 0), column a: 9223372036854775809 is too large an integer", "subtract a constant"],
    ),
    "large labels": ({"a": [1, 2], "y": [2**53, 2**53 + 1]}, ["row 1 (rows count from 0), column y: 9007199254740993 is too large"]),
    "large decimals": (
        {"a": pyarrow.array([Decimal(10**20 + k) for k in (0, 1)], pyarrow.decimal128(38, 0)), "y": [1, 2]},
        ["row 1 (rows count from 0), column a: 100000000000000000001 is too large"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_PARQUET)
def test_bad_parquet_files_are_named(tmp_path: Path, case: str) -> None:
    table, parts = BAD_PARQUET[case]
    text = message(DataError, "parquet", write_parquet(tmp_path / "d.parquet", table))
    for part in ["d.parquet", *parts]:
        assert part in text


def test_every_cut_of_a_parquet_file_is_a_data_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "d", TABLE)
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        assert "cannot be read as Parquet" in message(DataError, "parquet", path)


@over_kinds
def test_missing_files_and_limits(tmp_path: Path, kind: str) -> None:
    assert "path = " in message(DataError, kind, None)
    assert "no such file" in message(DataError, kind, tmp_path / "none")
    assert "is a folder" in message(DataError, kind, tmp_path)
    path = WRITERS[kind](tmp_path / "d", TABLE)
    assert "NS810" in message(LimitError, kind, path, limit_bytes=10)


def test_a_table_that_declares_more_than_it_stores_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A column of one value a million times takes a few bytes on disk."""
    path = tmp_path / "bomb.parquet"
    parquet.write_table(pyarrow.table({"a": np.zeros(1 << 20), "y": np.zeros(1 << 20)}), path)
    assert path.stat().st_size < 100_000
    assert "declares" in message(LimitError, "parquet", path, limit_bytes=1 << 20)


@over_kinds
def test_the_missing_library_is_named(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = WRITERS[kind](tmp_path / "d", TABLE)
    for name in list(sys.modules):
        if name.split(".")[0] == "pyarrow":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert message(UsageError, kind, path) == "this needs pyarrow: pip install 'netspec[data]'"


# From a spec


def test_a_table_trains_and_its_words_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    kinds = np.where(x[:, 0] > x[:, 1], "warm", "cold")
    write_csv(tmp_path / "w.csv", {"a": x[:, 0].tolist(), "b": x[:, 1].tolist(), "kind": kinds.tolist()})
    model = ns.compile(
        'net affine(8)-relu -> affine -> softmax data { source = csv; path = "w.csv"; split = 80% / 20% } train { epochs = 30; batch = 10 }'
    )
    assert model.fit().epochs[-1]["val_accuracy"] > 0.8
    assert model.classes_.tolist() == ["cold", "warm"]
    assert set(model.predict(x[:5]).tolist()) <= {"cold", "warm"}


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ("", ["w.csv: features hold text", "city (line 2 holds 'Oslo')", "give features = rooms, area"]),
        ("features = rooms; target = area", ["w.csv: column area: label 70.5 in line 2 is not a whole number"]),
        ("features = rooms; target = prize", ["did you mean price?"]),
    ],
)  # fmt: skip
def test_bad_tables_of_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str, parts: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "w.csv", TABLE)
    model = ns.compile(f'net affine -> softmax data {{ source = csv; path = "w.csv"; {keys} }}')
    with pytest.raises(DataError) as caught:
        model.fit()
    for part in parts:
        assert part in str(caught.value)


LABEL_FAULTS: dict[str, tuple[str, list[Any], int, str]] = {
    "no whole number": ("affine -> softmax", [0, 1, 2.5, 0], 2, " is not a whole number"),
    "negative": ("affine -> softmax", [0, 1, 0, -2], 3, " is out of range; allowed are 0 and up"),
    "too large": ("affine -> softmax classes 3", [0, 1, 2, 7], 3, " is out of range; allowed are 0 to 2"),
    "text": ("affine -> linear", ["u", "v", "u", "v"], 0, " is text; linear predicts numbers"),
}


@over_kinds
@pytest.mark.parametrize("case", LABEL_FAULTS)
def test_labels_at_fault_are_told_by_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, kind: str) -> None:
    """Also where a row goes over several lines, or none is on one; a Parquet file has rows alone."""
    monkeypatch.chdir(tmp_path)
    net, labels, row, part = LABEL_FAULTS[case]
    table = {"note": ["a", "b\nb", "a", "b"], "x": [1, 2, 3, 4], "y": labels}
    path = WRITERS[kind](tmp_path / f"t.{kind}", table)
    if kind == "csv":
        path.write_text(path.read_text().replace("b,4", "\nb,4"))
    model = ns.compile(f'net {net} data {{ source = {kind}; path = "t.{kind}"; features = x; target = y; split = 3 / 1 }}')
    with pytest.raises(DataError) as caught:
        model.fit()
    place = {"csv": f"line {(2, 3, 5, 7)[row]}", "parquet": f"row {row}"}[kind]
    assert f"t.{kind}: column y: " in str(caught.value)
    assert f" in {place}{' (rows count from 0)' * (kind == 'parquet')}{part}" in str(caught.value)


def test_new_labels_at_fault_are_told_by_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "t.csv", {"a": [1, 2, 3, 4], "y": ["u", "v", "u", "v"]})
    (tmp_path / "t.net").write_text(
        'netspec 1 net affine -> softmax data { source = csv; path = "t.csv"; split = 3 / 1 } train { epochs = 1 }'
    )
    run = ns.train("t.net")
    write_csv(tmp_path / "new.csv", {"y": ["u", "w"], "a": [1, 2]})
    with pytest.raises(DataError, match=r"^new\.csv: column y: label 'w' in line 3; the known labels are 'u', 'v'$"):
        read_part(run.model, Path("new.csv"))
    with pytest.raises(
        DataError, match=r"^y: label 'w' in row 1 \(rows count from 0\); the known labels are"
    ) as caught:  # an array has no lines
        run.model.evaluate([[1.0], [2.0]], ["u", "w"])
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_resolved_text_keeps_the_columns() -> None:
    text = 'netspec 1 net affine -> linear data { source = csv; path = "w.csv"; target = "a price"; features = rooms, "b c" }'
    again = read_spec(read_spec(text).resolved).data
    assert again is not None
    assert (again.target, again.features) == ("a price", ("rooms", "b c"))


def test_a_long_column_is_read_whole(tmp_path: Path) -> None:
    """Longer than one block of the reader, so that its array comes in several pieces."""
    text = io.StringIO()
    text.write("a,y\n")
    text.writelines(f"{row},{row % 2}\n" for row in range(200_000))
    found = read("csv", text_file(tmp_path, text.getvalue()))
    assert found.rows.x[:, 0].sum() == 199_999 * 100_000


@pytest.mark.parametrize(("place", "line"), [(9, 11), (29, 31)])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_quote_that_is_never_closed_is_found(tmp_path: Path, place: int, line: int, column: int) -> None:
    rows = [[str(n), f"c{n % 3}", "pq"[n % 2]] for n in range(30)]
    rows[place][column] = '"' + rows[place][column]
    (tmp_path / "t.csv").write_text("a,c,y\n" + "".join(",".join(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=rf"t\.csv: line {line}: a quote is opened and never closed"):
        entries(DataSource)["csv"]().read(tmp_path / "t.csv", {}, ())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_folder_whose_name_is_no_text(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"q\xff")
    folder.mkdir()
    table = {"a": [1, 2], "b": [3, 4]}
    written = write_csv(tmp_path / "t.csv", table) if kind == "csv" else write_parquet(tmp_path / "t.parquet", table)
    path = written.rename(folder / written.name)
    np.testing.assert_array_equal(read(kind, path).rows.y, [3, 4])
