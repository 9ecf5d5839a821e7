"""Who is about to make a run says so, by a shared lock on the folder where it will lie: until there is a run folder to be held, data is
read and kernels are compiled, and who looks for the run at work waits for it instead of taking an earlier one."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOKS, LOOK_SECONDS = 5, 0.02
"""Somebody who only asks holds the folder for a moment."""


def place_of(run: Path | None = None) -> Path:
    """Where the folder of a run will lie."""
    return Path("runs") if run is None else run.parent


@contextmanager
def announced(place: Path | None) -> Iterator[None]:
    """While runs are made in `place`, as far as it is there: in one that is not no earlier run could be taken for the new one. A run's own
    folder is not locked, which would look as if it were trained. The system lets go of the lock however the process ends."""
    descriptor = None if place is None or (place / "spec.net").exists() else _opened(place)
    if descriptor is None:
        yield
        return
    try:
        for _ in range(LOOKS):
            if _lock(descriptor, fcntl.LOCK_SH):
                break
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)


def is_announced(place: Path) -> bool:
    """Whether somebody makes a run in `place`."""
    descriptor = _opened(place)
    if descriptor is None:
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _opened(place: Path) -> int | None:
    try:
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _lock(descriptor: int, kind: int) -> bool:
    """Whether nobody was in the way; on file systems without locks nobody is."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
