"""What IPython shows of an error that netspec raises on purpose: where in the user's own code, and the message; no frames of netspec."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from netspec.base.colour import ANSI, BLUE, BOLD, PLAIN, RED, coloured, spelt_out
from netspec.base.kernel import in_notebook, shell

DEBUG = "NETSPEC_DEBUG"
INSIDE = ("netspec", "IPython", "ipykernel")
"""Packages whose frames say nothing about the user's own code."""
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
MAGIC = "get_ipython().run_cell_magic("


def cell_lines(error: BaseException, diagnostics: Sequence[object] = ()) -> list[str]:
    """The lines in place of a traceback: coloured where IPython colours its own. With NETSPEC_DEBUG the whole traceback."""
    if os.environ.get(DEBUG):
        return "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    told = [coloured(spelt_out(str(one))) for one in diagnostics] or [f"{BOLD}{spelt_out(str(error))}{PLAIN}"]
    return _tinted([f"{RED}{type(error).__name__}{PLAIN}", *places(error), "", *"\n\n".join(told).split("\n")])


def one_line(name: str, text: str) -> list[str]:
    """The same where all that is to be said stands elsewhere."""
    return _tinted([f"{RED}{name}{PLAIN}: {spelt_out(text)}"])


def _tinted(lines: Sequence[str]) -> list[str]:
    """The lines with their colours, or without them."""
    return list(lines) if _has_colour() else [ANSI.sub("", line) for line in lines]


def places(error: BaseException) -> Iterator[str]:
    """`In[3], line 2: model = ns.compile(text)` of each frame of the user's own code, outermost first."""
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__", "").partition(".")[0] in INSIDE:
            continue
        file = frame.f_code.co_filename
        if file.startswith(LIBRARIES):
            continue
        words = linecache.getline(file, number, frame.f_globals).strip()
        if words.startswith(MAGIC):  # a cell of another language has no line of Python
            continue
        yield f"{BLUE}  {_name_of(file)}, line {number}{PLAIN}: {spelt_out(words)}"


def _name_of(file: str) -> str:
    """`Cell In[3]` of a cell, else the file itself."""
    running = shell()
    name = getattr(running.compile, "format_code_name", None) if running is not None else None
    found: Any = name(file) if name is not None else None
    return " ".join(found) if found else file


def _has_colour() -> bool:
    if os.environ.get("NO_COLOR") or str(getattr(shell(), "colors", "")).lower() == "nocolor":
        return False
    return in_notebook() or sys.stdout.isatty()
