"""Which files a spec may read: those inside the spec's folder, the working folder and `$NETSPEC_DATA`, after links are followed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from netspec.base.errors import DataError
from netspec.base.text import Source

DATA_VARIABLE = "NETSPEC_DATA"


def data_folders(spec: Path | None = None) -> tuple[Path, ...]:
    """The folders where data may lie, in the order of search: beside `spec` (a file), the working folder, `$NETSPEC_DATA`."""
    folders = [spec.parent] if spec is not None else []
    folders.append(Path.cwd())
    if os.environ.get(DATA_VARIABLE):
        folders.append(Path(os.environ[DATA_VARIABLE]))
    return tuple(dict.fromkeys(folder.resolve() for folder in folders))


def folders_of(text: Source) -> tuple[Path, ...]:
    """Those of a text, which may stand in no file."""
    return data_folders(None if text.path == "<string>" else Path(text.path))


def resolve_path(path: str | Path, folders: Sequence[Path], allow: Sequence[Path] = ()) -> Path:
    """The real place of `path`, which is relative to the first of `folders` that holds it.

    The result, with `..` and symbolic links followed, lies inside one of `folders`, or inside (or at) one of `allow`, which only a
    caller may give, never a spec. Raises DataError when nothing is there, or when it leads elsewhere.
    """
    text = str(path)
    if not text or "\0" in text:
        raise DataError(f"path {text!r} names no file")
    allowed = [folder.resolve() for folder in (*folders, *allow)]
    escaped: Path | None = None
    for folder in folders or (Path.cwd(),):
        candidate = folder / text  # an absolute path stays itself
        if not os.path.lexists(candidate):
            continue
        try:
            real = candidate.resolve()
        except (OSError, RuntimeError):
            raise DataError(f"{text}: its symbolic links lead in a circle") from None
        if any(real.is_relative_to(base) for base in allowed):
            if not real.exists():
                raise DataError(f"{text}: a symbolic link to a file that does not exist")
            return real
        escaped = real
    outside = _outside(text, folders, allowed)
    if escaped is not None or outside:
        raise DataError(
            f"{text}: lies outside the folders that a spec may read ({_list(folders)}); "
            f"move the data there, set {DATA_VARIABLE} to its folder, or allow it with --allow-path (Python: allow=)"
        )
    raise DataError(f"{text}: no such file; looked in {_list(folders)}")


def _outside(text: str, folders: Sequence[Path], allowed: Sequence[Path]) -> bool:
    """Whether every reading of `text` leads outside, so that a caller learns nothing of what exists there."""
    places = [Path(os.path.normpath(folder / text)) for folder in folders or (Path.cwd(),)]
    return not any(place.is_relative_to(base) for place in places for base in allowed)


def _list(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders) or str(Path.cwd())
