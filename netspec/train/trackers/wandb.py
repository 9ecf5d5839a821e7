"""Runs of Weights & Biases, kept on this machine until somebody sends them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from netspec.base.errors import UsageError
from netspec.base.extras import tool
from netspec.train.trackers.tracker import Tracker, settings_in_words

NAMES = {"step_loss": "loss", "loss": "epoch_loss"}


class WandB(Tracker):
    """Makes a run of Weights & Biases in `project`: the settings of the resolved spec as its config, `loss` and `lr` by step, each epoch's
    figures at its last step, `test_...` in its summary.

    With `mode="offline"`, whatever the environment says, it is written into `wandb/` of the run folder (or of `folder`, or here) and
    nothing reaches the network: `wandb sync` sends it when you want. `mode="online"` sends it at once. A resumed run keeps its id, which
    stands in `wandb.json` of the run folder. Other keywords go to `wandb.init`. Needs `pip install wandb`.
    """

    name = "wandb"

    def __init__(
        self, project: str = "netspec", *, mode: Literal["offline", "online"] = "offline", folder: str | Path | None = None,
        every: int | None = None, **keywords: Any,
    ) -> None:  # fmt: skip
        super().__init__(every)
        if mode not in ("offline", "online"):
            raise UsageError(f"WandB(mode={mode!r}): offline or online")
        if mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # crash reports, which its import begins to send
        self._wandb = tool("wandb", "wandb")
        self.project, self.mode, self.folder, self.keywords = project, mode, folder, keywords
        self._run: Any = None

    def open(self, model: Any, folder: Path | None, step: int) -> None:
        before = self.remembered(folder, step)
        place = Path(self.folder) if self.folder is not None else folder or Path()
        place.mkdir(parents=True, exist_ok=True)
        own: dict[str, Any] = {"name": folder.resolve().name if folder is not None else None}
        if "id" in before:
            own |= {"id": str(before["id"]), "resume": "allow"}
        settings = self._wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True, disable_job_creation=True)
        given = {"project": self.project, "mode": self.mode, "dir": str(place), "config": settings_in_words(model), "settings": settings}
        self._run = self._wandb.init(**{**given, **own, **self.keywords})
        self.remember(folder, {"id": str(self._run.id), "project": self.project})

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log({NAMES.get(key, key): value for key, value in figures.items()}, step=step)

    def measured(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        self._run.summary.update({f"{split}_{key}": value for key, value in metrics.items()})

    def close(self, error: BaseException | None) -> None:
        self._run.finish(exit_code=0 if error is None else getattr(error, "exit_code", 1))
