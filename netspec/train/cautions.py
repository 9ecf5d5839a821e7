"""What a call of `fit` does that its caller probably does not mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from netspec.base.figure import shown_figure
from netspec.frontend.program import Program
from netspec.train.history import History

SPENT = 1e-3
"""Of the optimiser's rate: below it a schedule has come to its end."""


FAR_BELOW = -1.0
"""An r2 of nets that are far worse than the mean of all values."""
GREW = 1.25
"""How many times as large a loss is that no longer goes up and down by chance alone."""


def went_wrong(program: Program, history: History, r2: float | None) -> str | None:
    """A sentence where a training did harm though its loss was a number in every step: for values an r2 far below 0, and a loss that grew;
    for classes a loss that grew. None where nothing is clearly wrong."""
    if not history.loss or not history.epochs:
        return None
    first, last = history.loss[0], min(history.epochs[-1]["loss"], history.loss[-1])  # one wild step makes a mean large
    if last <= GREW * first or (r2 is not None and r2 > FAR_BELOW):
        return None
    lr = program.train.optimizer.lr
    advice = f"write a smaller lr in train, such as {lr / 10:g} for {lr:g}"
    if program.data is not None and not program.data.preparations:
        advice = f"write transforms = per_feature (per_channel for images) in data, or {advice.removeprefix('write ')}"
    told = f"the loss grew from {shown_figure(first)} in the first step to {shown_figure(last)} at the end"
    return f"this training went wrong: {told}; {advice}"


def cautions(program: Program, x: NDArray[Any], epochs_done: int, rate: float, has_folder: bool) -> Iterator[str]:
    """A sentence for each: rows that look like images with their channels last, a `rate` of the next update that a schedule has brought
    near 0, checkpoints without a run folder."""
    train = program.train
    if x.ndim == 4 and program.input is None and x.shape[3] in (1, 3, 4) and x.shape[1] == x.shape[2] > 4:
        told = f"x {x.shape} are images of {x.shape[1]} channels, {x.shape[2]}x{x.shape[3]} pixels each: (N, C, H, W)"
        yield f"{told}; for channels last call x.transpose(0, 3, 1, 2)"
    if train.schedule is not None and epochs_done >= train.epochs and rate <= train.optimizer.lr * SPENT:
        told = f"the schedule was over after epoch {train.epochs}, and its last rate is {rate:g}: little more is learnt"
        yield f"{told}; raise train.epochs, or call model.reset()"
    if train.checkpoint is not None and not has_folder:
        yield "checkpoint writes into a run folder, and there is none: give run_dir"
