"""What stands in boxes and beside arrows, broken into lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netspec.base.shape import show
from netspec.ui.cells import INPUT, LOSS, Arrow, Flow
from netspec.ui.layout.sizes import GAP
from netspec.ui.svg import width_of, wrapped

TITLE, SMALL = 13, 11  # sizes of the fonts
LINE, PAD, LEAST, MOST = 15, 8, 112, 250  # a line's height, inside boxes; the narrowest and the widest box that its lines make


@dataclass(frozen=True)
class Words:
    """The lines of a box, titles first; in a row where a title and a few words stand beside each other."""

    titles: list[str]
    rest: list[str]
    in_row: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        return (*self.titles, *self.rest)

    @property
    def height(self) -> float:
        return 24.0 if self.in_row else 2 * PAD - 2 + LINE * len(self.lines) + len(self.titles) - 1

    @property
    def width(self) -> float:
        widths = [*(width_of(line, TITLE, True) for line in self.titles), *(width_of(line, SMALL) for line in self.rest)]
        return (sum(widths) + (8 if self.rest else 0) if self.in_row else max(widths)) + 2 * PAD


def words(lines: Sequence[str], most: float = MOST, small: bool = False) -> Words:
    """The first line is the title. A small box has all in a row, where that fits."""
    if small and len(lines) <= 2:
        row = Words([lines[0]], list(lines[1:]), True)
        if row.width <= most:
            return row
    return Words(
        wrapped(lines[0], TITLE, most - 2 * PAD, True), [part for line in lines[1:] for part in wrapped(line, SMALL, most - 2 * PAD)]
    )


def all_words(flow: Flow) -> dict[tuple[str, str], Words]:
    """Of every box, by its name and pass."""
    found = {(INPUT, "forward"): words(flow.input), (LOSS, "both"): words(flow.loss, 2 * MOST)}
    for cell in flow.cells:
        found[cell.name, "forward"] = words(cell.forward, small=cell.merges)
        found[cell.name, "backward"] = words(cell.backward, small=cell.merges)
    return found


def needed(given: Mapping[tuple[str, str], Words], name: str) -> tuple[float, float]:
    """How wide and high the boxes of both passes must be."""
    if name == LOSS:
        both = given[LOSS, "both"]
        return (both.width - GAP) / 2, both.height
    boxes = [given[name, side] for side in ("forward", "backward") if (name, side) in given]
    return max(box.width for box in boxes), max(box.height for box in boxes)


@dataclass(frozen=True)
class Labels:
    """The words beside the lines of values: right below the boxes that give them, and where a value comes from afar."""

    arrows: Sequence[Arrow]

    def below(self, name: str) -> dict[str, str]:
        """By pass; the shape, and the gradient's name with it."""
        out = [arrow for arrow in self.arrows if arrow.source == name]
        return {"forward": show(out[0].shape), **_gradient(out)}

    def afar(self, source: str, targets: Mapping[str, int | None]) -> dict[str, str]:
        """Where it comes to one of the targets, perhaps as a certain input of it: the layer's name too."""
        into = [one for one in self.arrows if one.source == source and one.target in targets and targets[one.target] in (None, one.place)]
        return {"forward": f"{into[0].value} {show(into[0].shape)}", **_gradient(into)}


def _gradient(arrows: Sequence[Arrow]) -> dict[str, str]:
    found = next((arrow for arrow in arrows if arrow.gradient), None)
    return {"backward": f"{found.gradient} {show(found.shape)}".strip()} if found else {}


def widest(labels: Mapping[str, str]) -> float:
    return max((width_of(label, SMALL) for label in labels.values()), default=0.0)
