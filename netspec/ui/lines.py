"""Training told in plain lines."""

from __future__ import annotations

import sys
from typing import Any

from netspec.base.figure import shown_figure


class Lines:
    """The monitor of `fit(verbose=1)`: a line on stderr for each epoch."""

    def begin(self, *, first_epoch: int, epochs: int, steps_per_epoch: int, rows: int) -> None:
        print(f"{rows:,} rows, {steps_per_epoch} steps an epoch", file=sys.stderr)

    def steps(self, *, epoch: int, step: int, loss: float, rows_per_second: float, done: int) -> None:
        """Says nothing between epochs."""

    def epoch(self, row: dict[str, Any]) -> None:
        keys = ("loss", "train_accuracy", "val_loss", "val_accuracy")
        shown = ", ".join(f"{key} {shown_figure(row[key])}" for key in keys if row[key] is not None)
        print(f"epoch {row['epoch']}: {shown}, {row['seconds']:.1f} s", file=sys.stderr)

    def end(self) -> None:
        """Nothing is open."""
