"""The cache's folder and its entries: what is trusted, what is read, what is written, what is kept."""

from __future__ import annotations

import errno
import json
import os
import py_compile
import random
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from subprocess import run as run_process
from typing import Any

import pytest

from netspec.base import cache, entries
from netspec.base.cache import why_not_trusted, why_not_used
from netspec.base.errors import UsageError
from netspec.kernels import objects, store
from netspec.ui.verbs import doctor

HOUR, DAY = 3600.0, 86400.0
SOURCE = """
from numba import cfunc, types

from netspec.kernels.native import OPTIONS


@cfunc(types.int64(types.int64), **OPTIONS)
def times(x):
    return {factor} * x
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and a process that has loaded and trimmed nothing."""
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "kernels"))
    monkeypatch.setattr(store, "_loaded", {})
    monkeypatch.setattr(store, "is_trimmed", False)
    return tmp_path / "kernels"


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that begins."""
    monkeypatch.setattr(store, "_loaded", {})
    monkeypatch.setattr(store, "is_trimmed", False)


def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that are compiled from now on."""
    found: list[str] = []
    real = store._import
    monkeypatch.setattr(store, "_import", lambda path, text: (found.append(path.stem), real(path, text))[1])
    return found


# the folder


def test_what_is_made_is_this_user_s_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert why_not_used(tmp_path / "a" / "b" / "kernels") is None
    finally:
        os.umask(before)
    for place in ("a", "a/b", "a/b/kernels"):
        assert stat.S_IMODE((tmp_path / place).stat().st_mode) == 0o700


def test_folders_that_cannot_be_trusted_are_told_with_the_cure(tmp_path: Path) -> None:
    def made(name: str, mode: int = 0o700) -> Path:
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name).chmod(mode)
        return tmp_path / name

    made("real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    made("open/kernels")
    made("open", 0o777)
    (tmp_path / "way").symlink_to(tmp_path / "open")
    made("sticky/kernels")
    made("sticky", 0o1777)
    reasons = {
        "link": "it is a symbolic link",
        "dangling": "it cannot be made",
        "file": "it is no folder",
        "file/kernels": "it cannot be made (Not a directory)",
        "open": "other users may write to it; chmod 700",
        "open/kernels": f"every user may rename what lies in {tmp_path}/open; chmod o-w",
        "way/kernels": "every user may rename what lies in",
        "sticky/kernels": None,
        "real": None,
    }
    for name, reason in reasons.items():
        found = why_not_trusted(tmp_path / name)
        assert (found is None) if reason is None else (found or "").startswith(reason), (name, found)
    made("group", 0o770)
    assert "other users may write" in (why_not_trusted(tmp_path / "group") or "")


def test_another_user_s_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    assert why_not_trusted(tmp_path) is None
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    assert why_not_trusted(tmp_path) == "it belongs to another user"


def test_a_folder_that_is_not_trusted_is_neither_read_nor_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SOURCE.format(factor=3)
    store.load(text)
    before = sorted(folder.iterdir())
    folder.chmod(0o777)
    forget(monkeypatch)
    again = compiles(monkeypatch)
    store.load(text)
    store.load(SOURCE.format(factor=4))
    assert len(again) == 2
    assert sorted(folder.iterdir()) == before
    own = store.cache_folder()
    assert own.name.startswith("netspec-kernels-")
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    forget(monkeypatch)
    store.load(text)
    assert len(again) == 2, "the folder of this process serves it"


def test_a_folder_that_cannot_be_written_to_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = SOURCE.format(factor=5), SOURCE.format(factor=6)
    store.load(known)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and real(path, mode))  # root may write anywhere
    forget(monkeypatch)
    again = compiles(monkeypatch)
    store.load(known)
    assert again == []
    store.load(other)
    assert again == [store.kernel_name(other)]
    assert len(list(folder.glob("*.obj"))) == 1


def test_folders_of_killed_processes_go(tmp_path: Path) -> None:
    for name, age in (("netspec-kernels-1-a", 2 * DAY), ("netspec-kernels-2-b", HOUR), ("other", 2 * DAY)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "k_1.obj").write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    store._sweep_fallbacks(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "kernels") == ["netspec-kernels-2-b", "other"]


def test_no_place_for_files_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none(*_: Any, **__: Any) -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(store.tempfile, "mkdtemp", none)
    store._fallback_folder.cache_clear()
    assert store.load(SOURCE.format(factor=7))["times"]


FORKED = """
import atexit, os
from netspec.kernels import store

folder = store.cache_folder()
(folder / "k_1.obj").write_bytes(b"")
child = os.fork()
if child == 0:
    atexit._run_exitfuncs()
    os._exit(0)
os.waitpid(child, 0)
print(folder, os.listdir(folder))
"""


def test_a_forked_child_leaves_its_parent_s_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "file"))
    done = run_process([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=100, check=True)
    folder, listed = done.stdout.split(maxsplit=1)
    assert listed == "['k_1.obj']\n"
    assert not Path(folder).exists(), "it ended with the process"


# entries


def test_no_changed_byte_goes_unnoticed(folder: Path) -> None:
    text = SOURCE.format(factor=2)
    store.load(text)
    name = store.kernel_name(text)
    whole = (folder / f"{name}.obj").read_bytes()
    assert objects.from_bytes(whole, name).functions
    draw = random.Random(0)
    places = {*range(200), *range(200, len(whole), 37), len(whole) - 1}  # sum, head, and all of the code
    for place in places:
        harmed = bytearray(whole)
        harmed[place] ^= 1 << draw.randrange(8)
        with pytest.raises(ValueError, match="checksum"):
            objects.from_bytes(bytes(harmed), name)
    for length in range(0, len(whole), 101):
        with pytest.raises(ValueError, match="checksum"):
            objects.from_bytes(whole[:length], name)
    with pytest.raises(ValueError, match="checksum"):
        objects.from_bytes(whole, name[:-1] + "x")


def strange(path: Path, other: Path) -> dict[str, Callable[[], object]]:
    """Ways in which something else stands at a place."""
    return {
        "a folder": path.mkdir,
        "a full folder": lambda: (path.mkdir(), (path / "x").write_text("")),
        "a pipe": lambda: os.mkfifo(path),
        "a link": lambda: path.symlink_to(other),
        "a link to itself": lambda: path.symlink_to(path),
        "empty": lambda: path.write_bytes(b""),
        "another kernel": lambda: path.write_bytes(other.read_bytes()),
        "open to others": lambda: (path.write_bytes(other.read_bytes()), path.chmod(0o666)),
    }


@pytest.mark.parametrize("what", strange(Path(), Path()))
@pytest.mark.parametrize("suffix", [".obj", ".py"])
def test_whatever_stands_in_an_entry_s_place_is_compiled_over_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, what: str, suffix: str
) -> None:
    text, other = SOURCE.format(factor=8), SOURCE.format(factor=9)
    store.load(text)
    store.load(other)
    path = folder / f"{store.kernel_name(text)}{suffix}"
    path.unlink()
    strange(path, folder / f"{store.kernel_name(other)}{suffix}")[what]()
    again = compiles(monkeypatch)
    forget(monkeypatch)
    store.load(text)
    assert again == ([store.kernel_name(text)] if suffix == ".obj" else [])
    again.clear()
    forget(monkeypatch)
    store.load(text)
    assert again == [], "once"
    if suffix == ".py":
        store.write_source(folder, text)
    assert stat.S_ISREG(path.lstat().st_mode)
    assert store.read_source(folder / f"{store.kernel_name(other)}.py") == other


def test_foreign_files_do_not_matter(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "notes.txt").write_text("mine")
    (folder / "k_notes").mkdir()
    (folder / "k_1").symlink_to(folder / "notes.txt")
    os.mkfifo(folder / ".new-pipe")
    store.load(SOURCE.format(factor=10))
    assert store.clear() == (3, 0)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert (folder / "notes.txt").read_text() == "mine"


def test_code_comes_from_the_text_that_was_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from what a file of its name holds by now, nor from bytecode beside it."""
    text, other = SOURCE.format(factor=11), SOURCE.format(factor=12)
    name = store.kernel_name(text)
    real = store.write_source

    def changed(place: Path, source: str) -> Path:
        path = real(place, source)
        path.write_text(other)
        py_compile.compile(str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        return path

    monkeypatch.setattr(store, "write_source", changed)
    monkeypatch.setattr(store, "is_trimmed", True)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    store.load(text)
    monkeypatch.setattr(store, "write_source", real)
    module = sys.modules[f"netspec_kernels.{name}"]
    assert vars(module)["times"](5) == 55  # the cfunc as Python
    bytecode = [*(folder / "__pycache__").iterdir()]
    assert len(bytecode) == 1
    store.load(SOURCE.format(factor=22))
    assert [*(folder / "__pycache__").iterdir()] == bytecode


# writing


def no_space(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fails", ["write", "flush", "replace"])
def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    path = tmp_path / "k_1.obj"
    path.write_bytes(b"before")

    def write() -> None:
        with entries.written(path) as file:
            file.write(b"after")
            if fails == "write":
                no_space()
            if fails == "flush":  # when it is closed
                os.close(file.fileno())

    if fails == "replace":
        monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="Bad file descriptor" if fails == "flush" else "No space"):
        write()
    assert [file.name for file in tmp_path.iterdir()] == ["k_1.obj"]
    assert path.read_bytes() == b"before"
    monkeypatch.undo()
    fails = "nothing"
    write()
    assert path.read_bytes() == b"after"


FULL = """
import ctypes, resource, sys
from netspec.kernels import store

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
text = sys.stdin.read()
address = store.load(text)["times"]
print(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(6), store.is_cached(text), store.compiled_count)
"""


@pytest.mark.parametrize("most", [0, 600])
def test_a_disk_that_takes_no_more(folder: Path, most: int) -> None:
    text = SOURCE.format(factor=13)
    assert len(text) < 600
    done = run_process([sys.executable, "-c", FULL, str(most)], input=text, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.split() == ["78", "True", "1"], done.stderr  # in this process
    assert done.stderr == ""
    assert sorted(path.suffix for path in folder.iterdir()) == ([".py"] if most else [])


def test_a_folder_that_vanishes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = store._import

    def gone(path: Path, text: str) -> Any:
        discarded.append(entries.discard(folder))
        return real(path, text)

    discarded: list[bool] = []
    monkeypatch.setattr(store, "_import", gone)
    assert store.load(SOURCE.format(factor=14))["times"]
    assert discarded == [True]
    monkeypatch.undo()
    monkeypatch.setenv("NETSPEC_CACHE", str(folder))
    assert store.load(SOURCE.format(factor=15))["times"]
    assert len(list(folder.glob("*.obj"))) >= 1


# the bound


def put(folder: Path, name: str, size: int, age: float) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for suffix, share in ((".py", size // 10), (".obj", size - size // 10)):
        (folder / f"{name}{suffix}").write_bytes(b"x" * share)
        (folder / f"{name}{suffix}").chmod(0o600)
        os.utime(folder / f"{name}{suffix}", (time.time() - age,) * 2)


def test_those_that_were_not_used_for_longest_go(folder: Path) -> None:
    for number, age in enumerate([5 * DAY, DAY, 9 * DAY, 2 * HOUR, 0.0]):
        put(folder, f"k_{number}", 1000, age)
    (folder / "notes").write_bytes(b"x" * 9000)
    assert entries.trim(folder, "k_", 5000) == 0
    assert entries.trim(folder, "k_", 4999) == 1
    assert sorted(path.stem for path in folder.glob("*.obj")) == ["k_0", "k_1", "k_3", "k_4"]
    assert entries.trim(folder, "k_", 3000) == 2, "down to nine tenths of it"
    assert sorted(path.name for path in folder.glob("k_*")) == ["k_3.obj", "k_3.py", "k_4.obj", "k_4.py"]
    assert entries.trim(folder, "k_", 0) == 1
    assert [path.stem for path in folder.glob("*.obj")] == ["k_4"], "some process may be about to load it"
    assert (folder / "notes").exists()


def test_a_time_of_the_future_does_not_keep_an_entry(folder: Path) -> None:
    put(folder, "k_1", 1000, -9 * DAY)
    put(folder, "k_2", 1000, DAY)
    assert entries.trim(folder, "k_", 1500) == 1
    assert [path.stem for path in folder.glob("*.obj")] == ["k_2"]


def test_reading_an_entry_counts_as_use_once_an_hour(folder: Path) -> None:
    put(folder, "k_1", 100, 30 * DAY)
    put(folder, "k_2", 100, 0.5 * HOUR)
    for name, moved in (("k_1", True), ("k_2", False), ("k_1", False)):
        before = (folder / f"{name}.obj").stat().st_mtime
        with entries.opened(folder / f"{name}.obj") as file:
            file.read()
        assert ((folder / f"{name}.obj").stat().st_mtime != before) is moved
    assert [Path(entry.files[0]).stem for entry in entries.entries(folder, "k_")] == ["k_2", "k_1"]


def test_kernels_stay_within_their_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "k_old", 700_000, 3 * DAY)
    put(folder, "k_older", 700_000, 4 * DAY)
    (folder / ".new-dead").write_bytes(b"x")
    os.utime(folder / ".new-dead", (time.time() - 2 * HOUR,) * 2)
    (folder / ".new-live").write_bytes(b"x")
    store.load(SOURCE.format(factor=16))
    assert (folder / "k_older.obj").exists(), "half a gigabyte is not reached"
    assert not (folder / ".new-dead").exists()
    assert (folder / ".new-live").exists()
    monkeypatch.setenv("NETSPEC_CACHE_BYTES", "1MB")
    store.load(SOURCE.format(factor=17))
    assert (folder / "k_older.obj").exists(), "once a process"
    forget(monkeypatch)
    store.load(SOURCE.format(factor=16))
    assert (folder / "k_older.obj").exists(), "nothing was written"
    store.load(SOURCE.format(factor=18))
    assert not (folder / "k_older.obj").exists()
    assert (folder / "k_old.obj").exists()


@pytest.mark.parametrize(
    ("given", "count"), [("0", 0), ("12", 12), ("5kB", 5000), ("3 MB", 3_000_000), ("2gb", 2 * 10**9), ("1TB", 10**12)]
)
def test_bounds(monkeypatch: pytest.MonkeyPatch, given: str, count: int) -> None:
    monkeypatch.setenv("NETSPEC_CACHE_BYTES", given)
    monkeypatch.setenv("NETSPEC_IMAGE_CACHE_BYTES", given)
    assert (cache.kernel_bytes(), cache.image_bytes()) == (count, count)


@pytest.mark.parametrize("given", ["-1", "1.5GB", "many", "²", "1 PB", " ", "9" * 30])
def test_bounds_that_are_no_number(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("NETSPEC_CACHE_BYTES", given)
    with pytest.raises(UsageError, match=r"NETSPEC_CACHE_BYTES=.*a number of bytes is needed, as 500000000, 500MB or 2GB"):
        store.load(SOURCE.format(factor=19))
    monkeypatch.delenv("NETSPEC_CACHE_BYTES")
    assert (cache.kernel_bytes(), cache.image_bytes()) == (512_000_000, 8_000_000_000)


# what doctor says


def test_doctor_tells_the_cache(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*, clear: bool = False, as_json: bool = False) -> str:
        assert doctor.run(clear_cache=clear, json=as_json) == 0
        return capsys.readouterr().out

    put(folder, "k_1", 3000, 3 * DAY + 60)
    put(folder, "k_2", 4000, 5 * HOUR + 60)
    put(folder / "images", "i_1", 2000, 60)
    facts = json.loads(told(as_json=True))["cache"]
    assert (facts["kernels"], facts["bytes"], facts["most_bytes"]) == (2, 7000, 512_000_000)
    assert abs(time.time() - 3 * DAY - 60 - facts["oldest"]) < 60
    assert (facts["images"]["arrays"], facts["images"]["bytes"], facts["images"]["most_bytes"]) == (1, 2000, 8_000_000_000)
    assert facts["refused"] is None
    assert "2 kernels, 7.0 kB of at most 512 MB, the oldest used 3 days ago" in " ".join(told().split())
    folder.chmod(0o777)
    text = " ".join(told(clear=True).split())
    assert f"in place of {folder}: other users may write to it; chmod 700 {folder}. Kernels that are compiled now" in text
    assert (folder / "k_1.obj").exists()
    folder.chmod(0o700)
    text = " ".join(told(clear=True).split())
    assert "0 kernels, 0 B of at most 512 MB (NETSPEC_CACHE_BYTES); 2 deleted just now" in text
    assert "0 arrays, 0 B of at most 8.0 GB of images (NETSPEC_IMAGE_CACHE_BYTES); " in text
    assert not list(folder.rglob("?_*.obj"))


def test_what_cannot_be_deleted_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    put(folder, "k_1", 3000, 0)
    monkeypatch.setattr(Path, "unlink", no_space)
    assert doctor.run(clear_cache=True, json=False) == 0
    assert "0 deleted just now, 1 could not be" in " ".join(capsys.readouterr().out.split())


USES = """
import sys
from netspec.kernels import store

first, second = sys.stdin.readline().encode().decode("unicode_escape").split("|")[:2]
store.load(first)
print("loaded", flush=True)
sys.stdin.readline()
print(bool(store.load(first)["times"]), bool(store.load(second)["times"]), store.compiled_count)
"""


def test_the_cache_can_be_cleared_while_a_process_uses_it(folder: Path) -> None:
    texts = [SOURCE.format(factor=factor) for factor in (20, 21)]
    for text in texts:
        store.load(text)
    with Popen([sys.executable, "-c", USES], stdin=PIPE, stdout=PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        running.stdin.write("|".join(texts).replace("\n", "\\n") + "|\n")
        running.stdin.flush()
        assert running.stdout.readline() == "loaded\n"
        assert store.clear() == (2, 0)
        assert not list(folder.iterdir())
        running.stdin.write("\n")
        running.stdin.close()
        assert running.stdout.read().split() == ["True", "True", "1"]
    assert running.returncode == 0
    assert [path.stem for path in folder.glob("*.obj")] == [store.kernel_name(texts[1])]
