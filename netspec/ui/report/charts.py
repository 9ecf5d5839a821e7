"""Curves and scatters as SVG inside a page: matplotlib draws, the page gives the colours, so that they follow its theme.

No text of a user is drawn: what a line means stands in the page's own legend.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netspec.base.extras import library
from netspec.ui.curves import COLOURS, FEW, STYLES

Kind = Literal["solid", "dashed", "faint"]
WIDTH, HEIGHT, UNITS = 5.6, 3.1, 72
"""Inches of a chart, and how many of the page's units each is."""
MOST_POINTS = 360
"""Of a line; a page's chart is not wider."""
INK, FAINT, GRID, VALIDATED = "#000101", "#000102", "#000103", "#000104"
SERIES = tuple(f"#0002{number:02x}" for number in range(len(COLOURS)))
"""Colours that nothing else has, in whose places the page's variables are put."""
VARIABLES = {
    INK: "var(--ink)", FAINT: "var(--faint)", GRID: "var(--line)", VALIDATED: "var(--ink)",
    **{colour: f"var(--s{number})" for number, colour in enumerate(SERIES)},
}  # fmt: skip
LOOK: dict[Kind, dict[str, Any]] = {
    "solid": {"linewidth": 1.8, "zorder": 3}, "dashed": {"linewidth": 1.5, "linestyle": (0, (4, 2))},
    "faint": {"linewidth": 0.7, "alpha": 0.4},
}  # fmt: skip
SETTINGS = {
    "svg.fonttype": "none", "svg.hashsalt": "netspec", "font.family": ["sans-serif"], "font.size": 9.5, "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT, "xtick.color": FAINT, "ytick.color": FAINT, "text.color": INK, "grid.color": GRID, "axes.linewidth": 0.8,
    "path.simplify": True, "axes.unicode_minus": False,
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """Points (K,) in the colour of that number; None is the one of validation rows."""

    name: str
    x: NDArray[Any]
    y: NDArray[np.float64]
    number: int | None = 0
    kind: Kind = "solid"

    @property
    def colour(self) -> str:
        return VALIDATED if self.number is None else SERIES[self.number % len(SERIES)]

    @property
    def look(self) -> dict[str, Any]:
        again = 0 if self.number is None else self.number // len(SERIES) % len(STYLES)
        return {**LOOK[self.kind], **({"linestyle": STYLES[again]} if again else {})}


@dataclass(frozen=True)
class Key:
    """A line of a legend; `style` is CSS."""

    name: str
    style: str


@dataclass(frozen=True)
class Chart:
    """`svg` is markup of this package; `told` says what it shows to who cannot see it."""

    title: str
    svg: str
    told: str
    keys: tuple[Key, ...] = ()


def line_chart(title: str, lines: Sequence[Line], x: str, identity: str, limit: Callable[[Any], None] = lambda axes: None) -> Chart:
    """Lines over whole numbers. `limit` sets the range of the axes; `identity` keeps the ids of several charts apart."""

    def fill(axes: Any) -> None:
        for line in lines:
            at = thinned(line.y)
            few = len(line.x) <= FEW and line.kind != "faint"
            axes.plot(line.x[at], line.y[at], color=line.colour, **line.look, **({"marker": "o", "markersize": 3} if few else {}))
        limit(axes)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)

    told = "; ".join(f"{line.name} from {line.y[0]:.4g} to {line.y[-1]:.4g}" for line in lines if line.kind != "faint")
    keys = tuple(dict.fromkeys(key_of(line) for line in lines))
    return Chart(title, _svg(fill, x, "", identity), f"{title} by {x}: {told}", keys)


def scatter(title: str, x: NDArray[np.float64], y: NDArray[np.float64], names: tuple[str, str], identity: str) -> Chart:
    """Points (K,), and the line where both are equal."""

    def fill(axes: Any) -> None:
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        axes.plot([low, high], [low, high], color=FAINT, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.plot(x, y, linestyle="none", marker="o", markersize=4, color=SERIES[0], markeredgewidth=0, alpha=0.65)

    return Chart(title, _svg(fill, *names, identity), f"{title}, {len(x):,} points, and the line on which both are equal")


def thinned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of at most MOST_POINTS values (K,) that look like all of them: the lowest and the highest of each piece, and both ends."""
    if len(values) <= MOST_POINTS:
        return np.arange(len(values))
    pieces = np.array_split(np.arange(len(values)), MOST_POINTS // 2 - 1)
    places = [piece[choose(values[piece])] for piece in pieces for choose in (np.argmin, np.argmax)]
    return np.unique([0, *places, len(values) - 1])


def key_of(line: Line) -> Key:
    """What a legend shows of a line."""
    colour = VARIABLES[line.colour]
    dashes = line.kind == "dashed" or "linestyle" in line.look
    height = 1 if line.kind == "faint" else 3
    return Key(line.name, f"border-top:{height}px {'dashed' if dashes else 'solid'} {colour}")


def _svg(fill: Callable[[Any], None], x: str, y: str, identity: str) -> str:
    matplotlib = library("matplotlib", "report")
    stream = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure = library("matplotlib.figure", "report").Figure(figsize=(WIDTH, HEIGHT), facecolor="none")
        axes = figure.subplots()
        axes.set_facecolor("none")
        fill(axes)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.yaxis.set_label_coords(-0.12, 0.5)  # room for larger numbers, as a page has them on a phone
        axes.grid(linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        figure.subplots_adjust(left=0.125, right=0.985, bottom=0.16, top=0.97)
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return inline(stream.getvalue(), identity)


def inline(document: str, identity: str) -> str:
    """An SVG document of matplotlib as an element of a page: with the page's colours and font, without metadata and addresses, its ids
    apart from those of others."""
    text = document[document.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None, "matplotlib writes one"
    text = f'<svg viewBox="{box[1]}" aria-hidden="true">{text[text.index(">") + 1 :]}'
    text = re.sub(r'\bid="(?!p|m[0-9a-f])[^"]*"', "", text)  # of groups, which nothing refers to
    text = re.sub(r'\bid="', f'id="{identity}-', text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{identity}-', text.replace("url(#", f"url(#{identity}-"))
    text = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size:\1px", text)
    text = re.sub(r"#000[12][0-9a-f]{2}", lambda found: VARIABLES[found[0]], text)
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d)\d+", r"\1", tag[0]), text)  # a tenth of a pixel is enough
    return re.sub(r"\s*\n\s*", "\n", text)
