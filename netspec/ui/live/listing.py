"""Every run in a folder, each told in a few figures, from the ends of its files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from netspec.base.errors import DataError
from netspec.save.run_files import FILES
from netspec.save.run_folder import RunFolder
from netspec.save.story import State, Story, read_ends, whole
from netspec.ui.live.facts import began_of, best_of, metrics_of, reason_of, standing

DEPTH = 3
"""Folders within folders that are looked through: sweeps/<study> keeps the runs of a sweep."""


@dataclass(frozen=True)
class Listed:
    """One run; `damaged` where its files cannot be read, for the `reason`."""

    name: str
    path: Path
    state: State | Literal["damaged"]
    reason: str = ""
    began: datetime | None = None
    net: str = ""
    spec: str = ""
    parameters: int = 0
    epochs: int = 0
    of: int = 0
    seconds: float | None = None
    best: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All that runs can be sorted by but their names and times: metrics, the best epoch's figures, counts."""
        best = {key: float(value) for key, value in self.best.items() if key not in ("epoch", "step") and _is_number(value)}
        counted = {"epochs": float(self.epochs), "parameters": float(self.parameters)}
        return {**({} if self.seconds is None else {"seconds": self.seconds}), **counted, **best, **self.metrics}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def runs_in(folder: Path) -> list[Listed]:
    """Of every run folder in `folder` and in the folders there, or of `folder` itself where it is one, in no order. Raises OSError where it
    cannot be read."""
    if any((folder / name).exists() for name in FILES):
        return [listed(folder, folder.resolve().name)]
    return [listed(path, str(path.relative_to(folder))) for path in run_folders(folder)]


def run_folders(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Every run folder in `folder` and in the folders there, in no order. Raises OSError where it cannot be read."""
    with os.scandir(folder) as found:
        inside = [Path(one.path) for one in found if one.is_dir(follow_symlinks=True) and not one.name.startswith(".")]
    for path in inside:
        if any((path / name).exists() for name in FILES):
            yield path
        elif depth > 1:
            try:
                yield from run_folders(path, depth - 1)
            except OSError:
                continue


def listed(path: Path, name: str) -> Listed:
    """One run folder, whatever is wrong with it."""
    folder = RunFolder(path)
    try:
        if not folder.events.is_file():
            raise DataError("events.jsonl is missing")
        return _told(read_ends(folder.events), folder, name)
    except (DataError, OSError) as error:
        why = getattr(error, "strerror", None) or str(error).removeprefix(f"{folder.events}: damaged: ").removeprefix(f"{folder.events}: ")
        return Listed(name, path, "damaged", why, _changed(path))


def _told(story: Story, folder: RunFolder, name: str) -> Listed:
    over = story.end is not None
    at = standing(story)
    end = story.end or {}
    return Listed(
        name, folder.path, story.state(not over and folder.is_held), reason_of(story), began_of(story) or _changed(folder.path),
        str(story.begun.get("net", "")), str(story.begun.get("spec", "")), whole(story.begun, "parameters"),
        whole(end, "epochs") if over else at.epoch, whole(end, "of") if over else at.epochs, at.seconds, best_of(story) or {},
        str(end.get("split", "")), metrics_of(story),
    )  # fmt: skip


def _changed(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return None


SMALL_IS_GOOD = ("loss", "mae", "rmse", "seconds", "parameters")


def in_order(runs: Iterable[Listed], key: str) -> list[Listed]:
    """By `time`, the newest first; by `name`; or by a figure, the best first. Runs without it come last. Raises KeyError with the figures
    that there are where no run has it."""
    runs = sorted(runs, key=lambda run: run.name)
    if key == "name":
        return runs
    if key == "time":
        dated = [run for run in runs if run.began is not None]
        dated.sort(key=lambda run: (run.began or datetime.min.replace(tzinfo=UTC)).timestamp(), reverse=True)
        return [*dated, *(run for run in runs if run.began is None)]
    having = [run for run in runs if key in run.figures]
    if runs and not having:
        raise KeyError(*sorted({figure for run in runs for figure in run.figures}))
    sign = 1 if key.endswith(SMALL_IS_GOOD) else -1
    having.sort(key=lambda run: sign * run.figures[key])
    return [*having, *(run for run in runs if key not in run.figures)]
