"""The same spec, data and seed give the same bytes: over runs, threads, processes, with and without anybody watching."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import CONV, MLP, SPECS, left, write_spec

from netspec.pipeline import train
from netspec.ui.progress import JsonLines

RUNS = 20
LARGE = {
    "mlp": MLP.replace("affine(16)", "affine(96)").replace("batch = 8", "batch = 64"),
    "conv": CONV.replace("conv(4)", "conv(24)").replace("batch = 8", "batch = 64"),
}
"""Nets and batches that are worth several threads."""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", SPECS)
def test_twenty_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_spec(Path(), SPECS[name])
    found = []
    for number in range(RUNS):
        train(spec, run_dir=Path(f"run{number}"), monitor=JsonLines() if number % 2 else None, **{"train.threads": 1 + number % 2})
        found.append(left(Path(f"run{number}")))
    # the number of threads stands in the spec that a weights file carries
    assert all(one == found[0] for one in found[::2])
    assert all(one == found[1] for one in found[1::2])
    assert capsys.readouterr().out.count('"epoch"') > 0


THREADS = """
import sys
from pathlib import Path
from netspec.pipeline import train
from netspec.frontend.program import Overrides
import os, numba
assert numba.config.NUMBA_NUM_THREADS == int(sys.argv[2])
train(Path(sys.argv[1]), run_dir=Path(f"threads{sys.argv[2]}"))
"""


@pytest.mark.parametrize("name", LARGE)
def test_one_two_and_four_threads(name: str) -> None:
    """Of processes whose cores are as many; more threads than cores are threads all the same."""
    spec = write_spec(Path(), LARGE[name], 600)
    for threads in (1, 2, 4):
        environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        subprocess.run([sys.executable, "-c", THREADS, str(spec), str(threads)], check=True, env=environment)
    assert left(Path("threads1")) == left(Path("threads2")) == left(Path("threads4"))


@pytest.mark.parametrize("name", SPECS)
def test_another_seed_gives_other_bytes(name: str) -> None:
    """Negative control."""
    spec = write_spec(Path(), SPECS[name])
    train(spec, run_dir=Path("one"), seed=1)
    train(spec, run_dir=Path("two"), seed=2)
    one, two = left(Path("one")), left(Path("two"))
    assert all(one[key] != two[key] for key in one)
