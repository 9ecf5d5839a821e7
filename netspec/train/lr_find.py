"""A learning rate found by trying: training on a copy of the parameters while the rate grows, until the loss explodes."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from netspec.base import html
from netspec.base.chart import Curve, chart
from netspec.base.errors import DivergedError
from netspec.base.figure import shown_figure
from netspec.plan.network import Network, train_rows
from netspec.train.feed import Material, feed_of
from netspec.train.loop import Schedule, batches

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 200
LEAST_STEPS = 20  # with fewer the slope of the curve says nothing
PIECE = 10  # steps between two looks at the loss
KEEP = 0.9  # of the running mean by which an explosion is seen
EXPLODED = 4.0  # times the lowest running mean, and above the first
WIDTH = 0.025  # of the curve's smoothing, as a share of all steps
SHOWN = 12  # rows of the printed table


@dataclass(frozen=True)
class LrFind:
    """The loss of each step (n,), before its update, by its learning rate (n,); the same smoothed by a Gaussian over the steps; and `lr`,
    the suggestion: the rate at which the smoothed loss falls most steeply over the logarithm of the rate, before it is lowest. Where it
    never falls, a tenth of the rate at which it is lowest. `exploded` tells whether the loss did before the highest rate. `updates_before`
    are those that the net had done already: the rates are then for going on, and the curve is flat where little is left to learn.

    Source: Smith, Cyclical learning rates for training neural networks, 2017, section 3.3, with the slope for the eye's judgement.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    lr: float
    exploded: bool
    updates_before: int = 0

    def __str__(self) -> str:
        count = len(self.rates)
        at = int(np.abs(np.log(self.rates / self.lr)).argmin())
        shown = sorted({*np.linspace(0, count - 1, min(SHOWN, count)).astype(int).tolist(), at})
        lines = [f"{'lr':>9}  {'loss':>9}"]
        lines += [f"{self.rates[i]:>9.2e}  {shown_figure(self.smoothed[i]):>9}{'  <- steepest' if i == at else ''}" for i in shown]
        return "\n".join([*lines, "", f"{count} steps; {self._end}", *self._caution(), f"suggested lr {self.lr:.1e}"])

    __repr__ = __str__

    @property
    def _end(self) -> str:
        return "the loss exploded" if self.exploded else "the highest rate was reached"

    def _caution(self) -> list[str]:
        """What is to be known of a net that was trained before."""
        return list(told_of_trained(self.updates_before)) if self.updates_before else []

    def _repr_html_(self) -> str:
        """What a notebook shows: the curve, with a line at the suggestion."""
        losses, smoothed = (list(zip(self.rates.tolist(), found.tolist(), strict=True)) for found in (self.losses, self.smoothed))
        curves = [Curve("single steps", losses, html.BLUE, faint=True), Curve("smoothed", smoothed, html.BLUE)]
        return html.page(
            html.line("suggested lr ", html.bold(f"{self.lr:.1e}"), html.faint(f": {len(self.rates)} steps; {self._end}")),
            html.line(html.faint("; ".join(self._caution()))),
            html.picture(chart(curves, "learning rate", "loss", width=460, log_x=True, mark=self.lr), f"loss by learning rate, {self}"),
        )


def told_of_trained(updates: int) -> tuple[str, str]:
    """What is so of a net that has learnt already, and what to do."""
    return (
        f"the net is trained already ({updates:,} updates), and these rates are for training it further",
        "for the rate to begin with call lr_find on a new model of the spec, or reset() this one",
    )


def find_lr(
    network: Network, material: Material, *, drop_last: bool = False, lowest: float = LOWEST, highest: float = HIGHEST, steps: int = STEPS
) -> LrFind:
    """Trains with rates from `lowest` to `highest`, equally spaced in their logarithm, from the network's parameters and an optimiser
    without memory, then puts everything back. Batches are those of training, shuffled by epochs. Raises DivergedError where the loss is
    no number before anything can be told."""
    rates = np.geomspace(lowest, highest, steps)
    kept, before = [array.copy() for array in network.store.kept], network.store.step
    try:
        for slot in network.store.slots.values():
            slot.flat[:] = 0
        network.store.step = 0
        losses = _train(network, material, drop_last, rates)
    finally:
        for own, array in zip(network.store.kept, kept, strict=True):
            own[:] = array
    if len(losses) < LEAST_STEPS:
        told = f"the loss exploded or was no number after {len(losses)} steps, at lr {rates[max(len(losses) - 1, 0)]:.1e}"
        raise DivergedError("; ".join([told, *(told_of_trained(before) if before else ())]))
    rates = rates[: len(losses)]
    smoothed = smooth(losses, WIDTH * steps)
    return LrFind(rates, losses, smoothed, suggest(rates, smoothed), len(losses) < steps, before)


def _train(network: Network, material: Material, drop_last: bool, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """The losses until the last rate, or until they explode."""
    schedule = Schedule(network.settings.optimizer, 1, network.settings.batch)
    plan = network.plan(train_rows(network.graph, network.settings), weighted=material.weights is not None)
    starts, counts = batches(len(material), network.settings.batch, drop_last, network.graph.normalizes_vectors)
    feed = feed_of(material, network.labels_to_layout(material.y), starts, counts, network.store.seed)
    found: list[float] = []
    mean = total = 0.0
    least = np.inf
    try:
        while len(found) < len(rates):
            epoch, place = divmod(len(found), len(starts))
            window = feed.window(epoch + 1, place)
            some = slice(place, min(place + PIECE, window.last, place + len(rates) - len(found)))
            losses = np.empty((some.stop - some.start, 2))
            scalars = schedule.scalars(len(found) + 1, len(losses), 1)
            scalars[:, 0] = rates[len(found) : len(found) + len(losses)]
            with network.lock:
                plan.bind(x=window.x, y=window.y, order=window.order)
                plan.bind_weights(window.weights)
                network.store.update_state(True)
                network.store.augment(True)
                done = plan.train(window.epoch, window.rows, starts[some] - window.offset, counts[some], scalars, losses)
            for loss in losses[:done, 0].tolist():
                found.append(loss)
                mean, total = KEEP * mean + (1 - KEEP) * loss, KEEP * total + 1 - KEEP
                least = min(least, mean / total)
                if mean / total > max(EXPLODED * least, found[0]) or not isfinite(loss):
                    return np.array(found)
            if done < len(losses):
                break
    finally:
        plan.release()
    return np.array(found)


def smooth(losses: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """The curve as a mean with Gaussian weights of a standard deviation of `width` steps, which shifts nothing. The losses of the end are
    cut off at the level of an explosion: a few steps earlier nothing of them is to be seen."""
    capped = np.minimum(losses, max(EXPLODED * losses.min(), losses[:LEAST_STEPS].max()))
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / width) ** 2)
    found: NDArray[np.float64] = (weights * capped).sum(axis=1) / weights.sum(axis=1)
    return found


def suggest(rates: NDArray[np.float64], smoothed: NDArray[np.float64]) -> float:
    """The rate of the steepest descent; see LrFind."""
    lowest = int(smoothed.argmin())
    slopes = np.gradient(smoothed, np.log(rates))[: max(lowest, 1)]
    steepest = int(slopes.argmin())
    return float(rates[steepest] if slopes[steepest] < 0 else rates[lowest] / 10)
