"""Files that a verb rewrites: in place, or shown as a difference, or only named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from netspec.base.colour import BOLD, CYAN, GREEN, PLAIN, RED
from netspec.save.atomic import SaveError, write_atomic
from netspec.ui.screen import has_colour


@dataclass(frozen=True)
class Rewriting:
    """A file's bytes now, and its text as it should be. `path` is None for what came from stdin."""

    name: str
    path: Path | None
    before: bytes
    after: str

    @property
    def changes(self) -> bool:
        return self.before != self.after.encode()


def write(one: Rewriting) -> None:
    """Puts the new text in place of the file, atomically, with its mode; through a symbolic link. Raises SaveError."""
    assert one.path is not None, "stdin is not written"
    place = one.path.resolve()
    if not os.access(place, os.W_OK):
        raise SaveError(f"{one.name}: cannot be written: it is read-only")
    write_atomic(place, one.after.encode(), mode=place.stat().st_mode & 0o7777)


def print_difference(one: Rewriting) -> None:
    """A unified diff on stdout, which `patch` takes; in colour on a terminal."""
    tints = _tints() if has_colour(sys.stdout) else {}
    for line in _difference(one):
        tint = next((tints[sign] for sign in tints if line.startswith(sign)), "")
        print(f"{tint}{line}{PLAIN}" if tint else line)


def _tints() -> dict[str, str]:
    return {"---": BOLD, "+++": BOLD, "@@": CYAN, "-": RED, "+": GREEN}


def _difference(one: Rewriting) -> Iterator[str]:
    before, after = _lines(one.before.decode("utf-8", "replace")), _lines(one.after)
    for line in unified_diff(before, after, fromfile=one.name, tofile=one.name):
        text = line.removesuffix("\n")
        yield text
        if text == line and not line.startswith(("---", "+++", "@@")):
            yield "\\ No newline at end of file"


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + parts[-1:] * bool(parts[-1])
