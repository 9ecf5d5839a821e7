"""Layers as a table: units and copies are lines of their own as wide as the page, each level farther to the right than that around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from netspec.base.shape import Shape, show
from netspec.base.units import bytes_in_words, short_count
from netspec.frontend.program import UnitMark
from netspec.ui.layer_rows import LayerRow

LEAST_FIRST = ("backward", "forward", "group", "FLOPs", "parameters", "output")
"""The columns of the table in the order in which they give way."""
STEPS = (2, 1)
"""How far a level stands to the right: the narrow step where it leaves room for more columns."""
HANG, LEAST, GAP = 4, 24, 2  # farther in from the second line of a unit on; room for its words; between columns
NUMBER = r"\d[\d.x,]*(?:e[+-]?\d+)?[%*~+]?"
PARTS = (r".*?(?: \| | -> |$)", r"[^ ]+ *", rf"{NUMBER}|(?:(?!\d)[^-(\[])+[-(\[]?|[-(\[]", r"\d+|\D")
"""Where a line may end, the best place first: behind what joins branches and runs, at a space, inside a word behind a dash, a bracket or a
number, anywhere but inside of digits."""


@dataclass(frozen=True)
class Line:
    """One line of the table; a unit or copy has no cells."""

    depth: int
    text: str
    cells: tuple[str, ...] = ()


def layers_table(shape: Shape, rows: Sequence[LayerRow], width: int, names: Sequence[str]) -> Text:
    """Layers with some of the columns of figures; those that `width` has no room for are left out. A level never stands farther to the
    left than the one around it, however small the width."""
    return _page(list(layer_lines(shape, rows, names)), ("output", *names), width)


def layer_lines(shape: Shape, rows: Sequence[LayerRow], names: Sequence[str]) -> Iterator[Line]:
    """The lines below the header: the input, units and copies where they begin, layers with their output and the columns `names`."""
    yield Line(0, "input", (show(shape), *("" for _ in names)))
    before: tuple[UnitMark, ...] = ()
    for row in rows:
        units = _told(row.units)
        yield from _unit_lines(before, units)
        before = units
        yield Line(_depth(units), _shown(row), (show(row.output), *(_figure(row, name) for name in names)))


def broken(text: str, width: int, indent: int, hang: int = HANG) -> list[str]:
    """The text in lines of at most `width` behind their indentation; numbers stay whole where one fits on a line."""
    lines, least = [""], max(1, width - indent - hang)
    for part in _parts(text, least, PARTS):
        room = least if len(lines) > 1 else max(1, width - indent)
        if lines[-1] and len(lines[-1] + part.rstrip()) > room:
            lines.append("")
        lines[-1] += part
    return [" " * (indent + (hang if number else 0)) + line.rstrip() for number, line in enumerate(lines)]


def _parts(text: str, room: int, patterns: Sequence[str]) -> Iterator[str]:
    """The text in parts that have room on a line, as few as the patterns allow."""
    if len(text.rstrip()) <= room or not patterns:
        yield text
        return
    for part in filter(None, re.findall(patterns[0], text)):
        yield from _parts(part, room, patterns[1:])


def _page(lines: Sequence[Line], names: Sequence[str], width: int) -> Text:
    """All lines below the header, with the widest step that leaves the most columns."""
    widths = [max(len(name), *(len(line.cells[at]) for line in lines if line.cells)) for at, name in enumerate(names)]

    def kept_with(step: int) -> list[int]:
        return _columns_within(
            width, max(len("layer"), *(line.depth * step + len(line.text) for line in lines if line.cells)), names, widths
        )

    step = max(STEPS, key=lambda one: (len(kept_with(one)), one))
    kept = kept_with(step)
    room = width - sum(widths[at] + GAP for at in kept)
    longest = max(len(line.text) for line in lines if line.cells)
    most = max(0, min(room - longest, width - LEAST - HANG))
    indents = [min(line.depth * step, most) for line in lines]
    column = min(room, max(len("layer"), *(indent + len(line.text) for indent, line in zip(indents, lines, strict=True) if line.cells)))
    page = Text(no_wrap=True, overflow="fold")
    page.append(_row("layer", [names[at] for at in kept], kept, column, widths), style="bold")
    for indent, line in zip(indents, lines, strict=True):
        if not line.cells:
            page.append("\n").append("\n".join(broken(line.text, width, indent)), style="dim")
            continue
        first, *others = broken(line.text, column, indent)
        page.append("\n" + "\n".join([_row(first, [line.cells[at] for at in kept], kept, column, widths), *others]))
    return page


def _columns_within(width: int, layer: int, names: Sequence[str], widths: Sequence[int]) -> list[int]:
    """The columns that fit beside the layers' names."""
    kept = list(range(len(names)))
    for name in LEAST_FIRST:
        if layer + sum(widths[at] + GAP for at in kept) > width and name in names:
            kept.remove(names.index(name))
    return kept


def _row(first: str, cells: Sequence[str], kept: Sequence[int], column: int, widths: Sequence[int]) -> str:
    """The output on the left of its column, figures on the right of theirs."""
    padded = [cell.rjust(widths[at]) if at else cell.ljust(widths[at]) for at, cell in zip(kept, cells, strict=True)]
    return (" " * GAP).join([first.ljust(column), *padded]).rstrip()


def _figure(row: LayerRow, name: str) -> str:
    match name:
        case "parameters":
            return f"{row.parameters:,}" if row.parameters else ""
        case "FLOPs":
            return short_count(row.flops) if row.flops else ""
        case "group":
            return str(row.group)
        case _:
            held = row.forward_bytes if name == "forward" else row.backward_bytes
            return bytes_in_words(held) if held else ""


def _shown(row: LayerRow) -> str:
    """`affine1 (100*)`: the name with its first argument."""
    if row.implied:
        return f"{row.name} (implied)"
    above = [unit.text for unit in row.units]
    points = [f" @{name}" for name in row.points if not any(text.endswith(f" @{name}") for text in above)]
    more = "".join(points) + " frozen" * row.frozen + " tied" * bool(row.shares and "#" not in row.name)
    if not row.arguments:
        return f"{row.name}{more}"
    first = row.arguments[0]
    return f"{row.name} ({first.value}{first.mark}){more}"


def _told(units: Sequence[UnitMark]) -> tuple[UnitMark, ...]:
    """The units without those that fill the copy of a repeat by themselves, whose text stands above it."""
    around = (None, *units)
    return tuple(unit for outer, unit in zip(around, units, strict=False) if outer is None or unit.copies > 1 or unit.text != outer.text)


def _depth(units: Sequence[UnitMark]) -> int:
    return sum(1 + (unit.copies > 1) for unit in units)


def _unit_lines(before: Sequence[UnitMark], now: Sequence[UnitMark]) -> list[Line]:
    """The lines that open the units and copies in which a layer stands and the layer before did not."""
    lines = []
    for level, unit in enumerate(now):
        old = before[level] if level < len(before) else None
        if old == unit and list(before[:level]) == list(now[:level]):
            continue
        depth = _depth(now[:level])
        # copies of one repeat differ in their keys alone
        same_repeat = old is not None and unit.copy > 1 and old.text == unit.text and list(before[:level]) == list(now[:level])
        if not same_repeat:
            lines.append(Line(depth, unit.text))
        if unit.copies > 1:
            lines.append(Line(depth + 1, f"copy {unit.copy} of {unit.copies}"))
    return lines
