"""What a verb raises becomes a message on stderr and an exit code; never a traceback, unless NETSPEC_DEBUG asks for it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import ParamSpec

import typer

from netspec.base.cell_error import DEBUG
from netspec.base.colour import spelt_out
from netspec.base.errors import Interrupted, NetspecError, SpecError
from netspec.base.outcome import FULL, outcome
from netspec.ui.screen import print_diagnostic, print_json

P = ParamSpec("P")


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
    if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno in FULL):
        _close_stdout()  # the reader has gone, or nothing more can be written
    code, text = outcome(error)
    if text and not isinstance(error, (BrokenPipeError, SpecError, Interrupted, KeyboardInterrupt)):
        text = f"error: {text}"
    if text:
        with suppress(OSError):  # a terminal that is gone
            tell("\n".join([text, *getattr(error, "__notes__", ())]))
    return code


@contextmanager
def last_line(json: bool) -> Iterator[None]:
    """With `json`, what ends the block early is the last JSON line of stdout too: event "error" or "interrupted", code, message."""
    try:
        yield
    except (SystemExit, typer.Exit):
        raise
    except BaseException as error:
        code, text = outcome(error)
        if json and text:
            event = "interrupted" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "error"
            print_json({"event": event, "code": code, "message": text}, one_line=True)
        raise


def tell(text: str) -> None:
    """A message for the person at the terminal: stderr."""
    print(spelt_out(text), file=sys.stderr, flush=True)


def tell_error(error: NetspecError) -> int:
    """Says on stderr what is wrong with one file of several, diagnostics as `check` shows them; gives the exit code."""
    if isinstance(error, SpecError):
        for diagnostic in error.diagnostics:
            print_diagnostic(diagnostic, sys.stderr)
    else:
        tell(f"error: {error}")
    return error.exit_code


def _close_stdout() -> None:
    """Lets the interpreter's last flush write into nothing."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
