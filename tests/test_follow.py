"""Following a run from outside: its events as they are written, and the callbacks that hand its figures to other people's tools."""

from __future__ import annotations

import copy
import fcntl
import glob
import importlib.util
import json
import logging
import os
import signal
import struct
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import CONV, MLP, SPECS, KillAt, Killed, left, save_each_step, write_spec
from typer.testing import CliRunner

import netspec
from netspec.base.errors import DivergedError, Interrupted, UsageError
from netspec.pipeline import train
from netspec.save import run_folder
from netspec.save.events import logged_places, spacing
from netspec.save.run_folder import RunFolder
from netspec.train.history import best_row
from netspec.train.trackers import mlflow as mlflow_module
from netspec.train.trackers.tracker import LONGEST_ERROR, TrackerWarning, _line
from netspec.ui.cli import app

STEPS, EACH = 15, 5
"""Steps of a run of three epochs, and of an epoch."""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_"))]:
        monkeypatch.delenv(name)


def events(run: str = "run") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(run, "events.jsonl").read_text().splitlines()]


def told(run: str) -> list[dict[str, Any]]:
    """What happened in training, but for the times that it took."""
    return [{**event, "seconds": 0} for event in events(run) if event["event"] in ("step", "epoch")]


# which steps are told


@pytest.mark.parametrize("steps", [1, 2, 7, 23, 100, 1009])
@pytest.mark.parametrize("logged", [1, 2, 20, 1000])
def test_the_steps_that_are_told_do_not_depend_on_the_pieces(steps: int, logged: int) -> None:
    every, draw = spacing(steps, logged), np.random.default_rng(steps * logged)
    whole = list(logged_places(0, steps, steps, every))
    assert whole[-1] == steps - 1, "the last step is among them"
    assert len(whole) <= logged
    assert set(np.diff(whole)) <= {every}
    for _ in range(20):
        cuts = [0, *sorted(draw.integers(0, steps + 1, draw.integers(0, 6))), steps]
        pieces = [logged_places(first, last, steps, every) for first, last in pairwise(cuts)]
        assert [place for piece in pieces for place in piece] == whole


@pytest.mark.parametrize("step", [1, 4, 5, 8, 10, 14])
@pytest.mark.parametrize("name", SPECS)
def test_a_resumed_run_tells_what_an_unbroken_one_does(name: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(Path(), SPECS[name])
    train(spec, run_dir=Path("whole"))
    with monkeypatch.context() as patch:
        save_each_step(patch)
        with pytest.raises(Killed):
            train(spec, run_dir=Path("part"), monitor=KillAt(step))
    train(spec, resume="part", keep_losses=False)
    assert told("part") == told("whole")
    assert left(Path("part")) == left(Path("whole"))


def test_events_that_are_not_taken_away_are_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    spec = write_spec(Path(), MLP)
    train(spec, run_dir=Path("whole"))
    with monkeypatch.context() as patch:
        save_each_step(patch)
        with pytest.raises(Killed):
            train(spec, run_dir=Path("part"), monitor=KillAt(9))
    monkeypatch.setattr(run_folder, "is_before", lambda event, epoch, step: True)
    train(spec, resume="part")
    assert told("part") != told("whole")


def test_without_losses_the_same_is_told() -> None:
    spec = write_spec(Path(), CONV)
    train(spec, run_dir=Path("with"))
    train(spec, run_dir=Path("without"), keep_losses=False)
    assert told("with") == told("without")


class Reader:
    """Reads the events at each piece, as somebody outside would."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def on_step(self, model: Any, step: int, losses: Any) -> None:
        steps = [event["step"] for event in events() if event["event"] == "step"]
        self.seen.append((step, max(steps, default=0)))


def test_events_grow_while_an_epoch_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, reader = write_spec(Path(), MLP), Reader()
    save_each_step(monkeypatch)
    train(spec, run_dir=Path("run"), callbacks=[reader])
    # the last step of an epoch comes with the epoch's row
    assert reader.seen == [(step, step if step % EACH else step - 1) for step in range(1, STEPS + 1)]


def test_losses_and_rates_are_those_of_the_steps() -> None:
    run = train(write_spec(Path(), CONV), run_dir=Path("run"))
    steps = [event for event in events() if event["event"] == "step"]
    assert [event["loss"] for event in steps] == run.history.loss
    rates = [event["lr"] for event in steps]
    assert len(set(rates)) > 3, "the schedule warms up"
    assert [rates[at * EACH + EACH - 1] for at in range(3)] == [row["lr"] for row in run.history.epochs]
    assert [event["epoch"] for event in steps] == [1 + at // EACH for at in range(len(steps))]


# how it begins and ends


def test_beginning_and_end() -> None:
    run = train(write_spec(Path(), MLP), run_dir=Path("run"))
    first, *_, last = events()
    net = "flatten -> [affine(16)-bn-relu-dropout(30%)]x2 -> affine -> softmax"
    assert {key: first[key] for key in ("event", "spec", "net", "epochs", "steps_per_epoch", "epochs_done", "steps_done")} == {
        "event": "begin", "spec": "net.net", "net": net, "epochs": 3, "steps_per_epoch": EACH, "epochs_done": 0, "steps_done": 0,
    }  # fmt: skip
    assert first["parameters"] == run.model.graph.parameter_count
    assert (last["event"], last["epochs"], last["of"], last["split"]) == ("end", 3, 3, "test")
    assert last["best"] == best_row(run.history.epochs)
    assert {key: last[key] for key in run.metrics} == run.metrics


def test_a_fit_tells_its_end_too() -> None:
    model = netspec.compile("affine(4)-relu -> affine -> softmax", input=5, classes=3, train="batch = 10")
    x, y = np.random.default_rng(0).normal(size=(30, 5)), np.arange(30) % 3
    model.fit(x, y, epochs=2)
    model.fit(x, y, epochs=3, run_dir="run")
    first, *_, last = events()
    assert (first["epochs"], first["epochs_done"], first["steps_done"]) == (5, 2, 6)
    assert (last["event"], last["epochs"], last["of"]) == ("end", 5, 5)
    assert RunFolder(Path("run")).is_over


def test_why_a_run_ended_early() -> None:
    spec = write_spec(Path(), MLP)
    train(spec, run_dir=Path("rule"), callbacks=[lambda model, row: row["epoch"] == 2])
    assert [(event["event"], event.get("code")) for event in events("rule")[-2:]] == [("stopped", 0), ("end", None)]
    with pytest.raises(DivergedError):
        train(spec, run_dir=Path("bad"), **{"train.optimizer": "sgd(lr=1e30)", "train.clip": "1e30"})
    assert events("bad")[-1]["code"] == DivergedError.exit_code
    with pytest.raises(Interrupted):
        train(spec, run_dir=Path("cut"), callbacks=[lambda model, row: os.kill(os.getpid(), signal.SIGINT)])
    last = events("cut")[-1]
    assert (last["event"], last["code"], last["step"]) == ("stopped", 130, EACH)


def test_the_folder_is_held_until_all_is_told() -> None:
    spec, held = write_spec(Path(), MLP), []

    class Looks:
        def on_measured(self, model: Any, split: str, metrics: Any) -> None:
            held.append((RunFolder(Path("run")).is_held, events()[-1]["event"]))

    train(spec, run_dir=Path("run"), callbacks=[Looks()])
    assert held == [(True, "end")]
    assert not RunFolder(Path("run")).is_held
    assert not RunFolder(Path("absent")).is_held


def test_looking_keeps_nobody_from_training() -> None:
    """Who asks whether a folder is held holds it for a moment himself."""
    Path("run").mkdir()
    descriptor = os.open("run", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    threading.Timer(0.03, os.close, (descriptor,)).start()
    began = time.monotonic()
    with RunFolder(Path("run")).held():
        assert time.monotonic() - began > 0.01
    fcntl.flock(descriptor := os.open("run", os.O_RDONLY), fcntl.LOCK_SH)
    with pytest.raises(UsageError, match="another process trains"), RunFolder(Path("run")).held():
        pass
    os.close(descriptor)


# callbacks of netspec.train


class Diary(netspec.Callback):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_begin(self, model: Any) -> None:
        assert model.running.folder == Path("run")
        assert copy.deepcopy(model).running is None
        self.heard.append(f"begin of {model.running.steps_per_epoch}")

    def on_step(self, model: Any, step: int, losses: Any) -> None:
        assert model.running.rates(step, 1).shape == (1,)

    def on_epoch(self, model: Any, row: dict[str, Any]) -> None:
        self.heard.append(f"epoch {row['epoch']}")

    def on_measured(self, model: Any, split: str, metrics: dict[str, float]) -> None:
        self.heard.append(f"{split} {sorted(metrics)[0]}")

    def on_end(self, model: Any, history: Any) -> None:
        self.heard.append(f"end {len(history.epochs)}")

    def on_error(self, model: Any, error: BaseException) -> None:
        self.heard.append(type(error).__name__)


def test_what_callbacks_hear_of_a_run() -> None:
    spec, diary = write_spec(Path(), MLP), Diary()
    run = train(spec, run_dir=Path("run"), callbacks=[diary])
    assert diary.heard == ["begin of 5", "epoch 1", "epoch 2", "epoch 3", "test accuracy", "end 3"]
    assert run.model.running is None


def test_what_callbacks_hear_of_a_run_that_fails() -> None:
    spec, diary = write_spec(Path(), MLP), Diary()
    with pytest.raises(DivergedError):
        train(spec, run_dir=Path("run"), callbacks=[diary], **{"train.optimizer": "sgd(lr=1e30)", "train.clip": "1e30"})
    assert diary.heard[-1] == "DivergedError"
    assert "end" not in " ".join(diary.heard)


def test_no_callback_is_no_folder() -> None:
    spec = write_spec(Path(), MLP)
    with pytest.raises(UsageError, match="on_measured"):
        train(spec, run_dir=Path("run"), callbacks=[3])
    assert not Path("run").exists()


def test_a_callback_that_cannot_begin_leaves_no_folder() -> None:
    spec = write_spec(Path(), MLP)

    class Late:
        def __init__(self, hook: str) -> None:
            setattr(self, hook, self.fail)

        def fail(self, *given: Any) -> None:
            raise UsageError("no such server")

    for hook, there in (("on_begin", False), ("on_epoch", True)):
        with pytest.raises(UsageError, match="no such server"):
            train(spec, run_dir=Path(hook), callbacks=[Late(hook)])
        assert Path(hook).exists() is there


# TensorBoard


def event_files(folder: str) -> Iterator[Any]:
    """The events of a folder's files in order, as tensorboardX's own messages."""
    messages = pytest.importorskip("tensorboardX.proto.event_pb2", reason="tensorboardX is not installed")
    for path in sorted(glob.glob(f"{folder}/*tfevents*")):
        content, at = Path(path).read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            yield messages.Event.FromString(content[at + 12 : at + 12 + length])
            at += 12 + length + 4


def scalars(folder: str) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: values by tag and step, those purged that a restart supersedes."""
    shown: dict[str, dict[int, float]] = {}
    for event in event_files(folder):
        if event.session_log.status == event.session_log.START:
            shown = {tag: {step: y for step, y in values.items() if step < event.step} for tag, values in shown.items()}
        for value in event.summary.value:
            if value.HasField("simple_value"):
                values = shown.setdefault(value.tag, {})
                assert event.step not in values, "a step is told once"
                values[event.step] = value.simple_value
    return shown


def near(values: dict[int, float], expected: dict[int, float]) -> bool:
    return values.keys() == expected.keys() and np.allclose(list(values.values()), list(expected.values()), rtol=1e-6)


def test_tensorboard_gets_the_curves() -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    run = train(write_spec(Path(), MLP), run_dir=Path("run"), callbacks=[netspec.TensorBoard(histograms=True)])
    found, rows = scalars("run/tensorboard"), run.history.epochs
    assert near(found["loss/step"], dict(enumerate(run.history.loss, 1)))
    assert near(found["lr"], {event["step"]: event["lr"] for event in events() if event["event"] == "step"})
    for tag, column in (("loss/validation", "val_loss"), ("accuracy/validation", "val_accuracy"), ("accuracy/train", "train_accuracy")):
        assert near(found[tag], {row["step"]: row[column] for row in rows})
    assert near(found["test/accuracy"], {STEPS: run.metrics["accuracy"]})
    kinds = Counter(value.tag for event in event_files("run/tensorboard") for value in event.summary.value)
    assert kinds["affine1/W"] == 3, "a histogram an epoch"
    assert kinds["spec/text_summary"] == kinds["_hparams_/experiment"] == kinds["_hparams_/session_end_info"] == 1
    (text,) = [v for event in event_files("run/tensorboard") for v in event.summary.value if v.tag == "spec/text_summary"]
    assert Path("run/spec.resolved.net").read_text().split("train {")[1][:40] in text.tensor.string_val[0].decode()


@pytest.mark.parametrize("step", [4, 7])
def test_tensorboard_goes_on_where_a_resumed_run_does(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    spec = write_spec(Path(), MLP)
    whole = train(spec, run_dir=Path("whole"))
    with monkeypatch.context() as patch:
        save_each_step(patch)
        with pytest.raises(Interrupted):
            train(spec, run_dir=Path("run"), callbacks=[netspec.TensorBoard(), Interrupt(step)])
    train(spec, resume="run", callbacks=[netspec.TensorBoard()])
    found = scalars("run/tensorboard")
    assert near(found["loss/step"], dict(enumerate(whole.history.loss, 1)))
    assert near(found["loss/validation"], {row["step"]: row["val_loss"] for row in whole.history.epochs})


class Interrupt:
    """Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, model: Any, step: int, losses: Any) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_every_so_many_steps() -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    train(write_spec(Path(), MLP), run_dir=Path("run"), callbacks=[netspec.TensorBoard("logs", every=2)])
    assert list(scalars("logs")["loss/step"]) == [1, 3, 5, 6, 8, 10, 11, 13, 15]
    with pytest.raises(UsageError, match="whole number of steps"):
        netspec.TensorBoard(every=0)


def test_a_place_is_needed_without_a_run_folder() -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    model = netspec.compile("affine(4) -> affine -> softmax", input=5, classes=3)
    rows = np.random.default_rng(0).normal(size=(30, 5)), np.arange(30) % 3
    with pytest.raises(UsageError, match=r'give TensorBoard\("logs"\), or run_dir'):
        model.fit(*rows, epochs=1, callbacks=[netspec.TensorBoard()])
    model.fit(*rows, epochs=1, callbacks=[netspec.TensorBoard("logs")])
    assert scalars("logs")["loss/epoch"]


def test_a_tool_that_fails_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    spec, failing, other = write_spec(Path(), MLP), netspec.TensorBoard(), netspec.TensorBoard("other")

    def full(*given: Any) -> None:
        raise OSError("No space\nleft on device")

    monkeypatch.setattr(failing, "write", full)
    with pytest.warns(TrackerWarning, match="TensorBoard failed.* training goes on: OSError: No space left") as warned:
        train(spec, run_dir=Path("run"), callbacks=[failing, other])
    assert len(warned) == 1
    train(spec, run_dir=Path("plain"))
    assert left(Path("run")) == left(Path("plain"))
    assert len(scalars("other")["loss/epoch"]) == 3


def test_figures_of_a_tool_change_no_bytes() -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    spec = write_spec(Path(), CONV)
    train(spec, run_dir=Path("run"), callbacks=[netspec.TensorBoard(histograms=True)])
    train(spec, run_dir=Path("plain"))
    assert left(Path("run")) == left(Path("plain"))


@pytest.mark.parametrize(
    ("tool", "module", "command"),
    [
        ("TensorBoard", "tensorboardX", r"pip install 'netspec\[tensorboard\]'"),
        ("MLflow", "mlflow", "pip install mlflow"),
        ("WandB", "wandb", "pip install wandb"),
    ],
)
def test_a_tool_that_is_missing_is_told_in_a_line(tool: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=f"this needs {module}: {command}$"):
        getattr(netspec, tool)()
    write_spec(Path(), MLP)
    done = CliRunner().invoke(app, ["train", "net.net", "--log", tool.lower()])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: this needs {module}: pip install")
    assert not Path("runs").exists()


# MLflow


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store, whose tables take MLflow seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


def mlflow_run(store: str, run: str) -> Any:
    """The run as MLflow's own client reads it."""
    from mlflow import MlflowClient  # noqa: PLC0415  seconds, and not everywhere

    client = MlflowClient(tracking_uri=store)
    return client, client.get_run(json.loads(Path(run, "mlflow.json").read_text())["run_id"])


@pytest.mark.filterwarnings("ignore")  # of SQLAlchemy and MLflow themselves
def test_mlflow_gets_parameters_and_curves(store: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    needs("mlflow")
    needs("sqlalchemy")
    spec = write_spec(Path(), MLP)
    whole = train(spec, run_dir=Path("whole"))
    with monkeypatch.context() as patch:
        save_each_step(patch)
        with pytest.raises(Interrupted):
            train(spec, run_dir=Path("run"), callbacks=[netspec.MLflow(store, experiment="digits"), Interrupt(7)])
    client, found = mlflow_run(store, "run")
    assert found.info.status == "KILLED"
    run = train(spec, resume="run", callbacks=[netspec.MLflow(store, experiment="digits", artifacts=True)])
    client, found = mlflow_run(store, "run")
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run")
    assert len(client.search_runs([found.info.experiment_id])) == 1, "a resumed run is the same run"
    parameters = found.data.params
    assert (parameters["train.lr"], parameters["train.batch"], parameters["seed"]) == ("0.02", "8", "3")
    assert parameters["train.clip"] == "1.0" or "1.0" in parameters["train.clip"]
    assert parameters["net"].startswith("flatten -> [affine(16)")
    for name, column in (("val_loss", "val_loss"), ("epoch_loss", "loss")):
        history = {metric.step: metric.value for metric in client.get_metric_history(found.info.run_id, name)}
        assert near(history, {row["step"]: row[column] for row in whole.history.epochs})
    losses = {metric.step: metric.value for metric in client.get_metric_history(found.info.run_id, "loss")}
    assert near(dict(sorted(losses.items())), dict(enumerate(whole.history.loss, 1)))
    assert " INFO " not in capfd.readouterr().err, "of the tables that are made"
    assert found.data.metrics["test_accuracy"] == run.metrics["accuracy"]


@pytest.mark.parametrize(
    ("told", "local"),
    [("http://10.0.0.1:5000", False), ("databricks", False), ("databricks://me", False), ("postgresql://h/db", False),
     ("sqlite:///x.db", True), ("file:///tmp/x", True), ("mlruns", True)],
)  # fmt: skip
def test_no_server_of_the_environment_is_reached(told: str, local: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", told)
    if local:
        with warnings.catch_warnings():
            warnings.simplefilter("error", TrackerWarning)
            assert netspec.MLflow().uri == told
        return
    with pytest.warns(TrackerWarning, match="names a server"):
        assert netspec.MLflow().uri == f"sqlite:///{Path('mlflow.db').resolve()}"
    assert netspec.MLflow(told).uri == told, "where it is asked for"


def test_mlflow_is_hushed_and_impatient_while_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    for logger, level in zip(loggers, (logging.INFO, logging.ERROR), strict=True):
        monkeypatch.setattr(logger, "level", level)
    with mlflow_module._hushed(), mlflow_module._impatient():
        assert [logger.level for logger in loggers] == [logging.WARNING, logging.ERROR]
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77", "what a user has said counts"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
    assert [logger.level for logger in loggers] == [logging.INFO, logging.ERROR]
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.parametrize(
    ("word", "module", "told"),
    [
        ("mlflow=sqlite:////proc/x.db", "mlflow", "error: MLflow: its store /proc/x.db cannot be written: /proc: "),
        ("mlflow=xyz", "mlflow", "error: xyz: names no store of MLflow; write a file, as in sqlite:///runs.db, or a server"),
        ("tensorboard=/proc/logs/deep", "tensorboardX", "error: TensorBoard: its folder /proc/logs/deep cannot be written: /proc: "),
        ("tensorboard=net.net", "tensorboardX", "error: TensorBoard: its folder net.net cannot be written: "),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_training(word: str, module: str, told: str) -> None:
    needs(module)
    write_spec(Path(), MLP)
    done = CliRunner().invoke(app, ["train", "net.net", "--quiet", "--log", word])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1
    assert not Path("runs").exists()


def test_errors_of_tools_are_cut_between_words() -> None:
    told = _line(ValueError("word " * 300))
    assert told.startswith("ValueError: word word")
    assert told.endswith("word ...")
    assert len(told) < LONGEST_ERROR + 30
    assert _line(ValueError("short  one\n")) == "ValueError: short one"


# W&B


def wandb_records(path: str) -> Iterator[Any]:
    """The records of an offline run: LevelDB's log format around W&B's own messages."""
    from wandb.proto import wandb_internal_pb2  # noqa: PLC0415  not everywhere

    content, at, whole = Path(path).read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


@pytest.mark.filterwarnings("ignore")  # of wandb itself
def test_wandb_stays_offline_and_gets_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("wandb")
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    run = train(write_spec(Path(), MLP), run_dir=Path("run"), callbacks=[netspec.WandB("digits")])
    (path,) = glob.glob("run/wandb/offline-run-*/run-*.wandb")
    for _ in range(600):  # wandb's own process closes the file a moment later
        records = list(wandb_records(path))
        if any(one.WhichOneof("record_type") == "exit" for one in records):
            break
        time.sleep(0.05)
    config = {item.key: json.loads(item.value_json) for one in records for item in one.run.config.update if item.key != "_wandb"}
    assert (config["train.lr"], config["train.batch"], config["seed"]) == (0.02, 8, 3)
    rows = [{".".join(item.nested_key): json.loads(item.value_json) for item in one.history.item} for one in records if one.history.item]
    assert near({row["_step"]: row["loss"] for row in rows if "loss" in row}, dict(enumerate(run.history.loss, 1)))
    assert near(
        {row["_step"]: row["val_loss"] for row in rows if "val_loss" in row}, {r["step"]: r["val_loss"] for r in run.history.epochs}
    )
    assert json.loads(Path("run/wandb.json").read_text())["id"] in path
    with pytest.raises(UsageError, match="offline or online"):
        netspec.WandB(mode="disabled")  # type: ignore[arg-type]


# the command line


@pytest.mark.parametrize(
    ("words", "told"),
    [(("foo",), "--log foo: write tensorboard"), (("tensorboard=",), "write tensorboard, tensorboard=DIR"),
     (("tensorboard", "tensorboard=x"), "tensorboard is given twice")],
)  # fmt: skip
def test_what_log_does_not_take(words: tuple[str, ...], told: str) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    write_spec(Path(), MLP)
    done = CliRunner().invoke(app, ["train", "net.net", *(part for word in words for part in ("--log", word))])
    assert done.exit_code == 2
    assert told in done.stderr
    assert not Path("runs").exists()


def test_log_writes_into_the_run_folder() -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    write_spec(Path(), MLP)
    done = CliRunner().invoke(app, ["train", "net.net", "--log", "tensorboard", "-q"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "runs/net\n", "")
    assert len(scalars("runs/net/tensorboard")["loss/step"]) == STEPS
