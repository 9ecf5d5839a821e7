"""`netspec plot RUN...`: training curves of runs on one picture, or the first layer's weights of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.pipeline import restore_file
from netspec.save.run_folder import find
from netspec.ui.curves import draw_curves, names_of, read_curves
from netspec.ui.filters import draw_filters, first_filters
from netspec.ui.given import run_path
from netspec.ui.picture import picture_path
from netspec.ui.screen import say


def run(runs: Sequence[Path], *, output: Path | None, filters: bool, last: bool) -> int:
    """Draws, and prints where the picture is. Raises UsageError for runs that have nothing of the kind."""
    path = picture_path(output or Path("filters.png" if filters else "curves.png"))
    paths = [run_path(one) for one in runs]
    if last and not filters:
        raise UsageError("--last goes with --filters: curves are those of the whole run")
    if filters:
        _filters(paths, path, last)
    else:
        draw_curves([read_curves(one, name) for one, name in zip(paths, names_of(paths), strict=True)], path)
    say(path)
    return 0


def _filters(paths: Sequence[Path], path: Path, last: bool) -> None:
    if len(paths) > 1:
        raise UsageError(f"--filters shows one run; {len(paths)} are given")
    found = find(paths[0], last)
    draw_filters(first_filters(restore_file(found.weights)), names_of(paths)[0], path)
