"""Folders of netspec's own in the user's cache: whether they can be trusted, and how large they may grow."""

from __future__ import annotations

import os
import re
import stat
from functools import cache
from pathlib import Path

import platformdirs

from netspec.base.errors import UsageError

CACHE_VARIABLE = "NETSPEC_CACHE"
KERNEL_BYTES, KERNEL_BYTES_VARIABLE = 512_000_000, "NETSPEC_CACHE_BYTES"
IMAGE_BYTES, IMAGE_BYTES_VARIABLE = 8_000_000_000, "NETSPEC_IMAGE_CACHE_BYTES"
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def kernel_folder() -> Path:
    """Where compiled kernels are kept: `NETSPEC_CACHE`, or netspec's folder in the user's cache."""
    wanted = os.environ.get(CACHE_VARIABLE)
    return Path(wanted) if wanted else Path(platformdirs.user_cache_dir("netspec")) / "kernels"


def image_folder() -> Path:
    """Where decoded images are kept."""
    wanted = os.environ.get(CACHE_VARIABLE)
    return (Path(wanted) if wanted else Path(platformdirs.user_cache_dir("netspec"))) / "images"


def kernel_bytes() -> int:
    """How many bytes of compiled kernels are kept. Raises UsageError for a NETSPEC_CACHE_BYTES that is no number of bytes."""
    return _bytes(KERNEL_BYTES_VARIABLE, KERNEL_BYTES)


def image_bytes() -> int:
    """How many bytes of decoded images are kept. Raises UsageError for a NETSPEC_IMAGE_CACHE_BYTES that is no number of bytes."""
    return _bytes(IMAGE_BYTES_VARIABLE, IMAGE_BYTES)


def _bytes(variable: str, usual: int) -> int:
    wanted = os.environ.get(variable, "")
    if not wanted:
        return usual
    found = re.fullmatch(r"([0-9]{1,18})\s*([A-Za-z]*)", wanted)
    if found is None or found[2].upper() not in UNITS:
        raise UsageError(f"{variable}={wanted}: a number of bytes is needed, as 500000000, 500MB or 2GB")
    return int(found[1]) * UNITS[found[2].upper()]


def why_not_trusted(folder: Path) -> str | None:
    """What keeps a folder from being read as a cache, with the cure, after making it where it is missing; None where nothing does.

    It must be no symbolic link and this user's, nobody else may write to it, and it must not lie where every user may rename folders.
    """
    try:
        _make(folder)
        facts = folder.lstat()
    except OSError as error:
        return f"it cannot be made ({error.strerror})"
    if stat.S_ISLNK(facts.st_mode):
        return "it is a symbolic link; name the folder itself"
    if not stat.S_ISDIR(facts.st_mode):
        return "it is no folder"
    if facts.st_uid != os.getuid():
        return "it belongs to another user"
    if facts.st_mode & 0o022:
        return f"other users may write to it; chmod 700 {folder}"
    return _exposed(folder.absolute())


def why_not_used(folder: Path) -> str | None:
    """As `why_not_trusted`, for a folder that is written to as well."""
    reason = why_not_trusted(folder)
    if reason is None and not os.access(folder, os.W_OK | os.X_OK):
        return "it cannot be written to"
    return reason


def _make(folder: Path) -> None:
    """The folder and those above it that are missing, open to this user alone. Raises OSError."""
    if folder.exists():
        return
    if not folder.parent.exists():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


@cache
def _exposed(folder: Path) -> str | None:
    """Whether one of the folders above, by the given name or by the one that it leads to, lets every user rename what lies in it."""
    for place in dict.fromkeys([*folder.parents, *folder.resolve().parents]):
        mode = place.stat().st_mode
        if mode & 0o002 and not mode & stat.S_ISVTX:
            return f"every user may rename what lies in {place}; chmod o-w {place}"
    return None
