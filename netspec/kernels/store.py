"""Compiled kernels on disk, by content: the one module that imports generated code.

Each source becomes `k_<hash>.py` in a folder of the user's own, and its machine code `k_<hash>.obj` beside it: a process that finds the
code runs it without numba's compiler. The hash covers the source, the text of the kernel package, the versions of numba, llvmlite and
Python, and the CPU. Machine code is run as it stands, so the folder is trusted only when it belongs to the user and nobody else can
write to it; an entry that is damaged is deleted and compiled once more.
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
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core.errors import NumbaError

from netspec.base.cache import kernel_folder, made_private
from netspec.kernels import objects
from netspec.kernels.simd import current, host_features

Addresses = dict[str, int]
"""The functions of a kernel module: the address of each by its name."""

CODE_OPTIONS = ("NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE", "NUMBA_BOUNDSCHECK")
_loaded: dict[str, Addresses] = {}
_lock = threading.RLock()
compiled_count = 0
"""Kernels that had to be compiled for this process, for the reports."""


@cache
def _fallback_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="netspec-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # nothing in it outlives the process
    return folder


def cache_folder() -> Path:
    """The folder of compiled kernels, mode 0700: `NETSPEC_CACHE`, or netspec's folder in the user's cache. A folder that is a symlink,
    another user's, or open to others is not used; kernels then go to a folder of this process alone."""
    folder = kernel_folder()
    return folder if made_private(folder) else _fallback_folder()


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
    return "k_" + hashlib.sha256(_environment_key() + source.encode()).hexdigest()[:32]


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, whatever other processes write at the same time."""
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".new-", suffix=path.suffix, delete=False) as file:
        try:
            file.write(content)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    os.replace(file.name, path)


def write_source(folder: Path, source: str) -> Path:
    """The file of a source in a cache folder. Raises OSError."""
    path = folder / f"{kernel_name(source)}.py"
    if not (path.exists() and path.read_text(encoding="utf-8") == source):
        _write(path, source.encode())
    return path


def _import(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"netspec_kernels.{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
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
    return name in _loaded or (cache_folder() / f"{name}.obj").exists()


def _cached(folder: Path, name: str) -> Addresses | None:
    path = folder / f"{name}.obj"
    try:
        return objects.link(objects.from_bytes(path.read_bytes()))
    except FileNotFoundError:
        return None
    except ImportError:  # it needs what this process has not, and another one may have
        return None
    except (OSError, ValueError, LookupError, TypeError):  # damaged
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def _compiled(folder: Path, source: str) -> objects.Compiled:
    """Compiles a source and writes its code beside it, where that can be written. Raises NumbaError; OSError where not even the source
    can be written."""
    path = write_source(folder, source)
    with _whole():
        compiled = objects.from_module(_import(path, path.stem))
    with contextlib.suppress(OSError):
        _write(path.with_suffix(".obj"), compiled.to_bytes())
    return compiled


def compile_source(source: str) -> objects.Compiled:
    """Compiles a source into the cache: into a folder of this process alone where the cache fails (a full disk, a folder that vanished).
    Raises NumbaError for a template that does not compile."""
    try:
        return _compiled(cache_folder(), source)
    except NumbaError:
        raise
    except Exception:  # what was in the way: a broken file of that name, or a folder that takes none
        with contextlib.suppress(OSError):
            (cache_folder() / f"{kernel_name(source)}.py").unlink(missing_ok=True)
        return _compiled(_fallback_folder(), source)


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
            found = _cached(cache_folder(), name)
            if found is None:
                found = objects.link(compile_source(source))
                compiled_count += 1
            _loaded[name] = found
        return _loaded[name]


def clear() -> int:
    """Deletes every cached kernel; returns how many there were."""
    folder = cache_folder()
    sources = list(folder.glob("k_*.py"))
    for path in [*folder.glob("k_*"), *folder.glob(".new-*"), *(folder / "__pycache__").glob("k_*")]:
        path.unlink(missing_ok=True)
    return len(sources)
