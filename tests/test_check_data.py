"""`netspec check` looks at the beginning of the data, warns of what training would stop at, and says what it did not read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import netspec as ns
from netspec.ui.cli import app

TABLE = "a,b,price\n" + "".join(f"{row},{row * row % 7},{row / 2 + 0.25}\n" for row in range(60))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(text: str, keys: str = "", head: str = "linear") -> str:
    Path("table.csv").write_text(text)
    return spec(f'source = csv; path = "table.csv"; {keys}', head)


def spec(data: str, head: str = "linear") -> str:
    text = f"netspec 1\ndata {{ {data} }}\nnet affine(8)-relu -> affine -> {head}\ntrain {{ epochs = 1 }}\n"
    Path("e.net").write_text(text)
    return text


def checked(*words: str) -> str:
    done = CliRunner().invoke(app, ["check", "e.net", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


WRONG = {
    "no such column": (TABLE, "target = prise", "linear", "has no column prise; did you mean price?", "prise"),
    "no such feature": (TABLE, "target = price; features = a, c", "linear", "has no column c;", "a, c"),
    "own answer": (TABLE, "features = a, price", "linear", "would read its own answer", "a, price"),
    "text for numbers": ("a,kind\n1,x\n2,y\n", "", "linear", "column kind holds text ('x'), and linear predicts numbers", '"table.csv"'),
    "numbers for classes": (TABLE, "", "softmax", "column price holds 0.25, which is not a whole number", '"table.csv"'),
    "many for two": (TABLE, "target = b", "sigmoid", "holds more than two different labels (0, 1, 4)", "b"),
    "ragged": ("a,b\n1,2\n3\n", "", "linear", "line 3 has 1 cell, and line 1 names 2 columns", '"table.csv"'),
    "empty": ("", "", "linear", "is empty", '"table.csv"'),
    "no rows": ("a,b\n", "", "linear", "has no rows", '"table.csv"'),
    "decimal commas": ("a;b\n1,5;2\n2;3\n", "", "linear", "line 2, column a: 1,5 has a decimal comma; write 1.5", '"table.csv"'),
    "other bytes": (TABLE.replace("price", "pr\udce9"), "", "linear", "is no text in UTF-8", '"table.csv"'),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_training_stops_at_is_a_warning(case: str) -> None:
    text, keys, head, message, words = WRONG[case]
    written("", keys, head)
    Path("table.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    shown = checked()
    assert "warning[W601]: " in shown
    assert message in shown
    assert shown.endswith("e.net: 1 warning\n")
    (found,) = json.loads(checked("--json"))
    assert (found["code"], found["severity"]) == ("W601", "warning")
    line = Path("e.net").read_text().split("\n")[found["line"] - 1]
    assert line[found["column"] - 1 : found["end_column"] - 1] == words
    with pytest.raises(ns.NetspecError):
        ns.train("e.net")


def test_a_file_that_is_missing_or_elsewhere_is_a_warning() -> None:
    spec('source = csv; path = "nope.csv"')
    assert "nope.csv: no such file" in checked()
    spec('source = parquet; path = "nope.parquet"')
    assert "nope.parquet: no such file" in checked()
    spec('source = csv; path = "../../etc/nope.csv"')
    assert "lies outside the folders that a spec may read" in checked()
    np.save("x.npy", np.ones((4, 2)))
    spec('source = npy; x = "x.npy"; y = "y.npy"')
    assert '--> e.net:2:39\n   2 | data { source = npy; x = "x.npy"; y = "y.npy" }' in checked()


def test_arrays_are_looked_for_by_name() -> None:
    np.savez("d.npz", x=np.ones((4, 2)), labels=np.ones(4))
    spec('source = npz; path = "d.npz"')
    assert "has no array y" in checked()
    spec('source = npz; path = "d.npz"; y = labels')
    assert checked().startswith("e.net: fine (of its data the beginning was read: ")
    Path("d.npz").write_bytes(b"no zip")
    assert "d.npz: cannot be read as .npz" in checked()


@pytest.mark.parametrize(
    ("text", "keys", "head"),
    [(TABLE, "", "linear"), (TABLE, "target = b", "softmax"), ("a,k\n1,x\n2,y\n" * 1, "", "sigmoid"), (TABLE * 3000, "", "linear"),
     ('a,"b,5"\n"1,5x",2\nred,3\n', "", "linear")],
)  # fmt: skip
def test_data_that_begins_well_says_how_much_was_read(text: str, keys: str, head: str) -> None:
    written(text, keys, head)
    assert checked() == "e.net: fine (of its data the beginning was read: netspec train e.net --dry-run reads all)\n"
    assert checked("--json") == "[]\n"


def test_data_that_is_not_looked_at_is_told() -> None:
    Path("p.parquet").write_bytes(b"PAR1")
    spec('source = parquet; path = "p.parquet"')
    assert checked() == "e.net: fine (its data was not read: netspec train e.net --dry-run reads it)\n"
    written('a,b\n"' + "x" * 200_000 + '",2\n')  # a quote that is open for long
    assert "its data was not read" in checked()


def test_what_has_no_files_is_fine_as_ever() -> None:
    spec("source = digits", "softmax")
    assert checked() == "e.net: fine\n"
    Path("e.net").write_text("netspec 1\ninput 4\nnet affine\n")
    assert checked() == "e.net: fine\n"


def test_an_error_of_the_text_comes_alone() -> None:
    spec('source = csv; path = "nope.csv"', "sofmax")
    done = CliRunner().invoke(app, ["check", "e.net"])
    assert done.exit_code == 3
    assert "W601" not in done.stdout


def test_a_text_in_python_is_checked_without_its_data() -> None:
    assert ns.check(spec('source = csv; path = "nope.csv"')) == []


def test_a_look_loads_neither_kernels_nor_tables() -> None:
    written(TABLE)
    program = "import sys; from netspec.ui.cli import app\ntry: app(['check', 'e.net'])\nexcept SystemExit: pass\n"
    done = subprocess.run(
        [sys.executable, "-c", program + "print([m for m in ('numba', 'pyarrow', 'rich.progress') if m in sys.modules])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("[]\n")
