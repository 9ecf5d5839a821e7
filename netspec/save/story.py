"""What the events of a run tell so far, and in which state that leaves it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from netspec.base.errors import DataError
from netspec.base.launched import SIGNALLED
from netspec.save.events import event_of, step_of
from netspec.save.run_folder import LONGEST_LINE

State = Literal["training", "ended", "stopped", "interrupted", "diverged", "gone"]
"""`stopped` by a rule or a callback, and not measured; `gone`: the process is, and said nothing."""
DIVERGED = 5
CHUNK = 1 << 20
STEP, END = b'{"event": "step"', b'{"event": "end"'
"""How lines of these events begin."""
ENDS = 1 << 14
"""Bytes at the beginning and the end of a file that hold what a finished run tells of itself."""


@dataclass
class Story:
    """The events of a run, as far as they are read. Numbers are checked where they are asked for: the file may be a stranger's."""

    begun: dict[str, Any] = field(default_factory=dict)
    """The last event with which it began or went on."""
    steps: list[tuple[int, float]] = field(default_factory=list)
    """Step and loss; NaN where it was not finite."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Epochs."""
    last: dict[str, Any] = field(default_factory=dict)
    """The last event of a step or an epoch."""
    clock: list[tuple[int, float]] = field(default_factory=list)
    """Steps done by a number of seconds."""
    stopped: dict[str, Any] | None = None
    end: dict[str, Any] | None = None
    began: str = ""
    """When the run was first begun."""
    overfit: int = 0
    """The first rows that it is trained on, where those are not all."""

    def add(self, text: str, place: str) -> None:
        """Takes in one line. Raises DataError, which calls the line by its `place`."""
        event = event_of(text, place)
        match event.get("event"):
            case "begin" | "resumed":
                self.begun, self.stopped, self.end = event, None, None
                self.began = self.began or str(event.get("time", ""))
            case "step":
                step = step_of(event, place)
                assert step is not None, "the event is one"
                self.steps.append(step)
            case "epoch":
                self.rows.append(event)
            case "stopped":
                self.stopped = event
            case "overfit":
                self.overfit = whole(event, "rows")
            case "end":
                self.end = event
        step_count, seconds = whole(event, "step"), number(event, "seconds")
        if seconds is not None and step_count:
            self.last = event
            if not self.clock or step_count > self.clock[-1][0]:
                self.clock.append((step_count, seconds))

    def state(self, held: bool) -> State:
        """What has become of the run; `held` tells whether a process trains in its folder."""
        if self.end is not None:
            return "ended"
        if held:
            return "training"
        if self.stopped is None:
            return "gone"
        code = whole(self.stopped, "code")
        return "diverged" if code == DIVERGED else "interrupted" if code > SIGNALLED else "stopped"


def whole(event: Mapping[str, Any], key: str) -> int:
    """A count of an event; 0 where it has none."""
    value = event.get(key)
    return value if type(value) is int and 0 <= value < 1 << 62 else 0


def number(event: Mapping[str, Any], key: str) -> float | None:
    """A figure of an event, if it has one."""
    value: Any = event.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e300 else None


class Tail:
    """The story of a file that grows: each look reads what was added since the last one, all of it where the file was replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.story = Story()
        self._begin(None)

    def _begin(self, file: tuple[int, int] | None) -> None:
        self.story, self._file, self._at, self._rest, self._line = Story(), file, 0, b"", 0

    def look(self) -> bool:
        """Whether there was anything new. Raises DataError for what this package never wrote."""
        try:
            with self.path.open("rb") as stream:
                facts = os.fstat(stream.fileno())
                if (facts.st_dev, facts.st_ino) != self._file or facts.st_size < self._at:
                    self._begin((facts.st_dev, facts.st_ino))
                before = self._at
                stream.seek(self._at)
                while chunk := stream.read(CHUNK):
                    self._take(chunk)
                return self._at > before
        except FileNotFoundError:
            return False
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from None

    def _take(self, chunk: bytes) -> None:
        self._at += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if max(map(len, (*lines, self._rest))) > LONGEST_LINE:
            raise DataError(f"{self.path}: damaged: a line is longer than {LONGEST_LINE >> 10} KiB")
        for line in lines:
            self._line += 1
            self.story.add(line.decode("utf-8", "replace"), f"{self.path}: damaged: line {self._line}")


def read_ends(path: Path) -> Story:
    """The story of a run, but for its steps: of a run that has ended, whatever its length, two
    small pieces of the file are read. Raises DataError, OSError."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > 2 * ENDS:
            head = stream.read(ENDS).rpartition(b"\n")[0]
            stream.seek(size - ENDS)
            tail = stream.read(ENDS)
            if END in tail.rpartition(b"\n")[0].rpartition(b"\n")[2]:
                return _story(head.split(b"\n") + tail.split(b"\n")[1:-1], path)
            stream.seek(0)
        lines = iter(lambda: stream.readline(LONGEST_LINE), b"")
        return _story([line[:-1] for line in lines if line.endswith(b"\n") and not line.startswith(STEP)], path)


def _story(lines: list[bytes], path: Path) -> Story:
    story = Story()
    for text in lines:
        if not text.startswith(STEP):
            story.add(text.decode("utf-8", "replace"), f"{path}: damaged: a line")
    return story
