"""What a run loses when disks fail, processes die, terminals close: at most the time between two saves, and never a file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faults import Crash, Fault, injected
from small_runs import CONV, MLP, left, save_each_step, write_spec

from netspec.pipeline import train
from netspec.save import atomic
from netspec.save.atomic import SaveError
from netspec.save.run_folder import RunFolder, open_run_folder
from netspec.save.weights import load_weights
from netspec.train import record
from netspec.train.state import read_state

KILLS = 200
EPOCHS = 2000
FAULTS: dict[str, tuple[Fault, ...]] = {"fails": ("full", "broken"), "short": ("short",), "crash": ("crash",)}
SHORT = MLP.replace("epochs = 3", "epochs = 2")


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def require_readable(folder: Path) -> int:
    """Every weights file and the state can be read; returns the updates that the state has."""
    run = open_run_folder(folder)  # sweeps
    for path in sorted(folder.glob("*/[!.]*")):
        load_weights(path)
    return read_state(run.state).found.step


# A file layer that fails at every call


def calls_of_a_run(monkeypatch: pytest.MonkeyPatch, spec: Path) -> int:
    with injected(monkeypatch, "broken", -1) as files:
        train(spec, run_dir=Path("counted"))
    return files.count


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("kind", ["fails", "short", "crash"])
def test_a_fault_at_every_call(kind: str, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each run that met one the files are readable, and it goes on to the bytes of a run that met none. `part` shares the work."""
    spec = write_spec(Path(), SHORT, 20)
    train(spec, run_dir=Path("whole"))
    expected = left(Path("whole"))
    save_each_step(monkeypatch)
    count = calls_of_a_run(monkeypatch, spec)
    assert count > 80
    for at in range(part, count, 2):
        run, fault = Path(f"at{at}"), FAULTS[kind][at // 2 % len(FAULTS[kind])]
        with injected(monkeypatch, fault, at) as files:
            try:
                train(spec, run_dir=run)
                ended = True
            except (SaveError, Crash):
                ended = False
        assert files.met is not None
        assert ended == (fault == "short"), "a short write is continued, all else ends the run"
        if not RunFolder(run).state.exists():
            assert at < 60, "the first save is over"
            assert fault == "crash" or not run.exists(), "a run that could not begin leaves nothing"
            continue
        require_readable(run)
        if not ended:
            train(spec, resume=run)
        assert left(run) == expected, at
        shutil.rmtree(run)


def test_the_layer_is_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: files that are written in place are found torn."""

    def in_place(path: Path, content: bytes) -> None:
        descriptor = atomic.os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            atomic.write_all(descriptor, content)
        finally:
            os.close(descriptor)

    spec = write_spec(Path(), SHORT)
    save_each_step(monkeypatch)
    monkeypatch.setattr(record, "write_atomic", in_place)
    count, torn = calls_of_a_run(monkeypatch, spec), 0
    for at in range(0, count, 7):
        run = Path(f"at{at}")
        with injected(monkeypatch, "crash", at), suppress(Crash, SaveError):
            train(spec, run_dir=run)
        try:
            require_readable(run)
        except Exception:
            torn += 1
    assert torn > 3


# Processes that die


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from netspec.pipeline import train
from netspec.train import record

spec, run, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
record.SAVE_SECONDS = float(sys.argv[4])
record.SAVE_SHARE = 0.5

class Told:
    def begin(self, **_): print("begun", flush=True)
    def steps(self, *, step, **_): print(step, time.monotonic(), flush=True)
    def epoch(self, row): pass
    def end(self): pass

def child(write):
    os.dup2(write, 1)
    try:
        where = {"resume": run} if (run / "state" / "last.safetensors").exists() else {"run_dir": run}
        train(spec, monitor=Told(), **where)
    except BaseException as error:
        print("error", error, flush=True)
        os._exit(3)
    os._exit(0)

draw = random.Random(kills)
for _ in range(kills):  # each child trains a little further; forked before any thread of numba's runs here
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        child(write)
    os.close(write)
    stream = os.fdopen(read)
    first = stream.readline()
    time.sleep(draw.uniform(0, 0.04))
    os.kill(process, signal.SIGKILL)
    now, code = time.monotonic(), os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    told = [line.split() for line in stream.read().split("\\n")[:-1]]
    print(first.strip() or "nothing", code, now, *(f"{step}:{at}" for step, at in told), flush=True)
    sys.stdin.readline()  # until the run was looked at
"""


@pytest.mark.parametrize("part", range(4))
def test_200_kills_lose_at_most_an_interval(part: int, record_property: Any) -> None:
    """Real `kill -9` at random moments of one run, which goes on after each; at the end its bytes are those of a run that nobody killed."""
    text = (MLP if part % 2 else CONV).replace("epochs = 3", f"epochs = {EPOCHS}")
    spec = write_spec(Path(), text)
    script = Path("killed.py")
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(spec), "run", str(KILLS // 4), "0.02"]
    kills, lost, before = 0, [0.0], 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for line in parent.stdout:
            first, code, now, *told = line.split()
            assert (first, int(code)) == ("begun", -signal.SIGKILL), line
            kills += 1
            step = require_readable(Path("run"))
            assert step >= before, "no run goes back"
            later = [float(at) for each, at in (pair.split(":") for pair in told) if int(each) > step]
            lost.append(float(now) - later[0] if later else 0.0)
            before = step
            parent.stdin.write("\n")
            parent.stdin.flush()
    assert kills == KILLS // 4
    assert max(lost) < 0.5, "training since the first step that is lost"
    record_property("lost_seconds", max(lost))
    train(spec, resume="run")
    train(spec, run_dir=Path("whole"))
    assert left(Path("run")) == left(Path("whole"))
