"""Answers that are seldom needed: to files that cannot be read, to what is used too often, to labels and tables of odd kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import netspec
from netspec.base.errors import DataError, LimitError, SpecError, UsageError
from netspec.base.text import Source
from netspec.frontend import limits
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import diagnose
from netspec.save import environment
from netspec.save.atomic import SaveError, sweep, sync_file

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(30, 4))
LABELS = np.arange(30) % 3


def findings(text: str, path: str = "") -> list[str]:
    """Code and message of each finding, with its help."""
    source = Source(text, path) if path else Source(text)
    return [f"{one.code} {one.message} {one.help or ''}" for one in diagnose(source, Overrides(input=(4,), classes=3))]


# files that are used


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.net").write_text(text)
    return folder / "main.net"


def test_more_files_than_may_be_used(tmp_path: Path) -> None:
    uses = [f'use "f{number}.net"' for number in range(limits.FILES + 1)]
    files = {f"f{number}": f"def g{number} = relu" for number in range(limits.FILES + 1)}
    net = "net g0 -> affine -> softmax"
    main = write(tmp_path, **files, main="\n".join(["netspec 1", *uses, net]))
    with pytest.raises(LimitError, match=f"more than {limits.FILES} files are used"):
        load(Source(main.read_text(), str(main)), Overrides(input=(4,), classes=3))
    main.write_text("\n".join(["netspec 1", *uses[:-1], net]))
    assert findings(main.read_text(), str(main)) == []


def test_two_files_with_a_def_of_one_name(tmp_path: Path) -> None:
    main = write(tmp_path, a="def f = relu", b="let w = 3\ndef f = tanh", main='use "a.net"\nuse "b.net"\nnet f -> affine -> softmax')
    (found,) = findings(main.read_text(), str(main))
    assert found.startswith('NS206 "b.net" brings a def `f`, and ')
    assert "a.net has one too (line 1) rename one of them" in found


def test_a_file_that_comes_by_two_ways_is_one(tmp_path: Path) -> None:
    main = write(tmp_path, a="def f = relu", b='use "a.net"\ndef g = f-tanh', main='use "a.net"\nuse "b.net"\nnet f-g -> affine -> softmax')
    program = load(Source(main.read_text(), str(main)), Overrides(input=(4,), classes=3))
    assert [call.layer.name for call in program.net] == ["relu", "relu", "tanh", "affine", "softmax"]


def test_defs_that_nothing_calls_are_not_judged_by_a_file_that_is_missing(tmp_path: Path) -> None:
    main = write(tmp_path, main='use "none.net"\ndef f = unheard\nnet affine -> softmax')
    assert [found[:5] for found in findings(main.read_text(), str(main))] == ["NS214"]
    assert any("unheard" in found for found in findings("def f = unheard\nnet affine -> softmax"))


def test_a_def_that_nothing_calls_may_repeat_over_layers() -> None:
    """Their name stands behind the brackets that it is used in."""
    for net in ("affine", "f -> affine"):
        assert findings(f"netspec 1 def f = [affine(3)-act]x(act: relu, tanh)\nnet {net} -> softmax") == []
    assert [found[:5] for found in findings("netspec 1 def f = [affine(3)-act]x(other: relu, tanh)\nnet affine -> softmax")] == ["NS201"]


# texts


@pytest.mark.parametrize("number", ["1e400", f"1.{'0' * 300}", "9" * 30])
def test_numbers_that_no_machine_holds(number: str) -> None:
    assert any("a number beyond what can be counted here" in found for found in findings(f"let w = {number}\nnet affine(w) -> softmax"))


def test_words_that_are_nearly_right() -> None:
    assert any("a decimal begins with a digit write 0.5" in found for found in findings("net dropout(.5) -> affine -> softmax"))
    assert any("write [relu]x4" in found for found in findings("net relu x 4 -> affine -> softmax"))
    assert any("write [relu]x(...)" in found for found in findings("net relu x(3) -> affine -> softmax"))


def test_a_rate_beside_what_is_no_optimizer() -> None:
    assert findings("netspec 1 net affine -> softmax train { optimizer = 3; lr = 0.1 }")[0].startswith(
        "NS301 `optimizer` of train must be an"
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def refusal(path: Path) -> str:
        with pytest.raises(UsageError) as caught:
            netspec.compile(path)
        return str(caught.value)

    (tmp_path / "folder.net").mkdir()
    (tmp_path / "bytes.net").write_bytes(b"net \xff")
    assert refusal(tmp_path / "none.net").endswith("none.net: no such file")
    assert refusal(tmp_path / "folder.net").endswith("folder.net: is a folder, not a .net file")
    assert refusal(tmp_path / "bytes.net").endswith("bytes.net: is not UTF-8 text (byte 4)")
    assert refusal(tmp_path / f"{'a' * 300}.net").endswith("cannot be read: File name too long")


def test_a_rule_is_a_name_or_a_call() -> None:
    with pytest.raises(SpecError, match="a name or a call is needed here"):
        netspec.optimizer("3")
    assert repr(netspec.optimizer("sgd(lr=0.1, momentum=0.9)")) == "sgd(lr=0.1, momentum=0.9, nesterov=False)"


def test_a_train_text_of_blanks_changes_nothing() -> None:
    def resolved(**more: str) -> str:
        return netspec.compile("affine -> softmax", input=4, classes=3, **more).program.resolved

    assert resolved(train=" \n") == resolved()
    assert resolved(train="batch = 7") != resolved()


def test_training_without_data(tmp_path: Path) -> None:
    (tmp_path / "bare.net").write_text("netspec 1 input 4 classes 3 net affine -> softmax")
    with pytest.raises(DataError, match="there is no data: the text has no data section with a source"):
        netspec.train(tmp_path / "bare.net", run_dir=tmp_path / "run")


# labels and tables


def model(text: str = "affine -> softmax") -> Any:
    return netspec.compile(text, train="epochs = 1; batch = 10")


class Lazy:
    """As a lazy table of polars has them."""

    def collect(self) -> Any: ...
    def lazy(self) -> Any: ...


ODD_LABELS: dict[str, tuple[Any, str]] = {
    "empty": (["a", "b", ""] * 10, "the label in row 2 is empty"),
    "none": ([1, 2, None] * 10, r"position 2 \(counting from 0\) is missing"),
    "mixture": (np.array([1, "a", 2] * 10, object), "a mixture of text and numbers"),
    "ragged": ([[1], [1, 2], [1]] * 10, "its rows have different lengths"),
    "complex": (np.array([1j, 2j, 3j] * 10, object), "labels of Python type complex"),
}


@pytest.mark.parametrize("case", ODD_LABELS)
def test_labels_of_odd_kinds(case: str) -> None:
    labels, message = ODD_LABELS[case]
    with pytest.raises(DataError, match=message):
        model().fit(X, labels)


def test_text_where_a_model_knows_numbers() -> None:
    net = model()
    net.fit(X, LABELS)
    with pytest.raises(DataError, match="label 'a' in row 0; the labels known from training are class numbers from 0"):
        net.evaluate(X, np.array(["a", "b", "c"] * 10))


def test_tables_of_odd_kinds() -> None:
    with pytest.raises(DataError, match=r"a lazy table has no rows yet: call \.collect\(\) first"):
        model().fit(Lazy(), LABELS)
    twice = pd.DataFrame(X, columns=["a", "b", "a", "c"])
    with pytest.raises(DataError, match="two columns are named a; rename one of them"):
        model().fit(twice, LABELS)


def test_columns_that_were_text_and_are_numbers() -> None:
    net = netspec.compile("data { transforms = one_hot } net affine -> softmax", train="epochs = 1; batch = 10")
    rows = pd.DataFrame({"a": ["u", "v", "w"] * 10, "b": X[:, 0]})
    net.fit(rows, LABELS)
    with pytest.raises(DataError, match=r"a: '-0\.129.*' is not among the texts that the net was trained with: u, v, w"):
        net.predict(pd.DataFrame({"a": X[:, 1], "b": X[:, 0]}))
    with pytest.raises(DataError, match=r"b holds text .*, where the net was trained with numbers"):
        net.predict(pd.DataFrame({"a": rows["a"], "b": rows["a"]}))
    with pytest.raises(DataError, match=r"rows of columns \(N, D\)|different lengths"):
        netspec.compile("data { transforms = one_hot } net affine -> softmax").fit([["u", 1.0], ["v"]] * 15, LABELS)


def test_many_rows_are_predicted_as_few_are() -> None:
    net = netspec.compile("affine(2)-tanh -> affine -> softmax", input=1, classes=2, threads=1)
    rows = np.linspace(-3, 3, 300_001)[:, None]
    whole = net.predict_proba(rows)
    np.testing.assert_array_equal(whole[-7:], net.predict_proba(rows[-7:]))
    np.testing.assert_array_equal(whole[:7], net.predict_proba(rows[:7]))


# saving


def test_a_processor_that_the_system_does_not_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.cpu_name()
    listing = tmp_path / "cpuinfo"
    monkeypatch.setattr(environment, "Path", lambda _: listing)
    monkeypatch.setattr(environment.platform, "processor", lambda: "")
    monkeypatch.setattr(environment.platform, "machine", lambda: "riscv64")
    assert environment.cpu_name() == "riscv64"
    listing.write_text("processor : 0\nhart : 1\n")
    assert environment.cpu_name() == "riscv64"
    listing.write_text("processor : 0\nmodel name : Some: CPU\n")
    assert environment.cpu_name() == "Some: CPU"


def test_what_cannot_be_forced_to_the_disk(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"none: cannot be written: No such file"):
        sync_file(tmp_path / "none")


def test_a_sweep_leaves_what_a_process_may_still_write(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    left = {number: tmp_path / f".last.{number}-0123abcd.tmp" for number in (ended, str(os.getpid()), "9" * 25)}
    other = tmp_path / "last.safetensors"
    for path in (*left.values(), other):
        path.touch()
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*(path for number, path in left.items() if number != ended), other])
