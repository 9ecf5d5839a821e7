"""Runs that released formats wrote keep loading: weights, state, results. One kept run by format, in tests/golden/saved."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_runs import KillAt, Killed, save_each_step

import netspec
from netspec.pipeline import restore, train
from netspec.save.run_folder import RunFolder
from netspec.save.weights import load_weights, save_weights
from netspec.train import record, weights
from netspec.train.state import read_state

SAVED = Path(__file__).parent / "golden" / "saved"
FORMATS = sorted(path.name for path in SAVED.iterdir()) if SAVED.is_dir() else []
SPEC = """netspec 1
data { source = breast_cancer; split = 20% / 10% / 70%; normalize = per_feature }
net affine(4)-bn-relu-dropout(20%) -> affine -> softmax
train { optimizer = adam(lr=1e-2); batch = 32; epochs = 4; schedule = plateau(patience=1ep) }
"""
ROWS = np.linspace(-1, 30, 90).reshape(3, 30)


def make(folder: Path) -> None:
    """A run of this format that was killed in its third epoch, with what its model said and where it came to."""
    folder.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # so that its paths are relative
        patch.setattr(record, "describe_environment", lambda *given: {"data": given[2], "rows": dict(given[3]), "uses": {}})
        Path("net.net").write_text(SPEC)
        save_each_step(patch)
        with pytest.raises(Killed):
            train(Path("net.net"), run_dir=Path("run"), monitor=KillAt(11))
        said = {f"said by {name}": restore(Path(f"run/weights/{name}.safetensors")).predict_proba(ROWS) for name in ("last", "best")}
        whole = train(Path("net.net"), run_dir=Path("whole")).model
        save_weights(Path("expected.safetensors"), {**said, **whole.params}, {"format": weights.FORMAT})
        shutil.rmtree("whole")


def test_this_format_has_its_run() -> None:
    folder = SAVED / str(weights.FORMAT)
    if os.environ.get("NETSPEC_GOLDEN") == "write" and not folder.exists():
        make(folder)
    assert folder.is_dir(), "NETSPEC_GOLDEN=write makes it"
    assert load_weights(folder / "run" / "weights" / "last.safetensors")[1]["format"] == weights.FORMAT


@pytest.mark.parametrize("version", FORMATS)
def test_a_kept_run_says_what_it_said(version: str) -> None:
    expected = load_weights(SAVED / version / "expected.safetensors")[0]
    for name in ("last", "best"):
        model = restore(SAVED / version / "run" / "weights" / f"{name}.safetensors")
        np.testing.assert_allclose(model.predict_proba(ROWS), expected[f"said by {name}"], rtol=1e-5, atol=1e-6)
    assert netspec.restore(SAVED / version / "run").program.train.batch == 32


@pytest.mark.parametrize("version", FORMATS)
def test_a_kept_run_goes_on(version: str, tmp_path: Path) -> None:
    shutil.copytree(SAVED / version, tmp_path / "kept")
    run = tmp_path / "kept" / "run"
    before = read_state(RunFolder(run).state)
    assert (before.found.epoch, before.position.steps > 0) == (2, True)
    done = train(tmp_path / "kept" / "net.net", resume=run)
    assert len(done.history.epochs) == 4
    expected = load_weights(SAVED / version / "expected.safetensors")[0]
    for name, array in done.model.params.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5)
