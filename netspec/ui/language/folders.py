"""The texts that lie in the folders of an editor's workspace."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from netspec.base.errors import UsageError

MOST_ENTRIES = 20_000
"""Of the folders, looked at for texts: a second, and more than a project with its data holds."""
LEFT_OUT = frozenset({"node_modules", "site-packages", "__pycache__"})


def texts_in(folders: Iterable[Path], most: int = MOST_ENTRIES) -> list[Path]:
    """The `.net` files in folders and those below, hidden ones left out. Raises UsageError where there is too much to look at."""
    found: dict[Path, None] = {}
    waiting, seen, looked = [folder.resolve() for folder in folders], set[Path](), 0
    while waiting:
        folder = waiting.pop()
        if folder in seen:
            continue
        seen.add(folder)
        for entry in _entries(folder):
            looked += 1
            if looked > most:
                raise UsageError(f"more than {most} files lie in the workspace, too many to find every text that uses the name")
            if entry.name.startswith(".") or entry.name in LEFT_OUT:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif entry.name.endswith(".net"):
                found[Path(entry.path)] = None
    return sorted(found)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # gone, or not ours to read
        return []
