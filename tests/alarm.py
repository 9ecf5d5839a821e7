"""An end to calls that might wait for ever."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_after(seconds: int) -> Iterator[None]:
    """The process is killed where what is inside takes longer: opening a pipe cannot be broken off in a gentler way."""
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
