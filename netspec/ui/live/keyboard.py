"""Keys of a terminal, one at a time, without waiting for the end of a line."""

from __future__ import annotations

import os
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TENTHS = 2
"""Of a second, that asking for a key waits."""


class Keyboard:
    """Standard input. Where it is no terminal there are never any keys, and asking waits all the same."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    @contextmanager
    def opened(self) -> Iterator[Keyboard]:
        """While open, keys are not shown; Ctrl-C stays what it is."""
        try:
            descriptor = sys.stdin.fileno()
            before = termios.tcgetattr(descriptor)
        except (OSError, ValueError, AttributeError, termios.error):
            yield self
            return
        try:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, _quiet(before))
            self._descriptor = descriptor
            yield self
        finally:
            self._descriptor = None
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    def key(self) -> str:
        """What was typed within a moment; empty for nothing."""
        if self._descriptor is None or not _is_ours(self._descriptor):
            time.sleep(TENTHS / 10)
            return ""
        return os.read(self._descriptor, 64).decode("ascii", "ignore")


def _is_ours(descriptor: int) -> bool:
    """Whether keys are meant for this process: in the background it would be stopped for asking."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return True  # no job control there


def _quiet(attributes: list[Any]) -> list[Any]:
    """Without echo, and reading gives up after a moment."""
    changed = [*attributes[:6], list(attributes[6])]
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 0, TENTHS
    return changed
