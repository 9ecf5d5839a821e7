"""What a verb raises becomes a message on stderr and an exit code; never a traceback, unless NETSPEC_DEBUG asks for it."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from netspec.base.errors import Interrupted, NetspecError, SpecError

P = ParamSpec("P")
DEBUG = "NETSPEC_DEBUG"
INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def guarded(verb: Callable[P, int]) -> Callable[P, None]:
    """The verb as typer calls it: ends in `typer.Exit` with its code, whatever it raises."""

    @wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = verb(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except BaseException as error:
            code = report(error)
        raise typer.Exit(code)

    return run


def report(error: BaseException) -> int:
    """Says on stderr what went wrong, and gives the exit code."""
    if isinstance(error, SystemExit):
        raise error
    if os.environ.get(DEBUG):
        traceback.print_exception(error, file=sys.stderr)
    match error:
        case BrokenPipeError():
            _close_stdout()  # the reader has gone; there is nobody to tell
            return 1
        case SpecError():
            tell(str(error))
        case Interrupted():
            tell(f"{error}; the last weights are saved")
        case NetspecError():
            tell(f"error: {error}")
        case KeyboardInterrupt():
            tell("interrupted")
            return INTERRUPTED
        case MemoryError():
            tell("error: out of memory")
            return 1
        case OSError() if error.errno in FULL:
            _close_stdout()
            tell(f"error: {error.filename or 'output'}: the disk is full")
            return 1
        case _:
            words = " ".join(str(error).split())
            tell(f"error: {type(error).__name__}: {words}\nThis is a bug in netspec; {DEBUG}=1 shows where it is.")
            return 1
    return int(error.exit_code)


def tell(text: str) -> None:
    """A message for the person at the terminal: stderr."""
    print(text, file=sys.stderr, flush=True)


def _close_stdout() -> None:
    """Lets the interpreter's last flush write into nothing."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
