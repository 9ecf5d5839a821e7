"""Where everything in the picture of a net stands: the forward pass on the left of each layer, downwards, the backward pass on its right,
upwards. Layers stand in rows by depth, rows in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from netspec.base.shape import show
from netspec.ui.flow import INPUT, LOSS, Arrow, Cell, Flow, Frame
from netspec.ui.svg import (
    BACKWARD,
    FAINT,
    FORWARD,
    INK,
    PAPER,
    Box,
    Drawing,
    Point,
    Rim,
    Text,
    Way,
    pill_width,
    shortened,
    width_of,
    wrapped,
)

TITLE, TEXT, SMALL, LARGE = 13, 12, 11, 17  # sizes of the fonts
LINE, LEAST, MOST = 15, 150, 270  # a line's height; the narrowest and the widest box that its lines make
PAD, GAP, ARM = 8, 22, 20  # inside boxes, between both passes, from a box's side to its arrow
STEP, GROUP, FRAME, HEADER = 34, 6, 8, 24  # an arrow's length, rims of groups and frames, the line above a frame
TURN, LOWEST, GUTTER, MARGIN = 26, 16, 46, 24  # above and below columns, between them, around all
LANE = 14  # beside the rims, for arrows that pass other layers
COLUMN, RATIO = 1100, 1.5  # a net of this height stands in one column; a taller one has about this ratio of width to height


@dataclass
class _Row:
    """The cells of one depth. Above them stand the headers of frames that begin there, below them the rims of those that end."""

    cells: list[Cell | str]
    height: float
    above: float = 0.0
    below: float = 0.0
    cut: int = 0
    """How many frames and groups a new column before it would cut."""


class _Layout:
    """Rows by depth, rows to columns, columns to places."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.depths = flow.depths
        self.levels = max((len(cell.frames) for cell in flow.cells), default=0)
        self.reach = GROUP + 2 + FRAME * self.levels
        """How far rims stand out beyond boxes."""
        self.group_of = {name: number for number, (names, _, _) in enumerate(flow.groups) for name in names}
        self.box = self._box_width()
        self.cell = 2 * self.box + GAP
        self.rows = self._rows()
        self.slots = max(len(row.cells) for row in self.rows)
        self.lane = LANE if any(self.depths[arrow.target] - self.depths[arrow.source] > 1 for arrow in flow.arrows) else 0
        self.column = self.slots * (self.cell + 2 * self.reach) + 2 * self.lane
        self.texts: list[Text] = []
        self.boxes: dict[tuple[str, str], Box] = {}
        self.places: dict[str, tuple[int, float]] = {}  # the column of a cell, and its left end
        self.labels: dict[Text, None] = {}  # the words beside arrows, in order
        self.floors: dict[str, float] = {}  # where the rims below a cell end
        self.ceilings: dict[str, float] = {}  # where the rims above a cell begin
        self.first: set[str] = set()  # what stands at the top of a column, and at its end
        self.last: set[str] = set()
        self.lefts: list[float] = []
        self.tops: list[float] = []
        self.bottoms: list[float] = []

    def _box_width(self) -> float:
        widest = float(LEAST)
        for cell in self.flow.cells:
            for lines in (cell.forward, cell.backward):
                inner = [width_of(line, TITLE if not at else SMALL, not at) for at, line in enumerate(lines)]
                widest = max(widest, min(max(inner) + 2 * PAD, MOST))
        labels = [f"{arrow.gradient} {show(arrow.shape)}" for arrow in self.flow.arrows]
        return ceil(max(widest, max(width_of(text, SMALL) for text in labels) + ARM + 12))

    def _height(self, cell: Cell | str) -> float:
        if isinstance(cell, Cell):
            return max(_box_height(self.titled(lines)) for lines in (cell.forward, cell.backward))
        return _box_height(self.titled(self.flow.input if cell == INPUT else self.flow.loss, cell == LOSS))

    def titled(self, lines: Sequence[str], wide: bool = False) -> tuple[int, tuple[str, ...]]:
        """How many of the lines are the title's, and all lines."""
        width = self.cell if wide else self.box
        title = wrapped(lines[0], TITLE, width - 2 * PAD, True)
        rest = [part for line in lines[1:] for part in wrapped(line, SMALL, width - 2 * PAD)]
        return len(title), (*title, *rest)

    def _rows(self) -> list[_Row]:
        by_depth: dict[int, list[Cell | str]] = {0: [INPUT]}
        for cell in self.flow.cells:
            by_depth.setdefault(self.depths[cell.name], []).append(cell)
        by_depth.setdefault(self.depths[LOSS], []).append(LOSS)
        rows = [_Row(cells, max(map(self._height, cells))) for _, cells in sorted(by_depth.items())]
        for before, row in pairwise(rows):
            old, new = _frames(before), _frames(row)
            same = sum(frame in new for frame in old)
            row.above, before.below = HEADER * (len(new) - same), FRAME * (len(old) - same)
            begins, ends = self._groups(row) - self._groups(before), self._groups(before) - self._groups(row)
            row.above += GROUP if begins else 0
            before.below += GROUP if ends else 0
            row.cut = 2 * same + len(self._groups(before) & self._groups(row))
        return rows

    def _rim_of(self, row: _Row) -> int:
        return GROUP if self._groups(row) else 0

    def _groups(self, row: _Row) -> set[int]:
        return {self.group_of[cell.name] for cell in row.cells if isinstance(cell, Cell) and cell.name in self.group_of}

    def columns(self) -> list[list[_Row]]:
        """Rows in columns of about one height; a column begins where it cuts fewest frames and groups."""
        tall = [row.above + row.height + row.below + STEP for row in self.rows]
        total, wide = sum(tall), self.column + GUTTER
        if total <= COLUMN:
            return [self.rows]
        count = max(2, round((total * RATIO / wide) ** 0.5))
        found: list[list[_Row]] = []
        start = 0
        for left in range(count, 1, -1):
            target, height, choices = sum(tall[start:]) / left, 0.0, []
            for end in range(start + 1, len(self.rows) - 1):
                height += tall[end - 1]
                if height > 1.12 * target:
                    break
                if height >= 0.8 * target:
                    choices.append((self.rows[end].cut, abs(height - target), end))
            if not choices:
                continue
            end = min(choices)[2]
            found.append(self.rows[start:end])
            start = end
        return [*found, self.rows[start:]]

    def place(self) -> Drawing:
        columns = self.columns()
        wide = len(columns) * self.column + (len(columns) - 1) * GUTTER
        width = max(wide, 420.0) + 2 * MARGIN
        y = float(MARGIN + LARGE)
        for line in wrapped(self.flow.name, LARGE, width - 2 * MARGIN, True):
            self.texts.append(Text(MARGIN, y, line, LARGE, bold=True))
            y += LARGE + 5
        for line in (part for text in self.flow.subtitles for part in wrapped(text, TEXT, width - 2 * MARGIN)):
            self.texts.append(Text(MARGIN, y, line, TEXT, FAINT))
            y += LINE + 1
        rims: list[Rim] = []
        top = y + 14
        left = MARGIN + max(0.0, (width - 2 * MARGIN - wide) / 2)
        for number, rows in enumerate(columns):
            rims += self._column(number, left + number * (self.column + GUTTER), top, rows)
        y = max(self.bottoms[-1], *(bottom + STEP + LOWEST for bottom in self.bottoms[:-1]), 0.0) + 32
        for note in self.flow.notes:
            for line in wrapped(note, SMALL, width - 2 * MARGIN):
                self.texts.append(Text(MARGIN, y, line, SMALL, FAINT))
                y += LINE
        ways = tuple(self._ways())
        return Drawing(
            self.flow.name, width, y + MARGIN - LINE + 4, tuple(self.boxes.values()), ways, tuple(rims), (*self.texts, *self.labels)
        )

    def _column(self, number: int, left: float, top: float, rows: Sequence[_Row]) -> list[Rim]:
        """Boxes of one column; returns its rims. A frame that goes on in the next one has a piece in each."""
        middle = left + self.lane + self.reach
        self.lefts.append(left)
        self.texts.append(Text(middle, top, "forward, down", TEXT, FORWARD[0], True))
        self.texts.append(Text(middle + self.cell, top, "backward, up", TEXT, BACKWARD[0], True, "end"))
        y = top + 12
        if number:
            frames = _frames(rows[0])
            y += TURN + STEP + HEADER * len(frames) + self._rim_of(rows[0])
        self.tops.append(top + 12)
        ends: dict[str, tuple[float, float]] = {}
        for place, row in enumerate(rows):
            y += row.above if place else 0
            for slot, cell in enumerate(row.cells):
                x = middle + slot * (self.cell + 2 * self.reach)
                name = cell.name if isinstance(cell, Cell) else cell
                self.places[name] = (number, x)
                self._boxes(cell, x, y, row.height)
                ends[name] = (y, y + row.height)
                self.floors[name], self.ceilings[name] = y + row.height + row.below, y - row.above
            y += row.height + row.below + STEP
        closing = FRAME * len(_frames(rows[-1])) + self._rim_of(rows[-1])
        for ends_of, row in ((self.first, rows[0]), (self.last, rows[-1])):
            ends_of.update(cell.name if isinstance(cell, Cell) else cell for cell in row.cells)
        self.bottoms.append(y - STEP - rows[-1].below + max(closing, rows[-1].below))
        cells = [cell for row in rows for cell in row.cells if isinstance(cell, Cell)]
        return [*self._frame_rims(cells, ends), *self._group_rims(cells, ends)]

    def _boxes(self, cell: Cell | str, x: float, y: float, height: float) -> None:
        if not isinstance(cell, Cell):
            wide, side = (self.cell, "both") if cell == LOSS else (self.box, "forward")
            self._box(cell, side, x, y, wide, height, self.flow.loss if cell == LOSS else self.flow.input)
            return
        tip = ", ".join(cell.names) if len(cell.names) > 1 else ""
        self._box(cell.name, "forward", x, y, self.box, height, cell.forward, cell.row.frozen, tip)
        side = "backward" if cell.reached else "none"
        self._box(cell.name, side, x + self.box + GAP, y, self.box, height, cell.backward, cell.row.frozen, tip)

    def _box(
        self, name: str, side: str, x: float, y: float, width: float, height: float, given: Sequence[str], frozen: bool = False,
        tip: str = "",
    ) -> None:  # fmt: skip
        bold, lines = self.titled(given, side == "both")
        self.boxes[name, "backward" if side == "none" else side] = Box(name, side, x, y, width, height, lines, frozen, tip)
        centred = side == "both"
        at = y + PAD + TITLE - 2
        for number, line in enumerate(lines):
            is_title = number < bold
            colour = {"none": FAINT, "backward": BACKWARD[0], "forward": FORWARD[0]}.get(side, INK) if is_title else INK
            if side == "none":
                colour = FAINT
            place = x + width / 2 if centred else x + PAD
            self.texts.append(Text(place, at, line, TITLE if is_title else SMALL, colour, is_title, "middle" if centred else "start"))
            at += LINE + (1 if is_title else 0)

    def _frame_rims(self, cells: Sequence[Cell], ends: dict[str, tuple[float, float]]) -> Iterator[Rim]:
        inside: dict[int, tuple[int, Frame, list[Cell]]] = {}
        for cell in cells:
            for level, frame in enumerate(cell.frames):
                inside.setdefault(frame.key, (level, frame, []))[2].append(cell)
        first_piece = {frame.key: cell.name for cell in reversed(self.flow.cells) for frame in cell.frames}
        for level, frame, members in inside.values():
            top, bottom = min(ends[cell.name][0] for cell in members), max(ends[cell.name][1] for cell in members)
            lefts = [self.places[cell.name][1] for cell in members]
            out = GROUP + 2 + FRAME * (self.levels - level)
            # the rims inside this one at its ends: headers above, borders below
            opening = HEADER * len(members[0].frames[level:]) + self._grouped(members[0])
            closing = FRAME * len(members[-1].frames[level:]) + self._grouped(members[-1])
            continued = ", continued" if first_piece[frame.key] not in {cell.name for cell in members} else ""
            pill = pill_width(frame.times) if frame.times > 1 else 0.0
            start, y = min(lefts) + ARM + 12, top - opening + 2
            at = start + (pill + 8 if pill else 0.0)
            label = shortened(frame.label, SMALL, max(lefts) + self.cell - ARM - 12 - at - width_of(continued, SMALL)) + continued
            wide, high = max(lefts) - min(lefts) + self.cell + 2 * out, bottom - top + opening + closing - 3
            yield Rim(
                min(lefts) - out, y, wide, high, level, label=label, times=frame.times, pill=(start, y + 4), tip=frame.label,
            )  # fmt: skip
            self.texts.append(Text(at, y + 16, label, SMALL, FAINT))
            if pill:
                self.texts.append(Text(start + pill / 2, y + 16.5, f"x{frame.times}", TITLE, PAPER, True, "middle"))

    def _grouped(self, cell: Cell) -> int:
        return GROUP if cell.name in self.group_of else 0

    def _group_rims(self, cells: Sequence[Cell], ends: dict[str, tuple[float, float]]) -> Iterator[Rim]:
        here = {cell.name for cell in cells}
        for names, above, below in self.flow.groups:
            inside = [name for name in names if name in here]
            if not inside:
                continue
            top, bottom = min(ends[name][0] for name in inside), max(ends[name][1] for name in inside)
            left = min(self.places[name][1] for name in inside)
            above, below = above or names[0] not in here, below or names[-1] not in here
            yield Rim(
                left - GROUP, top - GROUP, self.cell + 2 * GROUP, bottom - top + 2 * GROUP, self.levels, True, above, below,
                tip=f"computed together: {', '.join(names)}",
            )  # fmt: skip

    # arrows

    def _ways(self) -> Iterator[Way]:
        for arrow in self.flow.arrows:
            shape = show(arrow.shape)
            yield Way("forward", arrow.source, arrow.target, shape, self._between(arrow, shape, "forward"))
            if arrow.gradient:
                label = f"{arrow.gradient} {shape}".strip()
                yield Way("backward", arrow.source, arrow.target, label, self._between(arrow, label, "backward")[::-1])

    def _between(self, arrow: Arrow, label: str, side: str) -> tuple[Point, ...]:
        """From below the source to above the target, down the lane beside the rims where other layers are passed. Where a column ends the
        way goes up through the gutter, the gradient's inside the value's, so that they never cross."""
        ahead = side == "forward"
        (before, left), (after, far) = self.places[arrow.source], self.places[arrow.target]
        arm = ARM if ahead else self.cell - ARM
        start, end = (left + arm, self.boxes[arrow.source, side].bottom), (far + arm, self._top_box(arrow.target).y)
        leave, arrive = self.floors[arrow.source] + (4 if ahead else 9), self.ceilings[arrow.target] - (10 if ahead else 6)
        points = [start]
        if before == after:
            self._label(label, ahead, start[0], self.floors[arrow.source] + STEP / 2 + 3)
            if self.depths[arrow.target] - self.depths[arrow.source] > 1:
                lane = self._lane(before, ahead)
                points += [(start[0], leave), (lane, leave), (lane, arrive), (end[0], arrive)]
            elif start[0] != end[0]:
                points += [(start[0], arrive), (end[0], arrive)]
            return (*points, end)
        deepest = max(self.bottoms[before:after])
        bottom, top = deepest + STEP + (LOWEST if ahead else LOWEST - 10), self.tops[after] + (14 if ahead else 4)
        gutter = self.lefts[after] - (14 if ahead else 30)
        is_last, is_first = arrow.source in self.last, arrow.target in self.first
        self._label(label, ahead, start[0], (self.bottoms[before] if is_last else self.floors[arrow.source]) + STEP / 2 + 3)
        if not is_last:
            points += [(start[0], leave), (self._lane(before, ahead), leave)]
        points += [(points[-1][0], bottom), (gutter, bottom), (gutter, top)]
        if is_first:
            self._label(label, ahead, end[0], self.tops[after] + TURN + STEP / 2)
            return (*points, (end[0], top), end)
        lane = self._lane(after, ahead)
        return (*points, (lane, top), (lane, arrive), (end[0], arrive), end)

    def _top_box(self, name: str) -> Box:
        return self.boxes[name, "both" if name == LOSS else "forward"]

    def _lane(self, column: int, ahead: bool) -> float:
        return self.lefts[column] + (LANE / 2 - 3 if ahead else self.column - LANE / 2 + 3)

    def _label(self, label: str, ahead: bool, x: float, y: float) -> None:
        text = Text(x + 8, y, label, SMALL, FORWARD[0]) if ahead else Text(x - 8, y, label, SMALL, BACKWARD[0], anchor="end")
        self.labels[text] = None  # once for a value that several layers read


def _frames(row: _Row) -> list[Frame]:
    """The frames around the cells of a row, outermost first."""
    return list(dict.fromkeys(frame for cell in row.cells if isinstance(cell, Cell) for frame in cell.frames))


def _box_height(titled: tuple[int, tuple[str, ...]]) -> float:
    title, lines = titled
    return 2 * PAD + LINE * len(lines) + title - 3


def draw(flow: Flow) -> Drawing:
    """Every box, arrow, rim and word in its place."""
    return _Layout(flow).place()
