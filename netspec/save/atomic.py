"""Files that are whole or absent: written beside their place, forced to the disk, then put in place by one rename."""

from __future__ import annotations

import errno
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from netspec.base.errors import NetspecError

ORPHAN = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.tmp")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SaveError(NetspecError):
    """A file could not be written; what was there before is untouched."""


def write_atomic(path: Path, content: bytes, mode: int | None = None) -> None:
    """Puts `content` at `path`: afterwards either all of it is there, durably, or what was there before.

    A temporary file in the same folder is written, flushed to the disk and renamed, and the folder is flushed too. Without a `mode` it
    follows the umask. Raises SaveError when the disk is full or refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            write_all(descriptor, content)
            if mode is not None:
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        _discard(temporary)
        raise save_error(path, error) from None
    except BaseException:
        _discard(temporary)
        raise


def append_line(path: Path, line: str) -> None:
    """Adds one line, whole or not at all: after a failure the file has its former length. Raises SaveError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            length = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, f"{line}\n".encode())
            except BaseException:
                os.ftruncate(descriptor, length)
                raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise save_error(path, error) from None


def write_all(descriptor: int, content: bytes) -> None:
    """Writes every byte, however few the system takes at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view[: 1 << 30]) :]


def sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Forces a file's contents to the disk. Raises SaveError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise save_error(path, error) from None


def sweep(folder: Path) -> None:
    """Removes temporary files that writers which no longer run left in `folder`, where that is allowed."""
    for path in folder.iterdir():
        found = ORPHAN.fullmatch(path.name)
        if found and not _running(int(found[1])):
            _discard(path)


def _discard(path: Path) -> None:
    """Removes a file, if it can be."""
    with suppress(OSError):
        path.unlink()


def save_error(path: Path, error: OSError) -> SaveError:
    """The error as a user needs it: whether the disk is full, and that nothing is half-written."""
    if error.errno in FULL:
        return SaveError(f"{path}: the disk is full; nothing was written, and what was there before is unchanged")
    return SaveError(f"{path}: cannot be written: {error.strerror or error}")


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
