"""Exit codes between `netspec launch` and the processes that it starts, which mpiexec hands on.

A process that is killed makes mpiexec exit with the signal's number (1 to 31), MPI's own errors with 128 or more, and a process that could
not be started with small codes of its own. Codes 64 to 127 are free: a process that says itself why it ends takes them, so that `launch`
can tell it from one that was lost.
"""

from __future__ import annotations

import os

LAUNCHED = "NETSPEC_LAUNCHED"
"""Set for the processes that `netspec launch` starts."""
FIRST, FIRST_OF_SIGNALS = 64, 96
"""Where the codes of a process begin, and those of one that a signal has ended in good order."""
SIGNALLED = 128
"""Added to a signal's number, the exit code that a user sees of what it has ended."""


def encoded(code: int) -> int:
    """The exit code with which this process ends for a user to see `code` (0 to 31, or 128 and more): another one if it was launched."""
    if not code or not os.environ.get(LAUNCHED):
        return code
    return FIRST + code if code < SIGNALLED else FIRST_OF_SIGNALS + code - SIGNALLED


def decoded(ended: int) -> int | None:
    """The code that the user sees, of launched processes that mpiexec has ended so; None where none of them has said why it ends."""
    if ended == 0:
        return 0
    if not FIRST <= ended < SIGNALLED:
        return None
    return ended - FIRST if ended < FIRST_OF_SIGNALS else SIGNALLED + ended - FIRST_OF_SIGNALS
