"""Tables with columns of text: spread by one_hot, kept with the weights, matched by name and text in new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import netspec
from netspec.base.dataset import Column
from netspec.base.errors import DataError
from netspec.pipeline import read, train
from netspec.train.columns import as_metadata, columns_of, from_metadata, spread
from netspec.ui.rows import table_rows
from netspec.ui.shapes import known_counts

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow, of the extra data, is not installed")
arrow_csv = pytest.importorskip("pyarrow.csv", reason="pyarrow, of the extra data, is not installed")
arrow_parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow, of the extra data, is not installed")

CODED = (("7", "u"), ("007", "v"), ("A", "u"), ("1000001", "v"), ("None", "u"), ("1e3", "v"))
CITIES = ("Bern", "Oslo", "Rome")
SPEC = """netspec 1
data {{ source = {kind}; path = "t.{kind}"; transforms = one_hot, per_feature }}
net affine(8)-relu -> affine
train {{ epochs = 2; optimizer = adam(lr=1e-2) }}
"""


def table(rows: int = 60) -> dict[str, NDArray[Any]]:
    draw = np.random.default_rng(0)
    rooms, city = draw.integers(1, 6, rows), draw.choice(CITIES, rows)
    return {"rooms": rooms, "city": city, "price": 10.0 * rooms + 30 * (city == "Oslo")}


def written(folder: Path, kind: str, columns: dict[str, NDArray[Any]], name: str = "t") -> Path:
    made, path = pyarrow.table(columns), folder / f"{name}.{kind}"
    if kind == "csv":
        arrow_csv.write_csv(made, path)
    else:
        arrow_parquet.write_table(made, path)
    return path


def by_hand(columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    return np.stack([columns["rooms"], *(columns["city"] == city for city in CITIES)], axis=1).astype(float)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_with_text_is_trained_on_and_predicted_by_name(tmp_path: Path, kind: str) -> None:
    columns = table()
    written(tmp_path, kind, columns)
    (tmp_path / "t.net").write_text(SPEC.format(kind=kind))
    run = train(tmp_path / "t.net", run_dir=tmp_path / "run", allow=(tmp_path,))
    model = netspec.restore(run.path)
    assert model.graph.input.shape == (4,)
    # other order, one more column, no target
    new = written(tmp_path, kind, {"city": columns["city"], "note": columns["city"], "rooms": columns["rooms"]}, "new")
    x = table_rows(new, model.columns)
    assert x is not None
    np.testing.assert_array_equal(x, by_hand(columns))
    texts = [[int(rooms), str(city)] for rooms, city in zip(columns["rooms"], columns["city"], strict=True)]
    np.testing.assert_array_equal(model.predict(texts), model.predict(x))
    np.testing.assert_array_equal(run.model.predict(texts), model.predict(x))
    assert model.evaluate(texts, columns["price"]) == model.evaluate(x, columns["price"])


def test_what_new_rows_may_not_hold(tmp_path: Path) -> None:
    columns = table()
    written(tmp_path, "csv", columns)
    (tmp_path / "t.net").write_text(SPEC.format(kind="csv"))
    model = train(tmp_path / "t.net", run_dir=tmp_path / "run", allow=(tmp_path,)).model
    other = {**columns, "city": np.where(np.arange(60) == 7, "Paris", columns["city"])}
    with pytest.raises(DataError, match=r"new.csv: line 9, city: 'Paris' is not among the texts .*: Bern, Oslo, Rome"):
        table_rows(written(tmp_path, "csv", other, "new"), model.columns)
    with pytest.raises(DataError, match="has no column city; did you mean citi"):
        table_rows(written(tmp_path, "csv", {"rooms": columns["rooms"], "citi": columns["city"]}, "new"), model.columns)
    with pytest.raises(DataError, match="rooms holds text"):
        table_rows(written(tmp_path, "csv", {**columns, "rooms": columns["city"]}, "new"), model.columns)
    with pytest.raises(DataError, match="'Paris' is not among"):
        model.predict([[3, "Paris"]])


def test_without_it_text_is_refused_with_the_way_out(tmp_path: Path) -> None:
    written(tmp_path, "csv", table())
    (tmp_path / "t.net").write_text(SPEC.format(kind="csv").replace("one_hot, ", ""))
    with pytest.raises(DataError, match=r"city \(line 2 holds '.*'\).*transforms = one_hot"):
        train(tmp_path / "t.net", run_dir=tmp_path / "run", allow=(tmp_path,))


def test_lists_of_rows_from_python(tmp_path: Path) -> None:
    columns = table()
    texts = [[int(rooms), str(city)] for rooms, city in zip(columns["rooms"], columns["city"], strict=True)]
    text = "data { transforms = one_hot } net affine(8)-relu -> affine"
    model, plain = netspec.compile(text, train="epochs = 3"), netspec.compile("affine(8)-relu -> affine", train="epochs = 3")
    one = model.fit(texts, columns["price"], validation=(texts[:20], columns["price"][:20]))
    rows = by_hand(columns)
    other = plain.fit(rows, columns["price"], validation=(rows[:20], columns["price"][:20]))
    assert one.loss == other.loss
    assert [row["val_loss"] for row in one.epochs] == [row["val_loss"] for row in other.epochs]
    model.save(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(netspec.restore(tmp_path / "w.safetensors").predict(texts), plain.predict(rows))


CODES = "code,n,y\n" + "".join(f"{code},{n},{label}\n" for n in range(6) for code, label in CODED)


@pytest.mark.parametrize("kind", ["csv", "python"])
def test_what_a_row_is_taken_for_does_not_depend_on_the_others(tmp_path: Path, kind: str) -> None:
    """Codes of which some look like numbers, and words that elsewhere stand for a missing value."""
    (tmp_path / "codes.csv").write_text(CODES)
    if kind == "csv":
        (tmp_path / "codes.net").write_text('data { source = csv; path = "codes.csv"; transforms = one_hot } net affine -> softmax')
        model = netspec.train(tmp_path / "codes.net", run_dir=tmp_path / "run", allow=(tmp_path,)).model
    else:
        model = netspec.compile("data { transforms = one_hot } net affine -> softmax")
        model.fit([[code, n] for n in range(6) for code, _ in CODED], [label for _ in range(6) for _, label in CODED])

    def probabilities(*codes: str) -> NDArray[Any]:
        (tmp_path / "new.csv").write_text("code,n\n" + "".join(f"{code},3\n" for code in codes))
        assert model.columns is not None
        return model.predict_proba(table_rows(tmp_path / "new.csv", model.columns) if kind == "csv" else [[code, 3] for code in codes])

    codes = [code for code, _ in CODED]
    together = probabilities(*codes)
    assert len(np.unique(together[:, 0])) == len(codes)
    np.testing.assert_allclose(np.concatenate([probabilities(code) for code in codes]), together, rtol=1e-6)
    with pytest.raises(DataError, match="'70' is not among the texts"):
        probabilities("70")


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ([*map(str, range(40)), "unknown"], "column 0 holds 'unknown' among 40 different numbers; correct those cells"),
        ([f"{n},5" for n in range(40)], "decimal comma"),
        ([f"name {n}" for n in range(40)], "column 0 holds 40 different texts in 40 rows, too many for categories"),
    ],
)
def test_what_are_no_categories(tmp_path: Path, cells: list[str], found: str) -> None:
    model = netspec.compile("data { transforms = one_hot } net affine -> softmax", train="epochs = 1")
    with pytest.raises(DataError, match=found):
        model.fit([[cell, 1.0] for cell in cells], np.arange(len(cells)) % 2)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pandas.DataFrame({"c": cells, "y": np.arange(len(cells))}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "t.net").write_text(SPEC.format(kind="csv"))
    with pytest.raises(DataError, match=found.replace("column 0", "c")):
        train(tmp_path / "t.net", run_dir=tmp_path / "run", allow=(tmp_path,))


def test_every_verb_sees_the_columns_spread_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "csv", table())
    (tmp_path / "t.net").write_text(SPEC.format(kind="csv"))
    monkeypatch.chdir(tmp_path)
    counts = known_counts(read("t.net"))
    assert counts is not None
    assert counts.input == (4,)


@pytest.mark.parametrize("cell", [None, float("nan"), ""])
def test_missing_text_is_no_category(cell: Any) -> None:
    model = netspec.compile("data { transforms = one_hot } net affine -> softmax", train="epochs = 1")
    with pytest.raises(DataError, match=r"x: row 1, column 0 holds .*, no value"):
        model.fit([["a", 1.0], [cell, 2.0], ["a", 3.0], ["b", 4.0]], [0, 1, 0, 1])


def test_rows_at_fault_teach_nothing() -> None:
    model = netspec.compile("data { transforms = one_hot } net affine(8)-relu -> affine", train="epochs = 1")
    texts, prices = [[1, "a"], [2, "b"]], [1.0, 2.0]
    for x, y, validation in ((texts, [1.0], None), (texts, prices, ([[1, "c"]], [1.0])), ([[1, "a", "c"]] * 2, prices, (texts, prices))):
        with pytest.raises(DataError):
            model.fit(x, y, validation=validation)
        assert model.columns is None
    other = [[1, "x", 2.5], [2, "y", 0.5]]
    model.fit(other, prices)
    assert model.graph.input.shape == (4,)


def test_columns_go_through_metadata() -> None:
    columns = (Column("a"), Column("b", ("x", "y"), "line 2 holds 'x'"))
    again = from_metadata(as_metadata(columns))
    assert [(one.name, one.categories) for one in again] == [("a", None), ("b", ("x", "y"))]
    for wrong in ([{"name": "a"}], [3], ["a"]):
        with pytest.raises(DataError, match="does not tell the columns"):
            from_metadata(wrong)


def test_spread_against_numpy() -> None:
    numbers, own = columns_of([[1, "b", 2.5], [2, "a", 0.5], [3, "b", 1.5]])
    np.testing.assert_array_equal(spread(numbers, own, own, "x"), [[1, 0, 1, 2.5], [2, 1, 0, 0.5], [3, 0, 1, 1.5]])
    with pytest.raises(DataError, match="2 columns, and the net was trained with 3"):
        spread(numbers[:, :2], own[:2], own, "x")
    with pytest.raises(DataError, match=r"needs rows of columns"):
        columns_of(["a", "b"])


def test_texts_that_all_look_like_numbers_are_judged_as_texts(tmp_path: Path) -> None:
    """Digits of another script are none to tables, and so the column is one of text."""
    cells = [str(n).translate({48 + digit: 0x660 + digit for digit in range(10)}) for n in range(40)]
    (tmp_path / "t.csv").write_text("c,y\n" + "".join(f"{cell},{n}\n" for n, cell in enumerate(cells)), encoding="utf-8")
    (tmp_path / "t.net").write_text(SPEC.format(kind="csv"))
    with pytest.raises(DataError, match="c holds 40 different texts in 40 rows, too many for categories"):
        train(tmp_path / "t.net", run_dir=tmp_path / "run", allow=(tmp_path,))
