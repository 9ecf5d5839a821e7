"""What makes a picture of a net readable and true, for the tests that draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import combinations, pairwise

from netspec.graph.graph import Graph
from netspec.ui.cells import INPUT, LOSS, Flow
from netspec.ui.svg import Box, Drawing, Rim, Text

Area = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def overlap(one: Area, other: Area) -> bool:
    """Whether two areas share more than a border."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def inside(one: Area, other: Area) -> bool:
    return other[0] <= one[0] and other[1] <= one[1] and one[2] <= other[2] and one[3] <= other[3]


def text_area(text: Text) -> Area:
    return text.span[0], text.y - 0.8 * text.size, text.span[1], text.y + 0.25 * text.size


def box_area(box: Box) -> Area:
    return box.x, box.y, box.x + box.width, box.bottom


def rim_area(rim: Rim) -> Area:
    return rim.x, rim.y, rim.x + rim.width, rim.y + rim.height


def segments(drawing: Drawing) -> Iterator[tuple[tuple[str, str], Area]]:
    """Straight pieces of arrows, with their pass and the value that they carry."""
    for way in drawing.ways:
        for (x, y), (other_x, other_y) in pairwise(way.points):
            assert x == other_x or y == other_y, f"{way.source} to {way.target} goes aslant"
            thick = (0.8, 0.0) if x == other_x else (0.0, 0.8)
            area = (min(x, other_x) - thick[0], min(y, other_y) - thick[1], max(x, other_x) + thick[0], max(y, other_y) + thick[1])
            yield (way.side, way.source), area


def borders(rim: Rim) -> list[Area]:
    left, top, right, bottom = rim_area(rim)
    sides = [(left, top, left, bottom), (right, top, right, bottom)]
    sides += [] if rim.open_above else [(left, top, right, top)]
    return sides if rim.open_below else [*sides, (left, bottom, right, bottom)]


def faults(drawing: Drawing) -> list[str]:
    """All that would make a picture hard to read."""
    return [*_collisions(drawing), *_cut_off(drawing), *_crossed(drawing), *_laid_on_each_other(drawing), *_rims(drawing)]


def _collisions(drawing: Drawing) -> Iterator[str]:
    boxes = [(f"{box.name} {box.side}", box_area(box)) for box in drawing.boxes]
    for (name, one), (other, two) in combinations(boxes, 2):
        if overlap(one, two):
            yield f"{name} lies on {other}"
    texts = sorted(((text.text, text_area(text)) for text in drawing.texts), key=lambda text: text[1][1])
    for place, (name, one) in enumerate(texts):
        for other, two in texts[place + 1 :]:
            if two[1] >= one[3]:
                break
            if overlap(one, two):
                yield f"{name!r} lies on {other!r}"
        for other, box in boxes:
            if overlap(one, box) and not inside(one, box):
                yield f"{name!r} is half in {other}"


def _cut_off(drawing: Drawing) -> Iterator[str]:
    whole = (0.0, 0.0, drawing.width, drawing.height)
    areas = [(text.text, text_area(text)) for text in drawing.texts] + [(box.name, box_area(box)) for box in drawing.boxes]
    areas += [(rim.tip, rim_area(rim)) for rim in drawing.rims] + [(" ".join(key), area) for key, area in segments(drawing)]
    yield from (f"{name!r} is cut off" for name, area in areas if not inside(area, whole))


def _crossed(drawing: Drawing) -> Iterator[str]:
    """Boxes and words that an arrow goes through, words on a rim's line, arrows along one."""
    hit = [(text.text, text_area(text)) for text in drawing.texts] + [(box.name, box_area(box)) for box in drawing.boxes]
    lines = [(rim.tip, line) for rim in drawing.rims for line in borders(rim)]
    for key, area in dict.fromkeys(segments(drawing)):
        yield from (f"{key} goes through {name!r}" for name, other in hit if overlap(area, other))
        for tip, line in lines:
            level, upright = area[3] - area[1] < 2 and line[1] == line[3], area[2] - area[0] < 2 and line[0] == line[2]
            near = (area[0] - 1, area[1] - 1, area[2] + 1, area[3] + 1)
            if (level or upright) and overlap(near, (line[0] - 0.1, line[1] - 0.1, line[2] + 0.1, line[3] + 0.1)):
                yield f"{key} goes along the rim of {tip!r}"
    for tip, line in lines:
        thick = (line[0] - 0.5, line[1] - 0.5, line[2] + 0.5, line[3] + 0.5)
        yield from (f"the rim of {tip!r} goes through {name!r}" for name, area in hit if overlap(thick, area))


def _laid_on_each_other(drawing: Drawing) -> Iterator[str]:
    """Arrows of different values on one line."""
    lines = list(dict.fromkeys(segments(drawing)))
    for level in (False, True):
        alike = sorted(((area, key) for key, area in lines if (area[3] - area[1] < 2) == level), key=lambda line: line[0][level])
        for place, (one, key) in enumerate(alike):
            for two, other in alike[place + 1 :]:
                if two[level] >= one[level + 2]:
                    break
                if key != other and overlap(one, two):
                    yield f"{key} lies on {other}"


def _rims(drawing: Drawing) -> Iterator[str]:
    for one, two in combinations(drawing.rims, 2):
        areas = rim_area(one), rim_area(two)
        if overlap(*areas) and not inside(*areas) and not inside(areas[1], areas[0]):
            yield f"{one.tip} crosses {two.tip}"


def ends(drawing: Drawing) -> Iterator[str]:
    """Arrows that do not go from box to box."""
    boxes = {(box.name, "backward" if box.side == "none" else box.side): box for box in drawing.boxes}
    for way in drawing.ways:
        source = boxes[way.source, way.side]
        target = boxes[way.target, "both" if way.target == LOSS else way.side]
        start, end = (way.points[0], way.points[-1])[:: 1 if way.side == "forward" else -1]
        if not (start[1] == source.bottom and source.x < start[0] < source.x + source.width):
            yield f"{way.label}: does not begin at {way.source}"
        if not (end[1] == target.y and target.x < end[0] < target.x + target.width):
            yield f"{way.label}: does not end at {way.target}"


def misplaced(drawing: Drawing, flow: Flow) -> Iterator[str]:
    """Boxes in frames that are not theirs, or outside of those that are; the same of shades."""
    grouped = {name for names, _, _ in flow.groups for name in names}
    frames = [rim_area(rim) for rim in drawing.rims if not rim.shaded]
    shades = [rim_area(rim) for rim in drawing.rims if rim.shaded]
    within = {cell.name: (len(cell.frames), int(cell.name in grouped)) for cell in flow.cells}
    for box in drawing.boxes:
        area = box_area(box)
        for other in (*frames, *shades):
            if overlap(area, other) and not inside(area, other):
                yield f"a rim cuts {box.name}"
        found = sum(inside(area, frame) for frame in frames), sum(inside(area, shade) for shade in shades)
        if found != within.get(box.name, (0, 0)):
            yield f"{box.name} {box.side} stands in {found} frames and shades"


def edges(graph: Graph, lines: Collection[str] = ()) -> Counter[tuple[str, str]]:
    """Who reads whose value, as often as it does; through `lines`, which are layers without a box."""
    producer = {graph.input.index: INPUT}
    for node in graph.nodes:
        producer[node.output.index] = producer[node.inputs[0].index] if node.name in lines else node.name
    found = Counter((producer[value.index], node.name) for node in graph.nodes if node.name not in lines for value in node.inputs)
    found[producer[graph.output.index], LOSS] += 1
    return found


def untrue(flow: Flow, graph: Graph) -> Iterator[str]:
    """What a picture says that the graph does not, or leaves out. A later copy that is not drawn reads what the first one does, or the
    copy before it where that one reads what stands before the repeat."""
    names = [name for cell in flow.cells for name in cell.names]
    if sorted([*names, *flow.lines]) != sorted(node.name for node in graph.nodes):
        yield "not every layer stands in one cell, or is a line"
        return
    if any(node.name in flow.lines and node.layer.name != "id" for node in graph.nodes):
        yield "a layer that computes is drawn as a line"
    shown = {name: cell.name for cell in flow.cells for name in cell.names} | {INPUT: INPUT, LOSS: LOSS}
    first = {cell.name for cell in flow.cells} | {INPUT, LOSS}
    there = edges(graph, flow.lines)
    wanted = Counter({(shown[source], target): times for (source, target), times in there.items() if target in first})
    drawn = Counter((arrow.source, arrow.target) for arrow in flow.arrows)
    if drawn != wanted:
        yield f"arrows {drawn - wanted} are not in the graph, {wanted - drawn} not in the picture"
    repeated = {cell.name for cell in flow.cells if any(frame.times > 1 for frame in cell.frames)}
    for source, target in there:
        if target not in first and (shown[source], shown[target]) not in drawn and not {shown[source], shown[target]} <= repeated:
            yield f"{source} to {target} has no arrow"
