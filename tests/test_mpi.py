"""Training over MPI: real ranks on this machine, that agree with one process, and that fail in every way."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from netspec.ui.verbs.launch import MEANT, mpiexec

MODELS = Path(__file__).parents[1] / "models"
LONG = ("--epochs", "100000")
PATIENCE = 300
FAULTY = '''
import os, signal, sys, time
import netspec as ns
from netspec.plan.shared import SharedSteps

what = sys.argv[1]
rank = int(os.environ["PMI_RANK"])
add = SharedSteps._add


def faulty(self, flags):
    if rank == 1 and self.plan.store.step == 30:
        if what == "raises":
            raise ValueError("made on purpose")
        if what == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "stalls":
            time.sleep(1000)
    return add(self, flags)


SharedSteps._add = faulty
spec = sys.argv[2 + min(rank, len(sys.argv) - 3)]
if what == "does not begin" and rank == 1:
    time.sleep(1000)
run = ns.train(spec)
print(rank, run.path)
'''  # fmt: skip


ABORTS = '''
import os, pathlib, threading, time

def watch():
    while True:
        for mark, file in (("once", "spec.net"), ("twice", "weights/best.safetensors")):
            if os.path.exists("runs/digits/" + file) and not os.path.exists(mark) and (mark == "once" or os.path.exists("once")):
                pathlib.Path(mark).write_text("")
                os.kill(os.getpid(), 9 if mark == "once" else 6)
        time.sleep(0.0005 if not os.path.exists("once") else 0.3)

if os.environ.get("PMI_RANK") == "0":
    threading.Thread(target=watch, daemon=True).start()
'''  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NETSPEC_DEADLINE", raising=False)
    return tmp_path


def run(*words: object, ranks: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of netspec, by so many ranks where that is not 0."""
    before = [mpiexec(), "-n", str(ranks)] if ranks else []
    command = [*before, sys.executable, *map(str, words)]
    more = {"capture_output": True, "text": True, "timeout": PATIENCE, "check": False, "stdin": subprocess.DEVNULL}
    return subprocess.run(command, env={**os.environ, **environment}, **more)  # type: ignore[call-overload, no-any-return]


def train(*words: object, ranks: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "netspec", "train", *words, ranks=ranks, **environment)


def weights(folder: str) -> dict[str, Any]:
    return load_file(Path(folder) / "weights" / "last.safetensors")


def results(folder: str) -> list[dict[str, str]]:
    with (Path(folder) / "results.csv").open() as stream:
        return list(csv.DictReader(stream))


def assert_close(one: str, other: str, tolerance: float) -> None:
    """Weights, averages and figures of two runs."""
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    for name, array in a.items():
        assert np.abs(array - b[name]).max() <= tolerance * max(1.0, np.abs(array).max()), name
    for row, again in zip(results(one), results(other), strict=True):
        for column in ("epoch", "step", "lr", "loss", "val_loss"):
            assert abs(float(row[column]) - float(again[column])) <= tolerance * max(1.0, abs(float(row[column]))), column


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize(("model", "dtype"), [("digits", "float32"), ("digits_conv", "float64")])
def test_parity_with_one_process_after_a_hundred_steps(model: str, dtype: str, ranks: int) -> None:
    """bn, dropout, adam and a decaying rate; 1,438 rows, so that the last batch has 30, which four ranks cannot share alike."""
    file, more = MODELS / f"{model}.net", ("--epochs", 5, "--dtype", dtype, "--quiet")
    assert train(file, *more, "--run-dir", "one").returncode == 0
    shared = train(file, *more, "--run-dir", "many", ranks=ranks)
    assert (shared.returncode, shared.stdout, shared.stderr) == (0, "many\n", "")
    assert int(results("many")[-1]["step"]) >= 100
    assert_close("one", "many", 1e-5)
    told = json.loads(Path("many/env.json").read_text())
    assert (told["ranks"], told["bn"]) == (ranks, "whole batch")
    assert sorted(path.name for path in Path().iterdir()) == ["many", "one"]  # rank 0 alone has written


def test_statistics_of_own_rows() -> None:
    file, more = MODELS / "digits.net", ("--epochs", 3, "--quiet")
    assert train(file, *more, "--run-dir", "one").returncode == 0
    assert train(file, *more, "--run-dir", "own", "--local-bn", ranks=2).returncode == 0
    with pytest.raises(AssertionError):
        assert_close("one", "own", 1e-4)
    assert float(results("own")[-1]["val_accuracy"]) > 0.8


def test_a_run_goes_on_with_another_number_of_ranks() -> None:
    file, more = MODELS / "digits.net", ("--dtype", "float64", "--quiet")
    assert train(file, *more, "--epochs", 4, "--run-dir", "one").returncode == 0
    assert train(file, *more, "--epochs", 2, "--run-dir", "many", ranks=3).returncode == 0
    assert train(file, *more, "--resume", "many", "--epochs", 4, ranks=2).returncode == 0
    assert_close("one", "many", 1e-9)
    events = [json.loads(line) for line in Path("many/events.jsonl").read_text().splitlines()]
    assert [event["ranks"] for event in events if event["event"] == "resumed"] == [2]


# what one rank does, all hear of


@pytest.fixture
def faulty(here: Path) -> str:
    (here / "faulty.py").write_text(FAULTY)
    return "faulty.py"


def test_a_rank_that_raises_ends_all(faulty: str) -> None:
    done = run(faulty, "raises", MODELS / "digits.net", ranks=2)
    assert done.returncode == 1
    assert "rank 1 of 2" in done.stderr
    assert "error: ValueError: made on purpose" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rank_that_is_killed_ends_all(faulty: str) -> None:
    done = run(faulty, "is killed", MODELS / "digits.net", ranks=4)
    assert done.returncode not in MEANT
    assert not still_there()


def test_a_rank_that_stalls_is_named_after_the_deadline(faulty: str) -> None:
    began = time.monotonic()
    done = run(faulty, "stalls", MODELS / "digits.net", ranks=2, NETSPEC_DEADLINE="4")
    assert done.returncode == 7
    assert "no answer of rank 1 for 4 s" in done.stderr
    assert time.monotonic() - began < 100  # and not the 1,000 s of the stall


def test_rank_0_may_take_its_time_at_the_end_of_an_epoch(faulty: str) -> None:
    """In a callback, or a save to a slow disk: that is no stall."""
    slow = "ns.train(spec, callbacks=[lambda model, row: time.sleep(4.0 * (row['epoch'] == 1))])"
    Path(faulty).write_text(Path(faulty).read_text().replace("ns.train(spec)", slow))
    done = run(faulty, "nothing", write_rows("a", 0), ranks=2, NETSPEC_DEADLINE="2")
    assert done.returncode == 0, done.stderr


def test_a_rank_that_does_not_begin(faulty: str) -> None:
    """The others do not wait for it longer than ten times the deadline."""
    done = run(faulty, "does not begin", MODELS / "digits.net", ranks=2, NETSPEC_DEADLINE="0.5")
    assert done.returncode not in MEANT
    assert not still_there()


def test_what_fails_before_training_fails_once() -> None:
    wrong = train("nothing.net", ranks=3)
    assert (wrong.returncode, wrong.stderr.count("nothing.net")) == (2, 1)
    Path("bad.net").write_text("netspec 1\ninput 3\nclasses 2\nnet affin(3)\n")
    wrong = train("bad.net", ranks=2)
    assert (wrong.returncode, wrong.stderr.count("NS201")) == (3, 1)
    assert "PeerError" not in wrong.stderr


def write_rows(name: str, seed: int) -> str:
    draw = np.random.default_rng(seed)
    Path(name).mkdir()
    np.savez(Path(name) / "rows.npz", x=draw.normal(size=(90, 5)), y=np.arange(90) % 3)
    data = 'data { source = npz; path = "rows.npz"; split = 60 / 30 }'
    (Path(name) / "rows.net").write_text(f"netspec 1\n{data}\nnet affine(8)-relu -> affine -> softmax\ntrain {{ batch = 20 }}\n")
    return f"{name}/rows.net"


def test_ranks_with_other_data_do_not_begin(faulty: str) -> None:
    a, same, other = (write_rows(name, seed) for name, seed in (("a", 0), ("same", 0), ("other", 1)))
    assert run(faulty, "nothing", a, same, ranks=2).returncode == 0
    done = run(faulty, "nothing", a, other, ranks=2)
    assert "the ranks have not the same data: rank 1" in done.stderr
    assert done.returncode in (1, 4)  # a script's own exit code, where it lets the error pass
    assert len(list(Path("runs").iterdir())) == 1


def test_ranks_with_other_specs_do_not_begin(faulty: str) -> None:
    a, b = write_rows("a", 0), write_rows("b", 0)
    Path(b).write_text(Path(b).read_text().replace("affine(8)", "affine(9)"))
    done = run(faulty, "nothing", a, b, ranks=2)
    assert "the ranks have not the same spec: rank 1" in done.stderr
    assert not Path("runs").exists()


def test_ranks_that_begin_with_other_weights_do_not_begin(faulty: str) -> None:
    """Folders of the same name on two machines may hold other states."""
    text = (
        Path(faulty).read_text().replace("run = ns.train(spec)", "run = ns.train(spec, resume=sys.argv[4 + rank], **{'train.epochs': 9})")
    )
    Path(faulty).write_text(text)
    a = write_rows("a", 0)
    for name, epochs in (("two", 2), ("three", 3)):
        assert train(a, "--epochs", epochs, "--run-dir", name, "--quiet").returncode == 0
    done = run(faulty, "nothing", a, a, "two", "three", ranks=2)
    assert "the ranks have not the same weights to begin with: rank 1" in done.stderr


def test_the_folder_is_whole_where_train_returns(faulty: str) -> None:
    """On every rank; and a script may train twice."""
    text = Path(faulty).read_text() + "\nns.train(spec)\nassert (run.path / 'report.html').exists()\n"
    Path(faulty).write_text(text)
    done = run(faulty, "nothing", write_rows("a", 0), ranks=3)
    assert done.returncode == 0, done.stderr
    assert len(list(Path("runs").iterdir())) == 2


def test_a_missing_file_of_one_rank_is_told_by_it(faulty: str) -> None:
    a, b = write_rows("a", 0), write_rows("b", 0)
    (Path("b") / "rows.npz").unlink()
    done = run(faulty, "nothing", a, b, ranks=2)
    assert done.returncode != 0
    assert "on rank 1 of 2" in done.stderr
    assert not Path("runs").exists()


# launch


class Launched:
    """A command of netspec that is at work."""

    def __init__(self, *words: object) -> None:
        # a shell's background jobs ignore Ctrl-C, and env brings it back: code between fork and exec would not stand beside threads
        self.process = subprocess.Popen(
            ["env", "--default-signal=INT", sys.executable, "-m", "netspec", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def until(self, folder: str, epoch: int) -> None:
        """Waits for a row of results."""
        end = time.monotonic() + PATIENCE
        path = Path(folder) / "results.csv"
        while not path.exists() or path.read_text().count("\n") < epoch + 1 or not (Path(folder) / "state" / "last.safetensors").exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def ranks() -> list[int]:
    """The process numbers of the ranks that work in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"PMI_RANK=" in (process / "environ").read_bytes() and (process / "cwd").resolve() == Path.cwd():
                found.append(int(process.name))
        except OSError:
            continue
    return sorted(found)


def still_there() -> list[int]:
    """Ranks that are not gone."""
    end = time.monotonic() + 20
    while (found := ranks()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


@pytest.fixture
def launched() -> Iterator[list[Launched]]:
    made: list[Launched] = []
    yield made
    for one in made:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


def test_after_a_loss_all_begin_again_with_fewer_ranks(launched: list[Launched]) -> None:
    words = ("launch", "-n", 3, "--max-restarts", 2, "--restart-ranks", 2, "train", MODELS / "digits.net", "--dtype", "float64", "--quiet")
    one = Launched(*words, "--epochs", 400)
    launched.append(one)
    one.until("runs/digits", 20)
    os.kill(ranks()[-1], signal.SIGKILL)
    code, out, err = one.end()
    assert (code, out.splitlines()[-1]) == (0, "runs/digits")
    assert "all begin again from the last state, 2 times at most" in err
    assert [int(row["epoch"]) for row in results("runs/digits")] == list(range(1, 401))
    events = [json.loads(line) for line in Path("runs/digits/events.jsonl").read_text().splitlines()]
    assert [event["ranks"] for event in events if event["event"] == "resumed"] == [2]
    assert not still_there()


def test_without_restarts_left_the_exit_code_is_7(launched: list[Launched]) -> None:
    one = Launched("launch", "-n", 2, "train", MODELS / "digits.net", *LONG, "--quiet")
    launched.append(one)
    one.until("runs/digits", 3)
    os.kill(ranks()[0], signal.SIGKILL)
    code, _, err = one.end()
    assert code == 7
    assert "netspec launch -n 2 train --resume runs/digits" in err
    assert not still_there()


def test_ctrl_c_saves_on_rank_0_and_ends_all(launched: list[Launched]) -> None:
    one = Launched("launch", "-n", 2, "--max-restarts", 3, "train", MODELS / "digits.net", *LONG, "--quiet")
    launched.append(one)
    one.until("runs/digits", 3)
    os.killpg(one.process.pid, signal.SIGINT)  # as a terminal does
    code, _, err = one.end()
    assert code == 130
    assert err.count("the weights are saved in runs/digits") == 1
    assert not still_there()
    more = train("--resume", "runs/digits", "--epochs", len(results("runs/digits")) + 2, "--quiet")
    assert more.returncode in (0, 2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_asks_for_the_end_is_no_loss(number: int, code: int, launched: list[Launched]) -> None:
    """Before there are handlers in the ranks too, which then die of it, and where launch alone hears it."""
    early = Launched("launch", "-n", 2, "--max-restarts", 3, "train", MODELS / "digits.net", *LONG, "--quiet")
    launched.append(early)
    while not ranks():
        assert early.process.poll() is None
        time.sleep(0.01)
    early.process.send_signal(number)
    found, _, err = early.end()
    assert (found, "begin again" in err) == (code, False)
    late = Launched("launch", "-n", 2, "--max-restarts", 3, "train", MODELS / "digits.net", *LONG, "--quiet", "--run-dir", "late")
    launched.append(late)
    late.until("late", 2)
    late.process.send_signal(number)
    time.sleep(0.05)
    late.process.send_signal(number)
    found, _, err = late.end()
    assert (found, "begin again" in err) == (code, False)
    assert not still_there()


def test_a_loss_before_the_first_save_begins_anew(here: Path) -> None:
    """What the lost attempt has left is no folder of somebody else's. A rank that aborts later is lost too, though 6 is a code of runs."""
    (here / "sitecustomize.py").write_text(ABORTS)
    words = ("-m", "netspec", "launch", "-n", 2, "--max-restarts", 2, "train", MODELS / "digits.net", "--epochs", 300, "--quiet")
    done = run(*words, PYTHONPATH=os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")]))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "runs/digits"), done.stderr
    assert "begin again from the beginning, 2 times" in done.stderr
    assert "begin again from the last state, once" in done.stderr
    assert [int(row["epoch"]) for row in results("runs/digits")] == list(range(1, 301))


def test_a_folder_of_somebody_else_is_left_alone() -> None:
    Path("mine").mkdir()
    Path("mine/notes").write_text("keep")
    done = run("-m", "netspec", "launch", "--max-restarts", 2, "train", MODELS / "digits.net", "--run-dir=mine")
    assert done.returncode == 2
    assert [path.name for path in Path("mine").iterdir()] == ["notes"]


def test_launch_says_what_is_missing() -> None:
    for words, told in (((), "launch starts `train`"), (("train",), "give a .net file"), (("train", "no.net"), "no.net: no such file")):
        done = run("-m", "netspec", "launch", "-n", 2, *words)
        assert done.returncode == 2
        assert told in done.stderr or "Missing argument" in done.stderr
    assert not Path("runs").exists()


def test_processes_of_another_library_are_told_apart() -> None:
    """Where mpi4py finds fewer processes than were started they would each train by themselves."""
    done = train(MODELS / "digits.net", OMPI_COMM_WORLD_SIZE="2")
    assert done.returncode == 2
    assert "2 processes were started, and the MPI library of mpi4py finds 1" in done.stderr


@pytest.mark.parametrize("told", ["soon", "0", "-1", "inf", "nan"])
def test_a_deadline_that_is_none(told: str) -> None:
    done = train(MODELS / "digits.net", ranks=2, NETSPEC_DEADLINE=told)
    assert done.returncode == 2
    assert f"NETSPEC_DEADLINE={told}" in done.stderr
