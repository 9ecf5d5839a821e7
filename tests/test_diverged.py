"""A loss that is not finite: training stops before that update, names the first bad layer and its rows, and keeps good weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import MLP, save_each_step, write_spec

import netspec
from netspec.base.errors import DivergedError
from netspec.pipeline import train
from netspec.plan.network import Network
from netspec.save.weights import load_weights
from netspec.train import feed
from netspec.train.fault import find_fault
from netspec.train.record import Record
from netspec.train.state import read_state

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 6)).astype(np.float32)
Y = np.arange(60) % 3
BLOWS_UP = {"train.optimizer": "sgd(lr=1e38)", "train.clip": 1e30, "train.schedule": "warmup(29ep)", "train.epochs": 30}
"""Rates that grow from step to step until nothing is a number."""
DEEP = "[affine(8)-relu]x40 -> affine -> softmax"


def compiled(text: str, **keys: Any) -> netspec.Model:
    return netspec.compile(text, **{"input": 6, "classes": 3, "train": "batch = 10; optimizer = sgd(lr=1e-2)", **keys})


def fault_of(model: netspec.Model, x: Any, y: Any) -> Any:
    network: Network = model.network
    return find_fault(network, np.ascontiguousarray(x, network.dtype), network.labels_to_layout(np.asarray(y)), None)


# The first bad layer, and its rows


@pytest.mark.parametrize("depth", [0, 1, 7, 20, 39])
def test_the_first_bad_layer_of_a_deep_net(depth: int) -> None:
    """One weight that overflows with one row alone."""
    model = compiled(DEEP)
    layer = f"affine{depth + 1}"
    for name, array in model.params.items():
        array[...] = 0.3 if name.endswith("W") else 0.0
    model.params[f"{layer}.W"][...] = 3e38
    found = fault_of(model, np.abs(X[:10]) + 0.5, Y[:10])
    assert found.layer == layer
    assert found.array is None


def test_the_rows_that_overflow() -> None:
    model = compiled("affine(8)-relu -> affine -> softmax")
    model.params["affine2.W"][...] = 1e30
    x = np.ones((10, 6), np.float32) * 1e-3
    x[[3, 7]] = 1e9
    model.params["affine1.W"][...] = 1.0
    found = fault_of(model, x, Y[:10])
    assert (found.layer, found.rows.tolist()) == ("affine2", [3, 7])
    assert found.largest == (1e9, 3)


def test_batch_statistics_spread_over_all_rows() -> None:
    """A sum over the batch overflows where none of its rows does."""
    model = compiled("affine(8)-bn-relu -> affine -> softmax")
    model.params["affine1.W"][...] = 1.0
    found = fault_of(model, np.full((10, 6), 2e37), Y[:10])
    assert (found.layer, found.rows.tolist()) == ("bn1", list(range(10)))
    assert "every row of the batch of 10" in found.in_words(np.arange(10))


@pytest.mark.parametrize("name", ["affine1.W", "affine2.b", "bn1.gamma"])
def test_parameters_that_an_update_spoilt(name: str) -> None:
    model = compiled("affine(8)-bn-relu -> affine -> softmax")
    model.params[name].reshape(-1)[-1] = np.nan
    found = fault_of(model, X[:10], Y[:10])
    assert (found.layer, found.array) == (name.partition(".")[0], name)
    assert f"made {name} infinite or NaN" in found.in_words(np.arange(10))


def test_a_branch_is_found_behind_a_merge() -> None:
    """The layer named has finite inputs, whatever the order of reading."""
    model = compiled("affine(6) -> add(affine(6)-relu | affine(6)-tanh | id) -> affine -> softmax")
    model.params["affine2.W"][...] = 3e38
    found = fault_of(model, np.abs(X[:10]) + 1, Y[:10])
    assert found.layer == "affine2"


def test_the_loss_itself() -> None:
    model = netspec.compile("affine -> linear", input=6, outputs=1, train="batch = 10; optimizer = sgd(lr=1e-9)")
    y = np.ones(60, np.float32)
    y[17] = 3e38
    with pytest.raises(DivergedError, match="the loss itself overflows in row 17 of the data") as told:
        model.fit(X, y, epochs=1)
    assert (told.value.layer, told.value.rows) == (None, (17,))


# Training


@pytest.mark.parametrize("rows", [60, 4000])
def test_rows_are_those_of_the_data(rows: int) -> None:
    """Whatever the shuffle: the bad row is told by its number in the data."""
    x = np.resize(X, (rows, 6)).copy()
    bad = rows // 3
    x[bad] = 3e38
    model = compiled("affine(8)-relu -> affine -> softmax")
    with pytest.raises(DivergedError) as told:
        model.fit(x, np.arange(rows) % 3, epochs=1)
    assert bad in told.value.rows
    assert told.value.layer is not None
    assert told.value.step is not None
    assert f"row {bad} of the data" in str(told.value) or f"Row {bad} holds" in str(told.value)


def test_rows_of_a_file_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_BYTES", 0)
    monkeypatch.setattr(feed, "WINDOW_BYTES", 20 * 24)
    monkeypatch.setattr(feed, "BLOCK_BYTES", 5 * 24)
    x = X.copy()
    x[41] = 3e38
    np.save(tmp_path / "x.npy", x)
    model = compiled("affine(8)-relu -> affine -> softmax")
    with pytest.raises(DivergedError) as told:
        model.fit(np.load(tmp_path / "x.npy", mmap_mode="r"), Y, epochs=1)
    assert told.value.rows == (41,)


def test_training_stops_before_the_update_and_keeps_finite_weights() -> None:
    for text in ("affine(8)-relu -> affine -> softmax", "affine(8)-bn-relu -> affine -> softmax"):
        model = compiled(text, train="batch = 10; optimizer = sgd(lr=1e30)")
        with pytest.raises(DivergedError) as told:
            model.fit(X, Y, epochs=3)
        assert told.value.step == model.step_count + 1
        assert len(model.history.loss) == model.step_count
        assert all(np.isfinite(array).all() for array in (*model.params.values(), *model.state.values()))
        assert told.value.step in (1, 2)


def test_the_last_good_weights_stay_in_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights in the folder are those of a step whose loss, and the next one's, were finite: two before the loss that was not."""
    monkeypatch.chdir(tmp_path)
    spec = write_spec(Path(), MLP)
    save_each_step(monkeypatch)
    with pytest.raises(DivergedError) as told:
        train(spec, run_dir=Path("run"), **BLOWS_UP)
    state, step = read_state(Path("run/state/last.safetensors")), told.value.step
    assert step is not None
    assert state.found.step in (step - 2, step - 3), "the newest snapshot that a step went well after"
    assert f"the last good weights, of step {state.found.step}, are in run" in str(told.value)
    for name in ("last", "best"):
        tensors, _ = load_weights(Path(f"run/weights/{name}.safetensors"))
        assert all(np.isfinite(array).all() for array in tensors.values())
    events = [json.loads(line) for line in Path("run/events.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "stopped"
    assert "first bad layer" in events[-1]["reason"]


def test_what_is_saved_at_once_may_be_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without waiting for the next loss the run keeps weights by which the loss is not finite."""
    monkeypatch.chdir(tmp_path)
    spec = write_spec(Path(), MLP)
    save_each_step(monkeypatch)
    monkeypatch.setattr(Record, "steps", lambda self, training: self._write(self._snapshot(training)))
    with pytest.raises(DivergedError) as told:
        train(spec, run_dir=Path("run"), **BLOWS_UP)
    assert read_state(Path("run/state/last.safetensors")).found.step == (told.value.step or 0) - 1


def test_a_net_that_the_last_update_ruins_has_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its training loss was finite in every step, and no epoch has a validation loss: nothing of it may pass for a result."""
    monkeypatch.chdir(tmp_path)
    spec = write_spec(tmp_path, MLP)
    keys = {"train.optimizer": "sgd(lr=1e35)", "train.batch": 1000, "train.epochs": 1, "train.clip": 1e30, "train.schedule": "step"}
    with pytest.raises(DivergedError, match="the loss of the validation rows is infinite or NaN after every epoch"):
        train(spec, run_dir=Path("run"), **keys)
    tensors, metadata = load_weights(Path("run/weights/best.safetensors"))
    assert metadata["step"] == 0
    assert all(np.isfinite(array).all() for array in tensors.values())
