"""The table of layers as notebooks show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netspec.base import html
from netspec.base.html import Markup
from netspec.base.shape import Shape
from netspec.ui.layer_rows import LayerRow
from netspec.ui.layer_table import Line, layer_lines

ENDLESS = 1 << 16
"""Columns of a page that breaks lines itself."""
MOST = 400
"""Lines of the table that are shown."""
STEP = Markup("&emsp;")
"""How far a level stands to the right: a wide space, which also stays where styles are taken away."""


def summary_page(shape: Shape, rows: Sequence[LayerRow], names: Sequence[str], totals: str) -> str:
    """The layers with the columns of figures, and below them the totals: the first lines of them, what marks mean folded."""
    lines = list(layer_lines(shape, rows, names))
    left_out = f"{len(lines) - MOST:,} more lines: print(model.summary()) shows all" if len(lines) > MOST else ""
    told, marks = _parted(totals.split("\n"))
    table = html.table([("layer", "left"), ("output", "left"), *((name, "right") for name in names)], _rows(lines[:MOST], len(names)))
    return html.page(
        table,
        html.line(html.faint(left_out)),
        *(html.line(one) for one in told),
        *([html.fold("marks and further defaults", html.code("\n".join(marks)))] if marks else []),
    )


def _parted(totals: Sequence[str]) -> tuple[list[str], list[str]]:
    """Totals, and behind the line on groups what the marks mean."""
    at = next((number for number, one in enumerate(totals) if one.startswith("layers of one group")), len(totals) - 1)
    return list(totals[: at + 1]), list(totals[at + 1 :])


def _rows(lines: Sequence[Line], figures: int) -> Iterator[Sequence[object]]:
    for one in lines:
        text = html.joined(*[STEP] * one.depth, one.text)
        yield (text, *one.cells) if one.cells else (html.faint(text),)
