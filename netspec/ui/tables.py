"""Tables and consoles of rich. Imported only by verbs that print tables, for rich takes its time to load."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TextIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from netspec.ui.screen import has_colour

Justify = Literal["left", "right"]
WIDTH = 80
"""Columns where there is no terminal to ask."""


def console(stream: TextIO | None = None) -> Console:
    """A console that has colour only on a terminal, and 80 columns where there is none."""
    stream = stream or sys.stdout
    terminal = stream.isatty()
    width = None if terminal else shutil.get_terminal_size((WIDTH, 24)).columns
    return Console(file=stream, force_terminal=terminal, no_color=not has_colour(stream), force_jupyter=False, highlight=False, width=width)


def table(
    columns: Sequence[tuple[str, Justify]], rows: Iterable[Sequence[str | Text]], title: str | None = None, wrap: Sequence[str] = ()
) -> Table:
    """A table without lines; the columns named in `wrap` give way where the width is short."""
    made = Table(box=None, title=title, title_justify="left", title_style="bold", header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for name, justify in columns:
        made.add_column(name, justify=justify, no_wrap=name not in wrap, overflow="fold")
    for row in rows:
        made.add_row(*[cell if isinstance(cell, Text) else Text(cell) for cell in row])
    return made


def print_table(made: RenderableType) -> None:
    """The table on stdout, as wide as the terminal; without colour and without spaces at line ends where there is none."""
    if sys.stdout.isatty():
        console().print(made)
    else:
        print(as_text(made, width=shutil.get_terminal_size((WIDTH, 24)).columns))


def print_parts(parts: Callable[[int], Sequence[RenderableType]]) -> None:
    """What `parts` gives for the terminal's width, on stdout as `print_table` prints."""
    if sys.stdout.isatty():
        screen = console()
        for part in parts(screen.width):
            screen.print(part)
    else:
        width = shutil.get_terminal_size((WIDTH, 24)).columns
        print(as_text(*parts(width), width=width))


def as_text(*parts: RenderableType, width: int = WIDTH) -> str:
    """The parts as plain text, without colour and without spaces at line ends."""
    stream = io.StringIO()
    plain = Console(file=stream, force_terminal=False, no_color=True, force_jupyter=False, highlight=False, width=width)
    for part in parts:
        plain.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
