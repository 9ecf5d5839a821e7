"""Runs of MLflow, in a store on this machine unless a server is named."""

from __future__ import annotations

import logging
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netspec.base.errors import Interrupted, UsageError
from netspec.base.extras import tool
from netspec.train.trackers.tracker import Tracker, TrackerWarning, require_place, settings_in_words

URI = "MLFLOW_TRACKING_URI"
STORE = "mlflow.db"
LOCAL, REMOTE = ("file", "sqlite"), ("databricks", "databricks-uc", "uc")
"""How places of stores on this machine begin, beside plain paths; and servers that need no address."""
NAMES = {"step_loss": "loss", "loss": "epoch_loss"}
AT_ONCE = 500
"""Metrics that are handed over together: what the store takes."""
SECONDS = 1.0
"""That metrics wait at most."""
SQLITE = re.compile(r"sqlite(?:\+\w+)?:///([^?]+)")
LOGGERS = ("mlflow", "alembic")
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Of a server that does not answer MLflow asks again for four minutes; before training somebody waits for the answer."""


class MLflow(Tracker):
    """Makes a run in the MLflow experiment `experiment`: the settings of the resolved spec as parameters, `loss` and `lr` by step, each
    epoch's figures at its last step, `test_...` metrics at the end; with `artifacts` the files of the run folder but its weights.

    The store is `tracking_uri`; without one that of MLFLOW_TRACKING_URI where it is on this machine, else `sqlite:///mlflow.db` in the
    working folder. A server is reached only where `tracking_uri` names it. A resumed run goes on with its MLflow run, whose id
    stands in `mlflow.json` of the run folder; outside run folders `run_id` does that. Needs `pip install mlflow`; raises UsageError
    without it, for a word that is no store, and where the store's file cannot be written.
    """

    name = "mlflow"

    def __init__(
        self, tracking_uri: str | None = None, *, experiment: str = "netspec", run_name: str | None = None, run_id: str | None = None,
        artifacts: bool = False, every: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(every)
        if tracking_uri is not None:
            _require_store(tracking_uri)
        self.uri = tracking_uri or _own_store()
        _require_writable(self.uri)
        if _is_local(self.uri):
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which MLflow sends from its import on
        self._mlflow = tool("mlflow", "mlflow")
        self._entities = tool("mlflow.entities", "mlflow")
        self.experiment, self.run_name, self.run_id, self.artifacts = experiment, run_name, run_id, artifacts
        self._client: Any = None
        self._folder: Path | None = None
        self._waiting: list[Any] = []
        self._sent_at = 0.0

    def open(self, model: Any, folder: Path | None, step: int) -> None:
        with _impatient(), _hushed():
            self._begin(model, folder, step)

    def _begin(self, model: Any, folder: Path | None, step: int) -> None:
        self._folder, self._waiting = folder, []
        self._client = self._mlflow.MlflowClient(tracking_uri=self.uri)
        before = self.remembered(folder, step)
        known = self.run_id or (before.get("run_id") if before.get("tracking_uri") == self.uri else None)
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            self.run_id = str(known)
        else:
            found = self._client.get_experiment_by_name(self.experiment)
            place = found.experiment_id if found is not None else self._client.create_experiment(self.experiment)
            name = self.run_name or (folder.resolve().name if folder is not None else None)
            self.run_id = self._client.create_run(place, run_name=name).info.run_id
            parameters = [self._entities.Param(key, str(value)) for key, value in settings_in_words(model).items()]
            self._client.log_batch(self.run_id, params=parameters)
        self.remember(folder, {"tracking_uri": self.uri, "run_id": str(self.run_id)})

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._waiting += [self._entities.Metric(NAMES.get(key, key), float(value), now, step) for key, value in figures.items()]
        if time.monotonic() - self._sent_at >= SECONDS:
            self._send()

    def measured(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        self.write(step, {f"{split}_{key}": value for key, value in metrics.items()})

    def close(self, error: BaseException | None) -> None:
        self._send()
        if self.artifacts and self._folder is not None:
            for path in sorted(self._folder.iterdir()):
                if path.is_file():
                    self._client.log_artifact(self.run_id, str(path))
        status = "FINISHED" if error is None else "KILLED" if isinstance(error, Interrupted) else "FAILED"
        self._client.set_terminated(self.run_id, status=status)
        self.run_id = None if error is None else self.run_id

    def _send(self) -> None:
        for first in range(0, len(self._waiting), AT_ONCE):
            self._client.log_batch(self.run_id, metrics=self._waiting[first : first + AT_ONCE])
        self._waiting, self._sent_at = [], time.monotonic()


def _require_store(uri: str) -> None:
    """Raises UsageError for a word alone that is no folder: MLflow would take it for one, and refuse it in other words."""
    if ":" not in uri and "/" not in uri and uri not in REMOTE and not os.path.exists(uri):
        raise UsageError(
            f"{uri}: names no store of MLflow; write a file, as in sqlite:///runs.db, or a server, as in http://localhost:5000, to "
            f"--log mlflow=URI or MLflow(URI); without one it is {STORE} in the working folder"
        )


def _require_writable(uri: str) -> None:
    """Raises UsageError for a file of SQLite that cannot be written: MLflow tries for a minute and a half."""
    found = SQLITE.fullmatch(uri.partition("?")[0])
    if found is not None and not found[1].startswith((":memory:", "file:")):
        require_place(Path(found[1]).parent, f"MLflow: its store {found[1]}", "name another with --log mlflow=sqlite:////PATH.db")


@contextmanager
def _impatient() -> Iterator[None]:
    """While a server is asked for the first time; what the environment says counts all the same."""
    added = {name: value for name, value in IMPATIENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _hushed() -> Iterator[None]:
    """Without what MLflow tells of the tables that it makes; warnings come through."""
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    for name, level in before.items():
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _is_local(uri: str) -> bool:
    scheme = uri.partition(":")[0]
    return scheme in LOCAL or ("://" not in uri and scheme not in REMOTE)


def _own_store() -> str:
    """A store on this machine."""
    told = os.environ.get(URI, "")
    if told and _is_local(told):
        return told
    own = f"sqlite:///{Path(STORE).resolve()}"
    if told:
        asked = "MLflow(tracking_uri=...) or --log mlflow=URI"
        message = f"{URI} names a server, which is reached only where {asked} does; this run goes to {own}"
        warnings.warn(message, TrackerWarning, stacklevel=4)
    return own
