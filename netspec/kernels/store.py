"""Compiled kernels on disk, by content: the one module that imports generated code.

Each source becomes `k_<hash>.py` in a folder of the user's own; numba keeps its compiled form beside it. The hash covers the source, the
text of the kernel package (numba does not see changes in imported files), the versions of netspec, numba, llvmlite and Python, and the
CPU's features. numba's own cache is pickle, so the folder is trusted only when it belongs to the user and nobody else can write to it;
an entry that is damaged is deleted and compiled once more.
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
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import llvmlite
import numba
import platformdirs
from numba.core.errors import NumbaError

from netspec.kernels.simd import current, host_features

_loaded: dict[str, ModuleType] = {}
_lock = threading.RLock()
compiled_count = 0
"""Kernels that this process had to compile, for the reports."""


def _is_private(folder: Path) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


@cache
def _fallback_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="netspec-kernels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # nothing in it outlives the process
    return folder


def cache_folder() -> Path:
    """The folder of compiled kernels, mode 0700: `NETSPEC_CACHE`, or netspec's folder in the user's cache. A folder that is a symlink,
    another user's, or open to others is not used; kernels then go to a folder of this process alone."""
    wanted = os.environ.get("NETSPEC_CACHE")
    folder = Path(wanted) if wanted else Path(platformdirs.user_cache_dir("netspec")) / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = _is_private(folder) and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        usable = False
    return folder if usable else _fallback_folder()


@cache
def _environment_key() -> bytes:
    digest = hashlib.sha256()
    for part in (version("netspec"), numba.__version__, llvmlite.__version__, sys.version, platform.machine(), current().name):
        digest.update(part.encode() + b"\0")
    digest.update(",".join(sorted(name for name, present in host_features().items() if present)).encode())
    package = Path(__file__).parent
    for path in sorted(package.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def kernel_name(source: str) -> str:
    """Module name of a source on this machine."""
    return "k_" + hashlib.sha256(_environment_key() + source.encode()).hexdigest()[:32]


def _write(path: Path, source: str) -> None:
    if path.exists() and path.read_text() == source:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".new-", suffix=".py", delete=False) as file:
        file.write(source)
    os.replace(file.name, path)


def _forget(folder: Path, name: str) -> None:
    (folder / f"{name}.py").unlink(missing_ok=True)
    for path in (folder / "__pycache__").glob(f"{name}*"):
        path.unlink(missing_ok=True)


def _import(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"netspec_kernels.{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # numba looks the module up when it reads its cache
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
    return name in _loaded or any((cache_folder() / "__pycache__").glob(f"{name}.*.nbi"))


def _compiled(name: str, source: str) -> ModuleType:
    """A damaged entry is deleted and compiled once more; where that fails too (a full disk, a folder that vanished), in a folder of
    this process alone."""
    folder = cache_folder()
    for _ in range(2):
        try:
            _write(folder / f"{name}.py", source)
            return _import(folder / f"{name}.py", name)
        except NumbaError:  # a template that does not compile: once is enough
            raise
        except Exception:
            with contextlib.suppress(OSError):
                _forget(folder, name)
    folder = _fallback_folder()
    _write(folder / f"{name}.py", source)
    return _import(folder / f"{name}.py", name)


def load(source: str) -> ModuleType:
    """The module of a kernel source, compiled now or read from the cache. Its cfuncs have `.address`."""
    global compiled_count
    name = kernel_name(source)
    with _lock:
        if name in _loaded:
            return _loaded[name]
        fresh = not is_cached(source)
        with _whole():
            module = _compiled(name, source)
        compiled_count += fresh
        _loaded[name] = module
        return module


def clear() -> int:
    """Deletes every cached kernel; returns how many there were."""
    folder = cache_folder()
    sources = list(folder.glob("k_*.py"))
    for path in [*sources, *(folder / "__pycache__").glob("k_*")]:
        path.unlink(missing_ok=True)
    return len(sources)
