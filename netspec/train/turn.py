"""Whose turn it is to train a model: one thread's at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from netspec.base.errors import UsageError


class Turn:
    """One thread trains, and another that wants to is told so: two fits would move the same parameters, and neither be what was asked for.
    A copy of a model, also in another process, has its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owner: tuple[int, int] | None = None

    def __reduce__(self) -> tuple[type[Turn], tuple[()]]:
        return Turn, ()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Around training; the same thread may take it again inside. Raises UsageError where another thread has it."""
        if self._owner is not None and self._owner[0] != os.getpid():  # forked while a thread trained, which does not exist here
            self._lock, self._owner = threading.RLock(), None
        if not self._lock.acquire(blocking=False):
            raise _busy()
        before, self._owner = self._owner, _here()
        try:
            yield
        finally:
            self._owner = before
            self._lock.release()

    def require(self) -> None:
        """Raises UsageError while another thread trains."""
        owner = self._owner
        if owner is not None and owner[0] == os.getpid() and owner != _here():
            raise _busy()


def _here() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _busy() -> UsageError:
    return UsageError(
        "this model is being trained in another thread: wait for that fit to end, or train a copy (copy.deepcopy(model)); "
        "predict, evaluate and save may be called meanwhile"
    )
