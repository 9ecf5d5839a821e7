"""Curves on axes, as SVG that can be read on white and on black."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from netspec.base.html import GREY

WIDE = 30
"""From this ratio of the highest value to the lowest on, an axis of positive values is logarithmic."""
MOST_POINTS = 240
FEW = 30
"""Points that have marks."""
LEFT, RIGHT, TOP, BOTTOM, FONT, LETTER = 52, 12, 24, 36, 11, 6.2
LEAST_TICKS, MOST_POWERS = 3, 5
TINY = 1e-300


@dataclass(frozen=True)
class Curve:
    """Points in the order of x; what is not finite is left out."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashed: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Axis:
    """From values to places between `start` and `end` of the picture."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool

    def place(self, value: float) -> float:
        low, high, here = (math.log(max(one, TINY)) if self.is_log else one for one in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within the axis."""
        return _powers(self.low, self.high) if self.is_log else _steps(self.low, self.high)


def chart(
    curves: Sequence[Curve], x: str, y: str, *, width: int = 340, height: int = 210, log_x: bool = False, mark: float | None = None
) -> str:  # fmt: skip
    """The curves with axes, ticks and a legend; `mark` is an x that a line shows."""
    drawn = [(curve, _thinned(_finite(curve.points))) for curve in curves]
    drawn = [(curve, points) for curve, points in drawn if points]
    values = [value for _, points in drawn for _, value in points] or [0.0]
    places = [place for _, points in drawn for place, _ in points] or [0.0]
    wide = min(values) > 0 and max(values) > WIDE * min(values)
    across = Axis(min(places), max(places), LEFT, width - RIGHT, log_x)
    upward = Axis(*_widened(min(values), max(values), wide), height - BOTTOM, TOP, wide)
    parts = [*_axes(across, upward, x, y, width, height), *_legend([curve for curve, _ in drawn], width)]
    if mark is not None:
        at = f"{across.place(mark):.1f}"
        parts.append(f'<path d="M{at} {TOP}V{height - BOTTOM}" stroke="{GREY}" stroke-dasharray="4 3"/>')
    parts += [_curve(curve, points, across, upward) for curve, points in drawn]
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    font = f'font-family="sans-serif" font-size="{FONT}" fill="none"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{"".join(parts)}</svg>'


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most so many points as can be told apart, the first and the last among them."""
    count = len(points)
    if count <= MOST_POINTS:
        return points
    return [points[round(at * (count - 1) / (MOST_POINTS - 1))] for at in range(MOST_POINTS)]


def _widened(low: float, high: float, is_log: bool) -> tuple[float, float]:
    """An axis that keeps a curve off its ends."""
    if is_log:
        return low / 1.15, high * 1.15
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return (max(0.0, low - margin) if low >= 0 else low - margin), high + margin


def _steps(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, in the widest steps of which a few lie within."""
    if not high > low:
        return [low]
    largest = math.floor(math.log10(high - low))
    steps = (factor * 10.0**power for power in range(largest, largest - 3, -1) for factor in (5, 2, 1))
    found = (_multiples(low, high, step) for step in steps)
    return next((ticks for ticks in found if len(ticks) >= LEAST_TICKS), [low])


def _multiples(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(max(low, TINY))), math.floor(math.log10(max(high, TINY)))
    every = max(1, -(-(last - first) // MOST_POWERS))
    factors = (1,) if last - first > 1 else (1, 2, 5)
    found = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in factors if (power - first) % every == 0]
    return [one for one in found if low <= one <= high]


def _axes(across: Axis, upward: Axis, x: str, y: str, width: int, height: int) -> Iterator[str]:
    floor = height - BOTTOM
    for value in upward.ticks():
        at = upward.place(value)
        yield f'<path d="M{LEFT} {at:.1f}H{width - RIGHT}" stroke="{GREY}" stroke-opacity="0.3"/>'
        yield _words(LEFT - 6, at + 4, _shown(value), "end")
    for value in _whole(across):
        at = across.place(value)
        yield f'<path d="M{at:.1f} {floor}v4" stroke="{GREY}"/>'
        yield _words(at, floor + 15, _shown(value), "middle")
    yield f'<path d="M{LEFT} {floor}H{width - RIGHT}" stroke="{GREY}"/>'
    yield _words((LEFT + width - RIGHT) / 2, height - 5, x, "middle")
    yield _words(4, 12, y, "start")


def _whole(axis: Axis) -> list[float]:
    """Ticks along the way: steps and epochs are whole numbers."""
    ticks = axis.ticks()
    return ticks if axis.is_log else [one for one in ticks if float(one).is_integer()]


def _legend(curves: Sequence[Curve], width: int) -> Iterator[str]:
    """From the right, above the curves."""
    at = float(width - RIGHT)
    for curve in reversed([curve for curve in curves if curve.name]):
        at -= LETTER * len(curve.name)
        yield _words(at, 12, curve.name, "start")
        yield f'<path d="M{at - 22:.1f} 8h16" stroke="{curve.colour}" {_strength(curve)}{_dash(curve)}/>'
        at -= 34


def _curve(curve: Curve, points: Sequence[tuple[float, float]], across: Axis, upward: Axis) -> str:
    places = [(across.place(x), upward.place(y)) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = f'<polyline points="{line}" stroke="{curve.colour}" {_strength(curve)} stroke-linejoin="round"{_dash(curve)}/>'
    if len(points) > FEW or curve.faint:
        return drawn
    return drawn + "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{curve.colour}"/>' for x, y in places)


def _strength(curve: Curve) -> str:
    return 'stroke-width="1" stroke-opacity="0.5"' if curve.faint else 'stroke-width="2"'


def _dash(curve: Curve) -> str:
    return ' stroke-dasharray="5 3"' if curve.dashed else ""


def _words(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{GREY}">{escape(text)}</text>'


def _shown(value: float) -> str:
    """0.05, 200, 1e-06, 20k."""
    if value == 0 or 1e-4 <= abs(value) < 1e4:
        return f"{round(value, 10):g}"
    if 1e4 <= abs(value) < 1e6:
        return f"{value / 1e3:g}k"
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
