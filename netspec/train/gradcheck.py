"""Numerical check of gradients: float64, masks fixed, kinks avoided, random directions and sampled elements.

The numeric derivative along a direction is Richardson's extrapolation of central differences (order 6). A kink (relu, a maximum) between
two evaluations shows as estimates of different step sizes that disagree; such a direction is drawn again, and a smaller step is tried.
Only numeric estimates are compared for that, so a wrong gradient can never pass as a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base import html
from netspec.plan.network import Network

Vector = NDArray[np.float64]
SAMPLES = 20
DIRECTIONS = 2
DRAWS = 12
STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SMALLEST = (1e-7,)  # where kinks are denser than that; rounding is then large, and no error is a finding
RESOLVED = 2e-7  # a larger error that rounding of the loss explains is no finding: the place is drawn again
SMALL = 1e-6  # an error up to here is one of a right gradient, where rounding leaves none smaller
HIDDEN = 13
AGREE = 1e-7  # relative difference of two numeric estimates that counts as smooth


@dataclass(frozen=True, repr=False)
class GradcheckReport:
    """Largest relative error by parameter name, and of the input under `x`; `|a - n| / max(|a| + |n|, 1e-6 x largest gradient)`.
    It is infinite where a gradient is not finite, or where nothing of an array could be checked.

    `kinks` counts the draws that were thrown away because the loss was not smooth there.
    """

    errors: dict[str, float]
    kinks: int = 0
    unchecked: dict[str, int] = field(default_factory=dict)
    """Directions for which no smooth place was found, by name."""

    @property
    def max_error(self) -> float:
        return max(self.errors.values(), default=0.0)

    def __str__(self) -> str:
        width = max((len(name) for name in self.errors), default=1)
        rows = [f"{name:<{width}}  {error:.1e}" for name, error in self.errors.items()]
        return "\n".join([*rows, f"{'largest':<{width}}  {self.max_error:.1e}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table, errors that are too large in red."""
        rows = [(name, html.bold(f"{error:.1e}", html.RED) if error > SMALL else f"{error:.1e}") for name, error in self.errors.items()]
        verdict = html.bold("right", html.GREEN) if self.max_error <= SMALL else html.bold("wrong", html.RED)
        told = html.line(verdict, f": the largest error is {self.max_error:.1e}, and {SMALL:g} is the most that rounding explains")
        return html.page(html.table([("gradient of", "left"), ("error", "right")], rows), told)


def _estimate(
    loss: Callable[[float], float], here: float, rounding: float, largest: float, steps: tuple[float, ...]
) -> tuple[float, float] | None:
    """d loss / dt at 0, where it is `here`, with the size of its rounding error, or None where no step size finds the loss smooth.

    A kink in the loss or in its derivative, as elu has, leaves the odd or the even part of the differences in disagreement, wherever it
    lies; either part alone has places that it does not see. The error that it makes is up to HIDDEN times as large.
    """
    for step in steps:
        values = {0: here, **{k: loss(k * step) for k in (-3, -2, -1, 1, 2, 3)}}
        first, second, third = ((values[k] - values[-k]) / (2 * k * step) for k in (1, 2, 3))
        fourth = (4 * first - second) / 3
        sixth = 1.5 * first - 0.6 * second + 0.1 * third
        bend, wider, widest = ((values[k] + values[-k] - 2 * values[0]) / (k * k * step) for k in (1, 2, 3))
        even = (4 * bend - wider) / 3 - (9 * bend - widest) / 8
        noise = rounding / step
        if max(abs(fourth - sixth), abs(even)) <= AGREE * max(abs(sixth), 1e-6 * largest) + noise:
            return sixth, HIDDEN * noise
    return None


ROUNDINGS = 3
"""Draws by which the rounding of the loss is measured."""
MOVED = 0.05
"""Standard deviation of biases that are moved off 0."""


class Gradcheck:
    """The check of one network on one batch; x as the network takes it, y as the loss reads it, weights of its rows or None."""

    def __init__(self, network: Network, x: Vector, y: NDArray[np.float64], weights: NDArray[Any] | None = None, seed: int = 0) -> None:
        self.network, self.x, self.y = network, x.copy(), y
        self.weights = None if weights is None else np.asarray(weights, network.dtype)
        self.generator = np.random.default_rng([seed, 2])
        self.kinks, self.here, self.rounding = 0, 0.0, 0.0

    def _loss(self) -> float:
        value, _ = self.network.loss(self.x, self.y, gradients=False, input_gradient=True, weights=self.weights)
        return value

    def run(self) -> GradcheckReport:
        """Checks every parameter and the input. Where nothing of an array can be checked, as where rows of zeros and a bias of 0 put every
        relu on its kink, once more with biases and shifts that are not 0; the network keeps these."""
        report = self._run()
        if np.inf in report.errors.values() and self._move_off_zero():
            report = self._run()
        return report

    def _move_off_zero(self) -> bool:
        """Whether there was a bias or a shift that is 0 throughout: a small random one stands there now."""
        moved = False
        for name, parameter in self.network.graph.parameters.items():
            array = self.network.store.parameters[name]
            if parameter.role in ("bias", "shift") and not array.any():
                array[...] = self.generator.normal(0, MOVED, array.shape)
                moved = True
        return moved

    def _run(self) -> GradcheckReport:
        network = self.network
        network.store.update_state(False)
        self.here, plan = network.loss(self.x, self.y, input_gradient=True, weights=self.weights)
        analytic = {name: array.reshape(-1).copy() for name, array in network.store.gradients.items()}
        analytic["x"] = network.input_gradient(plan, len(self.x)).reshape(-1)
        arrays = {name: network.store.parameters[name].reshape(-1) for name in analytic if name != "x"}
        arrays["x"] = self.x.reshape(-1)
        self.rounding = self._rounding(arrays["x"])
        finite = [gradient[np.isfinite(gradient)] for gradient in analytic.values()]
        largest = max((float(np.abs(gradient).max(initial=0.0)) for gradient in finite), default=0.0)
        unchecked: dict[str, int] = {}
        errors = {}
        for name, gradient in analytic.items():
            errors[name], missed = self._array(arrays[name], gradient, largest)
            if missed:
                unchecked[name] = missed
            if missed == DIRECTIONS + min(SAMPLES, gradient.size):
                errors[name] = np.inf  # nothing was checked, and that is no pass
        return GradcheckReport(errors, self.kinks, unchecked)

    def _rounding(self, x: Vector) -> float:
        """How far rounding moves the loss: as far as inputs do that differ in their last bits, which a deep net makes more of."""
        before, found, bits = x.copy(), 1e-15 * max(1.0, abs(self.here)), np.random.default_rng(0)
        for _ in range(ROUNDINGS):
            x[:] = before * (1 + bits.choice([-1, 1], x.size) * np.finfo(np.float64).eps)
            found = max(found, abs(self._loss() - self.here))
        x[:] = before
        return found

    def _array(self, values: Vector, gradient: Vector, largest: float) -> tuple[float, int]:
        """Largest error over random directions and sampled elements of one array, and how many could not be checked."""
        if not np.isfinite(gradient).all():
            return np.inf, 0
        worst, missed = 0.0, 0
        elements = min(SAMPLES, values.size)
        fresh = self.generator.permutation(values.size)
        for number in range(DIRECTIONS + elements):
            best = np.inf
            for draw in range(DRAWS):
                if number < DIRECTIONS:
                    direction = self.generator.standard_normal(values.size)
                    direction /= np.linalg.norm(direction)
                    places: slice | NDArray[np.int64] = slice(None)
                else:
                    places, direction = fresh[[(number - DIRECTIONS + draw * elements) % values.size]], np.ones(1)
                expected = float(gradient[places] @ direction)
                found = self._along(values, places, direction, largest)
                if found is not None:
                    numeric, noise = found[0], found[1] * self.rounding / (1e-15 * max(1.0, abs(self.here)))
                    error = abs(expected - numeric) / max(abs(expected) + abs(numeric), 1e-6 * largest, 1e-300)
                    if error <= RESOLVED or abs(expected - numeric) > noise:
                        worst = max(worst, error)
                        break
                    best = min(best, error)
                self.kinks += 1
            else:
                best = min(best, self._closely(values, gradient, largest))
                if best <= SMALL:
                    worst = max(worst, best)
                else:
                    missed += 1
        return worst, missed

    def _closely(self, values: Vector, gradient: Vector, largest: float) -> float:
        """The least error along random directions by the smallest steps; infinite where these find no smooth place either."""
        best = np.inf
        for _ in range(DRAWS):
            direction = self.generator.standard_normal(values.size)
            direction /= np.linalg.norm(direction)
            found = self._along(values, slice(None), direction, largest, SMALLEST, self.rounding)
            if found is not None:
                expected, numeric = float(gradient @ direction), found[0]
                best = min(best, abs(expected - numeric) / max(abs(expected) + abs(numeric), 1e-6 * largest, 1e-300))
            if best <= SMALL:
                break
        return best

    def _along(
        self, values: Vector, places: slice | NDArray[np.int64], direction: Vector, largest: float, steps: tuple[float, ...] = STEPS,
        rounding: float = 0.0,
    ) -> tuple[float, float] | None:  # fmt: skip
        before = values[places].copy()

        def loss(t: float) -> float:
            values[places] = before + t * direction
            return self._loss()

        found = _estimate(loss, self.here, rounding or 1e-15 * max(1.0, abs(self.here)), largest, steps)
        values[places] = before
        return found
