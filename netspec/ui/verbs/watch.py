"""`netspec watch RUN`: a run as it goes on, in the terminal or in lines; it reads the run's folder alone."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.text import Text

from netspec.base.errors import UsageError
from netspec.save.run_files import RUNS
from netspec.ui.guard import tell
from netspec.ui.live.facts import exit_code
from netspec.ui.live.keyboard import TENTHS, Keyboard
from netspec.ui.live.log import begin_lines, end_lines, epoch_line
from netspec.ui.live.watched import BEGINS, SECONDS, Watched
from netspec.ui.tables import as_text, console

LEAVE = ("q", "Q", "\x03", "\x04", "\x1b")
"""Keys that end the view; those of arrows begin with the last of them, and do nothing."""
HEIGHT = 24
"""Lines of a frame where there is no terminal to ask."""


def run(path: Path | None, *, once: bool) -> int:
    """Follows the run until it ends: on a terminal as a picture, elsewhere as lines; `once` prints one frame. Exits as a run did that is
    over. Raises UsageError for what is no run, DataError for a damaged one."""
    watched = Watched(path, at_once=once)
    if once:
        _print_frame(watched)
    elif sys.stdout.isatty():
        _follow(watched)
    else:
        with suppress(KeyboardInterrupt):
            _follow_in_lines(watched)
    return exit_code(watched.state, watched.tail.story) if watched.is_over else 0


def _print_frame(watched: Watched) -> None:
    watched.look()
    if watched.folder is None:
        raise UsageError(f"{watched.path or RUNS}: {'no such run folder' if watched.path else 'holds no run'}")
    screen = console()
    size = screen.size if sys.stdout.isatty() else shutil.get_terminal_size((80, HEIGHT))
    _print(watched.lines(screen.width, max(size[1] - 2, 1)))


def _follow_in_lines(watched: Watched) -> None:
    """A line for each epoch, the ones that are over too, and at last how the run ended."""
    since, is_told, begun, told = time.monotonic(), False, False, 0
    while True:
        watched.look()
        story = watched.tail.story
        if story.begun and not begun:
            begun = True
            _say(begin_lines(watched.name, story))
        elif not begun and not is_told and time.monotonic() - since > BEGINS + SECONDS:
            is_told = True
            tell(f"{watched.name}: {watched.awaited}; waiting for it (Ctrl-C leaves)")
        told = min(told, len(story.rows))  # of a run that goes on from an earlier state
        _say([epoch_line(row, story) for row in story.rows[told:]])
        told = len(story.rows)
        if watched.is_over:
            _say(end_lines(watched.name, story, watched.state))
            return
        time.sleep(TENTHS / 10)


def _say(lines: list[str]) -> None:
    """At once, whoever reads."""
    if lines:
        print("\n".join(lines), flush=True)


def _follow(watched: Watched) -> None:
    screen = console()
    with ended_by_signals():
        with Keyboard().opened() as keyboard, Live(console=screen, screen=True, auto_refresh=False) as live, suppress(KeyboardInterrupt):
            _until_over(watched, keyboard, live)
        if watched.folder is not None:
            _print(watched.lines(screen.width, max(screen.height - 2, 1)))


def _until_over(watched: Watched, keyboard: Keyboard, live: Live) -> None:
    """Until the run ends, or a key says so."""
    drawn_at, size, screen = 0.0, (0, 0), live.console
    while True:
        changed = watched.look()
        if changed or watched.is_over or screen.size != size or time.monotonic() - drawn_at >= SECONDS:
            drawn_at, size = time.monotonic(), (screen.width, screen.height)
            live.update(Text("\n").join(watched.lines(*size)), refresh=True)
        if watched.is_over or keyboard.key() in LEAVE:
            return


def _print(lines: list[Text]) -> None:
    """The frame, to stay."""
    if sys.stdout.isatty():
        for line in lines:
            console().print(line, no_wrap=True, overflow="crop", crop=True)
    else:
        print(as_text(*lines, width=1 << 12))


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A polite kill leaves the terminal as it was."""

    def leave(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
