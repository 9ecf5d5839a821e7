"""Training over MPI: real ranks on this machine, that agree with one process, and that fail in every way."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from netspec.base.launched import LAUNCHED, decoded, encoded
from netspec.save.announced import is_announced
from netspec.train.team import STARTERS, place_of_environment
from netspec.ui.verbs.launch import Attempts, _in_words, mpiexec

MODELS = Path(__file__).parents[1] / "models"
LONG = ("--epochs", "100000")
PATIENCE = 300
FAULTY = '''
import os, resource, signal, sys, time
from types import SimpleNamespace
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


def slow_at(step):
    return lambda model, *told: time.sleep(4.0 * (model.step_count == step))


def full(*told):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


SharedSteps._add = faulty
HOOKS = {"is slow in on_step": {"on_step": slow_at(1)}, "is slow in on_epoch": {"on_epoch": slow_at(3)}}
HOOKS["has a full disk from the first step"] = {"on_begin": full}
spec = sys.argv[2 + min(rank, len(sys.argv) - 3)]
if what == "does not begin" and rank == 1:
    time.sleep(1000)
if what == "has a full disk from the beginning" and rank == 0:
    from mpi4py import MPI  # which has files of its own
    full()
run = ns.train(spec, callbacks=[SimpleNamespace(**HOOKS[what])] if what in HOOKS else [])
print(rank, run.path)
'''  # fmt: skip


ABORTS = '''
import os, pathlib, threading, time

def watch():
    while True:
        for mark, file in (("once", "spec.net"), ("twice", "weights/best.safetensors")):
            if os.path.exists("runs/digits/" + file) and not os.path.exists(mark) and (mark == "once" or os.path.exists("once")):
                pathlib.Path(mark).write_text("")
                os.kill(os.getpid(), 6 if mark == "once" else 9)
        time.sleep(0.0005 if not os.path.exists("once") else 0.3)

if os.environ.get("PMI_RANK") == "0":
    threading.Thread(target=watch, daemon=True).start()
'''  # fmt: skip


FAILS_ONCE = """
import os, pathlib, time

mark = pathlib.Path("failed")
if os.environ.get("PMI_RANK") == "1" and not mark.exists():
    from netspec.plan.shared import SharedSteps

    def fails(self, flags):
        mark.write_text("")
        {how}

    SharedSteps._add = fails
"""


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


def test_a_run_goes_on_with_the_statistics_that_it_was_begun_with() -> None:
    file = write_rows("a", 0, "affine(8)-bn-relu -> affine -> softmax")
    assert train(file, "--epochs", 4, "--run-dir", "never", "--quiet", "--local-bn", ranks=2).returncode == 0
    assert train(file, "--epochs", 2, "--run-dir", "stopped", "--quiet", "--local-bn", ranks=2).returncode == 0
    more = train("--resume", "stopped", "--epochs", 4, "--quiet", ranks=2)
    assert more.returncode == 0, more.stderr
    assert_close("never", "stopped", 0)
    assert train(file, "--epochs", 2, "--run-dir", "whole", "--quiet", ranks=2).returncode == 0
    other = train("--resume", "whole", "--epochs", 4, "--quiet", "--local-bn", ranks=2)
    assert other.returncode == 2
    assert other.stderr.count("error: whole: the run was begun with bn by the statistics of the whole batch") == 1


def test_statistics_of_one_row_are_told_before_the_first_step() -> None:
    file = write_rows("a", 0, "affine(8)-bn-relu -> affine -> softmax", batch=3)
    done = train(file, "--local-bn", ranks=2)
    assert (done.returncode, done.stderr.count("NS606")) == (3, 1)
    assert "help: leave --local-bn out, write batch = 4 or more, or start at most 1 process" in done.stderr
    assert not Path("runs").exists()


def test_ranks_that_never_have_a_row_are_told_once() -> None:
    done = train(write_rows("a", 0, batch=2), "--quiet", ranks=4)
    assert (done.returncode, done.stdout) == (0, "runs/rows\n")
    told = "4 processes share batches of 2, and 2 of them never get a row; start at most 2 processes, or write batch = 4 or more in train"
    assert done.stderr == f"warning: {told}\n"


@pytest.mark.parametrize(("option", "told"), [("--dry-run", "a dry run: nothing was trained"), ("--lr-find", "suggested lr")])
def test_one_rank_alone_looks_before_training(option: str, told: str) -> None:
    done = train(write_rows("a", 0), option, ranks=3)
    assert (done.returncode, done.stdout.count(told)) == (0, 1), done.stderr
    assert not Path("runs").exists()


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
    assert done.returncode == signal.SIGKILL
    assert not still_there()


def test_a_rank_that_stalls_is_named_after_the_deadline(faulty: str) -> None:
    began = time.monotonic()
    done = run(faulty, "stalls", MODELS / "digits.net", ranks=2, NETSPEC_DEADLINE="4")
    assert done.returncode == 7
    assert "no answer of rank 1 for 4 s" in done.stderr
    assert time.monotonic() - began < 100  # and not the 1,000 s of the stall


@pytest.mark.parametrize("hook", ["on_epoch", "on_step"])
def test_rank_0_may_take_its_time_between_steps(hook: str, faulty: str) -> None:
    """In a callback, or a save to a slow disk, at the end of an epoch and in its middle: that is no stall."""
    done = run(faulty, f"is slow in {hook}", write_rows("a", 0), ranks=2, NETSPEC_DEADLINE="2")
    assert done.returncode == 0, done.stderr


def test_a_rank_that_does_not_begin(faulty: str) -> None:
    """The others do not wait for it longer than ten times the deadline."""
    done = run(faulty, "does not begin", MODELS / "digits.net", ranks=2, NETSPEC_DEADLINE="0.5")
    assert done.returncode == signal.SIGALRM
    assert not still_there()


def test_what_fails_before_training_fails_once() -> None:
    wrong = train("nothing.net", ranks=3)
    assert (wrong.returncode, wrong.stderr.count("nothing.net")) == (2, 1)
    Path("bad.net").write_text("netspec 1\ninput 3\nclasses 2\nnet affin(3)\n")
    wrong = train("bad.net", ranks=2)
    assert (wrong.returncode, wrong.stderr.count("NS201")) == (3, 1)
    assert "PeerError" not in wrong.stderr


def write_rows(name: str, seed: int, net: str = "affine(8)-relu -> affine -> softmax", batch: int = 20) -> str:
    draw = np.random.default_rng(seed)
    Path(name).mkdir()
    np.savez(Path(name) / "rows.npz", x=draw.normal(size=(90, 5)), y=np.arange(90) % 3)
    data = 'data { source = npz; path = "rows.npz"; split = 60 / 30 }'
    (Path(name) / "rows.net").write_text(f"netspec 1\n{data}\nnet {net}\ntrain {{ batch = {batch} }}\n")
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


def test_ranks_with_other_statistics_do_not_begin(faulty: str) -> None:
    Path(faulty).write_text(Path(faulty).read_text().replace("ns.train(spec,", "ns.train(spec, local_bn=rank == 1,"))
    done = run(faulty, "nothing", write_rows("a", 0), ranks=2)
    assert "the ranks have not the same --local-bn: rank 1" in done.stderr


def test_ranks_that_begin_with_other_weights_do_not_begin(faulty: str) -> None:
    """Folders of the same name on two machines may hold other states."""
    text = Path(faulty).read_text().replace("ns.train(spec,", "ns.train(spec, resume=sys.argv[4 + rank], **{'train.epochs': 9},")
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


@pytest.mark.parametrize("since", ["the beginning", "the first step"])
def test_a_full_disk_of_rank_0_ends_all(since: str, faulty: str) -> None:
    """What was saved before stays readable."""
    done = run(faulty, f"has a full disk from {since}", write_rows("a", 0), ranks=2)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert not still_there()
    if since == "the beginning":
        assert not list(Path("runs").iterdir())
    else:
        assert train("--resume", "runs/rows", "--quiet", ranks=2).returncode == 0


def test_two_ranks_fill_an_empty_cache() -> None:
    """The first compiles, and the other finds what it has made."""
    Path("cache").mkdir(mode=0o700)
    done = train(write_rows("a", 0, "affine -> softmax"), "--quiet", ranks=2, NETSPEC_CACHE=str(Path("cache").resolve()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "runs/rows\n", "")
    assert list(Path("cache").glob("*.obj"))
    assert not list(Path("cache").glob("*tmp*"))


def test_a_connection_that_is_gone_is_a_loss(here: Path) -> None:
    lines = ["import sys, numpy", "from mpi4py import MPI", "from netspec.train.team import Team", "comm = MPI.COMM_WORLD.Dup()"]
    lines += ["team = Team(comm)", "team.add(numpy.zeros(1))", "comm.Free()", "team.add(numpy.zeros(1))"]
    (here / "gone.py").write_text("\n".join(lines))
    assert "LostError: the ranks have lost each other (Invalid communicator)" in run("gone.py", ranks=2).stderr


# launch


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 129, 130, 143])
def test_the_codes_of_launched_processes_are_those_of_no_signal(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert encoded(code) == code
    assert decoded(code) is None
    monkeypatch.setenv(LAUNCHED, "1")
    assert 64 <= encoded(code) < 128
    assert decoded(encoded(code)) == code
    assert (encoded(0), decoded(0)) == (0, 0)


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({}, (1, 0)),
        ({"PMI_SIZE": "4", "PMI_RANK": "2"}, (4, 2)),
        ({"OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1"}, (3, 1)),
        ({"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "0"}, (2, 0)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "PMIX_RANK": "5"}, (8, 5)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8", "SLURM_PROCID": "5"}, (1, 0)),  # processes that have nothing to do with MPI
        ({"SLURM_STEP_NUM_TASKS": "4", "PMIX_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, (2, 1)),
        ({"PMI_SIZE": "1", "PMI_RANK": "0", "MV2_COMM_WORLD_SIZE": "3", "MV2_COMM_WORLD_RANK": "2"}, (3, 2)),
        ({"PMI_SIZE": "many", "PMI_RANK": "0"}, (1, 0)),
    ],
)  # fmt: skip
def test_who_was_started_with_whom(told: dict[str, str], place: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {name for pair in STARTERS for name in pair}:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert place_of_environment() == place


class Launched:
    """A command of netspec that is at work."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "netspec", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
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


def test_what_does_not_end_when_it_is_asked_to_is_killed(here: Path) -> None:
    """And what it has started."""
    attempts = Attempts(os.environ, patience=0.5)

    def ask() -> None:
        while not (here / "child").exists() or not (here / "child").read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask).start()
    try:
        deaf = "trap '' TERM; sleep 300 & echo $! > child; wait; sleep 300"
        assert attempts.run(["bash", "-c", deaf]) == (143, False)
    finally:
        attempts.close()
    stat = Path(f"/proc/{(here / 'child').read_text().strip()}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"  # gone, but for who is to be told


def test_an_mpiexec_that_is_killed_is_a_loss() -> None:
    attempts = Attempts(os.environ, patience=0.5)
    try:
        code, is_lost = attempts.run(["bash", "-c", "kill -9 $$"])
    finally:
        attempts.close()
    assert (code, is_lost, _in_words(code)) == (-9, True, "signal 9")
    assert _in_words(9) == "exit code 9", "which mpiexec tells as it likes"


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
    for rank in ranks():
        os.kill(rank, signal.SIGKILL)


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


def test_where_launch_is_killed_the_run_is_saved_and_ends(launched: list[Launched]) -> None:
    one = Launched("launch", "-n", 2, "--max-restarts", 3, "train", MODELS / "digits.net", *LONG, "--quiet")
    launched.append(one)
    one.until("runs/digits", 3)
    one.process.kill()
    assert not still_there()
    assert one.end()[0] == -signal.SIGKILL
    events = [json.loads(line) for line in Path("runs/digits/events.jsonl").read_text().splitlines()]
    assert (events[-1]["event"], events[-1]["code"]) == ("stopped", 143)


def launched_with(code: str) -> subprocess.CompletedProcess[str]:
    """A launched run of two ranks, which run some code as they start."""
    Path("sitecustomize.py").write_text(code)
    words = ("-m", "netspec", "launch", "-n", 2, "--max-restarts", 2, "--deadline", 2, "train", write_rows("a", 0), "--quiet")
    return run(*words, PYTHONPATH=os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))


def test_a_silent_process_is_a_loss() -> None:
    done = launched_with(FAILS_ONCE.format(how="time.sleep(1000)"))
    assert (done.returncode, done.stdout) == (0, "runs/rows\n"), done.stderr
    assert "no answer of rank 1 for 2 s" in done.stderr
    assert "a process was lost (exit code 7); all begin again from the last state, 2 times at most" in done.stderr


def test_what_a_process_says_of_itself_it_would_say_again() -> None:
    done = launched_with(FAILS_ONCE.format(how='raise ValueError("made on purpose")'))
    assert done.returncode == 1
    assert done.stderr.count("error: ValueError: made on purpose") == 1
    assert "begin again" not in done.stderr


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


def test_a_hangup_saves_and_ends_all(launched: list[Launched]) -> None:
    """mpiexec itself would end of it at once, and its ranks with it."""
    one = Launched("launch", "-n", 2, "train", MODELS / "digits.net", *LONG, "--quiet", "--run-dir", "hung-up")
    launched.append(one)
    one.until("hung-up", 2)
    one.process.send_signal(signal.SIGHUP)
    assert one.end()[0] == 129
    last = json.loads(Path("hung-up/events.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "stopped", "all was saved"
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
    for words, told in (
        ((), "Missing argument"), (("train",), "give a .net file"), (("train", "--dry-run"), "give a .net file"),
        (("train", "no.net"), "no.net: no such file"),
        (("trian", "no.net"), "No such command 'trian'. Did you mean 'train'?"), (("check", "no.net"), "launch starts `train`"),
        (("train", "no.net", "--epoch", 3), "No such option: --epoch"),
    ):  # fmt: skip
        done = run("-m", "netspec", "launch", "-n", 2, *words)
        assert (done.returncode, done.stderr.count(told)) == (2, 1), done.stderr
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("option", "told", "left"), [("--dry-run", "a dry run: nothing was trained", []), ("--lr-find", "suggested lr", ["lr_find.png"])]
)
def test_launch_makes_no_run_where_train_makes_none(option: str, told: str, left: list[str]) -> None:
    spec = write_rows("a", 0)
    done = run("-m", "netspec", "launch", "-n", 2, "train", spec, option)
    assert (done.returncode, done.stdout.count(told)) == (0, 1), done.stderr
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == left
    assert not Path("runs").exists()


def test_launch_announces_the_place_of_its_run(launched: list[Launched]) -> None:
    for place in ("runs", "other"):
        Path(place).mkdir()
    one = Launched("launch", "-n", 2, "train", MODELS / "digits.net", *LONG, "--quiet", "--run-dir=other/one")
    launched.append(one)
    end = time.monotonic() + PATIENCE
    while not ranks():
        assert one.process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    assert (is_announced(Path("other")), is_announced(Path("runs"))) == (True, False)
    one.process.send_signal(signal.SIGTERM)
    assert one.end()[0] == 143
    assert not is_announced(Path("other"))


def test_a_path_that_is_no_text() -> None:
    folder = os.fsdecode(b"a\xff")
    file = write_rows(folder, 0)
    done = run("-m", "netspec", "launch", "-n", 2, "train", file, "--run-dir", f"{folder}/run", "--quiet")
    assert (done.returncode, done.stdout) == (0, "a\\udcff/run\n"), done.stderr
    other = train(file, "--quiet")
    assert other.returncode == 2
    assert "is no UTF-8, and so no spec can name it" in other.stderr
    assert not list(Path("runs").iterdir())


def test_processes_of_another_library_are_told_apart() -> None:
    """Where mpi4py finds fewer processes than were started they would each train by themselves."""
    done = train(MODELS / "digits.net", OMPI_COMM_WORLD_SIZE="2", OMPI_COMM_WORLD_RANK="0")
    assert done.returncode == 2
    assert "2 processes were started, and the MPI library of mpi4py finds 1" in done.stderr


@pytest.mark.parametrize("told", ["soon", "0", "-1", "inf", "nan"])
def test_a_deadline_that_is_none(told: str) -> None:
    done = train(MODELS / "digits.net", ranks=2, NETSPEC_DEADLINE=told)
    assert done.returncode == 2
    assert f"NETSPEC_DEADLINE={told}" in done.stderr
