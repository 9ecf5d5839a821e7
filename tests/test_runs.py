"""What a run leaves behind, what a gradient check may not pass, and what a signal may not tear."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.kernels.store import _whole
from netspec.save.run_folder import RunFolder
from netspec.train import record

ROWS = np.random.default_rng(0).normal(size=(40, 5))
CLASSES = np.arange(40) % 3


def data_file(folder: Path, rows: Any = ROWS) -> Path:
    """A spec with its data beside it."""
    np.savez(folder / "rows.npz", x=rows, y=CLASSES)
    spec = folder / "net.net"
    spec.write_text(
        'netspec 1 data { source = npz; path = "rows.npz" } net affine(4)-relu-dropout -> affine -> softmax train { epochs = 2 }'
    )
    return spec


BROKEN = '''
import numpy as np, netspec
from typing import ClassVar

class Broken(netspec.Pointwise):
    """y = x * x, with a gradient that is no number."""
    name: ClassVar[str] = "broken_square"

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def backward(dy, x):
        return dy * (x - x) / (x - x)

    def onnx(self, shape):
        return netspec.OnnxForm((netspec.OnnxNode("Mul", ("x", "x"), ("y",)),))

    def reference(self, x, parameters, state, context):
        return x * x

    samples = (netspec.Sample("broken_square", (3,)),)
    bad_samples: ClassVar[tuple] = ()

rows = np.random.default_rng(0).normal(size=(6, 5))
model = netspec.compile("affine(4) -> broken_square -> affine -> softmax", input=5, classes=3)
report = model.gradcheck(rows, np.arange(6) % 3)
print(report.max_error == np.inf, report.errors["affine2.W"] < 1e-6)
'''


def test_a_gradient_that_is_no_number_fails_the_check(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"  # a class of its own process: here it would join the catalogue of all tests
    script.write_text(BROKEN)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]  # and what lies behind the broken layer is right


def test_a_bias_is_cancelled_through_the_identity() -> None:
    model = netspec.compile("affine(7)-id-bn-relu -> affine -> softmax", input=5, classes=3)
    gradients = model.loss(ROWS, CLASSES)[1]
    assert not gradients["affine1.b"].any()
    assert gradients["affine2.b"].any()


def test_the_resolved_spec_of_a_run_repeats_it(tmp_path: Path) -> None:
    model = netspec.compile(data_file(tmp_path))
    model.splits_of_data()
    model.reset(9)
    model.fit(epochs=3, run_dir=tmp_path / "first")
    again = netspec.train(tmp_path / "first" / "spec.resolved.net", run_dir=tmp_path / "second", allow=[tmp_path])
    assert len(again.history.epochs) == 3
    assert again.model.network.store.seed == 9


def test_events_hold_losses_of_steps_up_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = data_file(tmp_path)
    whole = netspec.train(spec, run_dir=tmp_path / "whole", **{"train.batch": 1, "data.split": "32 / 8"})
    assert RunFolder(whole.path).read_steps() == list(enumerate(whole.history.loss, 1))  # of a short run, all
    monkeypatch.setattr(record, "LOGGED_STEPS", 40)
    every, odd = [*range(1, 9)], [*range(1, 24, 2), *range(24, 47, 2)]  # the last step of each epoch is among them
    for batch, rows, logged in ((8, 32, every), (1, 32, [*range(2, 65, 2)]), (1, 23, odd)):
        keys = {"train.batch": batch, "data.split": f"{rows} / 8", "train.epochs": 2}
        run = netspec.train(spec, run_dir=tmp_path / f"run{batch}-{rows}", **keys)
        events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
        steps = {event["step"]: event["loss"] for event in events if event["event"] == "step"}
        assert list(steps) == logged
        assert all(loss == run.history.loss[step - 1] for step, loss in steps.items())


def test_weights_are_the_same_bytes_on_any_number_of_threads(tmp_path: Path) -> None:
    spec = data_file(tmp_path)
    sums = set()
    for threads in (1, 2, 3):
        run = netspec.train(spec, run_dir=tmp_path / f"run{threads}", **{"train.threads": threads})
        sums.add(hashlib.sha256((run.path / "weights" / "last.safetensors").read_bytes()).hexdigest())
    assert len(sums) == 1


def test_rows_that_cannot_be_computed_leave_no_folder(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[3, 2] = 1e47
    spec = data_file(tmp_path, rows)
    with pytest.raises(netspec.DataError, match="row 3"):
        netspec.train(spec, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_restored_with_its_data_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = netspec.train(data_file(tmp_path), run_dir=tmp_path / "run")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.savez(elsewhere / "rows.npz", x=-ROWS, y=CLASSES)  # another file of the same name is not taken for it
    monkeypatch.chdir(elsewhere)
    restored = netspec.restore(run.path)
    splits = restored.splits_of_data(allow=[tmp_path])
    assert splits.train.rows.x[0, 0] == ROWS[0, 0]
    with pytest.raises(netspec.DataError, match="outside"):
        restored.splits_of_data()


def test_a_diverged_run_names_its_folder(tmp_path: Path) -> None:
    spec = data_file(tmp_path, ROWS * 1e3)
    with pytest.raises(netspec.DivergedError, match="run"):
        netspec.train(spec, run_dir=tmp_path / "run", **{"train.optimizer": "sgd(lr=1e30)", "train.epochs": 50})
    assert (tmp_path / "run" / "weights" / "last.safetensors").exists()


def test_weights_give_a_model_its_shapes(tmp_path: Path) -> None:
    model = netspec.compile("affine(6)-relu -> affine -> softmax", input=5, classes=3)
    model.save(tmp_path / "weights.safetensors")
    other = netspec.compile("affine(6)-relu -> affine -> softmax", weights=tmp_path / "weights.safetensors")
    assert (other.predict_proba(ROWS) == model.predict_proba(ROWS)).all()
    with pytest.raises(netspec.UsageError, match="folder"):
        model.save(tmp_path)


def test_labels_of_python_objects_are_learnt_by_the_first_fit() -> None:
    words = np.array(["one", "two", "six"], dtype=object)
    model = netspec.compile("affine(6)-relu -> affine -> softmax")
    model.fit(ROWS, words[CLASSES], epochs=1)
    assert set(model.predict(ROWS)) <= set(words)
    with pytest.raises(netspec.DataError, match="None"):
        netspec.compile("affine -> softmax").fit(ROWS, [None, *words[CLASSES][1:]])


def test_a_signal_while_kernels_compile_is_raised_when_they_are_whole() -> None:
    done = False

    def compile_something() -> None:
        nonlocal done
        with _whole():
            os.kill(os.getpid(), signal.SIGINT)
            done = True

    with pytest.raises(KeyboardInterrupt):
        compile_something()
    assert done


GROWTH = """
import numpy as np, netspec
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
netspec.compile("affine(4)-bn-relu -> affine -> softmax", input=3, classes=2).fit(np.zeros((9, 3)), np.arange(9) % 2, epochs=1)
draw = np.random.default_rng(0)
x = draw.standard_normal((1500, *{shape}), dtype=np.float32)
y = draw.integers(0, 10, 1500)
before = resident()
model = netspec.compile("{text}", input={shape}, classes=10, train="batch = 100")
model.fit(x, y, validation=0.2, epochs=2)
print((resident() - before) / 1e6, model.plan.peak_bytes / 1e6)
"""


@pytest.mark.parametrize(
    ("text", "shape"),
    [("[affine(512)-bn-relu-dropout]x3 -> affine -> softmax", (1024,)), ("conv(16)-relu-pool -> affine -> softmax", (3, 24, 24))],
)
def test_resident_memory_grows_by_what_the_plan_says(text: str, shape: tuple[int, ...]) -> None:
    script = GROWTH.format(text=text, shape=shape)
    for _ in range(2):  # the second time the kernels are in the cache
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    grown, planned = map(float, done.stdout.split())
    assert grown <= 1.1 * planned + 20
