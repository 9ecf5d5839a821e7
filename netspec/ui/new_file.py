"""Specs that a verb writes: never over a file that is there."""

from __future__ import annotations

import os
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.save.atomic import write_atomic


def require_new(path: Path) -> Path:
    """The path, if a file can be put there and none is. Raises UsageError."""
    if path.suffix != ".net":
        raise UsageError(f"-o {path}: the name of a spec ends in .net")
    if not path.parent.is_dir():
        raise UsageError(f"-o {path}: there is no folder {path.parent}")
    if os.path.lexists(path):
        raise UsageError(f"{path}: exists already, and is not overwritten; -o names another file")
    return path


def write_new(path: Path, text: str) -> None:
    """Puts the text at a path where there is nothing. Raises UsageError, SaveError."""
    write_atomic(require_new(path), text.encode())
