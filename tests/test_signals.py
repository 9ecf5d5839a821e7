"""What ends a training run from outside: it saves, and goes; what only takes its reader away does not end it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from small_runs import MLP, left, write_spec

from netspec.train.state import read_state

LONG = ["--epochs", "10000000"]


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_spec(Path(), MLP)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "netspec", "train", "net.net", "--run-dir", "run", *words]


def wait_until(path: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not Path(path).exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def require_saved(told_within: float = 1.5) -> None:
    """The state is newer than the moment before the signal."""
    state = Path("run/state/last.safetensors")
    assert read_state(state).found.step > 0
    assert time.time() - state.stat().st_mtime < told_within + 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_ends_within_two_seconds(number: int, code: int) -> None:
    with subprocess.Popen(command(*LONG), stderr=subprocess.PIPE, text=True) as running:
        wait_until("run/results.csv")
        time.sleep(0.3)
        began = time.monotonic()
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert running.returncode == code
    assert time.monotonic() - began < 2
    saved, then = said.splitlines()
    assert saved.endswith("the weights are saved in run")
    assert then == "netspec train --resume run goes on; netspec report run makes the report of what is there"
    stopped = json.loads(Path("run/events.jsonl").read_text().splitlines()[-1])
    assert stopped["event"] == "stopped"
    assert stopped["step"] == read_state(Path("run/state/last.safetensors")).found.step, "nothing is lost"


def test_a_second_ctrl_c_ends_at_once() -> None:
    with subprocess.Popen(command(*LONG), stderr=subprocess.PIPE, text=True) as running:
        wait_until("run/results.csv")
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode in (130, -signal.SIGINT)
    assert time.monotonic() - began < 2
    read_state(Path("run/state/last.safetensors"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_is_ignored_stays_ignored(number: int) -> None:
    """As `nohup` starts it, or a shell in the background."""
    ignoring = """import runpy, signal, sys
signal.signal(int(sys.argv[1]), signal.SIG_IGN)
sys.argv = sys.argv[1:]
runpy.run_module("netspec", run_name="__main__")"""
    words = [sys.executable, "-c", ignoring, str(int(number)), *command("--epochs", "1500")[3:]]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        wait_until("run/results.csv")
        running.send_signal(number)
        running.communicate(timeout=120)
    assert running.returncode == 0
    assert len(Path("run/results.csv").read_text().splitlines()) == 1501


def test_a_closed_stdout_does_not_end_training() -> None:
    """`netspec train --json | head -1`."""
    with subprocess.Popen(command("--epochs", "300", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["epoch"] == 1
        running.stdout.close()
        assert running.stderr is not None
        said = running.stderr.read()
    assert "Traceback" not in said
    assert len(Path("run/results.csv").read_text().splitlines()) == 301
    read_state(Path("run/state/last.safetensors"))


ON_A_TERMINAL = """import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.argv[2], sys.argv[2:])"""


def on_a_terminal(words: list[str], ignored: bool = False) -> tuple[subprocess.Popen[bytes], int]:
    """The process, in a session of its own whose terminal it has, and our end of that."""
    ours, theirs = pty.openpty()
    start = [sys.executable, "-c", ON_A_TERMINAL, "ignored" if ignored else "heard", *words]
    process = subprocess.Popen(start, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    return process, ours


@pytest.mark.parametrize("ignored", [True, False])
def test_a_lost_terminal(ignored: bool) -> None:
    """The terminal closes: the run saves and ends, or, where hanging up is ignored, goes on without its bar."""
    process, terminal = on_a_terminal(command("--epochs", "1500") if ignored else command(*LONG), ignored)
    wait_until("run/results.csv")
    os.close(terminal)
    status = process.wait(120)
    rows = len(Path("run/results.csv").read_text().splitlines()) - 1
    assert rows == 1500 if ignored else status == 129
    assert read_state(Path("run/state/last.safetensors")).found.epoch == rows


def test_the_bar_does_not_change_a_byte() -> None:
    """A run on a terminal, with its bar, leaves the bytes of one without."""
    process, terminal = on_a_terminal(command())
    shown = b""
    with suppress(OSError):  # the other end is closed
        while more := os.read(terminal, 65536):
            shown += more
    assert process.wait(60) == 0
    os.close(terminal)
    assert b"epoch" in shown
    subprocess.run([*command()[:-1], "quiet", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    assert left(Path("run")) == left(Path("quiet"))
