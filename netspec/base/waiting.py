"""Work of seconds that nobody asked for, such as compiling kernels the first time: whoever is at a terminal is told what it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Teller = Callable[[str], AbstractContextManager[object]]
"""Shows the words for as long as the block takes."""

_teller: Teller = nullcontext


def tell_waiting(teller: Teller = nullcontext) -> None:
    """From here on `teller` shows what this process waits for; by default nothing does."""
    global _teller
    _teller = teller


def waiting(for_what: str) -> AbstractContextManager[object]:
    """A block that the words are shown for."""
    return _teller(for_what)
