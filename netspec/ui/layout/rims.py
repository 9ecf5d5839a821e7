"""Frames around copies, and the shades of layers that are computed together. What stands beside the axis has one rim around both passes,
any other one for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netspec.ui.layout.blocks import Chain, Column, Framed, Leaf, frames, leaves, lineage
from netspec.ui.layout.places import inner_rims, is_central
from netspec.ui.layout.sizes import FRAME, GROUP, HEADER, LINE
from netspec.ui.svg import COUNT, FAINT, PAPER, Rim, Text, pill_width, shortened, wrapped

WORDS, PLACES = 11, 3  # the font size of a frame's words, and on how many lines they stand at most


def frame_words(framed: Framed, room: float) -> list[str]:
    """The lines of a frame's label, beside its count."""
    first = next(leaves(framed.inner))
    label = framed.frame.label + (", continued" if first.name != framed.start else "")
    room -= _pill_room(framed)
    lines = wrapped(label, WORDS, room)
    return lines if len(lines) <= PLACES else [*lines[: PLACES - 1], shortened(" ".join(lines[PLACES - 1 :]) + " ...", WORDS, room)]


def _pill_room(framed: Framed) -> float:
    return pill_width(framed.frame.times) + 8 if framed.frame.times > 1 else 0.0


def frame_rims(page: Chain, axis: float) -> Iterator[tuple[Rim, list[Text]]]:
    """Frames with their words."""
    for framed in frames(page):
        column = framed.inner.column
        arm = column.arm.at
        if is_central(framed.inner):
            yield _frame(framed, axis - framed.outer, axis + framed.outer, axis - arm + 12)
            continue
        inner = column.edge - inner_rims(framed.inner) - FRAME
        yield _frame(framed, axis - framed.outer, axis - inner, axis - arm + 12)
        yield _frame(framed, axis + inner, axis + framed.outer, axis + column.edge)


def _frame(framed: Framed, left: float, right: float, start: float) -> tuple[Rim, list[Text]]:
    frame, top = framed.frame, framed.top
    level = sum(isinstance(item, Framed) for item in lineage(framed))
    words = start + _pill_room(framed)
    texts = [Text(words, top + HEADER + 4 + LINE * number, line, WORDS, FAINT) for number, line in enumerate(framed.label)]
    if frame.times > 1:
        wide = pill_width(frame.times)
        texts.append(Text(start + wide / 2, top + HEADER + 5, f"x{frame.times}", COUNT, PAPER, True, "middle"))
    label, pill = " ".join(framed.label), (start, top + HEADER - 8.5)
    rim = Rim(left, top, right - left, framed.bottom - top, level, label=label, times=frame.times, pill=pill, tip=frame.label)
    return rim, texts


def group_rims(
    groups: Sequence[tuple[Sequence[str], bool, bool]], known: Mapping[str, Leaf], axes: Mapping[Column, float]
) -> Iterator[Rim]:
    """Shades; a group that other boxes part has several, open where they miss their neighbours."""
    for names, above, below in groups:
        parts: list[list[Leaf]] = []
        for name in names:
            leaf = known[name]
            if parts and parts[-1][-1].chain.column is leaf.chain.column:
                parts[-1].append(leaf)
            else:
                parts.append([leaf])
        for number, part in enumerate(parts):
            opened = above or number > 0, below or number < len(parts) - 1
            if len(part) > 1 or any(opened):
                yield from _shade(part, opened, axes[part[0].chain.column], f"computed together: {', '.join(names)}")


def _shade(part: Sequence[Leaf], opened: tuple[bool, bool], axis: float, tip: str) -> Iterator[Rim]:
    column, top = part[0].chain.column, part[0].top - GROUP
    outer, height = column.edge + column.width + GROUP, part[-1].bottom + GROUP - top
    if is_central(part[0].chain):
        sides = [(axis - outer, 2 * outer)]
    else:
        wide = column.width + 2 * GROUP
        sides = [(axis - outer, wide), (axis + column.edge - GROUP, wide)]
    for left, width in sides:
        yield Rim(left, top, width, height, 0, True, *opened, tip=tip)
