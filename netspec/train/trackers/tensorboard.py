"""Event files of TensorBoard, written by tensorboardX: nothing is sent anywhere, `tensorboard --logdir DIR` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.train.trackers.tracker import Tracker, require_place, settings_in_words

TAGS = {
    "step_loss": "loss/step", "loss": "loss/epoch", "val_loss": "loss/validation", "train_accuracy": "accuracy/train",
    "val_accuracy": "accuracy/validation", "lr": "lr", "epoch": "epoch",
}  # fmt: skip
FLUSH_SECONDS = 5


class TensorBoard(Tracker):
    """Writes event files into `logdir`, or into `tensorboard/` of the run folder: loss and learning rate by step, the figures of each
    epoch at its last step, the spec as text and its settings as hyperparameters; with `histograms` the parameters after each epoch.

    What a run had written after the state that it is resumed from is purged, as TensorBoard calls it. Needs the extra `tensorboard`;
    raises UsageError without it, and in `fit` without a run folder and a `logdir`.
    """

    name = "tensorboard"

    def __init__(self, logdir: str | PathLike[str] | None = None, *, every: int | None = None, histograms: bool = False) -> None:
        super().__init__(every)
        self.logdir, self.histograms = logdir, histograms
        if logdir is not None:
            require_place(Path(logdir), f"TensorBoard: its folder {logdir}", "name another with --log tensorboard=DIR")
        self._tensorboard = library("tensorboardX", "tensorboard")
        self._summary = library("tensorboardX.summary", "tensorboard")
        self._writer: Any = None
        self._session_end: Any = None

    def open(self, model: Any, folder: Path | None, step: int) -> None:
        if self.logdir is None and folder is None:
            raise UsageError('TensorBoard() writes into the run folder, and this fit has none: give TensorBoard("logs"), or run_dir to fit')
        place = Path(self.logdir) if self.logdir is not None else Path(str(folder), "tensorboard")
        # a file's name has but the second in it, in which a run may have been stopped as well as resumed
        again = {"purge_step": step + 1, "filename_suffix": f".{step}"} if step else {}
        self._writer = self._tensorboard.SummaryWriter(logdir=str(place), flush_secs=FLUSH_SECONDS, **again)
        if not step:
            self._writer.add_text("spec", f"```\n{model.program.resolved}\n```", 0)
            metrics = dict.fromkeys((TAGS["val_accuracy"], TAGS["val_loss"], TAGS["loss"]), 0.0)
            session, begin, self._session_end = self._summary.hparams(settings_in_words(model), metrics)
            for summary in (session, begin):
                self._writer.file_writer.add_summary(summary)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        for key, value in figures.items():
            self._writer.add_scalar(TAGS[key], value, step)

    def weights(self, model: Any, step: int) -> None:
        if self.histograms:
            for name, array in model.params.items():
                self._writer.add_histogram(name.replace(".", "/"), array, step)

    def measured(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        for key, value in metrics.items():
            self._writer.add_scalar(f"{split}/{key}", value, step)

    def close(self, error: BaseException | None) -> None:
        if error is None and self._session_end is not None:
            self._writer.file_writer.add_summary(self._session_end)
        self._writer.close()
