"""Tables in memory, as pandas has them: columns go by their names, in training and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.base.errors import DataError

pandas = pytest.importorskip("pandas", reason="pandas is not installed")


def people(rows: int = 80) -> Any:
    draw = np.random.default_rng(0)
    city = draw.choice(["Bern", "Oslo", "Rome"], rows)
    frame = pandas.DataFrame({"age": draw.integers(18, 80, rows), "income": draw.normal(50, 9, rows), "city": city})
    frame["rich"] = (frame.income + 5 * (frame.city == "Bern") - 0.1 * frame.age > 47).map({True: "yes", False: "no"})
    return frame


def fitted(frame: Any, features: list[str], transforms: str) -> netspec.Model:
    model = netspec.compile(f"data {{ transforms = {transforms} }} net affine(8)-relu -> affine -> softmax", train="epochs = 5; batch = 8")
    model.fit(frame[features], frame.rich, validation=(frame[features][:20], frame.rich[:20]))
    return model


@pytest.mark.parametrize(
    ("features", "transforms"), [(["age", "income"], "per_feature"), (["age", "income", "city"], "one_hot, per_feature")]
)
def test_columns_go_by_their_names(tmp_path: Path, features: list[str], transforms: str) -> None:
    frame = people()
    model = fitted(frame, features, transforms)
    wanted = model.predict_proba(frame[features])
    model.save(tmp_path / "w.safetensors")
    for one in (model, netspec.restore(tmp_path / "w.safetensors")):
        np.testing.assert_array_equal(one.predict_proba(frame), wanted)  # the labels are one column more
        np.testing.assert_array_equal(one.predict_proba(frame[features[::-1]]), wanted)
        np.testing.assert_array_equal(one.predict_proba(frame[features].to_numpy()), wanted)
        assert one.evaluate(frame[features[::-1]], frame.rich) == one.evaluate(frame[features], frame.rich)
        with pytest.raises(DataError, match="x: has no column income; did you mean incom"):
            one.predict(frame.rename(columns={"income": "incom"}))
    again = fitted(frame, features, transforms)
    again.fit(frame[[*features[::-1], "rich"]], frame.rich, epochs=2)
    model.fit(frame[features], frame.rich, epochs=2)
    np.testing.assert_array_equal(again.params["affine1.W"], model.params["affine1.W"])


def test_a_csv_is_predicted_by_the_names_of_a_frame(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow, of the extra data, is not installed")
    from netspec.ui.rows import read_inputs  # noqa: PLC0415  needs pyarrow

    frame = people()
    model = fitted(frame, ["age", "income", "city"], "one_hot, per_feature")
    frame[["city", "rich", "income", "age"]].to_csv(tmp_path / "new.csv", index=False)
    np.testing.assert_allclose(model.predict_proba(read_inputs(model, tmp_path / "new.csv").x), model.predict_proba(frame), rtol=1e-5)


@pytest.mark.parametrize("transforms", ["per_feature", "one_hot"])
def test_tables_that_no_names_lead_through(transforms: str) -> None:
    frame = people()
    model = netspec.compile(f"data {{ transforms = {transforms} }} net affine -> softmax", train="epochs = 1")
    with pytest.raises(DataError, match="x: two columns are named age; rename one of them"):
        model.fit(frame[["age", "income", "age"]], frame.rich)
    assert model.columns is None

    class Lazy:
        columns, dtypes = ("age",), ("i8",)

        def lazy(self) -> Lazy:
            return self

        def collect(self) -> Any:
            return frame

    with pytest.raises(DataError, match=r"no rows yet: call \.collect\(\) first"):
        model.fit(Lazy(), frame.rich)


def test_what_is_no_number_is_named() -> None:
    frame, model = people(), netspec.compile("affine(8)-relu -> affine -> softmax")
    with pytest.raises(
        DataError, match=r"x: row 0, city holds '.*', which is no number; where it is a category write transforms = one_hot"
    ):
        model.fit(frame[["age", "city"]], frame.rich)
    frame["day"] = pandas.Timestamp("2020-01-01")
    with pytest.raises(DataError, match=r"x: row 0, day holds .*2020.*, which is no number"):
        model.fit(frame[["age", "day"]], frame.rich)
    with pytest.raises(DataError, match="x: its rows have different lengths"):
        model.fit([[1.0], [1.0, 2.0]], ["a", "b"])
    model.fit(frame[["age", "income"]], frame.rich)
    assert model.columns is not None
    plain = netspec.compile("affine(8)-relu -> affine -> softmax")
    plain.fit(frame[["age", "income"]].to_numpy(), frame.rich)
    assert plain.columns is None
