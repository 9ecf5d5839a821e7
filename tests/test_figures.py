"""Figures as people read them, and a sentence for a training that did harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from netspec.base.figure import shown_figure
from netspec.base.text import Source
from netspec.frontend.validate import load
from netspec.train.cautions import went_wrong
from netspec.train.history import COLUMNS, History
from netspec.ui.cli import app
from netspec.ui.screen import figures_in_words


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0712, "0.0712"), (0, "0.0000"), (12.5, "12.5000"), (-3.25, "-3.2500"), (1432512606426053883434369024.0, "1.433e+27"),
     (3.4e-5, "3.4e-05"), (-2.5e9, "-2.5e+09"), (99999.0, "99999.0000"), (float("nan"), "nan"), (float("inf"), "inf")],
)  # fmt: skip
def test_a_figure_has_four_decimals_or_four_digits(value: float, shown: str) -> None:
    assert shown_figure(value) == shown
    assert figures_in_words({"loss": value}) == f"loss {shown}"


def history(*losses: float) -> History:
    rows = [dict.fromkeys(COLUMNS) | {"epoch": at, "step": at, "lr": 0.1, "loss": loss, "seconds": 0.0} for at, loss in enumerate(losses)]
    return History(list(losses), rows)


def test_a_history_shows_large_and_small_losses() -> None:
    assert [line.split()[3] for line in str(history(2e27, 3e-7, 0.5)).split("\n")[:4]] == ["loss", "2e+27", "3e-07", "0.5000"]


def program(data: str = "") -> object:
    return load(Source(f"netspec 1 {data} input 4 net affine train {{ optimizer = sgd(lr=0.1) }}"))


@pytest.mark.parametrize(
    ("losses", "r2", "wrong"),
    [((1.0, 50.0), -40.0, True), ((1.0, 50.0), None, True), ((1.0, 50.0), 0.3, False), ((50.0, 1.0), -40.0, False),
     ((1.0, 1.2), None, False), ((1.0, 0.1), None, False), ((1.0,), None, False), ((), None, False)],
)  # fmt: skip
def test_only_a_loss_that_grew_is_told(losses: tuple[float, ...], r2: float | None, wrong: bool) -> None:
    told = went_wrong(program(), history(*losses), r2)
    assert (told is not None) == wrong
    if told:
        assert "from 1.0000 in the first step to 50.0000 at the end; write a smaller lr in train, such as 0.01 for 0.1" in told


def test_rows_as_they_are_are_to_be_scaled_first() -> None:
    plain = 'data { source = csv; path = "a.csv"'
    assert "write transforms = per_feature" in (went_wrong(program(plain + " }"), history(1, 50), None) or "")
    assert "per_feature" not in (went_wrong(program(plain + "; normalize = per_feature }"), history(1, 50), None) or "")


def test_the_command_says_it_on_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(100, 4)) * 1000
    np.savez("d.npz", x=x, y=x @ [1, 2, 3, 4])
    text = 'netspec 1\ndata { source = npz; path = "d.npz" }\nnet affine(32)-relu -> affine -> linear\n'
    Path("d.net").write_text(text + "train { epochs = 2; optimizer = sgd(lr=1e-2) }\n")
    done = CliRunner().invoke(app, ["train", "d.net"])
    assert done.exit_code == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("warning: this training went wrong: the loss grew from ")
    assert "e+" in done.stdout
    assert CliRunner().invoke(app, ["train", "d.net", "--quiet"]).stderr == ""
    tame = CliRunner().invoke(app, ["train", "d.net", "--set", "data.normalize=per_feature", "--set", "train.lr=1e-8"])
    assert (tame.exit_code, tame.stderr) == (0, "")
