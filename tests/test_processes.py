"""Threads and processes: what is computed side by side is what is computed alone, and what cannot be done says so instead of hanging."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray

import netspec
from netspec.base.errors import Interrupted
from netspec.kernels import objects, store
from netspec.model import Model

TEXT = "affine(300)-relu -> affine -> softmax"
EPOCHS = 4
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(400, 20)).astype(np.float32)
Y = (X[:, :3].sum(axis=1) > 0).astype(int)


def new_model(threads: int | None = None) -> Model:
    return netspec.compile(TEXT, input=20, classes=2, threads=threads, train=f"batch = 100; epochs = {EPOCHS}; optimizer = adam(lr=1e-3)")


def trained(model: Model) -> bytes:
    """The parameters after a fit."""
    model.fit(X, Y)
    return model.params.flat.tobytes()


def probabilities(model: Model, rows: int) -> NDArray[np.float32]:
    return model.predict_proba(X[:rows])


def refused(text: str) -> None:
    netspec.compile(text, input=20, classes=2)


def interrupted() -> None:
    raise Interrupted(signal.SIGTERM, "stopped by SIGTERM in epoch 3")


# threads


def test_a_second_fit_of_one_model_is_told_so() -> None:
    alone, model = new_model(), new_model()
    wanted = trained(alone)
    inside, done = threading.Event(), threading.Event()

    def hold(_model: Model, _row: dict[str, float]) -> None:
        inside.set()
        assert done.wait(60)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(model.fit, X, Y, callbacks=[hold])
        assert inside.wait(60)
        try:
            refusals = [
                lambda: model.fit(X, Y), lambda: model.step(X, Y), lambda: model.lr_find(X, Y), lambda: model.reset(),
                lambda: model.load_tensors({}, None),  # type: ignore[arg-type]
            ]  # fmt: skip
            for call in refusals:
                with pytest.raises(
                    netspec.NetspecError, match="being trained in another thread: wait for that fit to end, or train a copy"
                ):
                    call()
            assert np.isfinite(model.predict_proba(X)).all()
            assert set(model.evaluate(X, Y)) >= {"loss", "accuracy"}
            apart = copy.deepcopy(model)
            apart.reset()
            assert trained(apart) == wanted, "a copy trains meanwhile"
        finally:
            done.set()
        first.result()
    assert model.params.flat.tobytes() == wanted
    assert model.epochs_done == EPOCHS
    model.fit(X, Y, epochs=1)
    assert model.epochs_done == EPOCHS + 1


def test_a_callback_may_train_its_own_model_and_an_error_gives_the_turn_back() -> None:
    model = new_model()

    def fail(_model: Model, _row: dict[str, float]) -> None:
        model.step(X, Y)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, callbacks=[fail])
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(model.fit, X, Y).result().epochs


def test_predictions_of_many_threads_beside_a_fit() -> None:
    """Of a model at rest the same bytes as alone; of the one that trains, numbers."""
    resting, training, quiet = new_model(), new_model(), new_model()
    wanted = {rows: probabilities(resting, rows).tobytes() for rows in (1, 7, 400)}
    alone = [trained(quiet) for _ in range(10)][-1]
    stop = threading.Event()
    asked = []

    def ask(rows: int) -> None:
        while not stop.is_set():
            assert probabilities(resting, rows).tobytes() == wanted[rows]
            assert np.isfinite(probabilities(training, rows)).all()
            asked.append(rows)

    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask, rows) for rows in wanted for _ in range(2)]
        try:
            found = [trained(training) for _ in range(10)][-1]
        finally:
            stop.set()
        for each in asking:
            each.result()
    assert found == alone
    assert set(asked) == set(wanted)


# processes


@pytest.mark.parametrize("method", ["spawn", "loky"])
def test_workers_compute_the_same_bytes(method: str) -> None:
    model = new_model(2)
    scores = [probabilities(model, rows).tobytes() for rows in (1, 7, 400)]  # threads are started now
    wanted = trained(copy.deepcopy(model))
    if method == "loky":
        jobs = [joblib.delayed(probabilities)(model, rows) for rows in (1, 7, 400)]
        *found, parameters, other = joblib.Parallel(2)([*jobs, joblib.delayed(trained)(model), joblib.delayed(trained)(new_model(2))])
        assert parameters == other == wanted
    else:
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(probabilities, [model] * 3, [1, 7, 400]))
            assert set(pool.map(trained, [model, new_model(2)])) == {wanted}
            with pytest.raises(netspec.SpecError, match="unknown layer `affin`") as refusal:
                pool.submit(refused, "affin(3) -> softmax").result()
            assert refusal.value.diagnostics[0].code.startswith("NS")
            with pytest.raises(Interrupted, match="stopped by SIGTERM in epoch 3") as stopped:
                pool.submit(interrupted).result()
            assert stopped.value.exit_code == 143
    assert [each.tobytes() for each in found] == scores
    assert trained(model) == wanted, "nothing was trained here"


def test_errors_go_from_process_to_process() -> None:
    with pytest.raises(netspec.SpecError) as refusal:
        refused("affine(0) -> softmax")
    errors = [
        refusal.value, netspec.LimitError(refusal.value.diagnostics), netspec.DataError("x.csv: row 3"), Interrupted(2, "stopped"),
        netspec.DivergedError("the loss became nan", step=3, epoch=1, layer="relu1", rows=(1, 2)),
    ]  # fmt: skip
    for error in errors:
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is type(error)
        assert str(back) == str(error)
        assert vars(back) == vars(error)


def script(text: str, *words: str, timeout: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """A script with two threads of numba's in a process of its own."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2", **variables}
    command = [sys.executable, "-c", textwrap.dedent(COMMON + text), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)


COMMON = """
import os, signal, sys, threading, time
import numpy as np, numba, netspec
from netspec.plan import plan

draw = np.random.default_rng(0)
x = draw.normal(size=(400, 20)).astype(np.float32)
y = (x[:, :3].sum(axis=1) > 0).astype(int)
def new_model(threads):
    train = "batch = 100; epochs = 2; optimizer = adam(lr=1e-3)"
    return netspec.compile("affine(300)-relu -> affine -> softmax", input=20, classes=2, threads=threads, train=train)
def trained(model):
    model.fit(x, y)
    return model.params.flat.tobytes()
def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            print(work(), flush=True)
        except netspec.NetspecError as error:
            print("refused:", error, flush=True)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
FORKS = """
in_child(lambda: trained(new_model(2)) == trained(new_model(2)))
model = new_model(2)
in_child(lambda: len(trained(model)))
wanted = trained(new_model(2))
in_child(lambda: trained(model) == wanted)
in_child(lambda: trained(new_model(1)) == wanted)
if len(sys.argv) > 1:
    plan._forked_with_threads = False
    plan.os.register_at_fork(after_in_child=lambda: setattr(plan, "_forked_with_threads", False))
    in_child(lambda: trained(model) == wanted)
print(trained(model) == wanted)
"""
REFUSED = "refused: this process was forked after netspec had started its threads, and they do not survive a fork: start workers by the "


def test_forks_before_the_threads_start_work_and_those_after_are_refused() -> None:
    done = script(FORKS, NUMBA_THREADING_LAYER="omp")
    lines = done.stdout.splitlines()
    assert [line if len(line) < 10 else line[: len(REFUSED)] for line in lines] == ["True", lines[1], REFUSED, "True", "True"], done.stderr
    assert int(lines[1]) > 0
    assert 'spawn or forkserver (multiprocessing.get_context("spawn")), or compile the model with threads=1' in lines[2]


def test_without_the_guard_a_forked_child_computes_nothing() -> None:
    """The control: numba sends the child a SIGTERM, which training would note, and goes on without having called the kernels."""
    done = script(FORKS, "unguarded", NUMBA_THREADING_LAYER="omp")
    assert "fork() called from a process already using GNU OpenMP" in done.stderr
    assert done.stdout.splitlines()[2].startswith(REFUSED)
    assert done.stdout.splitlines()[4] != "True"


def test_the_layer_whose_threads_start_anew_after_a_fork() -> None:
    done = script(FORKS, NUMBA_THREADING_LAYER="workqueue")
    lines = done.stdout.splitlines()
    assert [lines[0], *lines[2:]] == ["True"] * 4, done.stderr


FORK_BESIDE = """
model = new_model(1)
stop = []
other = threading.Thread(target=lambda: model.fit(x, y, epochs=10**6, callbacks=[lambda *_: bool(stop)]), daemon=True)
other.start()
for _ in range(8):
    time.sleep(0.05)
    in_child(lambda: (np.isfinite(model.predict_proba(x)).all(), len(model.fit(x, y, epochs=1).epochs) > 0, model.loss(x, y)[0] >= 0))
stop.append(1)
other.join()
"""


def test_a_fork_while_another_thread_trains() -> None:
    """A lock that the thread held is free in the child, where that thread does not exist."""
    done = script(FORK_BESIDE)
    assert done.stdout.splitlines() == [str((np.True_, True, True))] * 8, done.stderr


BESIDE = """
wanted = trained(new_model(2))
if len(sys.argv) > 1:
    plan._is_workqueue = lambda: False
models = [new_model(2) for _ in range(3)]
resting = new_model(2)
scores = resting.predict_proba(x).tobytes()
wrong, found = [], []
def train(model):
    for _ in range(40):
        model.reset()
        found.append(trained(model))
def ask():
    while any(thread.is_alive() for thread in training):
        if resting.predict_proba(x).tobytes() != scores: wrong.append(1)
training = [threading.Thread(target=train, args=(model,)) for model in models]
asking = threading.Thread(target=ask)
for thread in [*training, asking]: thread.start()
for thread in [*training, asking]: thread.join()
print(numba.threading_layer(), set(found) == {wanted}, wrong)
"""


def test_the_workqueue_layer_serves_several_threads() -> None:
    done = script(BESIDE, NUMBA_THREADING_LAYER="workqueue")
    assert done.stdout.split() == ["workqueue", "True", "[]"], (done.returncode, done.stderr)


def test_without_turns_the_workqueue_layer_aborts() -> None:
    """The control."""
    done = script(BESIDE, "no turns", NUMBA_THREADING_LAYER="workqueue")
    assert done.returncode == -signal.SIGABRT
    assert "Concurrent access has been detected" in done.stderr


# processes that compile


KERNEL = """
from numba import cfunc, types

from netspec.kernels.native import OPTIONS


@cfunc(types.int64(types.int64), **OPTIONS)
def times(x):
    return {factor} * x
"""
COMPILES = """
import ctypes, sys
from netspec.kernels import store

print("ready", flush=True)
sys.stdin.readline()
for factor in sys.argv[1].split(","):
    addresses = store.load(store.kernel_text.format(factor=factor))
    print(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(addresses["times"])(10), flush=True)
"""


@pytest.mark.parametrize(("processes", "killed"), [(2, False), (4, True)])
def test_processes_that_compile_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int, killed: bool) -> None:
    folder = tmp_path / "kernels"
    monkeypatch.setenv("NETSPEC_CACHE", str(folder))
    text = COMPILES.replace("store.kernel_text", repr(KERNEL))
    wanted = [[2, 3, 100 + number, 4, 200 + number] for number in range(processes)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", text, ",".join(map(str, factors))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for factors in wanted
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    if killed:
        victim = running.pop()
        assert victim.stdout is not None
        victim.stdout.readline()
        victim.kill()
        victim.communicate()
        (folder / ".new-of-the-victim.obj").write_bytes(b"half")
    for process, factors in zip(running, wanted, strict=False):
        assert process.communicate(timeout=100)[0].split() == [str(10 * factor) for factor in factors]
        assert process.returncode == 0
    for path in folder.glob("*.obj"):
        if path.name.startswith("k_"):
            assert objects.from_bytes(path.read_bytes(), path.stem).functions
    for factors in wanted[: len(running)]:
        assert all(store.is_cached(KERNEL.format(factor=factor)) for factor in factors)
    left = list(folder.glob(".new-*"))
    assert len(left) <= 2 * killed
    for path in left:  # two hours later
        os.utime(path, (time.time() - 7200,) * 2)
    monkeypatch.setattr(store, "is_trimmed", False)
    monkeypatch.setattr(store, "_loaded", {})
    store.load(KERNEL.format(factor=999))
    assert not list(folder.glob(".new-*"))
