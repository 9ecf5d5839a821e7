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
def held(path: Path) -> Iterator[None]:
    """While this process holds it. Raises BlockingIOError where another one does. On a file system without locks nothing is held."""
    descriptor = _opened(path)
    try:
        for left in reversed(range(LOOKS)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                time.sleep(LOOK_SECONDS)
            except OSError:
                break
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool | None:
    """Whether a process holds it; None where it is not there, or nobody can say. Looking takes microseconds, in which a process that begins
    to hold it may have to wait."""
    try:
        descriptor = _opened(path)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _opened(path: Path) -> int:
    return os.open(path, (os.O_RDONLY if path.is_dir() else os.O_RDWR) | os.O_CLOEXEC)
