"""What an error that ends a process says, and the exit code that it ends with."""

from __future__ import annotations

import errno

from netspec.base.cell_error import DEBUG
from netspec.base.errors import NetspecError

INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
