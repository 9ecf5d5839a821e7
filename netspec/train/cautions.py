"""What a call of `fit` does that its caller probably does not mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from netspec.frontend.program import Program

SPENT = 1e-3
"""Of the optimiser's rate: below it a schedule has come to its end."""


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
