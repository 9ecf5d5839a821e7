"""`watch` and `runs`: what is told of a run from outside, in whatever state it is, on whatever terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import MLP, left, write_spec
from typer.testing import CliRunner, Result

from netspec.base.errors import DataError
from netspec.pipeline import train
from netspec.save import held as held_module
from netspec.save.announced import announced, is_announced
from netspec.save.held import held, is_held
from netspec.save.run_folder import RunFolder
from netspec.save.story import State, Story, Tail, read_ends
from netspec.ui.cli import app
from netspec.ui.live import watched as watched_module
from netspec.ui.live.chart import AXIS, Series, chart, scale_of
from netspec.ui.live.facts import best_of, exit_code, standing
from netspec.ui.live.view import Frame, frame, in_time, shortened_net
from netspec.ui.live.watched import Watched

VALUES = """netspec 1
data { source = npz; path = "values.npz"; split = 0.7/0.2/0.1 }
net affine(8)-relu -> affine
train { batch = 8; epochs = 3 }
"""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def run(name: str = "one", **keys: Any) -> Path:
    path = Path("runs", name)
    train(write_spec(Path(), MLP), run_dir=path, **keys)
    return path


def told(*events: dict[str, Any], path: Path = Path("runs/told")) -> Path:
    """A run folder with these events."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "spec.net").write_text(MLP)
    (path / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return path


BEGIN = {
    "event": "begin", "time": "2026-05-01T12:00:00+00:00", "spec": "net.net", "net": "affine(16)-relu -> affine -> softmax",
    "parameters": 1555, "epochs": 10, "steps_per_epoch": 100, "epochs_done": 0, "steps_done": 0,
}  # fmt: skip


def steps(first: int, last: int, epoch: int = 1, seconds: float = 0.1) -> list[dict[str, Any]]:
    return [
        {"event": "step", "epoch": epoch, "step": step, "loss": 2.0 / step, "lr": 0.01, "seconds": step * seconds}
        for step in range(first, last + 1)
    ]


def row(epoch: int, accuracy: float | None = 0.5) -> dict[str, Any]:
    figures = {"train_accuracy": accuracy, "val_loss": 1 / epoch, "val_accuracy": accuracy}
    return {"event": "epoch", "epoch": epoch, "step": 100 * epoch, "lr": 0.01, "loss": 0.5, **figures, "seconds": 10.0 * epoch}


def story_of(*events: dict[str, Any]) -> Story:
    story = Story()
    for number, event in enumerate(events):
        story.add(json.dumps(event), f"line {number}")
    return story


STOPPED = {"event": "stopped", "time": "", "step": 150, "reason": "why it was", "code": 0}
END = {"event": "end", "time": "", "epochs": 2, "of": 10, "best": row(2), "split": "test", "loss": 0.25, "accuracy": 0.75}
HISTORY = (BEGIN, *steps(1, 100), row(1), *steps(101, 150, 2))
STORIES: dict[str, tuple[tuple[dict[str, Any], ...], bool, State, int]] = {
    "training": (HISTORY, True, "training", 0),
    "ended": ((*HISTORY, row(2), END), False, "ended", 0),
    "ended, and still held": ((*HISTORY, row(2), END), True, "ended", 0),
    "ended by a rule": ((*HISTORY, row(2), STOPPED, END), False, "ended", 0),
    "stopped by a rule, and gone before its end": ((*HISTORY, STOPPED), False, "stopped", 0),
    "interrupted": ((*HISTORY, {**STOPPED, "code": 130}), False, "interrupted", 130),
    "killed politely": ((*HISTORY, {**STOPPED, "code": 143}), False, "interrupted", 143),
    "diverged": ((*HISTORY, {**STOPPED, "code": 5}), False, "diverged", 5),
    "gone": (HISTORY, False, "gone", 7),
    "resumed": ((*HISTORY, {**STOPPED, "code": 130}, {**BEGIN, "event": "resumed", "epoch": 1, "step": 120}), True, "training", 0),
    "resumed and gone": ((*HISTORY, {**STOPPED, "code": 130}, {**BEGIN, "event": "resumed"}), False, "gone", 7),
    "no epoch": ((BEGIN,), True, "training", 0),
    "values": ((BEGIN, *steps(1, 100), row(1, None)), True, "training", 0),
    "hostile": (
        ({**BEGIN, "net": "\x1b[2J\n" * 50, "epochs": "x", "steps_per_epoch": -3}, {"event": "epoch", "step": True}), True, "training", 0,
    ),
}  # fmt: skip


# states and figures


@pytest.mark.parametrize("name", STORIES)
def test_what_has_become_of_a_run(name: str) -> None:
    events, held, state, code = STORIES[name]
    story = story_of(*events)
    assert story.state(held) == state
    assert exit_code(state, story) == code


def test_how_far_a_run_has_come() -> None:
    at = standing(story_of(*HISTORY))
    assert (at.epoch, at.epochs, at.step, at.in_epoch, at.steps_per_epoch) == (1, 10, 150, 50, 100)
    assert at.share == pytest.approx(0.15)
    assert at.left == pytest.approx(85.0), "850 steps of a tenth of a second"
    later = standing(story_of(*HISTORY), saved_step=170, idle=3.0)
    assert (later.step, later.in_epoch, later.seconds) == (170, 70, 18.0)
    assert later.left == pytest.approx(82.0), "the state tells 20 steps more, which took two of the three seconds"
    assert standing(story_of(BEGIN)).left is None
    assert standing(story_of(*HISTORY, row(10))).share == 1.0


def test_the_best_epoch() -> None:
    assert best_of(story_of(BEGIN)) is None
    rows = [row(1, 0.5), row(2, 0.75), row(3, 0.75)]
    assert best_of(story_of(BEGIN, *rows)) == rows[1], "the earliest of equals"
    without = [row(1, None), row(2, None)]
    assert best_of(story_of(BEGIN, *without)) == without[1], "by the loss"


def test_times() -> None:
    assert [in_time(seconds) for seconds in (0.04, 9.94, 9.96, 75, 3599.4, 3600, 90_061)] == [
        "0.0 s", "9.9 s", "0:10", "1:15", "59:59", "1:00:00", "25:01:01",
    ]  # fmt: skip


# reading


def test_a_file_that_grows_is_read_once() -> None:
    path = run()
    content = (path / "events.jsonl").read_bytes()
    whole = Tail(path / "events.jsonl")
    assert whole.look()
    assert not whole.look()
    part, tail = Path("part.jsonl"), Tail(Path("part.jsonl"))
    assert not tail.look(), "it is not there yet"
    cuts = sorted(np.random.default_rng(0).integers(0, len(content), 30))
    for first, last in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with part.open("ab") as stream:
            stream.write(content[first:last])
        tail.look()
    assert vars(tail.story) == vars(whole.story)
    assert len(tail.story.steps) == 15


def test_a_file_that_is_replaced_is_read_anew() -> None:
    path = told(*HISTORY) / "events.jsonl"
    tail = Tail(path)
    tail.look()
    Path("new").write_text("".join(f"{json.dumps(event)}\n" for event in (BEGIN, *steps(1, 3))))
    os.replace("new", path)
    tail.look()
    assert (len(tail.story.steps), tail.story.rows) == (3, [])


@pytest.mark.parametrize("text", ["rubbish\n", "[1]\n", '{"event": "step", "step": "x", "loss": 1}\n', "x" * 100_000])
def test_a_damaged_file_is_named(text: str) -> None:
    path = told(BEGIN)
    with (path / "events.jsonl").open("a") as stream:
        stream.write(text)
    with pytest.raises(DataError, match=r"events\.jsonl: damaged"):
        Tail(path / "events.jsonl").look()
    done = call("watch", path, "--once")
    assert (done.exit_code, done.stdout) == (4, "")


def test_of_a_run_that_has_ended_two_pieces_are_read() -> None:
    many = [event for epoch in range(1, 11) for event in (*steps(100 * epoch - 99, 100 * epoch, epoch), row(epoch))]
    path = told(BEGIN, *many, END) / "events.jsonl"
    found = read_ends(path)
    whole = Tail(path)
    whole.look()
    assert (found.end, found.began, found.rows[-1]) == (whole.story.end, whole.story.began, whole.story.rows[-1])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + b"\nrubbish\n" + content[len(content) // 2 :])
    assert read_ends(path).end == END, "what lies between is not looked at"
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]) + b'{"event": "st')
    unfinished = read_ends(path)
    assert (unfinished.end, [event["epoch"] for event in unfinished.rows]) == (None, list(range(1, 11)))


# charts


def texts(rows: list[list[tuple[str, int]]]) -> list[str]:
    return ["".join(character for character, _ in cells) for cells in rows]


@pytest.mark.parametrize("dots", [True, False])
def test_charts_fill_their_room_and_no_more(dots: bool) -> None:
    draw = np.random.default_rng(0)
    for _ in range(150):
        count, width, height = (int(draw.integers(low, high)) for low, high in ((1, 300), (1, 120), (1, 30)))
        x = np.sort(draw.integers(1, 10_000, count)).tolist()
        y = (draw.choice([1.0, 1e-9, 1e12, -5.0]) * draw.normal(size=count)).tolist()
        y[0] = float("nan")
        series = [Series(x, y), Series(x[::3], y[::3], "o")]
        rows = chart(series, width, height, dots=dots, logarithmic=bool(draw.integers(2)))
        drawn = texts(rows)
        assert {len(line) for line in drawn} <= {width}
        assert len(drawn) in (0, height)
        assert dots or "".join(drawn).isascii()
        assert {owner for cells in rows for _, owner in cells} <= {AXIS, 0, 1}


def test_a_line_goes_where_its_points_are() -> None:
    x = list(range(100))
    rows = chart([Series(x, x)], 40, 12)
    columns = [next(at for at, (_, owner) in enumerate(cells) if owner == 0) for cells in rows[:-2]]
    assert columns == sorted(columns, reverse=True), "rising"
    assert columns[0] > 35
    assert columns[-1] < 8
    assert texts(rows)[0].lstrip().startswith("99 ┤")
    assert texts(rows)[-1].split() == ["0", "99"]


def test_marks_stand_on_their_points() -> None:
    rows = chart([Series([0, 1], [0, 1]), Series([0, 0.5, 1], [1, 0.5, 0], "o")], 31, 13, dots=False)
    marks = [(at, number) for number, cells in enumerate(rows) for at, (character, _) in enumerate(cells) if character == "o"]
    (left_, top), (_, middle), (right, bottom) = marks
    assert (right, top, middle, bottom) == (30, 0, 5, 10)
    assert left_ < right


def test_scales() -> None:
    assert scale_of([0.01, 1.0], True).logarithmic
    assert not scale_of([0.1, 1.0], True).logarithmic
    assert not scale_of([-1.0, 1.0], True).logarithmic
    assert not scale_of([0.01, 1.0]).logarithmic
    for values in ([3.0], [0.0, 0.0], [1e-12], [-2.0, -2.0]):
        assert scale_of(values).place(values[0]) == pytest.approx(0.5)
    falls = [2.4, 1.2, *np.linspace(0.5, 0.2, 20)]
    assert scale_of(falls, True).logarithmic, "most of the points would lie on the floor of a linear scale"
    assert not scale_of(np.linspace(2.4, 0.2, 20).tolist(), True).logarithmic, "and here they do not"
    for scale in (scale_of([0.01, 1.0], True), scale_of([-4.0, 9.0])):
        assert [scale.place(scale.low), scale.place(scale.high)] == pytest.approx([0, 1])
        assert scale.place(scale.value(0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize("ends", [(0.99949, 0.99951), (1.0, 1.0 + 1e-9), (123_456.25, 123_457.0), (0.0, 1e-30), (-2.0, -2.0)])
def test_labels_of_an_axis_are_apart(ends: tuple[float, float]) -> None:
    rows = texts(chart([Series([1, 1_234_567], ends)], 60, 10))
    labels = [line.partition(" ┤")[0].strip() for line in rows if "┤" in line]
    assert len(set(labels)) == len(labels) == 3
    numbers = [float(label) for label in labels]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(texts(chart([Series([1_234_567, 1_234_999], [1, 2])], 60, 10))[-1].split())) == 2


def test_a_logarithmic_axis_is_told() -> None:
    losses = [{**event, "loss": 2.4 if event["step"] < 4 else 0.2} for event in steps(1, 100)]
    for factor, told_ in ((1.0, True), (0.1, False)):
        story = story_of(BEGIN, *[{**event, "loss": event["loss"] if told_ else 2.4 - factor * event["step"] / 10} for event in losses])
        lines = frame(Frame("one", story, "training", standing(story), 80, 24))
        assert any("loss (log) " in line.plain for line in lines) == told_


def test_nothing_to_draw_is_nothing() -> None:
    assert chart([Series([], [])], 40, 10) == []
    assert chart([Series([1], [float("nan")])], 40, 10) == []
    assert chart([Series([1, 2], [1, 2])], 8, 10) == []


# frames


@pytest.mark.parametrize("name", STORIES)
def test_frames_fit_every_terminal(name: str) -> None:
    events, _, state, _ = STORIES[name]
    story = story_of(*events)
    for width in (1, 10, 20, 40, 71, 72, 80, 200):
        for height in (1, 3, 8, 15, 24, 60):
            for dots in (True, False):
                lines = frame(Frame("runs/one", story, state, standing(story), width, height, dots))
                assert len(lines) <= height
                assert max(len(line) for line in lines) <= width
                text = "\n".join(line.plain for line in lines)
                assert text.isprintable() or all(line.plain.isprintable() for line in lines)
                assert dots or text.isascii()


def shown(name: str, width: int = 80, height: int = 24) -> str:
    events, _, state, _ = STORIES[name]
    story = story_of(*events)
    return "\n".join(line.plain for line in frame(Frame("runs/one", story, state, standing(story), width, height)))


def test_what_a_frame_says() -> None:
    text = shown("training")
    for part in (
        "runs/one", "training", "affine(16)-relu -> affine -> softmax", "epoch 2/10", "15%", "1:25 left", "step 150",
        "50 of 100 in this epoch", "loss 0.0133", "lr 0.01", "best epoch 1  val_accuracy 0.5000", "accuracy", "o validation",
    ):  # fmt: skip
        assert part in text, part
    assert "test  loss 0.2500  accuracy 0.7500" in shown("ended")
    assert "why it was" in shown("ended by a rule")
    assert "why it was. netspec train --resume runs/one goes on" in shown("interrupted")
    assert "why it was" in shown("diverged")
    assert "its process is gone" in shown("gone")
    assert "accuracy" not in shown("values")
    assert "left" not in shown("gone")


def test_charts_lie_beside_or_below_each_other() -> None:
    (line,) = [line for line in shown("ended").splitlines() if "o validation" in line]
    assert line.count("o validation") == 2
    assert sum("o validation" in line for line in shown("ended", 50, 30).splitlines()) == 2


# the verb


def test_one_frame_of_a_run() -> None:
    path = run()
    done = call("watch", path, "--once")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "ended" in done.stdout
    assert "\x1b" not in done.stdout
    assert call("watch", "--once").stdout == call("watch", "runs", "--once").stdout == done.stdout, "without a name the newest of runs/"
    assert call("watch", path / "weights" / "best.safetensors", "--once").stdout == done.stdout


def test_values_have_no_accuracy() -> None:
    draw = np.random.default_rng(0)
    np.savez("values.npz", x=draw.normal(size=(50, 4)), y=draw.normal(size=50))
    Path("values.net").write_text(VALUES)
    train(Path("values.net"), run_dir=Path("runs/values"))
    text = call("watch", "runs/values").stdout
    assert "best epoch" in text
    assert "test  loss" in text
    assert "accuracy" not in text
    assert "test r2" in call("runs").stdout


def test_what_is_no_run() -> None:
    Path("folder").mkdir()
    Path("folder/notes.txt").write_text("mine")
    for words, part in ((("absent",), "no such run folder"), ((), "runs: holds no run"), (("folder",), "not a run folder")):
        done = call("watch", *words, "--once")
        assert (done.exit_code, done.stdout) == (2, "")
        assert part in done.stderr
    write_spec(Path(), MLP)
    assert "is a spec" in call("watch", "net.net").stderr


def test_a_folder_that_was_just_made_is_awaited() -> None:
    path = told()
    watched = Watched(path)
    for _ in range(3):
        watched.look()
        assert not watched.is_over
    assert "the run has not begun yet" in call("watch", path, "--once").stdout
    with RunFolder(path).held():
        told(*HISTORY)
        watched.look()
        assert not watched.is_over
    watched = Watched(path)
    watched.look()
    assert (watched.is_over, watched.state) == (True, "gone")


def test_one_that_trains_comes_before_a_newer_one() -> None:
    old, new = told(*HISTORY, path=Path("runs/old")), told(*HISTORY, path=Path("runs/new"))
    os.utime(old / "events.jsonl", (1, 1))
    assert call("watch", "--once").stdout.startswith(str(new))
    with RunFolder(old).held():
        assert call("watch", "--once").stdout.startswith(str(old))
        later = told(*HISTORY, path=Path("runs/sweeps/net/trial-0001"))
        os.utime(later, (2e9, 2e9))
        with RunFolder(later).held():
            assert call("watch", "--once").stdout.startswith(str(later)), "the one that was begun last, a sweep's too"
            assert call("watch", "runs/sweeps/net", "--once").stdout.startswith(str(later))


def found(watched: Watched) -> str:
    watched.look()
    return watched.folder.path.name if watched.folder else ""


def test_a_run_that_is_about_to_begin_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    told(*HISTORY, END, path=Path("runs/before"))
    assert found(Watched(None)) == "", "for a moment"
    assert found(Watched(None, at_once=True)) == "before"
    monkeypatch.setattr(watched_module, "BEGINS", 0.0)
    assert found(Watched(None)) == "before", "and no longer"
    watched = Watched(None)
    with announced(Path("runs")):
        assert found(watched) == ""
        assert watched.awaited == "a run is about to begin"
        now = told(BEGIN, path=Path("runs/now"))
        os.utime(now / "events.jsonl", (1, 1))
        assert found(Watched(None)) == "", "its process does not hold it yet"
        with RunFolder(now).held():
            assert found(watched) == "now"
    assert found(Watched(None)) == "before"


def test_training_announces_its_run() -> None:
    Path("runs").mkdir()
    seen: list[bool] = []
    train(write_spec(Path(), MLP), run_dir=Path("runs/one"), callbacks=[lambda *_: seen.append(is_announced(Path("runs")))])
    assert set(seen) == {True}
    assert not is_announced(Path("runs"))
    assert not is_announced(Path("absent"))
    with announced(Path("runs/one")):
        assert not RunFolder(Path("runs/one")).is_held, "who makes a run in a run's folder does not train that one"


def test_those_who_ask_do_not_take_each_other_for_who_makes_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runs").mkdir()
    other = os.open("runs", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)  # as who asks, for a moment
    monkeypatch.setattr(held_module, "LOOKS", 1)
    assert is_announced(Path("runs"))
    monkeypatch.setattr(held_module, "LOOKS", 100)
    threading.Timer(0.05, os.close, [other]).start()
    assert not is_announced(Path("runs"))
    with ThreadPoolExecutor(2) as two:
        assert not any(two.map(is_announced, [Path("runs")] * 200))
    monkeypatch.setattr(held_module, "LOOKS", 2)
    with announced(Path("runs")), announced(Path("runs")), ThreadPoolExecutor(2) as two:
        assert all(two.map(is_announced, [Path("runs")] * 4))


def test_what_is_held_together_is_held_by_nobody_alone() -> None:
    Path("runs").mkdir()
    with held(Path("runs"), shared=True), held(Path("runs"), shared=True):
        assert (is_held(Path("runs")), is_held(Path("runs"), shared=True)) == (False, True)
        with pytest.raises(BlockingIOError), held(Path("runs")):
            pass
    with held(Path("runs")), pytest.raises(BlockingIOError), held(Path("runs"), shared=True):
        pass
    with pytest.raises(FileNotFoundError), held(Path("absent")):
        pass
    assert is_held(Path("absent"), shared=True) is None


def test_lines_of_a_run_that_ended() -> None:
    path = run()
    done = call("watch", path)
    first, *epochs, best, measured, last = done.stdout.splitlines()
    assert (done.exit_code, done.stderr, first.partition(":")[0], last) == (0, "", str(path), "ended")
    assert [line.split()[:4] for line in epochs] == [["epoch", f"{at}/3", "step", f"{5 * at}"] for at in (1, 2, 3)]
    assert best.startswith("best epoch ")
    assert measured.startswith("test  loss ")
    assert call("watch").stdout == call("watch", "runs").stdout == done.stdout, "without a name the newest of runs/"
    assert call("watch", path / "weights" / "best.safetensors").stdout == done.stdout


@pytest.mark.parametrize("name", [name for name, (_, held, _, _) in STORIES.items() if not held])
def test_how_lines_end(name: str) -> None:
    events, _, state, code = STORIES[name]
    done = call("watch", told(*events))
    assert done.exit_code == code
    assert done.stdout.splitlines()[-1].partition(":")[0] == state
    assert done.stdout.isprintable() or all(line.isprintable() for line in done.stdout.splitlines())


def test_a_pipe_gets_a_line_for_each_epoch_as_it_comes() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "netspec", "watch", "runs/told"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        assert process.stderr.readline() == "runs/told: there is no such run yet; waiting for it (Ctrl-C leaves)\n"
        path = told()
        with RunFolder(path).held():
            for number, events in enumerate(((BEGIN,), (BEGIN, row(1)), (BEGIN, row(1), row(2)))):
                told(*events, path=path)
                line = process.stdout.readline()
                assert line.startswith(f"epoch {number}/10  step {number}00 " if number else "runs/told: affine"), line
            told(BEGIN, row(1), row(2), {**STOPPED, "code": 130}, path=path)
        assert process.stdout.read().splitlines()[-1] == "interrupted: why it was. netspec train --resume runs/told goes on"
        assert process.wait(60) == 130


def test_the_saved_state_tells_steps_that_no_event_does() -> None:
    path = run()
    tail = (path / "events.jsonl").read_text().splitlines(keepends=True)
    cut = next(at for at, line in enumerate(tail) if '"step": 8,' in line)
    (path / "events.jsonl").write_text("".join(tail[: cut + 1]))
    with RunFolder(path).held():
        assert "step 15" in call("watch", path, "--once").stdout
    assert "step 8" in call("watch", path, "--once").stdout, "of a run that is gone, what its events tell"


def test_nobody_who_watches_loads_a_compiler() -> None:
    run()
    code = (
        "import sys; from netspec.ui.verbs import runs, watch; from pathlib import Path; watch.run(None, once=True);"
        "runs.run(None, sort='time', json=False); print(sorted({'numba', 'llvmlite', 'lark', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_watching_changes_no_bytes() -> None:
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            call("watch", "runs/seen", "--once")

    write_spec(Path(), MLP)
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        train(Path("net.net"), run_dir=Path("runs/seen"), **{"train.epochs": 40})
    finally:
        done.set()
        watcher.join()
    train(Path("net.net"), run_dir=Path("runs/alone"), **{"train.epochs": 40})
    assert left(Path("runs/seen")) == left(Path("runs/alone"))


# on a terminal


class Terminal:
    """A process on a terminal of its own, and what it has written there."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.controller, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, 80))
        self.before = termios.tcgetattr(terminal)
        given = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment}
        streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
        self.process = subprocess.Popen([sys.executable, "-m", "netspec", *words], env=given, start_new_session=True, **streams)  # type: ignore[call-overload]
        self.terminal, self.text = terminal, ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while part := os.read(self.controller, 1 << 16):
                self.text += part.decode("utf-8", "replace")

    def until(self, part: str) -> None:
        for _ in range(400):
            if part in self.text:
                return
            time.sleep(0.05)
        raise AssertionError(f"{part!r} is not in {self.text[-2000:]!r}")

    def end(self) -> tuple[int, str]:
        """The exit code, and what stays on the screen."""
        code = self.process.wait(60)
        assert termios.tcgetattr(self.terminal)[3] == self.before[3], "the terminal is as it was"
        self.until("\x1b[?25h" if "\x1b[?25l" in self.text else "")
        time.sleep(0.1)
        return code, self.text.rpartition("\x1b[?1049l")[2]


@contextmanager
def terminal(*words: str, **environment: str) -> Iterator[Terminal]:
    one = Terminal(*words, **environment)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
        os.close(one.terminal)
        os.close(one.controller)


def test_a_run_is_awaited_followed_and_left() -> None:
    write_spec(Path(), MLP)
    with terminal("watch", "runs/one") as seen:
        seen.until("there is no such run yet")
        run()
        code, stays = seen.end()
        assert code == 0
        assert "ended" in stays
        assert "test  loss" in stays


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_keys_leave_a_run_that_goes_on(key: str) -> None:
    path = told(*HISTORY)
    with RunFolder(path).held(), terminal("watch", str(path), NO_COLOR="1") as seen:
        seen.until("50 of 100 in this epoch")
        if key == "\x03":  # the driver of the terminal sends it where that is the process's own
            os.killpg(seen.process.pid, signal.SIGINT)
        else:
            os.write(seen.controller, key.encode())
        code, stays = seen.end()
        assert code == 0
        assert "training" in stays
        assert "\x1b[3" not in seen.text, "no colour"


def test_a_resized_terminal_and_a_growing_run() -> None:
    path = told(*HISTORY)
    with RunFolder(path).held(), terminal("watch", str(path)) as seen:
        seen.until("50 of 100")
        termios.tcsetwinsize(seen.terminal, (20, 40))
        with (path / "events.jsonl").open("a") as stream:
            stream.writelines(f"{json.dumps(event)}\n" for event in steps(151, 160, 2))
        seen.until("60 of 100")
        seen.process.send_signal(signal.SIGTERM)
        assert seen.end()[0] == 143


def test_a_run_whose_process_dies_is_told() -> None:
    path = told(*HISTORY)
    with terminal("watch", str(path)) as seen:
        code, stays = seen.end()
        assert code == 7
        assert "its process is gone" in stays


# lists


def test_runs_with_their_figures() -> None:
    run("first")
    run("second", **{"train.epochs": 2, "seed": 5})
    lines = call("runs").stdout.splitlines()
    assert lines[0].split() == ["run", "began", "epochs", "state", "best", "measured", "time", "parameters", "net"]
    assert [line.split()[0] for line in call("runs", "--sort", "name").stdout.splitlines()[1:]] == ["first", "second"]
    (found,) = [one for one in json.loads(call("runs", "--json").stdout) if one["run"] == "runs/second"]
    assert (found["state"], found["epochs"], found["of"], found["split"]) == ("ended", 2, 2, "test")
    assert found["best"]["epoch"] in (1, 2)
    assert set(found["metrics"]) >= {"loss", "accuracy"}
    assert (call("runs", "runs/second").stdout.splitlines()[1].split()[0]) == "second"


def many() -> None:
    for number, (name, (events, _, _, _)) in enumerate(STORIES.items()):
        began = {**events[0], "time": f"2026-05-{number + 1:02d}T12:00:00+00:00"}
        told(began, *events[1:], path=Path("runs", name.replace(" ", "_")))


def test_every_state_is_a_row() -> None:
    many()
    (Path("runs") / "notes").mkdir()
    damaged = {"rubbish": b"rubbish\n", "long": b"x" * 100_000 + b"\n", "empty": b"", "binary": bytes(range(256))}
    for name, content in damaged.items():
        (told(path=Path("runs", f"bad-{name}")) / "events.jsonl").write_bytes(content)
    (told(path=Path("runs/bad-none")) / "events.jsonl").unlink()
    told(path=Path("runs/sweep/trial-1"))
    told(path=Path("runs/sweeps/net/trial-0001"))
    Path("runs/sweeps/net/results.csv").write_text("rank,trial,state\n1,1,complete\n")
    found = {one["run"].removeprefix("runs/"): one["state"] for one in json.loads(call("runs", "--json").stdout)}
    for name, (_, _, state, _) in STORIES.items():
        assert found[name.replace(" ", "_")] == ("gone" if state == "training" else state)
    assert {found[f"bad-{name}"] for name in ("rubbish", "long", "binary", "none")} == {"damaged"}
    assert found["sweep/trial-1"] == found["sweeps/net/trial-0001"] == "gone"
    assert "sweeps/net" not in found  # its results.csv is not one of a run
    assert "notes" not in found
    done = call("runs")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "events.jsonl is missing" in done.stdout
    assert "\x1b" not in done.stdout


def test_orders() -> None:
    for name, accuracy, day in (("a", 0.5, 3), ("b", 0.9, 1), ("c", None, 2)):
        began = {**BEGIN, "time": f"2026-05-0{day}T00:00:00+00:00"}
        told(began, row(1, accuracy), {**END, "best": row(1, accuracy), "accuracy": accuracy}, path=Path("runs", name))

    def order(*words: str) -> str:
        return "".join(line.split()[0] for line in call("runs", *words).stdout.splitlines()[1:])

    assert order() == "acb"
    assert order("--sort", "name") == "abc"
    assert order("--sort", "val_accuracy") == order("--sort", "accuracy") == "bac"
    done = call("runs", "--sort", "beauty")
    assert done.exit_code == 2
    assert "no run has that; there are time, name, accuracy" in done.stderr


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_lists_fit_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    many()
    monkeypatch.setenv("COLUMNS", str(width))
    lines = call("runs").stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 1 + len(STORIES)


LONG = "conv(8)-bn-relu -> conv(8)-bn-relu -> pool -> conv(16)-bn-relu -> conv(16)-bn-relu-dropout(20%) -> pool -> affine -> softmax"


def test_a_net_is_cut_at_an_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in range(1, 200):
        for dots, end in ((True, "\u2026"), (False, "...")):
            cut = shortened_net(LONG, width, dots)
            assert len(cut) <= max(width, len(end))
            if width >= len(LONG):
                assert cut == LONG
            elif width >= 20 + len(end):
                assert LONG.startswith(cut.removesuffix(end))
                assert cut.endswith(f" -> {end}")
    told({**BEGIN, "net": LONG}, END)
    assert LONG in call("runs").stdout, "nothing is cut where nobody looks at a screen"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    assert "conv(8)-bn-relu -> conv(8)-bn-relu -> pool -> \u2026\n" in call("runs").stdout


def test_no_runs() -> None:
    done = call("runs")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "runs: no runs\n")
    assert call("runs", "--json").stdout == "[]\n"
    assert (call("runs", "absent").exit_code, call("runs", "absent").stderr) == (2, "error: absent: no such folder\n")
    run()
    shutil.rmtree("runs/one/weights")
    assert "ended" in call("runs").stdout
