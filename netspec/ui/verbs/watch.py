"""`netspec watch RUN`: a run as it goes on, in the terminal; it reads the run's folder, and the process that trains knows nothing of it."""

from __future__ import annotations

import os
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

from netspec.base.errors import DataError, UsageError
from netspec.save.run_folder import RunFolder
from netspec.save.story import State, Tail
from netspec.ui.given import run_path
from netspec.ui.live.facts import exit_code, saved_step, standing
from netspec.ui.live.keyboard import Keyboard
from netspec.ui.live.view import Frame, frame, waiting
from netspec.ui.tables import as_text, console

RUNS = Path("runs")
SECONDS = 1.0
"""Between two looks at what events do not tell: whether somebody trains, and how far the saved state is."""
PATIENCE = 2.0
"""A run that nobody trains any more may still be writing down its end."""
LEAVE = ("q", "Q", "\x03", "\x04", "\x1b")
"""Keys that end the view; those of arrows begin with the last of them, and do nothing."""
HEIGHT = 24
"""Lines of a frame where there is no terminal to ask."""


def run(path: Path | None, *, once: bool) -> int:
    """Follows the run until it ends; `once` prints one frame, as is done where there is no terminal. Exits as a run did that is over.
    Raises UsageError for what is no run, DataError for a damaged one."""
    once = once or not sys.stdout.isatty()
    watched = Watched(path)
    if once:
        watched.look()
        if watched.folder is None:
            raise UsageError(f"{path or RUNS}: {'no such run folder' if path else 'holds no run'}")
        screen = console()
        size = screen.size if sys.stdout.isatty() else shutil.get_terminal_size((80, HEIGHT))
        lines = watched.lines(screen.width, max(size[1] - 2, 1))
        _print(lines)
    else:
        _follow(watched)
    return exit_code(watched.state, watched.tail.story) if watched.is_over else 0


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


class Watched:
    """A run that is looked at again and again; it may not be there yet."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.folder: RunFolder | None = None
        self.tail = Tail(Path())
        self.state: State = "training"
        self._name = str(path or RUNS)
        self._looked = 0.0
        self._held_at = 0.0
        self._saved = (0, 0)
        self.dots = _has_dots()

    @property
    def is_over(self) -> bool:
        """Whether nobody trains it any more. A folder without events is about to be: its process holds it from the first one on."""
        return bool(self.tail.story.begun) and self.state != "training"

    def look(self) -> bool:
        """Reads what is new, and tells whether anything was. Raises UsageError for what is no run folder, DataError for a damaged one."""
        if self.folder is None:
            self._find()
        if self.folder is None:
            return False
        changed, now = self.tail.look(), time.monotonic()
        story = self.tail.story
        if not story.begun or (self.state == "training" and story.end is None and now - self._looked < SECONDS and self._looked):
            return changed
        self._looked = now
        if self.folder.is_held:
            self._held_at = now
        state = self.tail.story.state(now - self._held_at < PATIENCE and self._held_at > 0)
        if state != "training" and self.state == "training":
            self.tail.look()  # what was written between reading the events and asking for the lock
            state = self.tail.story.state(False)
        self.state = state
        self._look_at_state()
        return changed

    def _find(self) -> None:
        path = newest(RUNS) if self.path is None else run_path(self.path)
        if path is None or not path.exists():
            return
        if path.is_file() and path.parent.name == "weights":
            path = path.parent.parent
        if not path.is_dir():
            raise UsageError(f"{path}: is no run folder")
        inside = {one.name for one in path.iterdir()}
        if not inside & {"spec.net", "events.jsonl"}:
            within = newest(path)
            if within is None and inside - {"weights", "state"}:
                raise UsageError(f"{path}: not a run folder: it holds no spec.net")
            if within is None:
                return
            path = within
        self._name = str(path)
        self.folder, self.tail = RunFolder(path), Tail(RunFolder(path).events)
        if self.folder.events.exists() and not self.folder.events.is_file():
            raise DataError(f"{self.folder.events}: is no file, as it is in a run folder")

    def _look_at_state(self) -> None:
        """A saved state may be newer than the last event: of an epoch of many slow steps few are told."""
        assert self.folder is not None, "the caller has found it"
        try:
            changed = os.stat(self.folder.state).st_mtime_ns
        except OSError:
            return
        if changed != self._saved[0] and self.folder.state.is_file():
            self._saved = changed, saved_step(self.folder.state)

    def lines(self, width: int, height: int) -> list[Text]:
        """The frame of what was seen."""
        story = self.tail.story
        if self.folder is None or not story.begun:
            why = "the run has not begun yet" if self.folder else "there is no such run yet" if self.path else "there is no run yet"
            return waiting(self._name, f"{why}; waiting for it (q leaves)", width)
        at = standing(story, self._saved[1] if self.state == "training" else 0, self._idle() if self.state == "training" else 0.0)
        return frame(Frame(self._name, story, self.state, at, width, height, self.dots))

    def _idle(self) -> float:
        """Seconds since the last event was written."""
        try:
            return max(0.0, time.time() - os.stat(self.tail.path).st_mtime)
        except OSError:
            return 0.0


def newest(runs: Path) -> Path | None:
    """Of the runs in a folder one that is being trained, else the one that was written to last."""
    try:
        found = [RunFolder(one) for one in runs.iterdir() if (one / "events.jsonl").is_file()]
        dated = sorted(found, key=lambda one: one.events.stat().st_mtime, reverse=True)
    except OSError:
        return None
    return next((one.path for one in dated if one.is_held), dated[0].path if dated else None)


def _has_dots() -> bool:
    """Whether the terminal can be expected to show braille and lines."""
    if os.environ.get("TERM") in ("linux", "dumb"):
        return False
    try:
        "\u28ff\u2524\u2501\u2026".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
