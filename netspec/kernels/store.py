"""Compiled kernels on disk, by content: the one module that imports generated code.

Each source becomes `k_<hash>.py` in a folder of the user's own, and its machine code `k_<hash>.obj` beside it: a process that finds the
code runs it without numba's compiler. The hash covers the source, the text of the kernel package, the versions of numba, llvmlite and
Python, and the CPU. Machine code is run as it stands, so folder and file are trusted only where they belong to the user and nobody else can
write to them; an entry that is damaged is deleted and compiled once more. The kernels that were not used for longest go when all together
exceed a bound.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba

from netspec.base.cache import kernel_bytes, kernel_folder, why_not_trusted, why_not_used
from netspec.base.entries import discard, discard_all, opened, trim, written
from netspec.kernels import objects
from netspec.kernels.simd import current, host_features

Addresses = dict[str, int]
"""The functions of a kernel module: the address of each by its name."""

CODE_OPTIONS = ("NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE", "NUMBA_BOUNDSCHECK")
KERNEL = "k_"
"""How the names of kernels begin."""
MOST_BYTES = 1 << 26
"""That are read of a file: the largest kernels take 150 kB."""
FALLBACK, FALLBACK_SECONDS = "netspec-kernels-", 86400.0
_loaded: dict[str, Addresses] = {}
_lock = threading.RLock()
compiled_count = 0
"""Kernels that had to be compiled for this process, for the reports."""
is_trimmed = False
"""Whether this process has looked after the size of the cache; workers leave that to the process that started them."""


@cache
def _fallback_folder() -> Path:
    """Raises OSError where there is no place for temporary files."""
    _sweep_fallbacks(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=f"{FALLBACK}{os.getpid()}-"))

    def remove(owner: int) -> None:
        if os.getpid() == owner:  # not a process that was forked from it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove, os.getpid())
    return folder


def _sweep_fallbacks(place: Path) -> None:
    """Deletes the folders of processes that were killed, a day after their last kernel."""
    for folder in place.glob(f"{FALLBACK}*"):
        with contextlib.suppress(OSError):
            facts = folder.lstat()
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and time.time() - facts.st_mtime > FALLBACK_SECONDS:
                shutil.rmtree(folder)


def cache_folder() -> Path:
    """The folder that compiled kernels are written to, mode 0700: `NETSPEC_CACHE`, or netspec's folder in the user's cache. Where that
    cannot be used (`why_not_used` says why) it is a folder of this process alone. Raises OSError where there is no place for one either."""
    folder = kernel_folder()
    return folder if why_not_used(folder) is None else _fallback_folder()


def _places() -> list[Path]:
    """The folders that kernels are read from: one that cannot be written to serves too."""
    folder = kernel_folder()
    reason = why_not_used(folder)
    if reason is None:
        return [folder]
    own = [_fallback_folder()] if _fallback_folder.cache_info().currsize else []
    return own + ([folder] if why_not_trusted(folder) is None else [])


@cache
def _environment_key() -> bytes:
    digest = hashlib.sha256()
    cpu = (platform.machine(), llvm.get_host_cpu_name(), current().name)
    options = (os.environ.get(name, "") for name in CODE_OPTIONS)
    for part in (numba.__version__, llvmlite.__version__, sys.version, *cpu, *options):
        digest.update(part.encode() + b"\0")
    digest.update(",".join(sorted(name for name, present in host_features().items() if present)).encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def kernel_name(source: str) -> str:
    """Module name of a source on this machine."""
    return KERNEL + hashlib.sha256(_environment_key() + source.encode()).hexdigest()[:32]


def write_source(folder: Path, source: str) -> Path:
    """The file of a source in a cache folder. Raises OSError."""
    path = folder / f"{kernel_name(source)}.py"
    if read_source(path) != source:
        _write(path, source.encode())
    return path


def read_source(path: Path) -> str | None:
    """The text of a file of the cache; None where there is none that can be read."""
    try:
        with opened(path) as file:
            return file.read(MOST_BYTES).decode()
    except (OSError, ValueError):
        return None


def _write(path: Path, content: bytes) -> None:
    with written(path) as file:
        file.write(content)


class _Given(SourceFileLoader):
    """A module of a text that is at hand, whatever its file holds by now. Bytecode on disk, which Python would run unchecked, is neither
    read nor written."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        super().__init__(name, str(path))
        self.source = source

    def get_data(self, path: str) -> bytes:
        return self.source.encode()

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError


def _import(path: Path, source: str) -> ModuleType:
    name = f"netspec_kernels.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Given(name, path, source))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # numba looks modules up by their names
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """A Ctrl-C inside is raised at the end: in the middle of a compilation it could be lost in a callback of the compiler."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield  # another thread, or a handler that Python did not install and could not put back
        return
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: noted.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if noted:
            signal.raise_signal(signal.SIGINT)


def is_cached(source: str) -> bool:
    """Whether the compiled form of a source is on disk or in this process."""
    name = kernel_name(source)
    return name in _loaded or any((folder / f"{name}.obj").exists() for folder in _places())


def _cached(name: str) -> Addresses | None:
    """The kernel's functions from the disk; None where there is no whole file of them. A damaged one is deleted."""
    for folder in _places():
        path = folder / f"{name}.obj"
        try:
            with opened(path) as file:
                content = file.read(MOST_BYTES)
            return objects.link(objects.from_bytes(content, name))
        except (FileNotFoundError, ImportError):  # ImportError: it needs what this process has not, and another one may have
            continue
        except (OSError, ValueError, LookupError, TypeError):
            discard(path)
    return None


def compile_source(source: str) -> objects.Compiled:
    """Compiles a source, and keeps its code in the cache where that takes it: not on a full disk, nor in a folder that vanished. Raises
    NumbaError for a template that does not compile."""
    name = kernel_name(source)
    path = Path(f"{name}.py")
    with contextlib.suppress(OSError):
        path = write_source(cache_folder(), source)  # before it is compiled: compilers' messages show its lines
    with _whole():
        compiled = objects.from_module(_import(path, source))
    with contextlib.suppress(OSError):
        _write(cache_folder() / f"{name}.obj", compiled.to_bytes(name))
        keep_small()
    return compiled


def keep_small() -> None:
    """Keeps the cache within its bound, once a process. Raises UsageError for a bound that is no number of bytes."""
    global is_trimmed
    if not is_trimmed:
        is_trimmed = True
        folder = cache_folder()
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)  # earlier versions wrote bytecode
        trim(folder, KERNEL, kernel_bytes())


def count_compiled(sources: Iterable[str]) -> None:
    """Other processes compiled those of the sources for this one that are in the cache and not loaded yet."""
    global compiled_count
    compiled_count += sum(kernel_name(source) not in _loaded and is_cached(source) for source in sources)


def load(source: str) -> Addresses:
    """The functions of a kernel source, compiled now or read from the cache."""
    global compiled_count
    name = kernel_name(source)
    with _lock:
        if name not in _loaded:
            found = _cached(name)
            if found is None:
                found = objects.link(compile_source(source))
                compiled_count += 1
            _loaded[name] = found
        return _loaded[name]


def clear() -> tuple[int, int]:
    """Deletes every cached kernel, also while other processes use them: what they have loaded stays with them. Returns how many went, and
    how many could not be deleted."""
    gone = left = 0
    for folder in _places():
        some = discard_all(folder, KERNEL)
        gone, left = gone + some[0], left + some[1]
        discard(folder / "__pycache__")
    return gone, left


def _after_fork() -> None:
    """Another thread of the parent may have held it, and does not exist here."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
