"""Tables in memory: the same numbers are the same net in whatever container they come, and columns go by their names."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_memory import (
    CLASSES,
    FEATURES,
    LIBRARIES,
    NUMBERS,
    ONE_HOT,
    REGRESSION,
    ROWS,
    TABLES,
    Columns,
    Stream,
    chosen,
    model,
    people,
    refusal,
    result,
    shuffled,
)
from typer.testing import CliRunner

import netspec
from netspec.base.errors import DataError, UsageError
from netspec.train.columns import as_numbers, columns_of
from netspec.train.frames import rows_of
from netspec.ui.cli import app
from netspec.ui.rows import read_inputs

# the same numbers are the same net


@pytest.fixture(scope="module")
def from_arrays() -> tuple[Any, ...]:
    found = people()
    return result(np.column_stack([found[name] for name in NUMBERS]), found["price"], REGRESSION)


@pytest.mark.parametrize("kind", TABLES)
def test_numbers_of_any_table_give_the_bytes_of_an_array(kind: str, from_arrays: tuple[Any, ...]) -> None:
    table, x = TABLES[kind](chosen(*NUMBERS)), np.column_stack(list(chosen(*NUMBERS).values()))
    marks = {model().splits_of(rows, people()["price"], None).fingerprint for rows in (table, x)}
    assert len(marks) == 1, "a run folder tells of the same data"
    assert result(table, people()["price"], REGRESSION) == from_arrays
    other = TABLES[kind](chosen(*NUMBERS) | {"debt": people()["debt"][::-1].copy()})  # the control
    assert result(other, people()["price"], REGRESSION) != from_arrays


@pytest.mark.parametrize("kind", LIBRARIES)
def test_raw_float32_is_taken_as_it_is(kind: str) -> None:
    """Without a normalisation in between, which computes in float64."""
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(ROWS, 3)).astype(np.float32), draw.normal(size=ROWS)
    table = LIBRARIES[kind]({name: x[:, place].copy() for place, name in enumerate("abc")})
    assert result(table, y, "affine(6)-relu -> affine") == result(x, y, "affine(6)-relu -> affine")


def typed(kind: Any) -> Callable[[Columns], Any]:
    return lambda columns: polars.DataFrame(columns).with_columns(polars.col("city").cast(kind))


def arrow_city(kind: pyarrow.DataType) -> Callable[[Columns], Any]:
    return lambda columns: pyarrow.table({**columns, "city": pyarrow.array(columns["city"], kind)})


TEXTS: dict[str, Callable[[Columns], Any]] = TABLES | {
    "objects": lambda columns: pandas.DataFrame(columns).astype({"city": object}),
    "string": lambda columns: pandas.DataFrame(columns).astype({"city": "string"}),
    "string[pyarrow]": lambda columns: pandas.DataFrame(columns).astype({"city": "string[pyarrow]"}),
    "category": lambda columns: pandas.DataFrame(columns).astype({"city": pandas.CategoricalDtype(["Rome", "Oslo", "Paris", "Bern"])}),
    "Categorical": typed(polars.Categorical),
    "Enum": typed(polars.Enum(["Rome", "Oslo", "Paris", "Bern"])),
    "large_string": arrow_city(pyarrow.large_string()),
    "string_view": arrow_city(pyarrow.string_view()),
    "dictionary": arrow_city(pyarrow.dictionary(pyarrow.int8(), pyarrow.string())),
    "lists": lambda columns: [list(row) for row in zip(*columns.values(), strict=True)],
}


@pytest.fixture(scope="module")
def from_pandas() -> tuple[Any, ...]:
    return result(pandas.DataFrame(chosen(*FEATURES)), people()["rich"], CLASSES)


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_of_any_table_give_the_same_bytes(kind: str, from_pandas: tuple[Any, ...]) -> None:
    assert result(TEXTS[kind](chosen(*FEATURES)), people()["rich"], CLASSES) == from_pandas


INTEGERS = [np.dtype(name) for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")]
KINDS = [*INTEGERS, np.dtype("f4"), np.dtype("f8"), np.dtype("?")]


@st.composite
def tables(draw: st.DrawFn) -> Columns:
    rows, found = draw(st.integers(1, 30)), {}
    for name in draw(
        st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"]), min_size=1), min_size=1, max_size=5, unique=True)
    ):
        kind = draw(st.sampled_from(KINDS))
        seed = np.random.default_rng(draw(st.integers(0, 2**32)))
        raw = seed.normal(scale=1e3, size=rows) if kind.kind == "f" else seed.integers(0, 2**62, rows)
        found[name] = raw.astype(kind)
    return found


@settings(max_examples=40, deadline=None)
@given(tables())
def test_tables_are_their_columns_side_by_side(columns: Columns) -> None:
    wanted = np.column_stack(list(columns.values()))
    for kind, made in (TABLES | {"numpy": records}).items():
        if kind == "pyarrow, chunks" and len(wanted) < 9:
            continue
        found = as_numbers(made(columns), None)
        assert (found.dtype, found.tobytes()) == (wanted.dtype, wanted.tobytes()), kind


def records(columns: Columns) -> Any:
    return np.rec.fromarrays(list(columns.values()), names=list(columns)) if columns else None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1, max_size=20))
def test_texts_are_their_places_among_the_sorted_ones(texts: list[str]) -> None:
    wanted, columns = columns_of([[text] for text in texts])
    for kind, made in LIBRARIES.items():
        found, own = columns_of(rows_of(made({"a": texts})))
        assert (found.tobytes(), own[0].categories) == (wanted.tobytes(), columns[0].categories), kind
    if columns[0].categories is not None:
        assert [columns[0].categories[int(place)] for place in wanted[:, 0]] == texts


def test_numbers_of_other_kinds() -> None:
    decimals = [Decimal("0.1"), Decimal("2.5"), Decimal("-3")]
    for made in LIBRARIES.values():
        assert as_numbers(made({"a": decimals}), None)[:, 0].tolist() == [0.1, 2.5, -3.0]
        assert as_numbers(made({"a": ["1", "2.5", "-3e2"]}), None)[:, 0].tolist() == [1.0, 2.5, -300.0]  # as in a csv
    wide = polars.DataFrame({"a": polars.Series([1, 2**70], dtype=polars.Int128)})
    assert as_numbers(wide, None)[:, 0].tolist() == [1.0, 2.0**70]
    half = pyarrow.table({"a": np.array([1.5, 2.5], np.float16)})
    assert as_numbers(half, None).dtype == np.float16
    sparse = pandas.DataFrame({"a": pandas.arrays.SparseArray([0.0, 1.0])})
    assert as_numbers(sparse, None)[:, 0].tolist() == [0.0, 1.0]
    codes = pandas.DataFrame({"a": pandas.Series([30, 4, 30], dtype="category")})
    assert as_numbers(codes, None)[:, 0].tolist() == [30.0, 4.0, 30.0]


@pytest.mark.parametrize("made", [lambda a: pandas.DataFrame({"a": a.astype("category"), "b": a}),
                                  lambda a: pyarrow.table({"a": pyarrow.array(a).dictionary_encode(), "b": a})])  # fmt: skip
def test_declared_categories_are_spread_out_though_they_look_like_numbers(made: Callable[[Any], Any]) -> None:
    codes = pandas.Series([30, 4, 30, 5] * 5)
    _, columns = columns_of(rows_of(made(codes)))
    assert [column.categories for column in columns] == [("30", "4", "5"), None]
    net = model(ONE_HOT)
    net.fit(made(codes), np.arange(20.0))
    assert net.graph.input.shape == (4,)
    np.testing.assert_array_equal(net.predict(made(codes)), net.predict(pandas.DataFrame({"b": codes, "a": codes})))


@pytest.mark.parametrize("kind", [polars.Categorical, polars.Enum(["4", "5", "30"])])
def test_categories_of_digits_are_categories(kind: Any) -> None:
    codes = ["30", "4", "30", "5"]
    table = polars.DataFrame({"a": polars.Series(codes, dtype=kind), "b": codes})
    assert [column.categories for column in columns_of(rows_of(table))[1]] == [("30", "4", "5"), None]


@pytest.mark.parametrize("kind", ["pandas, nullable", "pandas, Arrow", "polars", "pyarrow"])
def test_no_number_becomes_an_object(kind: str) -> None:
    rows, columns = 20_000, 20
    numbers = {f"c{place}": np.arange(rows, dtype=np.float32) + place for place in range(columns)}
    table, bytes_of_all = TABLES[kind](numbers), 4 * rows * columns

    def peak(call: Callable[[], Any]) -> int:
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(lambda: as_numbers(table, None)) < 2.5 * bytes_of_all
    np.testing.assert_array_equal(as_numbers(table, None), np.column_stack(list(numbers.values())))
    assert peak(lambda: np.stack([np.asarray(column, dtype=object) for column in numbers.values()], axis=1)) > 5 * bytes_of_all


def test_a_table_of_one_kind_is_not_copied() -> None:
    frame = pandas.DataFrame(np.arange(12.0).reshape(4, 3))
    assert np.shares_memory(as_numbers(frame, None), frame.to_numpy())


@pytest.mark.parametrize(("kind", "made"), [("polars", "polars.DataFrame(d)"), ("pandas", "pandas.DataFrame(d)")])
def test_no_other_library_is_needed(kind: str, made: str) -> None:
    others = sorted({"pandas", "polars", "pyarrow", "narwhals"} - {kind})
    program = (
        f"import sys\nfor name in {others}: sys.modules[name] = None\n"
        f"import {kind}, netspec\nd = {{'a': [1, 2, 3, 4], 'b': ['u', 'v', 'u', 'v'], 'y': [1.0, 2.0, 3.0, 4.0]}}\n"
        f"m = netspec.compile({ONE_HOT!r}, train='epochs = 1')\nm.fit({made}, 'y')\nprint(len(m.predict({made})))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("4\n", "")


def test_a_stream_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream({"a": [1.0, 2.0]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"this needs pyarrow: pip install 'netspec\[data\]'"):
        model().fit(stream, [1.0, 2.0])


# names


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("text", [REGRESSION, ONE_HOT])
def test_columns_go_by_their_names(tmp_path: Path, kind: str, text: str) -> None:
    features = NUMBERS if text == REGRESSION else FEATURES
    made, found = TABLES[kind], people()
    table, net = made(chosen(*features)), model(text)
    backwards = made(chosen(*features[::-1]))
    net.fit(table, found["price"], validation=(backwards, found["price"]))
    wanted = net.predict(table)
    assert isinstance(wanted, np.ndarray)
    net.save(tmp_path / "w.safetensors")
    for one in (net, netspec.restore(tmp_path / "w.safetensors")):
        np.testing.assert_array_equal(one.predict(made(found)), wanted)  # with columns that the net never saw
        np.testing.assert_array_equal(one.predict(backwards), wanted)
        np.testing.assert_array_equal(one.predict(pandas.DataFrame(chosen(*features[::-1]))), wanted)
        assert one.evaluate(backwards, found["price"]) == one.evaluate(table, found["price"])
        with pytest.raises(DataError, match=r"x: has no column income; did you mean incom\? It has"):
            one.predict(made({"incom" if name == "income" else name: cells for name, cells in chosen(*features).items()}))
    again = model(text)
    again.fit(table, found["price"], validation=(table, found["price"]))
    again.fit(made(found), "price", epochs=1)
    net.fit(backwards, found["price"], epochs=1)
    np.testing.assert_array_equal(again.params["affine1.W"], net.params["affine1.W"])


def test_arrays_go_by_their_order() -> None:
    found = people()
    x, table = np.column_stack([found[name] for name in NUMBERS]), polars.DataFrame(chosen(*NUMBERS))
    on_table, on_array = model(), model()
    on_table.fit(table, found["price"])
    on_array.fit(x, found["price"])
    assert on_array.columns is None
    np.testing.assert_array_equal(on_table.predict(x), on_table.predict(table))
    np.testing.assert_array_equal(on_array.predict(table), on_array.predict(x))
    assert (on_array.predict(table.select(NUMBERS[::-1])) != on_array.predict(x)).any()  # its columns have no names
    with pytest.raises(DataError, match=r"shape \(60, 3\): a row is 3, and the net takes 4"):
        on_table.predict(x[:, :3])
    with pytest.raises(DataError, match=r"shape \(60, 5\): a row is 5, and the net takes 4"):
        on_array.predict(table.with_columns(more=1))


def test_names_that_are_no_text() -> None:
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0)
    net = model()
    net.fit(pandas.DataFrame(x), y)
    assert net.columns is not None
    assert [column.name for column in net.columns] == ["0", "1", "2"]
    frame = pandas.DataFrame(x)
    np.testing.assert_array_equal(net.predict(frame[[2, 0, 1]]), net.predict(frame))
    pairs = pandas.DataFrame(x, columns=pandas.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")]))
    net = model()
    net.fit(pairs, y)
    np.testing.assert_array_equal(net.predict(pairs[pairs.columns[::-1]]), net.predict(pairs))


@pytest.mark.parametrize("text", [REGRESSION, ONE_HOT])
def test_two_columns_of_a_name(text: str) -> None:
    x = np.ones((3, 3))
    for table in (pandas.DataFrame(x, columns=["a", "b", "a"]), pyarrow.Table.from_arrays([pyarrow.array([1.0])] * 3, ["a", "b", "a"]),
                  pandas.DataFrame(x, columns=["a", 1, "1"])):  # fmt: skip
        assert "two columns are named" in refusal(table, [1.0] * len(table), text)


def test_a_csv_is_predicted_and_evaluated_by_the_names_of_a_frame(tmp_path: Path) -> None:
    found, net = polars.DataFrame(people()), model(CLASSES)
    net.fit(found.drop("price"), "rich", run_dir=tmp_path / "run")
    found.select("city", "rich", "price", "owner", "income", "debt", "age").with_columns(polars.col("owner").cast(int)).write_csv(
        tmp_path / "new.csv"
    )
    np.testing.assert_allclose(net.predict_proba(read_inputs(net, tmp_path / "new.csv").x), net.predict_proba(found), rtol=1e-5)
    told = CliRunner().invoke(app, ["eval", str(tmp_path / "run"), "--data", str(tmp_path / "new.csv")])
    assert (told.exit_code, told.stdout.splitlines()[0]) == (0, "data: 60 rows")
    run, new = str(tmp_path / "run"), str(tmp_path / "new.csv")
    program = f"import netspec, polars\nprint(netspec.restore({run!r}).predict(polars.read_csv({new!r})).tolist())"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{net.predict(found).tolist()}\n"


def test_a_transform_alone_takes_tables() -> None:
    table = polars.DataFrame(chosen("age", "debt"))
    rule = netspec.transform("per_feature").fit(table)
    np.testing.assert_array_equal(rule.apply(table.select("debt", "age")), rule.apply(table))
    np.testing.assert_allclose(rule.apply(table).mean(axis=0), 0, atol=1e-12)
    spread = netspec.transform("one_hot").fit(pyarrow.table(chosen("city", "age")))
    np.testing.assert_array_equal(
        spread.apply(pandas.DataFrame(chosen("age", "city"))), spread.apply(polars.DataFrame(chosen("city", "age")))
    )


# labels

LABELS: dict[str, Callable[[list[Any]], Any]] = {
    "pandas": lambda y: pandas.Series(y, index=range(5, 5 + len(y))),
    "pandas, objects": lambda y: pandas.Series(y, dtype=object),
    "pandas, a frame": lambda y: pandas.DataFrame({"y": y}),
    "pandas, an index": pandas.Index,
    "pandas, Arrow": lambda y: pandas.Series(pyarrow.array(y).to_pandas(types_mapper=pandas.ArrowDtype)),
    "pandas, categories": lambda y: pandas.Series(pandas.Categorical(y, categories=sorted(set(y), reverse=True))),
    "polars": polars.Series,
    "polars, a frame": lambda y: polars.DataFrame({"y": y}),
    "pyarrow": pyarrow.array,
    "pyarrow, chunks": lambda y: pyarrow.chunked_array([y[:7], y[7:]]),
    "pyarrow, a dictionary": lambda y: pyarrow.array(y).dictionary_encode(),
    "pyarrow, a table": lambda y: pyarrow.table({"y": y}),
}
ANSWERS = {
    "texts": (CLASSES, people()["rich"]),
    "numbers": (ONE_HOT, people()["price"].tolist()),
    "class numbers": (CLASSES, (people()["age"] % 3).tolist()),
    "truths": (CLASSES.replace("softmax", "sigmoid"), people()["owner"].tolist()),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_labels_of_any_column_give_the_bytes_of_a_list(answer: str) -> None:
    text, y = ANSWERS[answer]
    x = pandas.DataFrame(chosen(*FEATURES))
    wanted = result(x, y, text)
    for kind, made in LABELS.items():
        assert result(x, made(y), text) == wanted, kind
    assert result(x, y[::-1], text) != wanted


def test_tables_of_several_labels() -> None:
    draw, x = np.random.default_rng(0), chosen(*NUMBERS)
    values, sure = draw.normal(size=(ROWS, 2)), np.eye(3)[draw.integers(0, 3, ROWS)]
    for text, y in ((REGRESSION, values), (f"{REGRESSION} -> softmax", sure)):
        wanted = result(pandas.DataFrame(x), y, text)
        for made in LIBRARIES.values():
            assert result(made(x), made({f"y{k}": y[:, k].copy() for k in range(y.shape[1])}), text) == wanted
    assert "shape (60, 2) of text" in refusal(
        pandas.DataFrame(x), pandas.DataFrame({"a": people()["rich"], "b": people()["rich"]}), CLASSES
    )


@pytest.mark.parametrize("kind", ["pandas", "pandas, a frame", "polars", "polars, a frame", "pyarrow", "pyarrow, a table"])
@pytest.mark.parametrize("values", [["a", "b", None, "a"], [1, 2, None, 1]])
def test_labels_without_a_value(kind: str, values: list[Any]) -> None:
    found = refusal([[1.0], [2.0], [3.0], [4.0]], LABELS[kind](values), CLASSES)
    assert found.startswith(("y: the label in row 2 is missing", "y: label NaN in row 2"))
    model("affine -> softmax").fit([[1.0], [2.0], [3.0], [4.0]], LABELS[kind]([values[0] if one is None else one for one in values]))


def test_labels_of_odd_kinds() -> None:
    x = [[1.0], [2.0], [3.0]]
    day = [date(2020, 1, 1), date(2020, 1, 2), date(2020, 1, 1)]
    for made in (pandas.Series, polars.Series, pyarrow.array):
        assert refusal(x, made(day)).startswith("y: holds dates or times (")
        assert refusal(x, made([[1.0, 2.0]] * 3)).startswith("y: holds several values in a row (")
    assert "is missing (<NA>)" in refusal(x, [pandas.NA, "a", "b"], CLASSES)
    assert "is missing (nan)" in refusal(x, pandas.Categorical([None, "a", "b"]), CLASSES)
    assert refusal(x, polars.LazyFrame({"y": [1, 2, 3]})) == "y: a lazy table has no rows yet: call .collect() first"


@pytest.mark.parametrize("kind", TABLES)
def test_labels_may_be_the_name_of_a_column(kind: str) -> None:
    made, found = TABLES[kind], people()
    whole, features, y = made(chosen("city", "price", *NUMBERS)), made(chosen("city", *NUMBERS)), found["price"]
    by_name, by_hand = model(ONE_HOT), model(ONE_HOT)
    by_name.fit(whole, "price", validation=(whole, "price"))
    by_hand.fit(features, y, validation=(features, y))
    for name, array in by_hand.params.items():
        np.testing.assert_array_equal(by_name.params[name], array)
    assert by_name.columns == by_hand.columns
    assert by_name.origin is not None
    assert by_name.origin.target == "price"
    np.testing.assert_array_equal(by_name.predict(whole), by_hand.predict(features))  # what is to be predicted may stand there
    assert by_name.evaluate(whole, "price") == by_hand.evaluate(features, y)
    assert by_name.loss(whole, "price")[0] == by_hand.loss(features, y)[0]
    assert by_name.step(whole, "price") == by_hand.step(features, y)


def test_every_call_takes_the_name_of_a_column() -> None:
    found, net = (
        polars.DataFrame(people()).drop("price"),
        netspec.compile(CLASSES.replace("-relu", "-tanh"), train="epochs = 2", dtype="float64"),
    )
    net.fit(found, "rich")
    assert net.report(found, "rich").figures == net.report(found, people()["rich"]).figures
    assert net.lr_find(found, "rich").lr > 0
    assert net.gradcheck(found, "rich").max_error < 1e-6
    two = model(CLASSES.replace("softmax", "sigmoid"))
    two.fit(found, "rich")
    assert two.best_threshold(found, "rich") == two.best_threshold(found, people()["rich"])


def test_names_that_lead_to_no_labels() -> None:
    found = polars.DataFrame(people())
    assert refusal(found, "prize").startswith("x: has no column prize; did you mean price? It has age, income")
    assert refusal(found.select("price"), "price") == "x: price is the only column; a table needs features beside its target"
    assert refusal(np.ones((3, 2)), "price").startswith("y = 'price' names a column, and x is no table")
    assert refusal(found.select("age", price=polars.lit(None, polars.Float64)), "price").startswith(
        "column price: the label in row 0 is missing"
    )
    net = model()
    with pytest.raises(DataError, match=r"^validation: x: has no column price"):
        net.fit(found.select("age", "price"), "price", validation=(found.select("age"), "price"))


def test_a_net_does_not_read_its_own_answer() -> None:
    for made in (pandas.DataFrame, polars.DataFrame):
        found = made(chosen("age", "debt", "price"))
        assert "price is y and among the columns of x" in refusal(found, found["price"])
        later = made({"price": np.roll(people()["price"], 1)})["price"]  # the control: the price of another day
        model().fit(found, later)


def test_what_goes_with_rows() -> None:
    """By place: an index is not looked at."""
    found = people()
    weights = np.random.default_rng(0).random(ROWS)
    wanted = model()
    wanted.fit(np.column_stack([found[name] for name in NUMBERS]), found["price"], sample_weight=weights)
    for given_weights in (pandas.Series(weights, index=range(ROWS)[::-1]), polars.Series(weights), pyarrow.chunked_array([weights])):
        net = model()
        net.fit(shuffled(chosen(*NUMBERS)), pandas.Series(found["price"]), sample_weight=given_weights)
        np.testing.assert_array_equal(net.params["affine1.W"], wanted.params["affine1.W"])
