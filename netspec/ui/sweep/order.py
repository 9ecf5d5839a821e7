"""What a sweep is to do, as every worker is told it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from netspec.base.errors import UsageError
from netspec.frontend.program import Overrides


def own_storage(folder: Path) -> str:
    """The URL of the database that a sweep's folder has where no other is given. Raises UsageError for a folder that no URL can name."""
    try:
        return f"sqlite:///{quote(str(folder / 'study.db'))}"
    except UnicodeEncodeError:
        raise UsageError(f"{folder}: is no UTF-8, and so no study can name it; give a --dir that is") from None


@dataclass(frozen=True)
class Order:
    """The file with what was given beside it, the study, and how trials are chosen and ended.

    `resolved` is the text that the file came to, so that one that is changed meanwhile is noticed; `heartbeat` the seconds between two
    signs of life, `epochs` the most that a trial may have.
    """

    file: str
    overrides: Overrides
    resolved: str
    folder: str
    storage: str
    study: str
    metric: str
    sampler: str
    pruner: str
    seed: int
    epochs: int
    heartbeat: int
    threads: int = 1
    allow: tuple[str, ...] = ()

    @property
    def maximizes(self) -> bool:
        return self.metric.endswith("accuracy")

    @property
    def trials(self) -> Path:
        """Where the run folders of trials lie."""
        return Path(self.folder)

    @property
    def workers(self) -> Path:
        """A file for each worker that is alive, which it holds locked; beside it what the worker said on stderr."""
        return Path(self.folder) / "workers"

    def as_line(self) -> str:
        """One line of JSON."""
        return json.dumps({**asdict(self), "overrides": asdict(self.overrides)})

    @classmethod
    def read(cls, line: str) -> Order:
        """The order of `as_line`."""
        told: dict[str, Any] = json.loads(line)
        overrides = told.pop("overrides")
        shape = overrides.pop("input")
        given = Overrides(input=None if shape is None else tuple(shape), **overrides)
        return cls(**{**told, "overrides": given, "allow": tuple(told["allow"])})
