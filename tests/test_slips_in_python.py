"""Calls from Python that are nearly right: each does what was meant, or tells what to write."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest

import netspec
from netspec.base.errors import DataError, SpecError, UsageError
from netspec.model import Model

DIGITS = (
    "data { source = digits; split = 60% / 20% / 20%; normalize = rescale } net affine(8)-relu -> affine -> softmax train { epochs = 2 }"
)
CHAIN = "affine(8)-relu -> affine -> softmax"
COLUMNS = {"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 0.1, 0.9, 0.2], "town": ["Oslo", "Rome", "Oslo", "Rome"]}
LABELS = [0, 1, 0, 1]


# without rows


def everything(model: netspec.Model) -> tuple[Any, ...]:
    return [array.tobytes() for array in model.network.store.kept[:-1]], model.learned, model.history.loss


@pytest.mark.parametrize("parts", ["60% / 20% / 20%", "80% / 20%"])
def test_without_rows_a_model_is_measured_on_those_that_its_data_holds_out(parts: str) -> None:
    model = netspec.compile(DIGITS.replace("60% / 20% / 20%", parts))
    splits = model.splits_of_data()
    model.fit()
    before = everything(model)
    held = splits.test or splits.validation
    assert held is not None
    figures = model.evaluate_rows(held)
    assert model.evaluate() == figures
    assert str(model.report()) == str(model.report_rows(held))
    assert model.evaluate(top=3)["top3"] == model.evaluate_rows(held, top=3)["top3"]
    assert str(everything(model)) == str(before)
    assert model.evaluate(splits.train.x, splits.train.y) != figures


def test_without_rows_a_run_says_what_it_said_at_its_end(tmp_path: Path) -> None:
    run = netspec.train(DIGITS, run_dir=tmp_path / "run")
    assert run.model.evaluate() == run.metrics
    assert netspec.restore(tmp_path / "run").evaluate() == run.metrics


def test_what_own_rows_have_taught_counts_for_those_of_the_file() -> None:
    """The statistics and words are those of training."""
    model = netspec.compile(DIGITS, input=(1, 8, 8), classes=10)
    rows = np.random.default_rng(0).normal(7.0, 30.0, (200, 1, 8, 8))
    model.fit(rows, np.arange(200) % 10)
    statistics = model.normalization
    held = netspec.compile(DIGITS).splits_of_data().test
    assert held is not None
    assert model.evaluate() == model.evaluate(held.x, held.y)
    assert model.normalization is statistics


def test_rows_of_a_folder_that_was_allowed_are_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    np.savez(other / "rows.npz", x=np.random.default_rng(0).normal(size=(60, 3)), y=np.arange(60) % 2)
    (own / "a.net").write_text(f'data {{ source = npz; path = "{other}/rows.npz" }} net affine -> softmax train {{ epochs = 1 }}')
    monkeypatch.chdir(own)
    run = netspec.train("a.net", allow=[other])
    assert run.model.evaluate() == run.metrics
    assert netspec.restore(run.path, allow=[other]).evaluate() == run.metrics
    with pytest.raises(DataError, match="allow"):
        netspec.restore(run.path).evaluate()


@pytest.mark.parametrize("call", ["evaluate", "report"])
def test_rows_that_are_not_there_are_asked_for(call: str) -> None:
    rows, labels = np.zeros((4, 3)), np.array(LABELS)
    own = netspec.compile(CHAIN, input=3, classes=2)
    asked = rf"^{call} takes X and y together, or neither where the text has a data section: model\.{call}\(X, y\)$"
    for given in ((), (rows,), (None, labels)):
        with pytest.raises(UsageError, match=asked):
            getattr(own, call)(*given)
    with pytest.raises(UsageError, match=asked):
        getattr(netspec.compile(DIGITS), call)(rows)
    program = netspec.compile(DIGITS).program
    assert program.data is not None
    whole = Model(replace(program, data=program.data.model_copy(update={"split": (1.0,)})))
    with pytest.raises(UsageError, match=rf"^the split of the data has no rows for test or validation: give some to model\.{call}\(X"):
        getattr(whole, call)()
    unsized = netspec.compile('data { source = csv; path = "no.csv" } net affine -> softmax')
    with pytest.raises(UsageError, match="no shape yet"):
        getattr(unsized, call)()


def test_a_threshold_is_chosen_on_the_rows_for_validation() -> None:
    text = "data {{ source = breast_cancer; split = {}; normalize = per_feature }} net affine -> sigmoid train {{ epochs = 2 }}"
    model = netspec.compile(text.format("60% / 20% / 20%"))
    model.fit()
    splits = model.splits_of_data()
    assert splits.validation is not None
    found = model.best_threshold()
    assert found == model.best_threshold(splits.validation.x, splits.validation.y)
    assert model.evaluate(threshold=found) == model.evaluate_rows(splits.test or splits.validation, found)
    with pytest.raises(UsageError, match=r"^best_threshold takes X and y together, or neither where the text has a data section"):
        netspec.compile("affine -> sigmoid", input=3, classes=2).best_threshold()


def test_a_train_section_belongs_to_compile() -> None:
    told = r"""^train='epochs = 3': write its keys by their names, as in \*\*\{"train.epochs": 3\}$"""
    with pytest.raises(UsageError, match=told):
        netspec.train(DIGITS, train="epochs = 3")


# names of arrays


def test_a_name_that_no_array_has_is_told_with_those_that_there_are() -> None:
    model = netspec.compile("affine(8)-bn-relu -> affine -> softmax", input=3, classes=2)
    with pytest.raises(KeyError) as caught:
        model.params["affine9.W"]
    names = "affine1.W, affine1.b, bn1.gamma, bn1.beta, affine2.W, affine2.b"
    assert str(caught.value) == f"there is no array 'affine9.W' (did you mean 'affine1.W'?); there are {names}"
    assert isinstance(caught.value, UsageError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(KeyError, match=r"did you mean 'affine2\.b'"):
        model.params["afine2.b"] = 0.0
    with pytest.raises(KeyError, match=r"^there is no array 'gamma'; there are bn1\.mean, bn1\.var$"):
        model.state["gamma"]
    with pytest.raises(KeyError, match=r"^there is no array 0; there are affine1"):
        model.params[0]  # type: ignore[index]
    with pytest.raises(KeyError, match=r"; there is none of this kind$"):
        netspec.compile("affine -> softmax", input=3, classes=2).state["bn1.mean"]
    deep = netspec.compile("[affine(4)-relu]x30 -> affine -> softmax", input=3, classes=2)
    with pytest.raises(KeyError, match=r"affine10\.b, \.\.\. affine31\.b$"):
        deep.params["nothing like it"]


def test_a_mapping_of_arrays_is_asked_as_any_other() -> None:
    """The control: what only asks gets an answer."""
    params = netspec.compile(CHAIN, input=3, classes=2).params
    assert "affine1.W" in params
    assert "affine9.W" not in params
    assert params.get("affine9.W") is None
    assert [name in params for name in params] == [True] * 4


# tables and rows


@pytest.mark.parametrize("rows", [[{"a": 1.0, "b": 2.0}] * 4, ({"a": 1.0},) * 4, np.array([{"a": 1.0}] * 4)])
def test_rows_that_are_dicts_are_no_table_yet(rows: Any) -> None:
    model = netspec.compile(CHAIN, input=3, classes=2)
    for call in (lambda: model.fit(rows, LABELS), lambda: model.predict(rows), lambda: model.step(rows, LABELS)):
        with pytest.raises(DataError, match=r"^x: its rows are dicts; make a table of it, such as pandas\.DataFrame\(x\)"):
            call()
    table = pandas.DataFrame(list(rows))
    netspec.compile(CHAIN).fit(table, LABELS)


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0]], np.array(5.0), [], np.zeros((4, 2, 2, 2, 2))])
def test_rows_that_are_none_are_told_before_the_net_has_a_shape(rows: Any) -> None:
    with pytest.raises(DataError, match=r"^x: (its rows have different lengths|shape )"):
        netspec.compile(CHAIN).fit(rows, LABELS)


@pytest.mark.parametrize("library", [pandas, polars])
@pytest.mark.parametrize("classes", [None, 2], ids=["counted by the rows", "built"])
def test_a_table_of_another_width_is_told_by_its_columns(library: Any, classes: int | None) -> None:
    table, numbers = library.DataFrame(COLUMNS), library.DataFrame({name: COLUMNS[name] for name in ("a", "b")})
    one_hot = f"data {{ transforms = one_hot }} net {CHAIN}"
    for text, rows, width, told in (
        (CHAIN, numbers, 4, "2 numbers a row, of the columns a, b, where the net takes 4; columns are missing, or declare input 2"),
        (
            CHAIN,
            numbers,
            1,
            "2 numbers a row, of the columns a, b, where the net takes 1; drop columns that are not features, or declare input 2",
        ),
        (
            one_hot,
            table,
            3,
            "4 numbers a row, of the columns a, b, town (2 texts), where the net takes 3; drop columns that are not features",
        ),
        (CHAIN, numbers[["a"]], 4, "1 number a row, of the column a, where the net takes 4; columns are missing"),
    ):
        with pytest.raises(DataError, match=f"^{re.escape(f'x: {told}')}"):
            netspec.compile(text, input=(width,), classes=classes).fit(rows, LABELS)
    netspec.compile(one_hot, input=(4,), classes=classes).fit(table, LABELS, epochs=1)
    netspec.compile(CHAIN, input=(2,), classes=classes).fit(numbers, LABELS, epochs=1)


def test_rows_that_are_images_in_other_words_are_told_how_to_reshape_them() -> None:
    flat, conv = np.zeros((4, 16)), "conv(2)-relu -> affine -> softmax"
    with pytest.raises(DataError, match=r"; x\.reshape\(-1, 1, 4, 4\) has that shape$"):
        netspec.compile(conv, input=(1, 4, 4), classes=2).fit(flat, LABELS)
    with pytest.raises(DataError, match=r"where the net takes 1x4x4; give x\.to_numpy\(\)\.reshape\(-1, 1, 4, 4\)$"):
        netspec.compile(conv, input=(1, 4, 4), classes=2).fit(pandas.DataFrame(flat), LABELS)
    netspec.compile(conv, input=(1, 4, 4), classes=2).fit(pandas.DataFrame(flat).to_numpy().reshape(-1, 1, 4, 4), LABELS, epochs=1)
    with pytest.raises(
        SpecError, match=r"NS603.*\n.*<input>:1:1\n.*input 1x4x4\n.*\n.*help: reshape the rows: x\.reshape\(-1, 1, 4, 4\), or"
    ):
        netspec.compile(conv, input=(1, 4, 4)).fit(flat, LABELS)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("input 1x4x4 net conv(2) -> affine -> softmax", "x[:, None]"), ("conv(2) -> affine -> softmax", "x[:, None]"),
        ("input 16 net affine -> softmax", "x.reshape(len(x), -1)"),
    ],
)  # fmt: skip
def test_images_without_a_channel_are_told_what_the_net_takes(text: str, written: str) -> None:
    x = np.zeros((4, 4, 4))
    with pytest.raises(DataError, match=rf"^x: shape \(4, 4, 4\); a row is 4x4, and the net takes .*: write {re.escape(written)}$"):
        netspec.compile(text).fit(x, LABELS)
    rows = {"x[:, None]": x[:, None], "x.reshape(len(x), -1)": x.reshape(len(x), -1)}[written]
    model = netspec.compile(text)
    model.fit(rows, LABELS, epochs=1)
    with pytest.raises(DataError, match=re.escape(written)):
        model.predict(x)


def test_counts_that_a_caller_gives_are_shown_as_the_callers() -> None:
    with pytest.raises(SpecError) as caught:
        netspec.compile(CHAIN, classes=4).fit(np.zeros((4, 3)), ["a", "b", "a", "b"])
    assert "NS601" in str(caught.value)
    assert "--> <classes>:1:1\n   1 | classes 4\n" in str(caught.value)
    with pytest.raises(SpecError, match=r"--> <string>:1:9"):
        netspec.compile(f"classes 4 net {CHAIN}").fit(np.zeros((4, 3)), ["a", "b", "a", "b"])


def test_a_sparse_matrix_is_told_how_to_be_dense() -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    for kind in (sparse.csr_array, sparse.dok_matrix):
        with pytest.raises(DataError, match=r"^x: a sparse matrix; write x\.toarray\(\)$"):
            netspec.compile(CHAIN).fit(kind(np.eye(4)), LABELS)
