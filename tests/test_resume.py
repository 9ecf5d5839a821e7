"""A run that ended early goes on to the bytes of one that never did, from any step; with its own spec and data alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import CONV, MLP, SPECS, KillAt, Killed, left, save_each_step, write_spec
from typer.testing import CliRunner, Result

import netspec
from netspec import pipeline
from netspec.base.errors import DataError, UsageError
from netspec.pipeline import train
from netspec.save.atomic import SaveError
from netspec.save.run_folder import RunFolder
from netspec.save.weights import load_weights, save_weights
from netspec.train import feed
from netspec.train import state as state_module
from netspec.train.state import read_state
from netspec.ui.cli import app

STEPS = 15
"""Of three epochs of five steps."""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def whole(text: str, **keys: Any) -> tuple[Path, dict[str, str]]:
    """A spec, and what an unbroken run of it leaves."""
    spec = write_spec(Path(), text)
    train(spec, run_dir=Path("whole"), **keys)
    return spec, left(Path("whole"))


def killed(spec: Path, step: int, epoch: int = 0, **keys: Any) -> None:
    with pytest.raises(Killed):
        train(spec, run_dir=Path("part"), monitor=KillAt(step, epoch), **keys)


# The law


@pytest.mark.parametrize("step", range(1, STEPS + 1))
@pytest.mark.parametrize("name", SPECS)
def test_a_run_killed_after_any_step_goes_on_to_the_same_bytes(name: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, expected = whole(SPECS[name])
    with monkeypatch.context() as patch:
        save_each_step(patch)
        killed(spec, step)
    saved = state_module.read_state(RunFolder(Path("part")).state)
    assert saved.found.step in range(step - 3, step), "a step waits until it is known to be good"
    train(spec, resume=Path("part"))
    assert left(Path("part")) == expected


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_run_killed_between_an_epoch_and_its_row(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, expected = whole(MLP)
    with monkeypatch.context() as patch:
        save_each_step(patch)
        killed(spec, -1, epoch)
    train(spec, resume="part")
    assert left(Path("part")) == expected


def test_a_run_killed_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state stays at most two steps behind, so that killing after each third step comes to an end."""
    spec, expected = whole(CONV)
    with monkeypatch.context() as patch:
        save_each_step(patch)
        killed(spec, 3)
        for step in range(5, STEPS + 1, 2):
            with pytest.raises(Killed):
                train(spec, resume="part", monitor=KillAt(step))
    train(spec, resume="part")
    assert left(Path("part")) == expected
    assert [row["event"] for row in events() if row["event"] not in ("step", "epoch")].count("resumed") >= 1
    rows = [row["step"] for row in events() if row["event"] == "step"]
    assert rows == sorted(set(rows)), "no step is told twice"


def events() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("part/events.jsonl").read_text().splitlines()]


def test_history_and_model_are_those_of_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    one = train(spec, run_dir=Path("whole"))
    with monkeypatch.context() as patch:
        save_each_step(patch)
        killed(spec, 7)
    other = train(spec, resume="part")
    assert other.history.loss == one.history.loss[5:], "from the epoch on that it went on in"
    without_times = [[{**row, "seconds": 0} for row in each.history.epochs] for each in (one, other)]
    assert without_times[0] == without_times[1]
    assert other.metrics == one.metrics
    assert all((other.model.params[name] == one.model.params[name]).all() for name in one.model.params)
    assert other.history.epochs[-1]["seconds"] >= other.history.epochs[0]["seconds"]


def test_the_order_of_the_epoch_is_what_a_resume_in_its_middle_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the shuffle of the epoch that is begun in its middle the bytes are others."""
    spec, expected = whole(MLP)
    with monkeypatch.context() as patch:
        save_each_step(patch)
        killed(spec, 9)
    monkeypatch.setattr(feed, "shuffle", lambda *given: None)
    train(spec, resume="part")
    assert left(Path("part")) != expected


@pytest.mark.parametrize("lost", ["optimizer/", "best/", "history/loss"])
def test_a_state_that_lacks_something_is_refused(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    with monkeypatch.context() as patch:
        save_each_step(patch)
        killed(spec, 8)
    path = RunFolder(Path("part")).state
    tensors, metadata = load_weights(path)
    save_weights(path, {name: array for name, array in tensors.items() if not name.startswith(lost)}, metadata)
    with pytest.raises(DataError, match=lost):
        train(spec, resume="part")


DAMAGES = {
    "holds weights alone": lambda metadata: {key: value for key, value in metadata.items() if key != "position"},
    "its metadata is damaged: position": lambda metadata: {**metadata, "position": {"steps": -1}},
    "stands at step 99 of an epoch that has 5": lambda metadata: {
        **metadata,
        "step": 99 + 5 * metadata["epoch"],
        "position": {**metadata["position"], "steps": 99},
    },
}


@pytest.mark.parametrize("told", DAMAGES)
def test_a_state_that_says_what_cannot_be_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 8, monkeypatch)
    path = RunFolder(Path("part")).state
    tensors, metadata = load_weights(path)
    save_weights(path, tensors, DAMAGES[told](metadata))
    with pytest.raises(DataError, match=told):
        train(spec, resume="part")


def test_rows_of_a_file_larger_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shuffle by blocks too goes on in the middle of an epoch."""
    monkeypatch.setattr(feed, "MOST_BYTES", 0)
    monkeypatch.setattr(feed, "WINDOW_BYTES", 2 * 8 * 288)
    monkeypatch.setattr(feed, "BLOCK_BYTES", 2 * 288)
    text = MLP.replace('source = npz; path = "rows.npz"', 'source = npy; x = "x.npy"; y = "y.npy"').replace("; normalize = rescale", "")
    spec = write_spec(Path(), text)
    stored = np.load("rows.npz")
    np.save("x.npy", stored["x"])
    np.save("y.npy", stored["y"])
    train(spec, run_dir=Path("whole"))
    for step in (3, 8, 11):
        with monkeypatch.context() as patch:
            save_each_step(patch)
            killed(spec, step)
        train(spec, resume="part")
        assert left(Path("part")) == left(Path("whole"))
        shutil.rmtree("part")


# Where it stands already


def stopped_at(spec: Path, step: int, monkeypatch: pytest.MonkeyPatch, **keys: Any) -> None:
    with monkeypatch.context() as patch:
        save_each_step(patch)
        killed(spec, step, **keys)


def test_a_finished_run_says_so_and_takes_more_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MLP.replace("epochs = 3", "epochs = 5")
    spec, expected = whole(text)
    train(spec, run_dir=Path("part"), **{"train.epochs": 3})
    with pytest.raises(UsageError, match=r"finished its 3 epochs; --epochs 6"):
        train(spec, resume="part")
    with pytest.raises(UsageError, match=r"has already trained 3 epochs"):
        train(spec, resume="part", **{"train.epochs": 2})
    train(spec, resume="part", **{"train.epochs": 5})
    assert left(Path("part"))["results"] == expected["results"]
    assert "epochs = 5" in Path("part/spec.resolved.net").read_text()
    arrays = [load_weights(Path(run, "weights/last.safetensors"))[0] for run in ("whole", "part")]
    assert all((arrays[0][name] == arrays[1][name]).all() for name in arrays[0])


def test_more_epochs_are_refused_where_they_would_have_changed_what_is_done() -> None:
    spec = write_spec(Path(), MLP.replace("plateau(patience=1ep)", "cosine"))
    train(spec, run_dir=Path("part"))
    with pytest.raises(UsageError, match="depends on the length of the run"):
        train(spec, resume="part", **{"train.epochs": 5})


def test_a_run_that_its_stopping_rule_ended_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MLP.replace("epochs = 3", "epochs = 30; early_stop = stop(loss, patience=1ep, min_delta=10)")
    spec, expected = whole(text)
    stopped_at(spec, 9, monkeypatch)
    again = train(spec, resume="part")
    assert again.history.stopped is not None
    assert left(Path("part")) == expected
    once_more = train(spec, resume="part")
    assert once_more.history.stopped == again.history.stopped
    assert left(Path("part")) == expected


def test_values_of_the_first_command_line_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who trained with --set goes on without repeating it."""
    spec, expected = whole(MLP, **{"train.batch": 10, "seed": 9})
    stopped_at(spec, 7, monkeypatch, **{"train.batch": 10, "seed": 9})
    assert "batch = 10" in Path("part/spec.resolved.net").read_text()
    train(spec, resume="part")
    assert left(Path("part")) == expected


def test_overfit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    train(spec, run_dir=Path("whole"), overfit=20)
    stopped_at(spec, 5, monkeypatch, overfit=20)
    train(spec, resume="part")
    assert left(Path("part")) == left(Path("whole"))


def test_the_folder_may_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, expected = whole(MLP)
    stopped_at(spec, 7, monkeypatch)
    Path("deeper").mkdir()
    Path("part").rename("deeper/part")
    train(spec, resume="deeper/part")
    assert left(Path("deeper/part")) == expected


def test_a_state_is_restored_as_a_model_that_goes_on() -> None:
    """fit on arrays: restored from the state it continues with the optimiser's moments, to the bytes of one call."""
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(40, 5)), np.arange(40) % 3
    keys: dict[str, Any] = {"input": 5, "classes": 3, "train": "optimizer = adam(lr=1e-2); batch = 10"}
    one = netspec.compile("affine(8)-relu-dropout -> affine -> softmax", **keys)
    one.fit(x, y, epochs=4)
    other = netspec.compile("affine(8)-relu-dropout -> affine -> softmax", **keys)
    other.fit(x, y, epochs=2, run_dir="run")
    restored = netspec.restore("run/state/last.safetensors")
    restored.fit(x, y, epochs=2)
    assert all((restored.params[name] == one.params[name]).all() for name in one.params)


# What it refuses


CHANGES = {
    "a key": (lambda text: text.replace("l2 = 1e-3", "l2 = 1e-4"), r"train\.l2: 0\.001 -> 0\.0001"),
    "a layer": (lambda text: text.replace("affine(16)", "affine(17)"), r"affine1: width: 16 -> 17"),
    "a layer more": (lambda text: text.replace("x2 ->", "x3 ->"), r"affine3: added"),
    "the seed": (lambda text: text.replace("seed 3", "seed 4"), r"seed: 3 -> 4"),
    "the split": (lambda text: text.replace("0.7/0.2/0.1", "0.8/0.1/0.1"), r"data\.split"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_spec_is_refused_with_the_difference(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 7, monkeypatch)
    before = left(Path("part"))
    edit, told = CHANGES[change]
    spec.write_text(edit(MLP))
    with pytest.raises(UsageError, match=told) as refused:
        train(spec, resume="part")
    assert "begun with another spec" in str(refused.value)
    assert left(Path("part")) == before


def test_words_may_change_where_the_meaning_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, expected = whole(MLP)
    stopped_at(spec, 7, monkeypatch)
    units = MLP.replace("[affine(16)-bn-relu-dropout(30%)]x2", "hidden(16)x2")
    same = units.replace("net ", "# again\ndef hidden(w) = affine(w)-bn-relu-dropout(0.3)\nnet ")
    spec.write_text(same)
    train(spec, resume="part", **{"train.threads": 1})
    assert left(Path("part")) == expected


@pytest.mark.parametrize(("rows", "told"), [(56, "rows then: train 35.*; now: train 39"), (50, "as many rows as then, with other values")])
def test_changed_data_is_refused_with_the_difference(rows: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 7, monkeypatch)
    write_spec(Path(), MLP, rows)
    if rows == 50:
        stored = dict(np.load("rows.npz"))
        stored["x"][17, 0, 0, 0] += 1
        np.savez("rows.npz", **stored)
    with pytest.raises(DataError, match=told):
        train(spec, resume="part")


def test_two_processes_do_not_train_in_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 7, monkeypatch)
    with RunFolder(Path("part")).held(), pytest.raises(UsageError, match="another process trains"):
        train(spec, resume="part")
    train(spec, resume="part")


@pytest.mark.parametrize("file", ["state/last.safetensors", "results.csv", "env.json", "spec.resolved.net"])
def test_a_folder_that_lacks_a_file_says_which(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 14, monkeypatch)
    Path("part", file).unlink()
    with pytest.raises(DataError, match=Path(file).name):
        train(spec, resume="part")


def test_results_that_were_cut_off_lose_the_cut_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash may leave half a line of what came after the state."""
    spec, expected = whole(MLP)
    stopped_at(spec, 8, monkeypatch)
    for name in ("results.csv", "events.jsonl"):
        with Path("part", name).open("a") as stream:
            stream.write('{"event": "st' if name.startswith("e") else "2,10,0.0")
    train(spec, resume="part")
    assert left(Path("part")) == expected


def test_a_resume_that_cannot_write_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is missing or in the way: what the run holds stays. A folder of weights that is gone is made anew."""
    spec, expected = whole(MLP)
    stopped_at(spec, 7, monkeypatch)
    shutil.rmtree("part/weights")
    shutil.copytree("part", "blocked")
    Path("blocked/weights").write_text("in the way")
    with pytest.raises(SaveError, match="blocked/weights"):
        train(spec, resume="blocked")
    assert read_state(RunFolder(Path("blocked")).state).found.step > 0
    train(spec, resume="part")
    assert left(Path("part")) == expected


def test_a_resume_that_waits_sees_what_the_other_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is this process's before the state is read."""
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 7, monkeypatch)
    found: list[str] = []

    def meanwhile(*given: Any) -> Any:
        with pytest.raises(UsageError, match="another process trains") as refused:
            train(spec, resume="part")
        found.append(str(refused.value))
        return read_state(*given)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "read_state", meanwhile)
        train(spec, resume="part")
    assert len(found) == 1


@pytest.mark.parametrize(("change", "told"), [
    ({"spec": 'netspec 1\nuse "/etc/passwd"\nnet affine -> softmax'}, "is of another spec than the run"),
    ({"spec": MLP.replace("affine(16)", "affine(15)")}, "is of another spec than the run"),
    ({"step": 3}, "step 3 is none of epoch 2"),
    ({"epoch": 10**18}, "the rows of epochs 1 to"),
])  # fmt: skip
def test_a_forged_state_is_refused(change: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 8, monkeypatch)
    path = RunFolder(Path("part")).state
    tensors, metadata = load_weights(path)
    save_weights(path, tensors, {**metadata, **change})
    with pytest.raises((DataError, UsageError), match=told if "epoch" not in change else "epochs"):
        train(spec, resume="part")


def test_a_folder_in_the_place_of_a_temporary_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, expected = whole(MLP)
    stopped_at(spec, 7, monkeypatch)
    Path("part/weights/.last.safetensors.999999-abcdef12.tmp").mkdir()
    train(spec, resume="part")
    assert left(Path("part")) == expected


def test_a_picture_that_cannot_be_drawn_costs_no_result() -> None:
    spec = write_spec(Path(), MLP)
    train(spec, run_dir=Path("run"), **{"train.epochs": 1})
    Path("run/curves.png").unlink()
    Path("run/curves.png").mkdir()
    train(spec, resume="run", **{"train.epochs": 2})
    assert len(Path("run/results.csv").read_text().splitlines()) == 3


# As a person would


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, expected = whole(MLP)
    stopped_at(spec, 7, monkeypatch)
    shutil.copytree("part", "other")
    done = call("train", str(spec), "--resume", "part")
    assert (done.exit_code, left(Path("part"))) == (0, expected)
    done = call("train", "--resume", "other", "--json")
    assert (done.exit_code, left(Path("other"))) == (0, expected)
    assert json.loads(done.stdout.splitlines()[-1])["epochs"] == 3
    for wrong, told in (
        (("train",), "give a .net file, or --resume RUN"),
        (("train", str(spec), "--resume", "nowhere"), "nowhere"),
        (("train", str(spec), "--resume", "part", "--run-dir", "x"), "leave out --run-dir"),
        (("train", str(spec), "--resume", "part", "--dry-run"), "leave out --lr-find and --dry-run"),
        (("train", str(spec), "--resume", "part", "--set", "train.lr=1"), "train.optimizer.lr: 0.02 -> 1"),
    ):
        refused = call(*wrong)
        assert refused.exit_code == 2, refused.stderr
        assert told in refused.stderr


def test_epochs_of_a_changed_file_are_its_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), MLP)
    stopped_at(spec, 7, monkeypatch)
    spec.write_text(MLP.replace("epochs = 3", "epochs = 4"))
    assert len(train(spec, resume="part").history.epochs) == 4
