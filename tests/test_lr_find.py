"""Learning rates by trying: the curve against training by hand, the rule, nothing left behind; the command and its picture."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import netspec
from netspec.base.errors import DivergedError, UsageError
from netspec.train.lr_find import smooth, suggest
from netspec.ui.cli import app

SPEC = """netspec 1
data { source = digits; normalize = per_feature }
net affine(32)-bn-relu-dropout(20%) -> affine -> softmax
train { optimizer = adam(lr=1e-3); batch = 50; epochs = 2; l2 = 1e-4 }
"""


def data(rows: int = 120) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, rows)
    return draw.normal(size=(rows, 6)) + y[:, None], y


def model_of(train: str = "optimizer = sgd(momentum=0.9); batch = 20", **more: Any) -> netspec.Model:
    return netspec.compile("affine(10)-bn-tanh -> affine -> softmax", input=6, classes=3, train=train, seed=1, **more)


def everything(model: netspec.Model) -> list[bytes]:
    return [array.tobytes() for array in model.network.store.kept]


def test_the_curve_is_that_of_training_by_growing_rates() -> None:
    """Each step by a model of its own rate, on all rows."""
    x, y = data(40)
    found = model_of("optimizer = sgd; batch = 40", dtype="float64").lr_find(x, y, lowest=1e-4, highest=1e-1, steps=30)
    np.testing.assert_allclose(found.rates, 10 ** np.linspace(-4, -1, 30))
    twin = model_of("optimizer = sgd; batch = 40", dtype="float64")
    for rate, loss in zip(found.rates, found.losses, strict=True):
        value, gradients = twin.loss(x, y)
        assert loss == pytest.approx(value, rel=1e-9)
        for name, g in gradients.items():
            twin.params[name][...] -= rate * g
    assert not found.exploded


def test_the_curve_counts_the_weights_of_classes() -> None:
    """Its first loss is that of rows of which each stands as often as its class weighs."""
    x, y = data(60)
    often = np.repeat(np.arange(60), y + 1)
    rates: dict[str, Any] = {"lowest": 1e-4, "highest": 1e-2, "steps": 20}
    text = "affine(10)-tanh -> affine -> softmax"
    weighted, plain = (
        netspec.compile(text, input=6, classes=3, dtype="float64", train=f"batch = 60{more}") for more in ("; class_weights = 1, 2, 3", "")
    )
    first, unweighted = weighted.lr_find(x, y, **rates).losses[0], plain.loss(x[often], y[often])[0]
    assert first == pytest.approx(unweighted * len(often) / 60, rel=1e-12)


def test_the_curve_counts_balanced_classes_for_itself() -> None:
    x, y = data(60)
    rates: dict[str, Any] = {"lowest": 1e-4, "highest": 1e-2, "steps": 20}
    model = model_of("batch = 60; class_weights = balanced", dtype="float64")
    found = model.lr_find(x, y, **rates)
    assert model.class_weights is None  # a fit counts them anew
    written = ", ".join(repr(60 / 3 / count) for count in np.bincount(y).tolist())
    twin = model_of(f"batch = 60; class_weights = {written}", dtype="float64").lr_find(x, y, **rates)
    np.testing.assert_allclose(found.losses, twin.losses, rtol=1e-12)


@pytest.mark.parametrize("trained", [False, True])
def test_nothing_is_left_behind(trained: bool) -> None:
    x, y = data()
    model, twin = model_of(), model_of()
    for one in (model, twin):
        if trained:
            one.fit(x, y, epochs=2)
    before, losses = everything(model), list(model.history.loss)
    found = model.lr_find(x, y)
    assert everything(model) == before
    assert model.history.loss == losses
    assert model.epochs_done == twin.epochs_done
    assert (model.labels, model.normalization) == (twin.labels, twin.normalization)
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    for one in (model, twin):
        one.fit(x, y, epochs=1)
    assert everything(model) == everything(twin)


def test_a_loss_that_explodes_ends_it() -> None:
    x, y = data()
    found = model_of("optimizer = sgd; batch = 20").lr_find(x * 1e3, y * 1, lowest=1e-6, highest=1e6)
    assert found.exploded
    assert len(found.rates) < 200
    assert found.rates[0] < found.lr < found.rates[-1]
    assert "the loss exploded" in str(found)
    with pytest.raises(DivergedError, match="after"):
        netspec.compile("affine -> linear", input=6, outputs=1, train="optimizer = sgd").lr_find(x * 1e9, y * 1e9, lowest=1.0, highest=10.0)


def test_the_rule() -> None:
    """A falling sigmoid in log(lr) is steepest in its middle; a curve that only rises gives a tenth of its lowest place."""
    rates = np.geomspace(1e-5, 1, 101)
    at = np.log10(rates)
    falling = 1 / (1 + np.exp(4 * (at + 3)))
    assert suggest(rates, falling) == pytest.approx(1e-3, rel=0.06)
    valley = falling + np.exp(6 * (at + 0.5))
    assert suggest(rates, valley) == pytest.approx(1e-3, rel=0.06)
    assert suggest(rates, at**2 * 0 + rates) == pytest.approx(1e-6)
    np.testing.assert_allclose(smooth(np.full(50, 2.0), 5.0), 2.0)
    noisy = falling + np.random.default_rng(0).normal(0, 0.02, 101)
    assert np.abs(smooth(noisy, 2.5) - falling).max() < 0.05
    assert suggest(rates, smooth(noisy, 2.5)) == pytest.approx(1e-3, rel=0.6)


def test_the_suggestion_trains() -> None:
    x, y = data(300)
    found = model_of("optimizer = adam; batch = 20").lr_find(x, y)
    good = model_of(f"optimizer = adam(lr={found.lr}); batch = 20")
    good.fit(x, y, epochs=5)
    assert good.evaluate(x, y)["loss"] < 0.5
    assert str(found).splitlines()[-1] == f"suggested lr {found.lr:.1e}"
    assert str(found).count("<- steepest") == 1


def test_a_net_that_is_trained_is_told() -> None:
    """Its losses are small and differ from batch to batch: what explodes there, and where the curve falls, is chance."""
    x, y = data(300)
    model = model_of("optimizer = adam(lr=1e-2); batch = 20")
    assert model.lr_find(x, y).updates_before == 0
    assert "trained already" not in str(model.lr_find(x, y))
    model.fit(x, y, epochs=2)
    found = model.lr_find(x, y)
    assert found.updates_before == 30
    told = "the net is trained already (30 updates), and these rates are for training it further"
    assert str(found).splitlines()[-3:-1] == [
        told,
        "for the rate to begin with call lr_find on a new model of the spec, or reset() this one",
    ]
    assert told in found._repr_html_()
    model.reset()
    assert str(model.lr_find(x, y)) == str(model_of("optimizer = adam(lr=1e-2); batch = 20").lr_find(x, y))
    values = netspec.compile("affine -> linear", input=6, outputs=1, train="optimizer = sgd(lr=1e-3)")
    values.fit(x, x[:, 0], epochs=1)
    with pytest.raises(
        DivergedError, match=r"after \d+ steps, at lr .*; the net is trained already \(3 updates\).*; for the rate to begin with"
    ):
        values.lr_find(x * 1e9, x[:, 0] * 1e9, lowest=1.0, highest=10.0)


@pytest.mark.parametrize("wrong", [{"lowest": 0.0}, {"lowest": 1.0, "highest": 0.5}, {"steps": 3}, {"y": None}])
def test_wrong_calls(wrong: dict[str, Any]) -> None:
    x, y = data()
    with pytest.raises(UsageError, match="lr_find"):
        model_of().lr_find(**{"X": x, "y": y, **wrong})


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "tiny.net"
    path.write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return path


def call(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_prints_and_draws(spec: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    done = call("train", spec, "--lr-find")
    assert done.exit_code == 0, done.stderr
    *_, suggestion, picture = done.stdout.splitlines()
    assert suggestion.startswith("suggested lr ")
    assert 1e-5 < float(suggestion.split()[-1]) < 1
    assert picture == "lr_find.png"
    assert (spec.parent / "lr_find.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir(spec.parent)) == ["lr_find.png", "tiny.net"]
    assert call("train", spec, "--lr-find").stdout == done.stdout


def test_the_command_as_json_into_a_folder(spec: Path) -> None:
    done = call("train", spec, "--lr-find", "--json", "--run-dir", spec.parent / "here")
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["picture"] == str(spec.parent / "here" / "lr_find.png")
    assert len(facts["rates"]) == len(facts["losses"]) == len(facts["smoothed"])
    assert facts["rates"][0] < facts["lr"] < facts["rates"][-1]
    assert sorted(os.listdir(spec.parent)) == ["here", "tiny.net"]


def test_without_matplotlib_there_is_no_picture(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    done = call("train", spec, "--lr-find")
    assert done.exit_code == 0, done.stderr
    assert "no picture: this needs matplotlib: pip install 'netspec[plot]'" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("suggested lr ")
    assert os.listdir(spec.parent) == ["tiny.net"]
