"""What an error that ends a process says, and the exit code that it ends with."""

from __future__ import annotations

import errno
import os

from netspec.base.cell_error import DEBUG
from netspec.base.errors import NetspecError

INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LAUNCHED = "NETSPEC_LAUNCHED"
"""Set by `netspec launch` for the processes that it starts."""
TOLD, TOLD_OF_SIGNALS = 64, 96
"""Where the exit codes lie with which such a process ends itself, having said why. mpiexec gives of a process that is killed the signal's
number, and MPI's own errors end with their last byte, 143 for most."""
SIGNALLED = 128
"""Added to a signal's number, the exit code of a process that the signal has ended in good order."""


def exit_code(code: int) -> int:
    """The one with which this process ends itself, instead of the `code` that a user sees."""
    if not code or not os.environ.get(LAUNCHED):
        return code
    return TOLD + code if code < SIGNALLED else TOLD_OF_SIGNALS + code - SIGNALLED


def told_code(ended: int) -> int | None:
    """The code that the user sees, of a launched process with that exit code; None where it did not end itself."""
    if ended == 0:
        return 0
    if not TOLD <= ended < SIGNALLED:
        return None
    return ended - TOLD if ended < TOLD_OF_SIGNALS else SIGNALLED + ended - TOLD_OF_SIGNALS


def outcome(error: BaseException) -> tuple[int, str]:
    """The exit code of an error, and what it says; nothing where there is nobody to tell."""
    match error:
        case BrokenPipeError():
            return 1, ""
        case NetspecError():
            return error.exit_code, str(error)
        case KeyboardInterrupt():
            return INTERRUPTED, "interrupted"
        case MemoryError():
            return 1, "out of memory"
        case OSError() if error.errno in FULL:
            return 1, f"{error.filename or 'output'}: the disk is full"
        case _:
            words = " ".join(str(error).split())
            return 1, f"{type(error).__name__}: {words}\nThis is a bug in netspec; {DEBUG}=1 shows where it is."
