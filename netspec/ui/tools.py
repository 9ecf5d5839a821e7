"""`--log`: which tools of other people hear of a run, and how they are told on the command line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from netspec.base.errors import UsageError
from netspec.train.shares import SharesWarning
from netspec.train.trackers.mlflow import MLflow
from netspec.train.trackers.tensorboard import TensorBoard
from netspec.train.trackers.tracker import Tracker, TrackerWarning
from netspec.train.trackers.wandb import WandB
from netspec.ui.guard import tell

TOOLS: dict[str, Callable[[str | None], Tracker]] = {
    "tensorboard": lambda place: TensorBoard(place),
    "mlflow": lambda place: MLflow(place),
    "wandb": lambda mode: WandB(mode=mode or "offline"),  # type: ignore[arg-type]  # which refuses other words
}

TOLD = (TrackerWarning, SharesWarning)


def trackers_of(words: Sequence[str]) -> list[Tracker]:
    """`tensorboard`, `tensorboard=DIR`, `mlflow`, `mlflow=URI`, `wandb`, `wandb=online`. Raises UsageError for other words, for a tool
    twice, and where its library is missing."""
    made: dict[str, Tracker] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if name not in TOOLS or (equals and not place):
            raise UsageError(f"--log {word}: write tensorboard, tensorboard=DIR, mlflow, mlflow=URI, wandb or wandb=online")
        if name in made:
            raise UsageError(f"--log {word}: {name} is given twice")
        made[name] = TOOLS[name](place or None)
    return list(made.values())


@contextmanager
def told_in_a_line() -> Iterator[None]:
    """What trackers warn of, and what processes that share a batch, becomes a line on stderr."""
    with warnings.catch_warnings():
        for told in TOLD:
            warnings.simplefilter("always", told)
        shown = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, TOLD):
                tell(f"warning: {message}")
            else:
                shown(message, category, *place, **more)

        warnings.showwarning = show
        yield
