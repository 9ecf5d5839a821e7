"""What is saved is what is loaded, and nothing is ever half-written: full disks, short writes, kills, damage."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

import netspec
from netspec.base.errors import DataError, UsageError
from netspec.save import atomic
from netspec.save.atomic import SaveError, append_line, sweep, write_atomic
from netspec.save.environment import describe_environment
from netspec.save.run_folder import COLUMNS, RunFolder, create_run_folder, find, open_run_folder
from netspec.save.weights import load_weights, save_weights

TENSORS = {"affine1.W": np.arange(12, dtype=np.float32).reshape(3, 4), "affine1.b": np.zeros(4), "step": np.array(7)}
METADATA = {"spec": "affine -> softmax → é", "classes": ["a", "b"], "best": 0.5, "none": None}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Weights

DTYPES = ["f2", "f4", "f8", "i1", "u2", "i8", "?", ">f8", ">i4"]


@given(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=4), st.sampled_from(["C", "F", "reversed", "every second", "swapped"]))
def test_arrays_come_back_whatever_their_layout(tmp_path_factory, dtype, shape, layout):
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    array = {
        "C": array,
        "F": np.asfortranarray(array),
        "reversed": np.flip(array),
        "every second": array[::2] if array.ndim else array,
        "swapped": array.T,
    }[layout]
    save_weights(path, {"a": array, "b": array[..., None]}, {"k": 1})
    tensors, metadata = load_weights(path)
    assert metadata == {"k": 1}
    assert tensors["a"].shape == array.shape
    assert tensors["a"].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(tensors["a"], array)
    np.testing.assert_array_equal(tensors["b"], array[..., None])
    assert tensors["a"].flags.writeable
    tensors["a"][...] = 0  # a copy: the file stays as it is
    np.testing.assert_array_equal(load_weights(path)[0]["a"], array)


def test_the_same_arguments_give_the_same_bytes_in_every_process(tmp_path):
    program = (
        "import numpy as np, sys; from pathlib import Path; from netspec.save.weights import save_weights\n"
        "save_weights(Path(sys.argv[1]), {n: np.ones(3) for n in set('abcdefgh')}, {n: 1 for n in set('klmnopq')})"
    )
    contents = set()
    for seed in "0123":
        path = tmp_path / f"{seed}.safetensors"
        subprocess.run([sys.executable, "-c", program, str(path)], check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        contents.add(path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_mode_follows_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        save_weights(tmp_path / "w", TENSORS, METADATA)
        append_line(tmp_path / "lines", "x")
    finally:
        os.umask(before)
    for name in ("w", "lines"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j]), np.array(["2020"], "M8[Y]")])
def test_arrays_that_the_format_lacks(tmp_path, array):
    with pytest.raises(UsageError, match=r"names: an array of .* cannot be saved"):
        save_weights(tmp_path / "w", {"names": array}, {})
    assert names(tmp_path) == set()


def test_every_cut_of_a_weights_file_is_a_data_error(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, TENSORS, METADATA)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"w\.safetensors: damaged, cut off"):
            load_weights(path)
    path.write_bytes(whole)
    assert load_weights(path)[1] == METADATA


def test_no_altered_byte_escapes_as_another_error(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, TENSORS, METADATA)
    whole, refused = path.read_bytes(), 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        try:
            load_weights(path)
        except DataError:
            refused += 1
    assert refused > 100


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_weights(tmp_path / "none")
    with pytest.raises(DataError, match="is a folder"):
        load_weights(tmp_path)
    save_file({"a": np.ones(2)}, tmp_path / "foreign", metadata={"format": "pt"})
    with pytest.raises(DataError, match="not one of netspec's"):
        load_weights(tmp_path / "foreign")
    for text, found in [("{", "damaged"), ("[1]", "no object")]:
        save_file({"a": np.ones(2)}, tmp_path / "odd", metadata={"netspec": text})
        with pytest.raises(DataError, match=found):
            load_weights(tmp_path / "odd")


# Whole or absent


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("before", [None, b"the former content"])
def test_a_failing_disk_leaves_what_was_there(tmp_path, monkeypatch, code, call, before):
    path = tmp_path / "w.safetensors"
    if before is not None:
        path.write_bytes(before)

    def fail(*_args, **_keywords):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic.os, call, fail)
    with pytest.raises(SaveError) as caught:
        save_weights(path, TENSORS, METADATA)
    monkeypatch.undo()
    assert caught.value.exit_code == 1
    assert ("disk is full" in str(caught.value)) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert "w.safetensors" in str(caught.value)
    assert names(tmp_path) == (set() if before is None else {"w.safetensors"})
    if before is not None:
        assert path.read_bytes() == before


def full_after(total: int):
    """An `os.write` that takes three bytes at a time, and none after `total`."""
    real, left = os.write, [total]

    def write(descriptor: int, data) -> int:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(descriptor, data[: min(3, left[0])])
        left[0] -= taken
        return taken

    return write


def test_short_writes_are_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.os, "write", full_after(10**9))
    save_weights(tmp_path / "w", TENSORS, METADATA)
    append_line(tmp_path / "lines", "a long enough line")
    monkeypatch.undo()
    assert load_weights(tmp_path / "w")[1] == METADATA
    assert (tmp_path / "lines").read_text() == "a long enough line\n"


@pytest.mark.parametrize("total", [0, 1, 5, 50, 200])
def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path, monkeypatch, total):
    content = b"x" * 201
    monkeypatch.setattr(atomic.os, "write", full_after(total))
    with pytest.raises(SaveError, match="disk is full"):
        write_atomic(tmp_path / "w", content)
    monkeypatch.undo()
    assert names(tmp_path) == set()
    (tmp_path / "lines").write_text("first\n")
    monkeypatch.setattr(atomic.os, "write", full_after(total))
    with pytest.raises(SaveError, match="disk is full"):
        append_line(tmp_path / "lines", "y" * 201)
    monkeypatch.undo()
    assert (tmp_path / "lines").read_text() == "first\n"


def test_a_real_limit_on_file_size(tmp_path):
    program = (
        "import resource, sys, numpy as np; from pathlib import Path; from netspec.save.weights import save_weights\n"
        "from netspec.save.atomic import SaveError\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.getrlimit(resource.RLIMIT_FSIZE)[1]}))\n"
        "try: save_weights(Path(sys.argv[1]), {'a': np.ones(10000)}, {})\n"
        "except SaveError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "w")], check=True, capture_output=True, text=True)
    assert "disk is full" in done.stdout
    assert names(tmp_path) == set()


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "w", b"x")
    monkeypatch.undo()
    assert names(tmp_path) == set()


def test_kills_leave_a_readable_file_and_orphans_that_are_swept(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": np.zeros(1)}, {"n": -1})
    program = (
        "import sys, numpy as np; from pathlib import Path; from netspec.save.weights import save_weights\n"
        "print('ready', flush=True); n = 0\n"
        "while True: save_weights(Path(sys.argv[1]), {'a': np.full(200_000, n)}, {'n': n}); n += 1"
    )
    generator = np.random.default_rng(0)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(generator.uniform(0.0, 0.05))
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        tensors, metadata = load_weights(path)
        assert (tensors["a"] == max(0, metadata["n"])).all()
    sweep(tmp_path)
    assert names(tmp_path) == {"w.safetensors"}


def test_sweeping_spares_everything_else(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    dead, living = f".w.{gone.pid}-0123abcd.tmp", f".w.{os.getpid()}-0123abcd.tmp"
    for name in (dead, living, ".w.tmp", "w.123-0123abcd.tmp", "last.safetensors"):
        (tmp_path / name).write_bytes(b"")
    sweep(tmp_path)
    assert names(tmp_path) == {living, ".w.tmp", "w.123-0123abcd.tmp", "last.safetensors"}


# Run folders

ROW = {
    "epoch": 1,
    "step": 15,
    "lr": 1e-3,
    "loss": 0.1 + 0.2,
    "train_accuracy": np.float64(0.5),
    "val_loss": None,
    "val_accuracy": None,
    "seconds": 0.25,
}


def test_runs_are_numbered_and_never_overwritten(tmp_path):
    folders = [create_run_folder("digits", runs=tmp_path / "runs") for _ in range(3)]
    assert [folder.path.name for folder in folders] == ["digits", "digits-2", "digits-3"]
    assert names(folders[0].path) == {"weights", "state"}


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "", "<string>", "é ü"])
def test_any_name_stays_inside_the_runs(tmp_path, name):
    folder = create_run_folder(name, runs=tmp_path / "runs")
    assert folder.path.resolve().parent == tmp_path / "runs"


def test_a_given_folder_is_new_or_empty(tmp_path):
    assert create_run_folder("x", tmp_path / "new" / "deep").path == tmp_path / "new" / "deep"
    (tmp_path / "empty").mkdir()
    assert create_run_folder("x", tmp_path / "empty").path == tmp_path / "empty"
    (tmp_path / "file").write_text("")
    for path, part in [(tmp_path / "empty", "is not empty"), (tmp_path / "file", "is a file")]:
        with pytest.raises(UsageError, match=part) as caught:
            create_run_folder("x", path)
        assert caught.value.exit_code == 2
    with pytest.raises(SaveError, match="cannot be written"):
        create_run_folder("x", tmp_path / "file" / "below")


def test_the_layout_of_a_run(tmp_path):
    run = create_run_folder("x", tmp_path / "run")
    run.write_spec("affine → softmax", "netspec 1")
    run.write_plan("plan")
    run.write_environment(describe_environment(seed=7, threads=2, fingerprint="ab", rows={"train": 3}, uses={"blocks.net": "cd"}))
    run.add_epoch(ROW)
    run.add_events([{"step": 1, "loss": float("nan"), "lr": np.float32(0.5)}])
    for path in (run.last, run.best, run.state):
        save_weights(path, TENSORS, METADATA)
    found = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert found == {
        "spec.net", "spec.resolved.net", "plan.txt", "env.json", "results.csv", "events.jsonl",
        "weights/last.safetensors", "weights/best.safetensors", "state/last.safetensors",
    }  # fmt: skip
    assert run.spec.read_text(encoding="utf-8") == "affine → softmax"
    environment = json.loads((run.path / "env.json").read_text())
    assert (environment["seed"], environment["threads"], environment["data"]) == (7, 2, "ab")
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["cpu"]
    assert json.loads(run.events.read_text()) == {"step": 1, "loss": None, "lr": 0.5}


def test_results_come_back_exactly(tmp_path):
    run = RunFolder(tmp_path)
    assert run.read_epochs() == []
    rows = [{**ROW, "epoch": epoch, "step": 15 * epoch} for epoch in (1, 2, 3)]
    for row in rows:
        run.add_epoch(row)
    assert run.results.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert run.results.read_text().splitlines()[1] == "1,15,0.001,0.30000000000000004,0.5,,,0.25"
    assert run.read_epochs() == rows
    with pytest.raises(KeyError):
        run.add_epoch({"epoch": 4})


def test_a_resume_drops_what_comes_after_its_state(tmp_path):
    run = RunFolder(tmp_path)
    run.keep_epochs(5, 5)
    assert names(tmp_path) == set()
    for epoch in (1, 2, 3):
        run.add_epoch({**ROW, "epoch": epoch, "step": 15 * epoch})
        run.add_events([{"step": 15 * epoch}])
    run.keep_epochs(last_epoch=2, last_step=30)
    assert [row["epoch"] for row in run.read_epochs()] == [1, 2]
    assert [json.loads(line)["step"] for line in run.events.read_text().splitlines()] == [15, 30]


def test_finding_the_weights_of_a_run(tmp_path):
    run = create_run_folder("x", tmp_path / "run")
    with pytest.raises(UsageError, match="no such run"):
        find(tmp_path / "none")
    with pytest.raises(UsageError, match="not a run folder"):
        find(run.path)
    run.write_spec("affine", "affine")
    with pytest.raises(UsageError, match="holds no weights"):
        find(run.path)
    save_weights(run.last, TENSORS, METADATA)
    assert find(run.path).weights == run.last
    save_weights(run.best, TENSORS, METADATA)
    assert find(run.path).weights == run.best
    assert find(run.path, last=True).weights == run.last
    assert find(run.best).folder == run
    save_weights(tmp_path / "alone", TENSORS, METADATA)
    assert find(tmp_path / "alone").folder is None
    assert open_run_folder(run.path) == run


def test_damaged_metadata_are_data_errors(tmp_path: Path) -> None:
    """Whatever stands under a key, the file is refused with its name, or the model works."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 5))
    y = np.where(x[:, 0] > 0, "a", "b")
    text = "data { normalize = per_feature } net affine(4)-bn-relu -> affine -> softmax train { epochs = 1; class_weights = balanced }"
    model = netspec.compile(text)
    model.fit(x, y)
    model.save(tmp_path / "w.safetensors")
    tensors, metadata = load_weights(tmp_path / "w.safetensors")
    path = tmp_path / "odd.safetensors"
    values = [
        None,
        float("inf"),
        float("nan"),
        -1,
        2**63,
        10**30,
        1.5,
        True,
        "x",
        "",
        [],
        {},
        [1],
        ["a"],
        [[1]],
        [5, 5],
        ["5"],
        [2**40],
        [0],
    ]
    changed = [{**metadata, key: value} for key in metadata for value in values]
    changed += [{key: metadata[key] for key in metadata if key != gone} for gone in metadata]
    refused = 0
    for odd in changed:
        save_weights(path, tensors, odd)
        try:
            again = netspec.restore(path)
            again.predict(x)
            again.step(x, y)
        except netspec.NetspecError:
            refused += 1
    assert refused > 100
    faults = {
        "labels": (["a", "a"], "labels must differ"), "normalization": (None, "statistics of a normalisation whose kind is missing"),
        "columns": ([{"name": "c", "categories": None}], "columns of 1 numbers, and the net takes 5"),
        "classes": (None, "either classes or"),
    }  # fmt: skip
    for key, (value, found) in faults.items():
        save_weights(path, tensors, {**metadata, key: value})
        with pytest.raises(DataError, match=rf"odd\.safetensors: .*{found}"):
            netspec.restore(path)
    for categories in ("uv", ["u", "u"], [1]):
        save_weights(path, tensors, {**metadata, "columns": [{"name": "c", "categories": categories}]})
        with pytest.raises(DataError, match=r"odd\.safetensors: its metadata does not tell the columns"):
            netspec.restore(path)
    other = netspec.compile("affine(4)-bn-relu -> affine -> softmax", input=5, classes=5, weights=tmp_path / "w.safetensors", strict=False)
    assert other.unloaded == ["affine2.W", "affine2.b"]
    assert other.labels is None
    assert other.normalization is not None
    save_weights(path, tensors, {**metadata, "labels": ["a", "b", "c"]})
    with pytest.raises(DataError, match="3 labels, and the net has 2 classes"):
        netspec.restore(path)
    save_weights(path, tensors, {**metadata, "step": float("inf")})
    with pytest.raises(DataError, match=r"odd\.safetensors: its metadata is damaged: step"):
        netspec.restore(path)
