"""What training writes down: the loss of every step, a row for every epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

COLUMNS = ("epoch", "step", "lr", "loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")


@dataclass
class History:
    """`loss` holds the loss of each step (data loss plus l2), `epochs` a dict for each epoch with the keys of COLUMNS.

    `loss` of an epoch is the mean over its steps, `lr` the rate of its last step, `seconds` the time since training began. Accuracies
    are None for regression, validation figures None without validation.
    """

    loss: list[float] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def figures(self) -> list[float]:
        """The validation loss of each epoch, or its training loss where there is none: what a schedule may watch."""
        return [row["loss"] if row["val_loss"] is None else row["val_loss"] for row in self.epochs]

    def __repr__(self) -> str:
        if not self.epochs:
            return f"History({len(self.loss)} steps)"
        last = self.epochs[-1]
        shown = ", ".join(f"{key} {last[key]:.4g}" for key in COLUMNS[3:7] if last[key] is not None)
        return f"History({len(self.loss)} steps, {len(self.epochs)} epochs; last: {shown})"
