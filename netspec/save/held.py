"""What one process holds: a file or a folder, by a lock of the system, which lets go of it however the process ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOKS, LOOK_SECONDS = 5, 0.02
"""What seems to be held is looked at again: somebody who only asks whether it is holds it for a moment."""


@contextmanager
def held(path: Path, *, shared: bool = False) -> Iterator[None]:
    """While this process holds it, alone or `shared` with others that hold it so. Raises BlockingIOError where another process is in the
    way, OSError where it is not there or cannot be opened. On a file system without locks nothing is held."""
    descriptor = _opened(path)
    try:
        try:
            _lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, LOOKS)
        except BlockingIOError:
            raise
        except OSError:  # no locks here
            pass
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path, *, shared: bool = False) -> bool | None:
    """Whether a process holds it alone, with `shared` whether any holds it at all; None where it is not there, or nobody can say. Looking
    takes microseconds, in which a process that begins to hold it may have to wait. With `shared`, who looks keeps all others out meanwhile,
    and looks several times, so that two who look at once do not find each other."""
    try:
        descriptor = _opened(path)
    except OSError:
        return None
    try:
        _lock(descriptor, fcntl.LOCK_EX if shared else fcntl.LOCK_SH, LOOKS if shared else 1)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _opened(path: Path) -> int:
    """Files for writing too: NFS gives a lock that keeps all others out only to who could write."""
    return os.open(path, (os.O_RDONLY if path.is_dir() else os.O_RDWR) | os.O_CLOEXEC)


def _lock(descriptor: int, kind: int, looks: int) -> None:
    """Raises BlockingIOError where another process is in the way at each look, OSError on a file system without locks."""
    for left in reversed(range(looks)):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not left:
                raise
            time.sleep(LOOK_SECONDS)
