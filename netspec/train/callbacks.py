"""What a user's own code hears of training, and how it ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError

HOOKS = ("on_begin", "on_step", "on_epoch", "on_measured", "on_end", "on_error")


class StopTraining(Exception):  # noqa: N818  a wish, no error
    """Raised by a callback: training ends in good order, with its best parameters. The text becomes `history.stopped`."""


class Callback:
    """What an object in `fit(callbacks=[...])` may hear. Any object with some of these methods will do; this class saves writing the rest.

    All calls come from the thread that trains, and wait for each other; the model may be used inside them. `model.running` is the loop
    that is at work: its `steps_per_epoch`, `epochs_done`, `schedule.epochs`, `rates(step, 1)`, and the `folder` that it writes, if any.
    A method that returns True or raises StopTraining ends training, after the other callbacks have heard the same; any other exception
    reaches the caller of `fit`.
    """

    def on_begin(self, model: Any) -> Any:
        """Before the first update."""

    def on_step(self, model: Any, step: int, losses: NDArray[np.float64]) -> Any:
        """After each native piece of training, about ten times a second: never between two steps of a piece.

        `losses` (K,) are those of the last K updates (data loss plus l2), of which `step` is the number of the last, counted from 1. An
        epoch ends a piece. To end training here leaves the epoch without a row, and the parameters of the best whole epoch.
        """

    def on_epoch(self, model: Any, row: dict[str, Any]) -> Any:
        """At an epoch's end, with its row of `history.epochs`."""

    def on_measured(self, model: Any, split: str, metrics: dict[str, float]) -> Any:
        """Of `netspec.train` alone, before `on_end`: the metrics of the rows that the run is measured on. The return value has no use."""

    def on_end(self, model: Any, history: Any) -> Any:
        """After training, stopped or not, with the parameters that it leaves; not where an error ends it. The return value has no use."""

    def on_error(self, model: Any, error: BaseException) -> Any:
        """Instead of `on_end` where an error or a signal ends training, which then goes on to the caller. The return value has no use."""


class Callbacks:
    """The callbacks of one fit by hook. A plain function is an `on_epoch`. Raises UsageError for what is neither."""

    def __init__(self, model: Any, callbacks: Sequence[Any]) -> None:
        self._model = model
        self._functions: dict[str, list[Callable[..., Any]]] = {hook: [] for hook in HOOKS}
        if not isinstance(callbacks, (list, tuple)):
            raise UsageError(f"callbacks={callbacks!r}: give a list, callbacks=[...]")
        for callback in callbacks:
            self._add(callback)

    def _add(self, callback: Any) -> None:
        if isinstance(callback, type):
            raise UsageError(f"callbacks: {callback.__name__} is a class; give an object of it, {callback.__name__}()")
        hooks = {hook: getattr(callback, hook) for hook in HOOKS if callable(getattr(callback, hook, None))}
        if not hooks and not callable(callback):
            message = f"callbacks: {callback!r} is no function(model, row), and has none of the methods {', '.join(HOOKS)}"
            raise UsageError(message)
        for hook, function in (hooks or {"on_epoch": callback}).items():
            self._functions[hook].append(function)

    def _call(self, hook: str, *given: Any) -> None:
        """Calls every function of a hook. Raises StopTraining after the last, where any of them asks for it."""
        reasons = []
        for function in self._functions[hook]:
            try:
                if function(self._model, *given) is True:
                    reasons.append(f"{_name(function)} returned True")
            except StopTraining as stop:
                reasons.append(str(stop) or f"{_name(function)} raised StopTraining")
        if reasons:
            raise StopTraining("; ".join(reasons))

    def begin(self) -> None:
        self._call("on_begin")

    def steps(self, step: int, losses: NDArray[np.float64]) -> None:
        self._call("on_step", step, losses)

    def epoch(self, row: dict[str, Any]) -> None:
        self._call("on_epoch", row)

    def measured(self, split: str, metrics: dict[str, float]) -> None:
        self._tell("on_measured", split, metrics)

    def end(self, history: Any) -> None:
        self._tell("on_end", history)

    def error(self, error: BaseException) -> None:
        self._tell("on_error", error)

    def _tell(self, hook: str, *given: Any) -> None:
        """Calls every function of a hook after training, which nothing can end any more."""
        for function in self._functions[hook]:
            function(self._model, *given)


def _name(function: Callable[..., Any]) -> str:
    owner = getattr(function, "__self__", function)
    return getattr(function, "__name__", "") if owner is function and hasattr(function, "__name__") else type(owner).__name__
