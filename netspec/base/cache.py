"""Folders of netspec's own in the user's cache: they belong to the user alone, mode 0700."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "NETSPEC_CACHE"


def is_private(folder: Path) -> bool:
    """Whether a folder is no symbolic link, is this user's, and nobody else can write to it."""
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


def made_private(folder: Path) -> bool:
    """Makes the folder where it is missing; whether it can be used: private and writable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return is_private(folder) and os.access(folder, os.W_OK | os.X_OK)


def kernel_folder() -> Path:
    """Where compiled kernels are kept: `NETSPEC_CACHE`, or netspec's folder in the user's cache."""
    wanted = os.environ.get(CACHE_VARIABLE)
    return Path(wanted) if wanted else Path(platformdirs.user_cache_dir("netspec")) / "kernels"


def image_folder() -> Path:
    """Where decoded images are kept."""
    wanted = os.environ.get(CACHE_VARIABLE)
    return (Path(wanted) if wanted else Path(platformdirs.user_cache_dir("netspec"))) / "images"
