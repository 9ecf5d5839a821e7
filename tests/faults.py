"""A layer between the code and the files of a run: every call can fail, write too little, or be the last one of the process."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from netspec.save import atomic

Fault = Literal["full", "broken", "short", "crash"]
CALLS = ("open", "write", "fsync", "replace", "ftruncate", "fchmod")


class Crash(BaseException):
    """The process is gone: whatever it still tries to do with files fails too."""


class Files:
    """`os` for the module that writes files. The call with the number `at`, counted from 0, meets the fault."""

    def __init__(self, fault: Fault, at: int) -> None:
        self.fault, self.at = fault, at
        self.count = 0
        self.met: str | None = None

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        return self._guarded(name, function) if name in CALLS else function

    def _guarded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if self.met is not None and self.fault == "crash":
                raise Crash
            number, self.count = self.count, self.count + 1
            if number != self.at:
                return function(*given, **named)
            self.met = name
            if self.fault == "crash":
                if name == "write":  # some of it was written
                    function(given[0], given[1][: len(given[1]) // 2])
                raise Crash
            if self.fault == "short" and name == "write":
                return function(given[0], given[1][: max(1, len(given[1]) // 3)])
            if self.fault == "short":
                return function(*given, **named)
            raise OSError(errno.ENOSPC if self.fault == "full" else errno.EIO, "injected")

        return call


@contextmanager
def injected(patch: Any, fault: Fault, at: int) -> Iterator[Files]:
    """While inside, the files of runs are written through a layer that fails once, or from then on."""
    files = Files(fault, at)
    with patch.context() as inner:
        inner.setattr(atomic, "os", files)
        # a process that is gone takes no temporary file away
        if fault == "crash":
            inner.setattr(atomic.Path, "unlink", _unlink_unless(files))
        yield files


def _unlink_unless(files: Files) -> Callable[..., None]:
    def unlink(path: Any, missing_ok: bool = False) -> None:
        if files.met is not None:
            raise Crash
        try:
            os.unlink(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    return unlink
