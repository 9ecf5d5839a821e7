"""Sets larger than memory: rows of a mapped file, shuffled by blocks, trained on as if they were in memory, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import netspec as ns
from netspec.base.dataset import DataSource
from netspec.base.errors import DataError
from netspec.base.mapped import let_go, mapping_of
from netspec.catalog.arrays import map_npy
from netspec.catalog.registry import entries
from netspec.train import feed
from netspec.train.feed import Blocks, MappedRows, Material, Whole, feed_of, network_rows
from netspec.train.loop import batches
from netspec.train.normalize import as_input, fit_normalization

ROWS, COLUMNS = 500, 6
X = np.random.default_rng(3).normal(4, 2, (ROWS, COLUMNS)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(np.int64)
SPEC = """netspec 1 seed 5 net affine(8)-relu-dropout(20%) -> affine -> softmax
train { optimizer = adam(lr = 2e-2); batch = 20; epochs = 3; monitor_rows = 50 }
data { source = npy; x = "x.npy"; y = "y.npy"; split = 80% / 20%; normalize = per_feature }"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with x.npy and y.npy, where training reads windows of a few batches and blocks of seven rows."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("y.npy", Y)
    small(monkeypatch)
    return tmp_path


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_BYTES", 0)
    monkeypatch.setattr(feed, "WINDOW_BYTES", 4 * 4 * 20 * COLUMNS)
    monkeypatch.setattr(feed, "BLOCK_BYTES", 7 * 4 * COLUMNS)


def mapped(folder: Path, array: NDArray[Any]) -> NDArray[Any]:
    np.save(folder / "m.npy", array)
    return map_npy(folder / "m.npy")


# The shuffle by blocks


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 12), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 2**64))
def test_an_epoch_passes_over_each_row_once(rows: int, batch: int, block: int, window: int, drop: bool, join: bool, seed: int) -> None:
    """Whatever the sizes: the batches of an epoch hold each training row once, with its own label and weight."""
    index = np.random.default_rng(rows).permutation(3 * rows)[:rows]
    x = np.arange(3 * rows, dtype=np.float32).reshape(-1, 1)
    starts, counts = batches(rows, batch, drop, join)
    blocks = Blocks(MappedRows(x, None, np.dtype("f4")), Material(x, x, index, x), x[:, 0] * 2, starts, counts, seed)
    blocks.block_rows, blocks.window_steps = block, window
    blocks._buffer = np.empty((window * batch + 1, 1), np.float32)
    for epoch in (1, 2):
        seen: list[float] = []
        for step, (start, count) in enumerate(zip(starts, counts, strict=True)):
            held = blocks.window(epoch, step)
            assert held.first <= step < held.last
            assert len(held.x) <= window * batch + 1
            chosen = held.order[start - held.offset : start - held.offset + count]
            assert len(chosen) == count
            np.testing.assert_array_equal(held.y[chosen], held.x[chosen, 0] * 2)
            assert held.weights is not None
            np.testing.assert_array_equal(held.weights[chosen], held.x[chosen])
            seen += held.x[chosen, 0].tolist()
        assert len(set(seen)) == len(seen) == counts.sum()
        assert set(seen) <= set(index.tolist())


def orders(seed: int, epoch: int, window_steps: int = 4) -> NDArray[np.int64]:
    """The rows of an epoch in the order of training."""
    starts, counts = batches(ROWS, 20, False, False)
    x = np.arange(ROWS, dtype=np.float64).reshape(-1, 1)
    blocks = Blocks(MappedRows(x, None, np.dtype("f8")), Material(x, x, np.arange(ROWS)), x, starts, counts, seed)
    blocks.block_rows, blocks.window_steps = 10, window_steps
    blocks._buffer = np.empty((window_steps * 20 + 1, 1))
    windows = (blocks.window(epoch, step) for step in range(0, len(starts), window_steps))
    return np.concatenate([held.x[held.order, 0] for held in windows]).astype(np.int64)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    one = orders(1, 1)
    np.testing.assert_array_equal(orders(1, 1), one)
    assert (orders(2, 1) != one).any()
    assert (orders(1, 2) != one).any()


def test_a_window_holds_whole_blocks_from_everywhere_shuffled_among_themselves() -> None:
    first = orders(1, 1)[:80]
    blocks = set(first // 10)
    assert len(blocks) == 8
    assert sorted(first) == [row for block in sorted(blocks) for row in range(10 * block, 10 * block + 10)]
    assert max(blocks) - min(blocks) > 15  # of 50
    assert len(set(first[:20] // 10)) > 5  # a batch mixes them


def test_one_window_is_a_full_shuffle() -> None:
    """Neighbours in the file are no neighbours in training: the mean distance is that of a random permutation, rows / 3."""
    places = np.argsort(orders(1, 1, window_steps=1000))
    assert abs(np.abs(np.diff(places)).mean() - ROWS / 3) < ROWS / 30
    places = np.argsort(orders(1, 1, window_steps=1))
    assert np.abs(np.diff(places)).mean() < ROWS / 10  # the control: windows of one batch keep neighbours together


# Training from a file


def test_training_from_a_file_is_training_in_that_order(files: Path) -> None:
    """An independent loop, which takes the rows of each batch from memory and calls `step`, gives the same bits."""
    model, other = ns.compile(SPEC), ns.compile(SPEC)
    splits = model.splits_of_data()
    training = model.training_of(splits, 3)
    assert isinstance(training._feed, Blocks)
    assert training._feed.window_steps == 4
    model.run_training(training)
    other.splits_of_data()
    x = as_input(X, other.normalization, np.float32)
    starts, counts = batches(400, 20, False, False)
    again = feed_of(training.material, splits.train.rows.y, starts, counts, 5)
    losses = []
    for epoch in (1, 2, 3):
        for step, start in enumerate(starts):
            held = again.window(epoch, step)
            numbers = np.array([np.flatnonzero((x == row).all(axis=1))[0] for row in held.x[held.order[start - held.offset :][:20]]])
            losses.append(other.step(x[numbers], Y[numbers]))
        other.epochs_done += 1
    assert losses == model.history.loss


def test_figures_from_a_file_are_those_from_memory(files: Path) -> None:
    model = ns.compile(SPEC)
    history = model.fit()
    assert history.epochs[-1]["val_accuracy"] > 0.7
    part = model.splits_of_data().validation
    assert part is not None
    from_file = model.evaluate_rows(part)
    from_memory = model.evaluate(np.array(part.x), part.y)
    assert from_file["accuracy"] == from_memory["accuracy"] == history.epochs[-1]["val_accuracy"]
    assert from_file["loss"] == pytest.approx(from_memory["loss"], rel=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_same_bits_every_time(files: Path, threads: int) -> None:
    runs = [ns.compile(SPEC, threads=threads) for _ in range(2)]
    assert runs[0].fit().loss == runs[1].fit().loss
    np.testing.assert_array_equal(runs[0].params["affine1.W"], runs[1].params["affine1.W"])


def test_a_mapped_array_given_to_fit_is_read_in_the_same_way(files: Path) -> None:
    model = ns.compile(SPEC.split("data {", maxsplit=1)[0], input=COLUMNS, classes=2)
    weights = np.linspace(0, 2, ROWS)
    history = model.fit(map_npy(files / "x.npy"), Y, sample_weight=weights, validation=0.2)
    assert len(history.epochs) == 3


def test_a_small_mapped_set_is_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And trained on exactly as an .npz with the same rows."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    np.save("y.npy", Y)
    np.savez("d.npz", x=X, y=Y)
    one = ns.compile(SPEC)
    other = ns.compile(SPEC.replace("source = npy", "source = npz").replace('x = "x.npy"; y = "y.npy"', 'path = "d.npz"'))
    assert one.fit().loss == other.fit().loss
    assert isinstance(one.training_of(one.splits_of_data(), 1)._feed, Whole)


def test_a_run_of_two_files_is_repeated_by_its_resolved_text(files: Path) -> None:
    Path("a.net").write_text(SPEC)
    run = ns.train("a.net")
    again = ns.train(run.path / "spec.resolved.net", run_dir=files / "again")
    assert again.history.loss == run.history.loss


# Arrays in files


@pytest.mark.parametrize("dtype", ["u1", "f4", ">f4", "f8", "i2", "?"])
@pytest.mark.parametrize("kind", ["none", "per_feature", "rescale"])
def test_rows_of_a_file_are_those_of_memory(tmp_path: Path, dtype: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_BYTES", 0)
    array = (X * 10).astype(dtype)
    there = mapped(tmp_path, array)
    assert mapping_of(there) is not None
    index = np.random.default_rng(0).permutation(ROWS)[:100]
    statistics = fit_normalization(there, kind, index)
    rows = network_rows(there, statistics, np.float32)
    assert isinstance(rows, MappedRows)
    np.testing.assert_array_equal(rows.read(index), as_input(array, statistics, np.float32)[index])
    whole = fit_normalization(array[np.sort(index)], kind)
    assert (statistics is None) == (whole is None)
    if statistics is not None and whole is not None:
        np.testing.assert_array_equal(statistics.shift, whole.shift)
        np.testing.assert_array_equal(statistics.scale, whole.scale)


def test_arrays_in_memory_are_not_read_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_BYTES", 0)
    assert isinstance(network_rows(X, None, np.float32), np.ndarray)
    assert mapping_of(X) is None
    let_go(X)


def test_fortran_order_is_read_whole(tmp_path: Path) -> None:
    there = mapped(tmp_path, np.asfortranarray(X))
    assert mapping_of(there) is None
    np.testing.assert_array_equal(there, X)


def test_bad_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, X)
    whole = path.read_bytes()
    for end in range(0, len(whole), 101):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"x\.npy: .*cut off"):
            map_npy(path)
    np.save(path, np.where(np.arange(X.size).reshape(X.shape) == 20, np.nan, X))
    np.save(tmp_path / "y.npy", Y)
    dataset = entries(DataSource)["npy"]().read(path, {"y": "y.npy"}, (tmp_path,))
    spec = ns.compile("net affine -> softmax", input=COLUMNS, classes=2)
    with pytest.raises(DataError, match="row 3, feature 2 is NaN"):
        spec.fit(dataset.rows.x, dataset.rows.y)


def test_a_value_too_large_is_named_by_its_row(tmp_path: Path) -> None:
    huge = np.zeros((50, 2))
    huge[41, 1] = 1e200
    rows = MappedRows(mapped(tmp_path, huge), None, np.dtype("f4"))
    with pytest.raises(DataError, match="row 41: the value 1e\\+200 is too large for float32"):
        rows.read(np.array([3, 41, 7]))


MEMORY = """
import re, sys
import numpy as np
import netspec as ns
from netspec.train import feed

def resident(kind):
    return int(re.search(kind + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) >> 10

feed.MOST_BYTES = {"windows": 1 << 29, "whole": 1 << 40}[sys.argv[1]]
model = ns.compile('''netspec 1 net affine -> softmax train { epochs = 1; monitor_rows = 0 }
data { source = npy; x = "x.npy"; y = "y.npy"; split = 90% / 10%; normalize = rescale }''', input=4096, classes=2)
before = resident("VmRSS")
model.fit()
print(resident("VmHWM") - before)
"""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """205 MB of bytes, 819 MB as float32, are trained on with one window of 128 MiB and a few pieces in memory. The control holds all."""
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (50_000, 4096))
    x[:] = np.random.default_rng(0).integers(0, 256, (1, 4096))
    x[:, 0] = np.arange(50_000)
    x.flush()
    np.save(tmp_path / "y.npy", np.arange(50_000) % 2)
    peaks = {}
    for way in ("windows", "windows", "whole"):  # twice: the first may compile kernels, whose memory is not the data's
        done = subprocess.run([sys.executable, "-c", MEMORY, way], cwd=tmp_path, capture_output=True, text=True, check=True)
        peaks[way] = int(done.stdout)
    assert peaks["windows"] < 260
    assert peaks["whole"] > 780
