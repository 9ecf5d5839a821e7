"""The picture of a net: the forward pass downwards on the left of an axis, the backward pass upwards on its right, as its mirror image.

Branches stand side by side, in the forward pass from left to right as in the text; what skips layers runs beside them. A tall net stands on
several pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from netspec.base.shape import show
from netspec.ui.cells import INPUT, LOSS, Arrow, Cell, Flow
from netspec.ui.layout.blocks import Branch, Chain, Leaf, Size, chain_of, chains, forks, leaves, page_of
from netspec.ui.layout.detours import lay_detours
from netspec.ui.layout.pages import page_starts
from netspec.ui.layout.places import spread, stack
from netspec.ui.layout.rims import frame_rims, frame_words, group_rims
from netspec.ui.layout.sizes import GUTTER, STEP, TRACK
from netspec.ui.layout.ways import Turn, Ways
from netspec.ui.layout.words import LEAST, LINE, PAD, SMALL, TITLE, Labels, Words, all_words, needed, widest
from netspec.ui.svg import BACKWARD, FAINT, FORWARD, INK, Box, Drawing, Point, Rim, Text, Way, width_of, wrapped

LARGE, TEXT, MARGIN = 17, 12, 24  # the fonts of the name and of what stands below it; around all


def draw(flow: Flow) -> Drawing:
    """Every box, arrow, rim and word in its place."""
    whole = _Picture(flow, ())
    starts = page_starts(whole.pages[0], [names for names, _, _ in flow.groups], whole.bottom - whole.top, 2 * whole.halves[0] + GUTTER)
    return (_Picture(flow, starts) if starts else whole).drawing()


class _Picture:
    """The pages of a net, everything in its place."""

    def __init__(self, flow: Flow, starts: Sequence[str]) -> None:
        self.flow = flow
        self.words = all_words(flow)
        self.labels = Labels(flow.arrows)
        self.pages = self._pages(starts)
        self.leaves = {leaf.name: leaf for page in self.pages for leaf in leaves(page)}
        self.gaps = lay_detours(self.pages)
        self.detours = {id(branch): self._detour_labels(branch) for branch in self._detours()}
        for branch in self._detours():
            assert branch.detour is not None
            branch.detour.label = widest(self.detours[id(branch)])
        self.turns = [Turn() for _ in self.pages[1:]]
        self.axes: list[float] = []
        self.halves = [spread(page) for page in self.pages]
        self.texts: list[Text] = []
        self.width = self._across()
        self.top = self._head()
        self.bottom = self._down()

    # blocks

    def _pages(self, starts: Sequence[str]) -> list[Chain]:
        cells = self.flow.cells
        order = {cell.name: place for place, cell in enumerate(cells)}
        edges = [0, *(order[name] for name in starts), len(cells)]
        begins = {frame.key: cell.name for cell in reversed(cells) for frame in cell.frames}
        pages = [chain_of(cells[start:end], self._size, begins) for start, end in pairwise(edges)]
        pages[0].items.insert(0, Leaf(INPUT, self._size(INPUT)))
        pages[-1].items.append(Leaf(LOSS, self._size(LOSS), (cells[-1].name if cells else INPUT,)))
        for page in pages:
            for item in page.items:
                item.chain = page
        for ahead, page in pairwise(pages):
            page.previous = ahead
        return pages

    def _size(self, name: str) -> Size:
        width, height = needed(self.words, name)
        small = name != LOSS and self.words[name, "forward"].in_row
        return Size(width if small else max(width, LEAST), height, 0.0 if name == LOSS else widest(self.labels.below(name)), small)

    def _detours(self) -> Iterator[Branch]:
        for page in self.pages:
            for fork in forks(page):
                yield from (branch for branch in fork.branches if branch.detour and not branch.detour.is_late)

    def _detour_labels(self, branch: Branch) -> dict[str, str]:
        assert branch.detour is not None
        items = branch.fork.chain.items
        merge = items[items.index(branch.fork) + 1]
        assert isinstance(merge, Leaf)
        targets: dict[str, int | None] = {merge.name: branch.number}
        if branch.chain:
            inside = [leaf.name for leaf in leaves(branch.chain)]
            targets = dict.fromkeys(inside)
        return self.labels.afar(branch.detour.source.name, targets)

    # places

    def _across(self) -> float:
        """Pages side by side, lines between them; returns the width of all."""
        x = float(MARGIN)
        for number, half in enumerate(self.halves):
            self.axes.append(x + half)
            x += 2 * half
            if number == len(self.pages) - 1:
                break
            between = self.turns[number].between
            lines = [between["backward"], *self.gaps.gutters.get(number, []), between["forward"]]
            for place, line in enumerate(lines):
                line.at = x + GUTTER / 2 + place * TRACK
            x += GUTTER + TRACK * (len(lines) - 1)
        for place, line in enumerate(self.gaps.gutters.get(len(self.pages) - 1, [])):  # of gradients that leave the last page
            line.at = x = x + (TRACK if place else GUTTER / 2)
        wide = x + MARGIN
        if wide < 420:
            self.axes = [axis + (420 - wide) / 2 for axis in self.axes]
        return max(wide, 420.0)

    def _head(self) -> float:
        """The name and what stands below it; returns where it ends."""
        y = float(MARGIN + LARGE)
        for line in wrapped(self.flow.name, LARGE, self.width - 2 * MARGIN, True):
            self.texts.append(Text(MARGIN, y, line, LARGE, bold=True))
            y += LARGE + 5
        for line in (part for text in self.flow.subtitles for part in wrapped(text, TEXT, self.width - 2 * MARGIN)):
            self.texts.append(Text(MARGIN, y, line, TEXT, FAINT))
            y += LINE + 1
        y += 14
        for axis, page in zip(self.axes, self.pages, strict=True):
            wide = page.column.edge + page.column.width
            self.texts.append(Text(axis - wide, y, "forward, down", TEXT, FORWARD[0], True))
            self.texts.append(Text(axis + wide, y, "backward, up", TEXT, BACKWARD[0], True, "end"))
        for place, lane in enumerate(self.gaps.over):
            lane.at = y + 10 + TRACK * place
        return y + 12 + TRACK * len(self.gaps.over)

    def _down(self) -> float:
        """Everything on its page, and the lines from one to the next; returns where the lowest page ends."""
        ends = []
        for number, page in enumerate(self.pages):
            top = self.top
            if number:
                above = self.turns[number - 1].above
                above["backward"].at, above["forward"].at = top + 4, top + 4 + TRACK
                top += TRACK + STEP + 4
            end = stack(page, top, frame_words)
            while number and self._lines_meet(number - 1):
                top += 3
                end = stack(page, top, frame_words)
            if number < len(self.pages) - 1:
                below = self.turns[number].below
                below["backward"].at, below["forward"].at = end + 6, end + 6 + TRACK
                end += TRACK + 6
            ends.append(end)
        return max(ends)

    def _lines_meet(self, number: int) -> bool:
        """Whether lines that come from a page and lines that go to the next one are at the same height between both."""
        come = [*self.gaps.come.get(number, []), *self.turns[number].below.values()]
        leave = [*self.gaps.leave.get(number, []), *self.turns[number].above.values()]
        return any(abs(one.at - other.at) < 3 for one in come for other in leave)

    # what stands there

    def drawing(self) -> Drawing:
        boxes = list(self._boxes())
        rims: list[Rim] = []
        for axis, page in zip(self.axes, self.pages, strict=True):
            for rim, texts in frame_rims(page, axis):
                rims.append(rim)
                self.texts += texts
        columns = {chain.column: axis for axis, page in zip(self.axes, self.pages, strict=True) for chain in chains(page)}
        rims += group_rims(self.flow.groups, self.leaves, columns)
        ways = tuple(self._ways())
        self._write_labels()
        y = self.bottom + 26
        for note in self.flow.notes:
            for line in wrapped(note, SMALL, self.width - 2 * MARGIN):
                self.texts.append(Text(MARGIN, y, line, SMALL, FAINT))
                y += LINE
        return Drawing(self.flow.name, self.width, y + MARGIN - LINE + 4, tuple(boxes), ways, tuple(rims), tuple(self.texts))

    def _axis(self, leaf: Leaf) -> float:
        return self.axes[self.pages.index(page_of(leaf))]

    def _boxes(self) -> Iterator[Box]:
        yield self._box(INPUT, "forward", "forward")
        for cell in self.flow.cells:
            yield self._box(cell.name, "forward", "forward", cell)
            yield self._box(cell.name, "backward", "backward" if cell.reached else "none", cell)
        yield self._box(LOSS, "both", "both")

    def _box(self, name: str, side: str, shown: str, cell: Cell | None = None) -> Box:
        leaf, words = self.leaves[name], self.words[name, side]
        axis, column = self._axis(leaf), leaf.chain.column
        outer = column.edge + column.width
        left, width = {
            "forward": (axis - outer, leaf.width), "backward": (axis + outer - leaf.width, leaf.width), "both": (axis - outer, 2 * outer)
        }[side]  # fmt: skip
        self._write(words, shown, left, leaf.top, width)
        tip = ", ".join(cell.names) if cell and len(cell.names) > 1 else ""
        frozen = cell.row.frozen if cell else False
        shared = cell.is_shared if cell else False
        return Box(name, shown, left, leaf.top, width, leaf.size.height, words.lines, frozen, tip, words.in_row, shared)

    def _write(self, words: Words, side: str, left: float, top: float, width: float) -> None:
        title = {"none": FAINT, "backward": BACKWARD[0], "forward": FORWARD[0]}.get(side, INK)
        plain = FAINT if side == "none" else INK
        if words.in_row:
            x = left + PAD
            for at, line in enumerate(words.lines):
                self.texts.append(Text(x, top + 16, line, SMALL if at else TITLE, plain if at else title, not at))
                x += width_of(line, TITLE, True) + 3
            return
        x, anchor = (left + width / 2, "middle") if side == "both" else (left + PAD, "start")
        y = top + PAD + TITLE - 3
        for at, line in enumerate(words.lines):
            is_title = at < len(words.titles)
            self.texts.append(Text(x, y, line, TITLE if is_title else SMALL, title if is_title else plain, is_title, anchor))
            y += LINE + (1 if is_title else 0)

    def _write_labels(self) -> None:
        for name, leaf in self.leaves.items():
            if name != LOSS:
                self._label(self.labels.below(name), self._axis(leaf), leaf.chain.column.arm.at, leaf.bottom + 17)
        for branch in self._detours():
            assert branch.detour is not None
            line = branch.chain.column.arm if branch.chain else branch.line
            axis = self.axes[self.pages.index(page_of(branch.fork))]
            self._label(self.detours[id(branch)], axis, line.at, branch.detour.label_y)

    def _label(self, told: dict[str, str], axis: float, distance: float, y: float) -> None:
        """Beside a line, on the side of the axis."""
        self.texts.append(Text(axis - distance + 8, y, told["forward"], SMALL, FORWARD[0]))
        if "backward" in told:
            self.texts.append(Text(axis + distance - 8, y, told["backward"], SMALL, BACKWARD[0], anchor="end"))

    # arrows

    def _ways(self) -> Iterator[Way]:
        ways = Ways(self.turns, self.pages)
        for arrow in self.flow.arrows:
            shape = show(arrow.shape)
            yield Way("forward", arrow.source, arrow.target, shape, self._points(ways, arrow, "forward"))
            if arrow.gradient:
                label = f"{arrow.gradient} {shape}".strip()
                yield Way("backward", arrow.source, arrow.target, label, self._points(ways, arrow, "backward")[::-1])

    def _points(self, ways: Ways, arrow: Arrow, side: str) -> tuple[Point, ...]:
        target = self.leaves[arrow.target]
        way = ways.way(target, arrow.place, side)
        between = {id(line) for turn in self.turns for line in turn.between.values()}
        between |= {id(line) for lines in self.gaps.gutters.values() for line in lines}
        axis = self._axis(way.source)
        sign = -1 if side == "forward" else 1
        x = axis + sign * way.source.chain.column.arm.at
        points = [(x, way.source.bottom)]
        for down, aside in zip(way.lines[::2], way.lines[1::2], strict=True):
            if id(aside) in between:
                axis, x = self._axis(target), aside.at
            else:
                x = axis + sign * aside.at
            points += [(points[-1][0], down.at), (x, down.at)]
        return _without_steps([*points, (x, target.top)])


def _without_steps(points: Sequence[Point]) -> tuple[Point, ...]:
    """Without points that no turn is at."""
    found: list[Point] = []
    for point in points:
        if found and point == found[-1]:
            continue
        if len(found) > 1 and (found[-2][0] == found[-1][0] == point[0] or found[-2][1] == found[-1][1] == point[1]):
            found.pop()
        found.append(point)
    return tuple(found)
