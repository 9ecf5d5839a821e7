"""Compiled kernels: what a cache holds, what damage does to it, and compiling in several processes at once."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import pytest
from numba.core.errors import NumbaError

from netspec.base.errors import UsageError
from netspec.kernels import compile as concurrent
from netspec.kernels import objects, store

KERNEL = """
from numba import cfunc, types

from netspec.kernels.native import OPTIONS


@cfunc(types.int64(types.int64), **OPTIONS)
def times(x):
    return {factor} * x  # {number}


@cfunc(types.int64(types.int64), **OPTIONS)
def plus(x):
    return {factor} + x
"""
BROKEN = KERNEL.replace("{factor} * x", "nothing_of_this_name(x)")
_number = itertools.count()


def source(factor: int, text: str = KERNEL) -> str:
    """A kernel source that no other test has."""
    return text.format(factor=factor, number=f"{os.getpid()} {next(_number)}")


def computed(addresses: store.Addresses, x: int) -> tuple[int, int]:
    """What the two functions of a kernel give for x."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    return kind(addresses["times"])(x), kind(addresses["plus"])(x)


def machine_code(function: tuple[str, str, bytes]) -> list[bytes]:
    """The instructions in an object; symbols bear numbers that count what a process compiled before."""
    sections = llvm.ObjectFileRef.from_data(function[2]).sections()
    return [bytes(section.data()) for section in sections if section.is_text()]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and no kernels in this process."""
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "kernels"))
    monkeypatch.setattr(store, "_loaded", {})
    return tmp_path / "kernels"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes compile, however little there is to do; here are those that were started. None may be left at the end."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(*words: Any, **settings: Any) -> subprocess.Popen[bytes]:
        started.append(real(*words, **settings))
        return started[-1]

    monkeypatch.setenv(concurrent.JOBS, "2")
    monkeypatch.setattr(concurrent, "WORKER_SECONDS", 0.01)
    monkeypatch.setattr(concurrent.subprocess, "Popen", start)
    yield started
    assert all(worker.returncode is not None for worker in started)


def here(monkeypatch: pytest.MonkeyPatch, what: Callable[[Iterator[int]], Iterator[int]]) -> None:
    """Changes what this process, beside the workers, does with the numbers of kernels."""
    real = concurrent._taken
    monkeypatch.setattr(concurrent, "_taken", lambda numbers: what(real(numbers)))


# one process


def test_a_kernel_is_compiled_once_and_read_ever_after(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, before = source(3), store.compiled_count
    assert not store.is_cached(text)
    assert computed(store.load(text), 7) == (21, 10)
    assert store.compiled_count == before + 1
    assert store.is_cached(text)
    monkeypatch.setattr(store, "_loaded", {})
    monkeypatch.setattr(store, "_import", lambda *_: pytest.fail("compiled again"))
    assert computed(store.load(text), 7) == (21, 10)
    assert store.compiled_count == before + 1
    assert sorted(path.suffix for path in folder.glob("k_*")) == [".obj", ".py"]


def damages(content: bytes) -> list[bytes]:
    flipped = bytearray(content)
    flipped[-100] ^= 1
    return [b"", content[:30], content[:-1], content + b"x", bytes(flipped), b"0" * 64 + content[64:], os.urandom(500)]


@pytest.mark.parametrize("number", range(7))
def test_a_damaged_entry_is_compiled_once_more(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    text = source(5)
    store.load(text)
    path = folder / f"{store.kernel_name(text)}.obj"
    whole = path.read_bytes()
    path.write_bytes(damages(whole)[number])
    monkeypatch.setattr(store, "_loaded", {})
    assert computed(store.load(text), 2) == (10, 7)
    assert objects.from_bytes(path.read_bytes(), path.stem).functions
    with pytest.raises(ValueError, match="checksum"):
        objects.from_bytes(damages(whole)[number], path.stem)


def test_an_entry_that_needs_what_is_not_here_is_compiled_once_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = source(5)
    store.load(text)
    path = folder / f"{store.kernel_name(text)}.obj"
    entry = objects.from_bytes(path.read_bytes(), path.stem)
    path.write_bytes(objects.Compiled(entry.functions, ("no_such_function_anywhere",)).to_bytes(path.stem))
    monkeypatch.setattr(store, "_loaded", {})
    assert computed(store.load(text), 2) == (10, 7)
    assert objects.from_bytes(path.read_bytes(), path.stem).externals == entry.externals


@pytest.mark.parametrize("text", [KERNEL, BROKEN], ids=["sound", "broken"])
def test_a_cache_that_cannot_be_used_does_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "file"))
    given = source(4, text)
    if text is BROKEN:
        with pytest.raises(NumbaError, match="nothing_of_this_name"):
            store.load(given)
    else:
        assert computed(store.load(given), 6) == (24, 10)


# several processes


def test_the_workers_compile_what_this_process_would(workers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    texts, before = [source(factor) for factor in (2, 3, 4)], store.compiled_count
    here(monkeypatch, lambda _: iter(()))  # all of it is left to the worker
    concurrent.ensure([*texts, texts[0]])
    assert len(workers) == 1
    assert workers[0].returncode == 0
    assert not store._loaded
    assert all(map(store.is_cached, texts))
    assert store.compiled_count == before + 3
    monkeypatch.setattr(store, "_import", lambda *_: pytest.fail("compiled again"))
    assert [computed(store.load(text), 5) for text in texts] == [(10, 7), (15, 8), (20, 9)]
    assert store.compiled_count == before + 3
    concurrent.ensure(texts)
    assert len(workers) == 1, "nothing is missing any more"


def test_machine_code_does_not_depend_on_the_process(workers: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, other = source(9), source(9)
    here(monkeypatch, lambda _: iter(()))
    concurrent.ensure([text, other])
    path = folder / f"{store.kernel_name(text)}.obj"
    theirs = objects.from_bytes(path.read_bytes(), path.stem)
    own = store.compile_source(text)
    assert [name for name, _, _ in own.functions] == [name for name, _, _ in theirs.functions] == ["times", "plus"]
    assert own.externals == theirs.externals
    assert list(map(machine_code, own.functions)) == list(map(machine_code, theirs.functions))
    assert machine_code(own.functions[0]) != machine_code(own.functions[1])


def test_this_process_works_beside_the_workers(workers: list[Any]) -> None:
    texts = [source(factor) for factor in range(6)]
    concurrent.ensure(texts)
    assert len(workers) == 1
    assert store._loaded
    assert all(map(store.is_cached, texts))
    assert [computed(store.load(text), 5)[0] for text in texts] == [0, 5, 10, 15, 20, 25]


def test_threads_that_compile_at_once(workers: list[Any]) -> None:
    texts = [source(factor) for factor in (2, 3, 4)]
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(concurrent.ensure, texts) for _ in range(3)]:
            done.result()
        found = list(pool.map(store.load, texts * 3))
    assert [computed(addresses, 5)[0] for addresses in found] == [10, 15, 20] * 3
    assert found[:3] == found[3:6] == found[6:], "linked once"


def test_a_worker_compiles_what_has_parallel_regions(workers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """numba starts its threads for those, and a process that has threads cannot be forked."""
    texts = [source(2), *(source(factor) + "# not parallel=True\n" for factor in (3, 4))]
    own: list[str] = []
    real = store.compile_source
    monkeypatch.setattr(store, "compile_source", lambda text: (own.append(text), real(text))[1])
    concurrent.ensure(texts)
    assert own in ([], texts[:1])
    assert all(map(store.is_cached, texts))
    assert [computed(store.load(text), 5)[0] for text in texts] == [10, 15, 20]


@pytest.mark.parametrize("script", ["exit 0", "exit 1", "kill -9 $$", "echo out; echo err >&2; sleep 0.2", "cat >/dev/null"])
def test_workers_that_do_nothing_do_not_matter(
    workers: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], script: str
) -> None:
    program = tmp_path / "python-that-fails"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(concurrent, "PATIENCE_SECONDS", 0.5)
    texts = [source(factor) for factor in (2, 3)]
    concurrent.ensure(texts)
    assert len(workers) == 1
    assert [computed(store.load(text), 5)[0] for text in texts] == [10, 15]
    assert capfd.readouterr() == ("", "")


def test_a_worker_that_is_killed_does_not_matter(workers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def kill_first(numbers: Iterator[int]) -> Iterator[int]:
        time.sleep(0.3)
        workers[0].kill()
        return numbers

    here(monkeypatch, kill_first)
    texts = [source(factor) for factor in (2, 3, 4)]
    concurrent.ensure(texts)
    assert workers[0].returncode == -signal.SIGKILL
    assert [computed(store.load(text), 5)[0] for text in texts] == [10, 15, 20]


def test_a_cache_that_cannot_be_used_is_one_of_this_process_for_workers_too(
    workers: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "file"))
    here(monkeypatch, lambda _: iter(()))
    texts = [source(factor) for factor in (2, 3)]
    concurrent.ensure(texts)
    assert workers[0].returncode == 0
    monkeypatch.setattr(store, "_import", lambda *_: pytest.fail("compiled again"))
    assert [computed(store.load(text), 5)[0] for text in texts] == [10, 15]


def test_a_folder_that_takes_nothing(workers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    texts = [source(factor) for factor in (2, 3)]
    with monkeypatch.context() as patch:
        patch.setattr(store, "_write", full)
        concurrent.ensure(texts)
    assert workers == []
    assert [computed(store.load(text), 5)[0] for text in texts] == [10, 15]


@pytest.mark.parametrize("by", ["worker", "this process"])
def test_a_source_that_does_not_compile_raises_once(workers: list[Any], monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    broken, sound = source(3, BROKEN), source(3)
    tried = []
    real = store._import
    monkeypatch.setattr(store, "_import", lambda path, text: (tried.append(path.stem), real(path, text))[1])
    if by == "worker":
        here(monkeypatch, lambda _: iter(()))
        concurrent.ensure([broken, sound])
        assert workers[0].returncode == 0
        assert store.is_cached(sound)
        with pytest.raises(NumbaError, match="nothing_of_this_name"):
            store.load(broken)
    else:
        with pytest.raises(NumbaError, match="nothing_of_this_name"):
            concurrent.ensure([broken, sound])
    assert tried.count(store.kernel_name(broken)) == 1
    assert not store.is_cached(broken)


def test_an_interruption_ends_the_workers(workers: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Iterator[int]) -> Iterator[int]:
        raise KeyboardInterrupt

    here(monkeypatch, interrupted)
    with pytest.raises(KeyboardInterrupt):
        concurrent.ensure([source(factor) for factor in (2, 3, 4)])
    assert workers[0].returncode == -signal.SIGKILL


def test_a_worker_ends_with_the_process_that_started_it() -> None:
    numbers, into = os.pipe()  # open and empty: a worker waits at it for ever
    command = [sys.executable, "-m", "netspec.kernels.compile", str(numbers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[numbers]) as worker:
        assert worker.stdin is not None
        worker.stdin.write(json.dumps([]).encode() + b"\n")
        worker.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1.5)
        worker.stdin.close()
        assert worker.wait(20) == 1
    os.close(numbers)
    os.close(into)


@pytest.mark.parametrize("reason", ["one job", "one kernel", "little work", "no Python", "frozen"])
def test_when_this_process_compiles_alone(workers: list[Any], monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    texts = [source(factor) for factor in (2, 3)]
    if reason == "one job":
        monkeypatch.setenv(concurrent.JOBS, "1")
    elif reason == "one kernel":
        texts = texts[:1]
    elif reason == "little work":
        monkeypatch.setattr(concurrent, "WORKER_SECONDS", 1.0)
    elif reason == "no Python":
        monkeypatch.setattr(sys, "executable", "/usr/bin/some-program")
    else:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    concurrent.ensure(texts)
    assert workers == []
    assert [computed(store.load(text), 5)[0] for text in texts] == [10, 15][: len(texts)]


@pytest.mark.parametrize(("given", "count"), [("1", 1), ("12", 12)])
def test_jobs(monkeypatch: pytest.MonkeyPatch, given: str, count: int) -> None:
    monkeypatch.setenv(concurrent.JOBS, given)
    assert concurrent.jobs() == count


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "²", " "])
def test_jobs_that_are_no_number(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(concurrent.JOBS, given)
    with pytest.raises(UsageError, match=r"NETSPEC_COMPILE_JOBS=.*a whole number of at least 1"):
        concurrent.jobs()


def test_jobs_by_themselves_are_the_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(concurrent.JOBS)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert concurrent.jobs() == 3
