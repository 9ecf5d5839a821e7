"""Who makes runs says so, by a shared lock on the folder where they will lie, from before data is read and kernels are compiled until the
last run is over: who looks for the run at work waits for one that is held, instead of taking an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from netspec.save.held import held, is_held
from netspec.save.run_files import RUNS


def place_of(run: Path | None = None) -> Path:
    """Where the folder of a run will lie."""
    return RUNS if run is None else run.parent


@contextmanager
def announced(place: Path | None) -> Iterator[None]:
    """While runs are made in `place`, as far as it is there: in one that is not no earlier run could be taken for the new one. A run's own
    folder is not locked, which would look as if it were trained."""
    with ExitStack() as stack:
        if place is not None and not (place / "spec.net").exists():
            with suppress(OSError):  # it is not there, or those who ask are many
                stack.enter_context(held(place, shared=True))
        yield


def is_announced(place: Path) -> bool:
    """Whether somebody makes runs in `place`."""
    return bool(is_held(place, shared=True))
