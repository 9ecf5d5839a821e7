"""Strangers' files: weights, run folders and data of any content raise errors of netspec's, each in words, and reach nothing outside."""

from __future__ import annotations

import json
import os
import random
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import bombs
import numpy as np
import pytest
from alarm import ended_after
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import netspec
from netspec.base.errors import DataError, NetspecError
from netspec.catalog.arrays import load_npz
from netspec.catalog.sources.images import pictures
from netspec.pipeline import restore
from netspec.save.description import Ends, spec_of
from netspec.save.weights import as_bytes, load_weights, read_header
from netspec.ui.cli import app

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
import targets

quick = settings(deadline=None, database=None, max_examples=60, suppress_health_check=list(HealthCheck))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder of two epochs."""
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", x=np.arange(60.0).reshape(20, 3) % 7, y=np.arange(20) % 2)
    net = "net affine(2)-bn -> affine -> softmax train { epochs = 2 }"
    (tmp_path / "n.net").write_text(f'netspec 1 data {{ source = npz; path = "d.npz"; split = 60% / 20% / 20% }} {net}')
    return netspec.train(tmp_path / "n.net").path


def called(*words: object) -> tuple[int, str]:
    """Exit code and stderr of a command line, which ends in 30 seconds."""
    with ended_after(30):
        done = CliRunner().invoke(app, list(map(str, words)))
    assert "bug in netspec" not in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.exit_code, done.stderr


def refused(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(NetspecError) as caught:
        call(*arguments)
    return str(caught.value)


# any content


@pytest.mark.parametrize("name", targets.TARGETS)
def test_altered_files_raise_errors_of_netspec_alone(name: str) -> None:
    """Three seconds of what tests/fuzz does for hours."""
    draw, seeds, end = random.Random(name), targets.TARGETS[name][1], time.process_time() + 2
    for _ in range(3000):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            at, length = draw.randrange(1, len(data) + 1), draw.choice((0, 1, 1, 2, 4, 40))
            data[at : at + length] = draw.choice((draw.randbytes(length), bytes(data[at : at + length] * 2), b"", b"9" * length))
        began = time.process_time()
        targets.refuses_or_takes(name, bytes(data))
        assert time.process_time() - began < 5, bytes(data)
        if time.process_time() > end:
            break


FOUND = sorted((Path(targets.__file__).parent / "found").iterdir())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_was_found_once_is_refused(path: Path) -> None:
    """Inputs that raised something else before they were mended: `<target>-<what>`."""
    refused(targets.TARGETS[path.name.split("-")[0]][0], path.read_bytes())


@pytest.mark.filterwarnings("error")
def test_an_old_word_for_a_dtype_warns_nobody(tmp_path: Path) -> None:
    """Found by altered files: NumPy warned of `a4`, on the user's terminal."""
    (tmp_path / "d.npz").write_bytes(bombs.zipped({"x.npy": bombs.npy_header("(2, 1)", "<a4") + bytes(8)}))
    assert load_npz(tmp_path / "d.npz", ["x"])[0].dtype == np.dtype("S4")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = [*targets.DESCRIPTION, *targets.LEARNED, "outputs", "origin", "position"]
ARRAYS = st.tuples(st.sampled_from(["f2", "f4", "f8", "i4", "u1", "?"]), st.lists(st.integers(0, 3), max_size=4))


@quick
@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    st.dictionaries(st.sampled_from([*targets.TENSORS, "a", "optimizer/m/a"]), ARRAYS, max_size=3),
)
def test_valid_files_with_any_metadata_and_arrays_raise_errors_of_netspec_alone(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any], arrays: dict[str, tuple[str, list[int]]]
) -> None:
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    tensors = {**targets.TENSORS, **{name: np.ones(shape, dtype) for name, (dtype, shape) in arrays.items()}}
    path.write_bytes(as_bytes(tensors, {**targets.DESCRIPTION, **said}))
    with suppress(NetspecError):
        restore(path)


@settings(quick, max_examples=25)
@given(st.sampled_from(["results.csv", "events.jsonl", "env.json", "spec.resolved.net", "spec.net"]), st.binary(max_size=60) | VALUES)
def test_a_run_folder_with_any_content_is_told_in_words(tmp_path_factory: pytest.TempPathFactory, name: str, content: Any) -> None:
    folder = tmp_path_factory.mktemp("r")
    (folder / "weights").mkdir()
    for place, text in {"spec.net": targets.SPEC, "spec.resolved.net": targets.SPEC}.items():
        (folder / place).write_text(text)
    (folder / "results.csv").write_text("epoch,step,lr,loss,train_accuracy,val_loss,val_accuracy,seconds\n1,1,0.1,0.5,,,,1.0\n")
    (folder / "events.jsonl").write_text('{"event": "step", "step": 1, "loss": 0.5}\n')
    (folder / "weights" / "best.safetensors").write_bytes(targets.VALID)
    (folder / name).write_bytes(content if isinstance(content, bytes) else f"{json.dumps(content)}\n".encode())
    others = [("report", folder), ("report", folder, folder, "-o", folder / "r.html")]
    for words in (("eval", folder), ("diff", folder, folder), ("plot", folder, "-o", folder / "c.png"), *others):
        code, told = called(*words)
        assert code in (0, 1, 2, 3, 4, 6)
        assert told or code == 0


# weights that do not fit


def weights(path: Path, **changes: np.ndarray | None) -> Path:
    tensors = {**targets.TENSORS, **{name.replace("_", "."): array for name, array in changes.items()}}
    path.write_bytes(as_bytes({name: array for name, array in tensors.items() if array is not None}, targets.DESCRIPTION))
    return path


def test_everything_that_does_not_fit_is_listed(tmp_path: Path) -> None:
    wrong = {"affine1_W": np.ones((4, 2), "f4"), "affine2_b": np.ones(2, "i4"), "bn1_mean": None}
    path = weights(tmp_path / "w.safetensors", **wrong, extra=np.ones(3, "f4"), one=np.array(1, "f4"))
    told = refused(restore, path)
    assert told.splitlines() == [
        f"{path}: the weights do not fit the spec:",
        "  affine1.W is 4x2 float32, and the spec needs 3x2 of floating-point numbers",
        "  affine2.b is 2 int32, and the spec needs 2 of floating-point numbers",
        "  bn1.mean (2) is missing",
        "  extra (3 float32) is not in the spec",
        "  one (a single number float32) is not in the spec",
    ]
    model = netspec.compile(targets.SPEC, weights=path, strict=False)
    assert sorted(model.unloaded) == ["affine1.W", "affine2.b", "bn1.mean"]
    assert restore(weights(tmp_path / "fits.safetensors")).params["affine1.W"].tolist() == [[1, 1]] * 3  # the control


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    odd = np.ones((3, 2))
    odd[1, 1] = value
    path = weights(tmp_path / "w.safetensors", affine1_W=odd)  # 1e300 is infinite in the net's float32
    told = refused(restore, path)
    assert "NaN or infinity in affine1.W (1 of 6 numbers)" in told
    assert "strict=False" in told
    model = netspec.compile(targets.SPEC, weights=path, strict=False)
    assert model.unloaded == ["affine1.W"]
    assert np.isfinite(model.params["affine1.W"]).all()
    assert restore(weights(tmp_path / "fits.safetensors", affine1_W=np.ones((3, 2)))).params["affine1.W"][1, 1] == 1


def test_a_variance_below_zero_is_refused(tmp_path: Path) -> None:
    """A net with one answers NaN."""
    path = weights(tmp_path / "w.safetensors", bn1_var=np.array([1, -1e-3], "f4"))
    assert "bn1.var has numbers below 0, which it cannot have" in refused(restore, path)
    assert netspec.compile(targets.SPEC, weights=path, strict=False).unloaded == ["bn1.var"]
    restore(weights(tmp_path / "fits.safetensors", bn1_var=np.zeros(2, "f4"), bn1_mean=np.array([-1, 1], "f4")))  # the control


def test_arrays_of_kinds_that_numpy_lacks_are_named(tmp_path: Path) -> None:
    header = {"__metadata__": {"netspec": "{}"}, "a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}
    content = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(content)) + content + bytes(2))
    assert "a (BF16)" in refused(load_weights, tmp_path / "w.safetensors")


def test_a_header_tells_shapes_without_numbers(tmp_path: Path) -> None:
    path = weights(tmp_path / "w.safetensors")
    declared, said = read_header(path)
    assert said == targets.DESCRIPTION
    assert {name: (array.shape, array.dtype) for name, array in declared.items()} == {
        name: (array.shape, array.dtype) for name, array in targets.TENSORS.items()
    }


# places


def test_a_weights_file_opens_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its spec says that it lies in a stranger's choice of folder, data paths do not lead from there."""
    secret, own = tmp_path / "secret", tmp_path / "own"
    secret.mkdir(), own.mkdir()
    np.savez(secret / "d.npz", x=np.ones((20, 3)), y=np.arange(20) % 2)
    monkeypatch.chdir(own)
    spec = targets.SPEC + ' data { source = npz; path = "d.npz" }'
    for told in (f"{secret}/n.net", "../secret/n.net", "a/../../secret/n.net"):
        (own / "w.safetensors").write_bytes(as_bytes(targets.TENSORS, {**targets.DESCRIPTION, "spec": spec, "path": told}))
        assert "d.npz: no such file" in refused(restore(own / "w.safetensors").fit)
    ends = Ends(spec=spec, path="here/n.net", input=[3], classes=2)
    assert spec_of(own / "w.safetensors", ends).path == "here/n.net"  # the control: below the working folder
    (secret / "w.safetensors").write_bytes((own / "w.safetensors").read_bytes())
    assert restore(secret / "w.safetensors").splits_of_data() is not None  # and beside the file


SPECIAL = ["/dev/zero", "/dev/full", "/proc/self/mem", "/dev/stdin", "pipe"]


@pytest.mark.parametrize("place", SPECIAL)
@pytest.mark.parametrize("source", ["npz", "npy", "csv", "parquet", "images", "mnist", "cifar10"])
def test_devices_and_pipes_as_data_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("link").symlink_to(place)
    more = '; y = "y.npy"' if source == "npy" else ""
    for name in dict.fromkeys((place, "link", "../" + tmp_path.name + "/link")):
        text = f'netspec 1 data {{ source = {source}; path = "{name}"{more} }} net affine(2) -> affine -> softmax'
        with ended_after(20):
            told = refused(netspec.compile(text).fit)
            allowed = refused(lambda text=text: netspec.pipeline.Model(netspec.pipeline.read(text)).splits_of_data([Path("/")]))
        assert "outside the folders" in told or "pipe or a device" in told or "no such file" in told, told
        assert "\n" not in allowed


@pytest.mark.parametrize(
    "name", ["results.csv", "events.jsonl", "env.json", "spec.resolved.net", "weights/best.safetensors", "state/last.safetensors"]
)
@pytest.mark.parametrize("place", ["pipe", "/dev/zero", "/proc/self/mem", "gone"])
def test_a_run_folder_of_links_and_pipes_hangs_nothing(run: Path, name: str, place: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name) if place == "pipe" else (run / name).symlink_to(place)
    verbs: list[tuple[object, ...]] = [
        ("eval", run),
        ("plot", run, "-o", "c.png"),
        ("report", run),
        ("report", run, run),
        ("diff", run, run),
        ("predict", run, "d.npz"),
        ("runs",),
    ]
    for words in verbs:
        code, told = called(*words)
        assert told or code in (0, 2), words
    with ended_after(20), pytest.raises(NetspecError):
        netspec.train(run / "spec.net", resume=run)


@pytest.mark.parametrize("name", ["../out/1.png", "/out/1.png", "a/../../out/1.png", "..\\out\\1.png", "C:/out/1.png"])
def test_names_in_an_archive_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Entries are read into memory by their name, and nothing is unpacked."""
    inside = tmp_path / "in"
    inside.mkdir()
    monkeypatch.chdir(inside)
    picture = bombs.png(8, 8, b"".join(b"\0" + bytes(24) for _ in range(8)))
    (inside / "p.zip").write_bytes(bombs.zipped({name: picture, "b/1.png": picture, "c/1.png": picture}))
    with suppress(NetspecError):
        pictures(inside / "p.zip", (3, 8, 8))
    with suppress(NetspecError):
        netspec.compile('data { source = images; path = "p.zip" } net affine(2) -> affine -> softmax').fit(epochs=1)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["in", "in/p.zip"]
    assert pictures(inside / "p.zip", (3, 8, 8))[0].shape[1:] == (3, 8, 8)  # the control: it is an archive of pictures


def test_a_used_file_outside_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    monkeypatch.chdir(inside)
    (tmp_path / "out.net").write_text("def f = relu")
    (inside / "link.net").symlink_to(tmp_path / "out.net")
    (inside / "zero.net").symlink_to("/dev/zero")
    os.mkfifo(inside / "pipe.net")
    for name in ("../out.net", str(tmp_path / "out.net"), "link.net", "zero.net", "pipe.net", "/proc/self/mem"):
        with ended_after(20):
            assert "NS214" in refused(netspec.compile, f'use "{name}" net affine -> softmax')


def test_messages_move_no_cursor(run: Path) -> None:
    """What a stranger's file holds is quoted without the codes that terminals obey."""
    (run / "results.csv").write_text("epoch,step,lr,loss,train_accuracy,val_loss,val_accuracy,seconds\n\x1b[2Jx,1,1,1,,,,1\n")
    code, told = called("plot", run, "-o", "c.png")
    assert code == 4
    assert "\x1b" not in told
    assert r"'\x1b[2Jx' is no whole number" in told


def test_a_damaged_line_is_named(run: Path) -> None:
    for name, content, wanted in (
        ("results.csv", "epoch,step\n", "names no column lr"),
        ("results.csv", (run / "results.csv").read_text() + "1,2\n", "line 4 has 2 cells"),
        ("events.jsonl", '{"event": "step", "step": 1, "loss": 1}\nrubbish\n', "line 2 is no JSON"),
        ("events.jsonl", '{"event": "step", "step": "x", "loss": 1}\n', "line 1 tells of a step without its number"),
        ("events.jsonl", "[1]\n", "line 1 is no JSON object"),
    ):
        before = (run / name).read_bytes()
        (run / name).write_text(content)
        code, told = called("plot", run, "-o", "c.png")
        (run / name).write_bytes(before)
        assert (code, wanted in told) == (DataError.exit_code, True), told
    assert called("plot", run, "-o", "c.png")[0] == 0
