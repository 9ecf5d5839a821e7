"""Pictures on disk: PNG or SVG by the suffix, whole or not at all, the same bytes for the same content."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.save.atomic import write_atomic

DPI = 130
SUFFIXES = (".png", ".svg")


def picture_path(path: Path, suffixes: Sequence[str] = SUFFIXES) -> Path:
    """The path, if a picture can be written there. Raises UsageError."""
    if path.suffix.lower() not in suffixes:
        one = "one of these endings" if len(suffixes) > 1 else "this ending"
        raise UsageError(f"{path}: pictures are written as {' or '.join(suffixes)}; give {one} to -o")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{path}: {'is a folder' if path.is_dir() else f'there is no folder {path.parent}'}")
    return path


def write_picture(figure: Any, path: Path) -> None:
    """A matplotlib figure to `path`. Raises SaveError."""
    stream = io.BytesIO()
    kind = path.suffix.lower().removeprefix(".")
    with library("matplotlib", "plot").rc_context({"svg.hashsalt": "netspec"}):
        figure.savefig(stream, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    write_atomic(path, stream.getvalue())
