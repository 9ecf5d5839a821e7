"""Tables in memory that no net can be trained on: each message names the row and the column, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from in_memory import CLASSES, LIBRARIES, ONE_HOT, REGRESSION, chosen, model, people, refusal

from netspec.base.errors import DataError

NOTHING: dict[str, tuple[list[Any], str]] = {
    "null": ([1, None, 2], "row 1, c "),
    "NaN": ([1.0, 2.0, float("nan")], "row 2, c is NaN (rows count from 0); remove the row or fill the value in"),
    "infinite": ([1.0, float("-inf"), 2.0], "row 1, c is infinite (rows count from 0)"),
    "no text": (["a", None, "b"], "row 1, c holds "),
    "no truth": ([True, False, None], "row 2, c holds "),
    "nothing": ([None, None, None], "row 0, c holds "),
}


@pytest.mark.parametrize("text", [REGRESSION, ONE_HOT], ids=["numbers", "one_hot"])
@pytest.mark.parametrize("kind", LIBRARIES)
@pytest.mark.parametrize("case", NOTHING)
def test_cells_without_a_value_are_named(case: str, kind: str, text: str) -> None:
    values, message = NOTHING[case]
    table = LIBRARIES[kind]({"ok": [1.0, 2.0, 3.0], "c": values})
    assert message in refusal(table, [1.0, 2.0, 3.0], text)
    net = model(text)
    filled = [True if one is None or one != one or one == float("-inf") else one for one in values]
    if case != "no text" or text == ONE_HOT:  # the control
        net.fit(
            LIBRARIES[kind]({"ok": [1.0, 2.0, 3.0], "c": ["a", "c", "b"] if case == "no text" else list(map(float, filled))}),
            [1.0, 2.0, 3.0],
        )
        with pytest.raises(DataError, match=r"^x: row \d, c "):
            net.predict(table)


def test_nulls_of_pandas_are_named() -> None:
    for kind in ("Int64", "Float32", "boolean", "int64[pyarrow]"):
        table = pandas.DataFrame({"c": pandas.Series([True, None, True] if kind == "boolean" else [1, None, 1], dtype=kind)})
        assert "row 1, c holds " in refusal(table, [1.0, 2.0, 3.0])
    missing = pandas.DataFrame({"c": ["a", pandas.NaT, "b"]}, dtype=object)
    assert "row 1, c holds NaT, no value" in refusal(missing, [1.0, 2.0, 3.0], ONE_HOT)


ODD: dict[str, tuple[list[Any], str]] = {
    "dates": ([date(2020, 1, day) for day in (1, 2, 3)], "x: column c holds dates or times ("),
    "times": ([time(hour) for hour in (1, 2, 3)], "make numbers of them first, such as the days since a date"),
    "timestamps": ([datetime(2020, 1, day) for day in (1, 2, 3)], "x: column c holds dates or times ("),
    "durations": ([timedelta(day) for day in (1, 2, 3)], "x: column c holds dates or times ("),
    "lists": ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "x: column c holds several values in a row ("),
    "structs": ([{"a": 1}, {"a": 2}, {"a": 3}], "x: column c holds several values in a row ("),
    "bytes": ([b"1", b"2", b"3"], "x: column c holds bytes; decode them to text first"),
}


@pytest.mark.parametrize("text", [REGRESSION, ONE_HOT], ids=["numbers", "one_hot"])
@pytest.mark.parametrize("kind", LIBRARIES)
@pytest.mark.parametrize("case", ODD)
def test_columns_of_odd_kinds_are_named(case: str, kind: str, text: str) -> None:
    values, message = ODD[case]
    assert message in refusal(LIBRARIES[kind]({"ok": [1.0, 2.0, 3.0], "c": values}), [1.0, 2.0, 3.0], text)


def test_rows_of_several_numbers_and_of_complex_ones() -> None:
    vectors = pyarrow.table({"e": pyarrow.array([[1.0, 2.0], [3.0, 4.0]], pyarrow.list_(pyarrow.float32(), 2))})
    assert "(fixed_size_list<" in refusal(vectors, [1.0, 2.0])
    assert "numpy.stack(frame['e'])" in refusal(vectors, [1.0, 2.0])
    model().fit(np.stack(vectors["e"].to_numpy()), [1.0, 2.0])  # the advice
    array = polars.DataFrame({"e": polars.Series([[1.0, 2.0]] * 2, dtype=polars.Array(polars.Float32, 2))})
    assert "holds several values in a row (Array(Float32" in refusal(array, [1.0, 2.0])
    for table in (pandas.DataFrame({"c": [1j, 2j]}), polars.DataFrame({"c": [1j, 2j]})):
        assert "x: column c holds complex numbers" in refusal(table, [1.0, 2.0], ONE_HOT)
    later = pandas.DataFrame({"c": ["a", [1, 2]]})
    assert "row 1, c holds" in refusal(later, [1.0, 2.0]) or "row 0, c holds 'a'" in refusal(later, [1.0, 2.0])
    assert "x: column c holds several values in a row (list)" in refusal(later, [1.0, 2.0], ONE_HOT)


@pytest.mark.parametrize("kind", LIBRARIES)
def test_text_without_one_hot_is_told_what_to_write(kind: str) -> None:
    table = LIBRARIES[kind](chosen("age", "city"))
    told = refusal(table, people()["price"], "affine")
    assert told == (
        "x: row 0, city holds 'Bern', which is no number; where it is a category write transforms = one_hot into the text: "
        "data { transforms = one_hot, per_feature }"
    )
    taught = told.rpartition("the text: ")[2]
    net = model(f"{taught} net affine")  # the advice, word for word
    net.fit(table, people()["price"])
    with pytest.raises(DataError, match=r"city: 'Paris' is not among the texts that the net was trained with: Bern, Oslo, Rome"):
        net.predict(LIBRARIES[kind]({"age": [30, 40], "city": ["Oslo", "Paris"]}))


MISTAKEN: dict[str, tuple[Callable[[], Any], str]] = {
    "pandas, groups": (lambda: pandas.DataFrame(people()).groupby("city"), "x: DataFrameGroupBy is a table in groups"),
    "polars, groups": (lambda: polars.DataFrame(people()).group_by("city"), "x: GroupBy is a table in groups"),
    "pyarrow, groups": (lambda: pyarrow.table(people()).group_by("city"), "aggregate it first, such as by .mean()"),
    "lazy": (lambda: polars.LazyFrame(people()), "x: a lazy table has no rows yet: call .collect() first"),
    "pandas, a column": (lambda: pandas.DataFrame(people()).age, "x: a Series, where a table is needed: frame[['a']] is one"),
    "polars, a column": (lambda: polars.DataFrame(people())["age"], "x: a Series, where a table is needed: frame[['a']] is one"),
    "pyarrow, a column": (lambda: pyarrow.table(people())["age"], "x: a ChunkedArray, where a table is needed: table.select(['a'])"),
    "pandas, no rows": (lambda: pandas.DataFrame(chosen("age", "debt")).iloc[:0], "x: shape (0, 2): it has no rows"),
    "polars, no rows": (lambda: polars.DataFrame(chosen("age", "debt")).clear(), "x: shape (0, 2): it has no rows"),
    "pyarrow, no rows": (lambda: pyarrow.table(chosen("age", "debt")).slice(0, 0), "x: shape (0, 2): it has no rows"),
    "pandas, no columns": (lambda: pandas.DataFrame(people())[[]], "x: the table has no columns"),
    "polars, no columns": (polars.DataFrame, "x: the table has no columns"),
    "pyarrow, no columns": (lambda: pyarrow.table({}), "x: the table has no columns"),
    "a dict": (lambda: chosen("age", "debt"), "x: a dict; make a table of it, such as pandas.DataFrame(x)"),
    "short": (lambda: polars.DataFrame(chosen("age")).head(5), "x has 5 rows and y has 60; each row needs one label"),
}


@pytest.mark.parametrize("text", [REGRESSION, ONE_HOT], ids=["numbers", "one_hot"])
@pytest.mark.parametrize("case", MISTAKEN)
def test_what_is_no_table_of_rows(case: str, text: str) -> None:
    made, message = MISTAKEN[case]
    assert message in refusal(made(), people()["price"], text)


def test_the_advice_for_a_single_column_or_row() -> None:
    x, y = chosen("age", "debt"), people()["price"]
    for table, column in ((pandas.DataFrame(x)[["age"]], pandas.DataFrame(x)), (polars.DataFrame(x)[["age"]], polars.DataFrame(x)),
                          (pyarrow.table(x).select(["age"]), pyarrow.table(x))):  # fmt: skip
        model().fit(table, y)
        net = model()
        net.fit(column, y)
        assert net.predict(column[:1]) == pytest.approx(net.predict(column)[0])


def test_what_is_no_number_is_named() -> None:
    assert "x: its rows have different lengths" in refusal([[1.0], [1.0, 2.0]], ["a", "b"], CLASSES)
    net = model(ONE_HOT)
    net.fit([["a", 1.0], ["b", 2.0]], [1.0, 2.0])
    with pytest.raises(DataError, match="x: its rows have different lengths"):
        net.predict([["a", 1.0], ["b"]])
    assert "x: row 1, column 1 is NaN (rows count from 0)" in refusal([["a", 1.0], ["b", float("nan")]], [1.0, 2.0], ONE_HOT)
    periods = pandas.DataFrame({"p": pandas.period_range("2020", periods=3)})
    assert "row 0, p holds Period('2020-01-01', 'D'), which is no number" in refusal(periods, [1.0, 2.0, 3.0])
