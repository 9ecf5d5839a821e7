"""Pictures on disk: PNG or SVG by the suffix, whole or not at all, the same bytes for the same content."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.save.atomic import write_atomic

DPI = 130
SUFFIXES = (".png", ".svg")


def picture_path(path: Path) -> Path:
    """The path, if a picture can be written there. Raises UsageError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: pictures are written as .png or .svg; give one of these endings to -o")
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
