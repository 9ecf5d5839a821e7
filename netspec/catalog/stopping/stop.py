"""Stops when a figure has not improved for some time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.duration import Duration, Length
from netspec.base.figure import shown_figure
from netspec.base.stopping import Figure, StoppingRule


class Stop(StoppingRule):
    """Ends training after the first epoch at which `patience` has gone by since `metric` last improved by more than `min_delta`.

    Accuracies improve upwards, losses downwards. Without a metric validation accuracy is watched, validation loss where the net ends in
    numbers. `early_stop = 5ep` means stop(patience=5ep). The parameters kept are those of the best validation epoch, stopped or not.
    Source: Goodfellow, Bengio and Courville, Deep Learning, 2016, algorithm 7.1.
    """

    name: ClassVar[str] = "stop"
    metric: Annotated[Figure | None, Field(description="the column of the history that is watched")] = None
    patience: Annotated[Length, Field(description="how long it may go without improving")] = Duration(5, "ep")
    min_delta: Annotated[float, Field(ge=0, description="by more than this it has to improve")] = 0.0

    def watches(self, values: bool) -> Figure:
        return self.metric or ("val_loss" if values else "val_accuracy")

    def reason(self, rows: Sequence[Mapping[str, Any]], values: bool) -> str | None:
        figure = self.watches(values)
        sign = -1.0 if figure.endswith("loss") else 1.0
        best = rows[0]
        for row in rows:
            if sign * (row[figure] - best[figure]) > self.min_delta:
                best = row
        column, unit = ("epoch", "epochs") if self.patience.unit == "ep" else ("step", "updates")
        if rows[-1][column] - best[column] < self.patience.amount:
            return None
        more = f" by more than {self.min_delta:g}" if self.min_delta else ""
        since = f"{self.patience.amount} {unit if self.patience.amount > 1 else unit[:-1]}"
        return f"{figure} has not improved{more} for {since}; it was {shown_figure(best[figure])} in epoch {best['epoch']}"
