"""A run that is looked at again and again while it goes on: which one it is, what its folder tells, whether it is over."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich.text import Text

from netspec.base.errors import DataError, UsageError
from netspec.save.announced import is_announced
from netspec.save.run_files import RUNS
from netspec.save.run_folder import RunFolder
from netspec.save.story import State, Tail
from netspec.ui.given import run_path
from netspec.ui.live.facts import saved_step, standing
from netspec.ui.live.listing import run_folders
from netspec.ui.live.view import Frame, frame, waiting
from netspec.ui.screen import has_dots

SECONDS = 1.0
"""Between two looks at what events do not tell: whether somebody trains, and how far the saved state is."""
PATIENCE = 2.0
"""A run that nobody trains any more may still be writing down its end."""
BEGINS = 1.5
"""Seconds for which a run at work is looked for before the newest of those that are over is taken: a process that was started together
with this one has not announced its run yet."""


class Watched:
    """A run that is looked at again and again; it may not be there yet. Of a folder of runs, runs/ where `path` is None, it is the one at
    work; where none is, with `at_once` the newest, else the newest after a moment in which one may begin."""

    def __init__(self, path: Path | None, at_once: bool = False) -> None:
        self.path, self.at_once = path, at_once
        self._since = time.monotonic()
        self.folder: RunFolder | None = None
        self.tail = Tail(Path())
        self.state: State = "training"
        self.name = str(path or RUNS)
        self._looked = 0.0
        self._held_at = 0.0
        self._saved = (0, 0)
        self.dots = has_dots()

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
        path = RUNS if self.path is None else run_path(self.path)
        if not path.exists():
            return
        if path.is_file() and path.parent.name == "weights":
            path = path.parent.parent
        if not path.is_dir():
            raise UsageError(f"{path}: is no run folder")
        inside = {one.name for one in path.iterdir()}
        if not inside & {"spec.net", "events.jsonl"}:
            waits = not self.at_once and (time.monotonic() - self._since < BEGINS or is_announced(path))
            within = of_folder(path, waits)
            if within is None and not waits and self.path is not None and inside - {"weights", "state"}:
                raise UsageError(f"{path}: not a run folder: it holds no spec.net")
            if within is None:
                return
            path = within
        self.name = str(path)
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
            return waiting(self.name, f"{self.awaited}; waiting for it (q leaves)", width)
        at = standing(story, self._saved[1] if self.state == "training" else 0, self._idle() if self.state == "training" else 0.0)
        return frame(Frame(self.name, story, self.state, at, width, height, self.dots))

    @property
    def awaited(self) -> str:
        """What is not there yet, in words."""
        place = RUNS if self.path is None else self.path
        if self.folder is not None:
            return "the run has not begun yet"
        if place.is_dir():
            return "a run is about to begin" if is_announced(place) else "no run is at work yet"
        return "there is no such run yet" if self.path else "there is no run yet"

    def _idle(self) -> float:
        """Seconds since the last event was written."""
        try:
            return max(0.0, time.time() - os.stat(self.tail.path).st_mtime)
        except OSError:
            return 0.0


def of_folder(place: Path, waits: bool) -> Path | None:
    """Of the runs in a folder and in the folders there, as sweeps have them, the one that is trained, and of several the one that was begun
    last. Where none is: the one that was written to last, unless somebody `waits` for one to begin."""
    try:
        found = [RunFolder(path) for path in run_folders(place)]
        held = [one for one in found if one.is_held]
        if held:
            return max(held, key=lambda one: one.path.stat().st_mtime).path  # when a run begins whole files are put into its folder
        told = [] if waits else [one for one in found if one.events.is_file()]
        return max(told, key=lambda one: one.events.stat().st_mtime).path if told else None
    except OSError:
        return None
