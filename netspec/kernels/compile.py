"""Kernels that are not in the cache, compiled at the same time: numba compiles under one lock in a process, so processes share the work.

`ensure(sources)` starts workers, `python -m netspec.kernels.compile`, that write machine code into the cache, and works beside them.
Each takes the next kernel by reading its number from one pipe, the longest first. A worker that fails only means that this process
compiles the kernel when it is loaded. Workers end with this process: their standard input is a pipe that only it holds open.

`NETSPEC_COMPILE_JOBS` is the number of processes together, this one included; 1 compiles here alone, the default is all usable cores.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.base.waiting import waiting
from netspec.kernels import store

JOBS = "NETSPEC_COMPILE_JOBS"
PARALLEL = "parallel=True"
"""What the sources say that have parallel regions."""
WORKER_SECONDS = 1.0
"""Work that a further worker must find: it needs half a second to start."""
PATIENCE_SECONDS = 120.0
MOST = 255
"""Kernels that one call shares: a number is one byte, so that no two workers read parts of one."""


def jobs() -> int:
    """Processes that may compile at the same time. Raises UsageError for a NETSPEC_COMPILE_JOBS that is no whole number of at least 1."""
    wanted = os.environ.get(JOBS, "")
    if not wanted:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not (wanted.isascii() and wanted.isdigit() and int(wanted) >= 1):
        raise UsageError(f"{JOBS}={wanted}: a whole number of at least 1 is needed")
    return int(wanted)


def expected_seconds(source: str) -> float:
    """About what a source takes to compile: its length, and the tiles' many sizes. Only the order and the sharing depend on it."""
    return 0.1 + len(source) / 6000 + (0.8 if "tile_" in source else 0.0)


def ensure(sources: Sequence[str]) -> None:
    """Compiles those of the sources that are not in the cache, several at once where that is faster. Raises NumbaError for one that does
    not compile."""
    lacking = (source for source in dict.fromkeys(sources) if not store.is_cached(source))
    missing = sorted(lacking, key=expected_seconds, reverse=True)[:MOST]
    if missing:
        with waiting(f"compiling {len(missing)} {'kernel' if len(missing) == 1 else 'kernels'}, once on this machine ..."):
            _compile(missing)


def _compile(missing: Sequence[str]) -> None:
    count = min(jobs(), len(missing), int(sum(map(expected_seconds, missing)) / WORKER_SECONDS)) - 1
    if count < 1 or not _can_start():
        for source in missing:
            store.load(source)
        return
    with contextlib.ExitStack() as stack:
        try:
            folder = store.cache_folder()
            for source in missing:
                store.write_source(folder, source)
            numbers, workers = stack.enter_context(_workers(count, folder, missing))
        except OSError:  # a full disk, or no more processes
            return
        for number in _taken(numbers):
            store.load(missing[number])
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(PATIENCE_SECONDS)
    store.count_compiled(missing)
    with contextlib.suppress(OSError):
        store.keep_small()


def _can_start() -> bool:
    """Whether sys.executable is Python: in a frozen program, or where Python is embedded, it is not."""
    return bool(sys.executable) and not getattr(sys, "frozen", False) and Path(sys.executable).name.lower().startswith("python")


@contextlib.contextmanager
def _workers(count: int, folder: Path, sources: Sequence[str]) -> Iterator[tuple[int, list[subprocess.Popen[bytes]]]]:
    """`count` workers, and the end of the pipe that the numbers of kernels are read from. At the end all of them are gone. The first begins
    with the sources that have parallel regions: numba starts its threads for them, and this process could not be forked after that."""
    numbers, into = os.pipe()
    workers: list[subprocess.Popen[bytes]] = []
    names = [store.kernel_name(source) for source in sources]
    first = [number for number, source in enumerate(sources) if PARALLEL in source]
    try:
        os.write(into, bytes(number for number in range(len(names)) if number not in first))
        os.close(into)
        # the cache is the working folder, and the path is this process's: nothing else is imported by accident
        places = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
        environment = {**os.environ, "NETSPEC_CACHE": str(folder.absolute()), "PYTHONPATH": places, "PYTHONSAFEPATH": "1"}
        for own in (first, *[[]] * (count - 1)):
            workers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "netspec.kernels.compile", str(numbers), *map(str, own)],
                    env=environment, cwd=folder, pass_fds=[numbers],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    process_group=0,  # the terminal's Ctrl-C comes to this process alone
                )
            )  # fmt: skip
            stdin = workers[-1].stdin
            assert stdin is not None
            with contextlib.suppress(BrokenPipeError):
                stdin.write(json.dumps(names).encode() + b"\n")
                stdin.flush()
        yield numbers, workers
    finally:
        os.close(numbers)
        for worker in workers:
            worker.kill()
            with contextlib.suppress(BrokenPipeError):
                worker.communicate()


def _taken(numbers: int) -> Iterator[int]:
    """The numbers that this process reads, until none is left."""
    while taken := os.read(numbers, 1):
        yield taken[0]


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)  # the process that started this one has let go


def main() -> None:
    """A worker: kernels by the numbers that it reads; names on the first line of its standard input, sources in the cache folder."""
    line = b""  # read without a buffer, whose lock a waiting thread would hold at the end
    while not line.endswith(b"\n") and (more := os.read(0, 1)):
        line += more
    names: list[str] = json.loads(line)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    store.is_trimmed = True  # by the process that started this one
    own = [int(number) for number in sys.argv[2:]]
    for number in itertools.chain(own, _taken(int(sys.argv[1]))):
        with contextlib.suppress(Exception):  # the process that started this one meets the same error, and raises it
            source = store.read_source(store.cache_folder() / f"{names[number]}.py")
            if source is not None and store.kernel_name(source) == names[number] and not store.is_cached(source):
                store.compile_source(source)


if __name__ == "__main__":
    main()
