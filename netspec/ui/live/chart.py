"""Curves in characters: dots of braille where the terminal has them, else full stops. Pure: numbers in, cells out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log10

from netspec.base.figure import is_drawn

AXIS = -1
"""In place of a series' number: of cells that are none's."""
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a braille cell, by column and row."""
BRAILLE = 0x2800
WIDE = 30
"""From this ratio of the highest value to the lowest on, the scale is logarithmic."""
STEEP, FLAT = 4, 0.125
"""So it is from this ratio on where half of the points would lie on the lowest part of a linear scale: they would look like a flat line."""
MOST_DIGITS = 12
"""Of a label."""
LEAST_WIDTH, LEAST_HEIGHT = 16, 4

Cell = tuple[str, int]
"""A character, and the series that it belongs to."""
Row = list[Cell]


@dataclass(frozen=True)
class Series:
    """Points by growing x: joined by a line, or each drawn as `mark`. Those that are not finite are left out."""

    x: Sequence[float]
    y: Sequence[float]
    mark: str = ""

    def finite(self) -> list[tuple[float, float]]:
        return [(x, y) for x, y in zip(self.x, self.y, strict=True) if isfinite(x) and is_drawn(y)]


@dataclass(frozen=True)
class Scale:
    """Where a value lies between the ends of an axis: from 0 to 1."""

    low: float
    high: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        if self.logarithmic:
            return log10(max(value, self.low) / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value(self, place: float) -> float:
        if self.logarithmic:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + place * (self.high - self.low)


def scale_of(values: Sequence[float], may_be_logarithmic: bool = False) -> Scale:
    """From the lowest value to the highest, at least a little apart."""
    low, high = min(values), max(values)
    if may_be_logarithmic and low > 0:
        middle = sorted(values)[len(values) // 2]
        if high > WIDE * low or (high > STEEP * low and middle < low + FLAT * (high - low)):
            return Scale(low, high, True)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = 0.5 * max(abs(low), 1e-3)
        return Scale(low - margin, high + margin)
    return Scale(low, high)


def is_logarithmic(series: Sequence[Series]) -> bool:
    """Whether a chart that may be logarithmic is."""
    values = [y for one in series for _, y in one.finite()]
    return bool(values) and scale_of(values, True).logarithmic


def chart(series: Sequence[Series], width: int, height: int, *, dots: bool = True, logarithmic: bool = False) -> list[Row]:
    """`height` rows of `width` cells: the curves over a frame with the ends of both axes. Without points, and where there is no room, an
    empty list. `logarithmic` allows such a scale where the values ask for it; without `dots` all characters are ASCII."""
    points = [one.finite() for one in series]
    if width < LEAST_WIDTH or height < LEAST_HEIGHT or not any(points):
        return []
    down = scale_of([y for some in points for _, y in some], logarithmic)
    along = scale_of([x for some in points for x, _ in some])
    rows = height - 2
    marked = sorted({0, (rows - 1) // 2 if rows > 4 else 0, rows - 1})
    labels = dict(zip(marked, _labels([down.value(1 - row / (rows - 1)) for row in marked]), strict=True))
    margin = max(map(len, labels.values())) + 2
    columns = width - margin
    cells = _cells(series, points, (along, down), (columns, rows), dots)
    tick, line, corner, level = "┤│└─" if dots else "+|+-"
    drawn = []
    for row in range(rows):
        side = f"{labels.get(row, ''):>{margin - 2}} {tick if row in labels else line}"
        drawn.append([*_plain(side), *(cells.get((column, row), (" ", AXIS)) for column in range(columns))])
    ends = _labels(sorted({end(x for some in points for x, _ in some) for end in (min, max)}))
    below = ends[0] if len(ends) == 1 else f"{ends[0]}{ends[1]:>{max(columns - len(ends[0]), len(ends[1]) + 1)}}"
    return [*drawn, _plain(f"{'':{margin - 1}}{corner}{level * columns}"), _plain(f"{'':{margin}}{below}"[:width].ljust(width))]


def _plain(text: str) -> Row:
    return [(character, AXIS) for character in text]


def _labels(values: Sequence[float]) -> list[str]:
    """Each in as few digits as tell them apart, three at least: `690`, `0.0412`, `1.2e+05`."""
    for digits in range(3, MOST_DIGITS):
        found = [_label(value, digits) for value in values]
        if len(set(found)) == len(found):
            return found
    return found


def _label(value: float, digits: int) -> str:
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.{digits}g}"


def _cells(
    series: Sequence[Series], points: Sequence[list[tuple[float, float]]], scales: tuple[Scale, Scale], size: tuple[int, int], dots: bool
) -> dict[tuple[int, int], Cell]:
    """What stands inside the frame, by column and row; later series lie on top, marks on top of lines."""
    fine = (2, 4) if dots else (1, 1)
    across, up = size[0] * fine[0] - 1, size[1] * fine[1] - 1
    cells: dict[tuple[int, int], Cell] = {}
    for number, (one, some) in sorted(enumerate(zip(series, points, strict=True)), key=lambda each: bool(each[1][0].mark)):
        places = [(round(scales[0].place(x) * across), up - scales[1].place(y) * up) for x, y in some]
        masks: dict[tuple[int, int], int] = {}
        for column, row in places if one.mark else _joined(_one_each(places)):
            cell = (column // fine[0], round(row) // fine[1])
            masks[cell] = masks.get(cell, 0) | DOTS[column % 2][round(row) % 4]
        for cell, mask in masks.items():
            cells[cell] = (one.mark or (chr(BRAILLE | mask) if dots else "."), number)
    return cells


def _one_each(places: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """For each column the mean of its points."""
    columns: dict[int, list[float]] = {}
    for column, row in places:
        columns.setdefault(column, []).append(row)
    return [(column, sum(rows) / len(rows)) for column, rows in columns.items()]


def _joined(places: Sequence[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    """The points, and those between them on straight lines."""
    yield from places[:1]
    for (column, row), (next_column, next_row) in pairwise(places):
        pieces = max(next_column - column, round(abs(next_row - row)), 1)
        for piece in range(1, pieces + 1):
            part = piece / pieces
            yield round(column + part * (next_column - column)), row + part * (next_row - row)
