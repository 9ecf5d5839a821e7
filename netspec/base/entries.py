"""The entries of a cache folder: read only where they are this user's own files, written whole or not at all, and the ones that were not
used for longest deleted when there are too many.

An entry is one file, or several of one stem. The time of its last change is that of its last use, to the hour: reading one moves it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

NEW = ".new-"
"""How the names of files begin that are not whole yet."""
ORPHAN_SECONDS = 3600.0
"""Age at which a file that some process began and never finished is deleted."""
USED_SECONDS = 3600.0
"""How exactly the time of the last use is known."""
IN_USE_SECONDS = 600.0
"""An entry that was written or used in the last ten minutes stays: some process may be about to load it."""
AFTERWARDS = 0.9
"""Of the bound: what is left when it was exceeded, so that not every process that writes has something to delete."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """An entry to read. Raises FileNotFoundError, and OSError or ValueError for all that is not a plain file of this user alone: a link, a
    folder, a pipe, whose reader would wait for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o022:
            raise ValueError(f"{path} is no file of this user alone")
        if abs(time.time() - facts.st_mtime) > USED_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(descriptor)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the name at the end: all of it or nothing, whatever other processes write at the same time. It is not forced to the
    disk: readers know a damaged entry. Raises OSError."""
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=NEW, suffix=path.suffix, delete=False) as file:
        try:
            yield file
            file.close()  # a full disk may tell only now
            if path.is_dir():
                discard(path)
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def discard(path: Path) -> bool:
    """Deletes an entry, whatever it is; whether it is gone."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return True
    return False


@dataclass(frozen=True)
class Entry:
    """Files of one stem, their bytes together, and when they were last used, in seconds since 1970."""

    files: tuple[str, ...]
    bytes: int
    used: float

    def discard(self) -> bool:
        """Deletes its files; whether all are gone."""
        return all([discard(Path(file)) for file in self.files])  # noqa: C419  each of them, also after one that stays


def entries(folder: Path, start: str) -> list[Entry]:
    """Those whose names begin with `start`, the one that was not used for longest first; none where there is no folder."""
    found: dict[str, list[tuple[str, int, float]]] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            if file.name.startswith(start):
                with contextlib.suppress(FileNotFoundError):  # another process deleted it just now
                    facts = file.stat(follow_symlinks=False)
                    found.setdefault(file.name.partition(".")[0], []).append((file.path, facts.st_size, facts.st_mtime))
    latest = time.time() + USED_SECONDS  # by a clock that was wrong
    made = []
    for rows in found.values():
        paths, sizes, times = zip(*rows, strict=True)
        used = max(times)
        made.append(Entry(paths, sum(sizes), used if used <= latest else 0.0))
    return sorted(made, key=lambda entry: (entry.used, entry.files))


def discard_all(folder: Path, start: str) -> tuple[int, int]:
    """Deletes all entries whose names begin so, and what is not whole yet: its writer goes on without. Returns how many entries went, and
    how many could not be deleted."""
    gone = [entry.discard() for entry in entries(folder, start)]
    for path in folder.glob(f"{NEW}*"):
        discard(path)
    return sum(gone), len(gone) - sum(gone)


def trim(folder: Path, start: str, bound: int) -> int:
    """Deletes files that nobody finished, and where the entries exceed `bound` bytes the ones that were not used for longest, but none of
    the last ten minutes; returns how many entries went."""
    now = time.time()
    for orphan in folder.glob(f"{NEW}*"):
        with contextlib.suppress(OSError):
            if now - orphan.lstat().st_mtime > ORPHAN_SECONDS:
                discard(orphan)
    kept = entries(folder, start)
    total, gone = sum(entry.bytes for entry in kept), 0
    if total <= bound:
        return 0
    for entry in kept:
        if total <= AFTERWARDS * bound or now - entry.used < IN_USE_SECONDS:
            break
        if entry.discard():
            total, gone = total - entry.bytes, gone + 1
    return gone
