"""Copies of a repeat that are alike, drawn once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netspec.frontend.program import UnitMark
from netspec.ui.cells import Cell, Frame


@dataclass
class _Unit:
    """The cells of one unit's copy, or of several copies that are alike."""

    mark: UnitMark
    parts: list[Cell | _Unit]
    last: int
    """The copy up to which."""

    @property
    def times(self) -> int:
        return self.last - self.mark.copy + 1

    @property
    def cells(self) -> list[Cell]:
        return [cell for part in self.parts for cell in (part.cells if isinstance(part, _Unit) else [part])]


def folded(cells: Sequence[Cell], unroll: bool) -> tuple[Cell, ...]:
    """The cells with the frames that they stand in, those of copies that are alike as one; with `unroll` every copy for itself."""
    drawn = tuple(_framed(_tree(cells, 0, unroll), ()))
    first = {other: cell.name for cell in drawn for other in cell.names}
    return tuple(replace(cell, inputs=tuple(first.get(one, one) for one in cell.inputs)) for cell in drawn)


def _tree(cells: Sequence[Cell], level: int, unroll: bool) -> list[Cell | _Unit]:
    """Cells by the units that they stand in from a level on, copies in a row that are alike as one."""
    found: list[Cell | _Unit] = []
    start = 0
    while start < len(cells):
        marks = cells[start].row.units
        if level >= len(marks):
            found.append(cells[start])
            start += 1
            continue
        end = start
        while end < len(cells) and cells[end].row.units[level : level + 1] == marks[level : level + 1]:
            end += 1
        unit = _Unit(marks[level], _tree(cells[start:end], level + 1, unroll), marks[level].copy)
        before = found[-1] if found else None
        if not unroll and isinstance(before, _Unit) and _follows(before, unit):
            found[-1] = _merged(before, unit)
        else:
            found.append(unit)
        start = end
    return found


def _follows(before: _Unit, unit: _Unit) -> bool:
    """Whether a unit is the next copy of the same repeat, and like those before it."""
    same_repeat = before.mark.copies == unit.mark.copies > 1 and before.last + 1 == unit.mark.copy and before.mark.text == unit.mark.text
    if not same_repeat or _shape_of(before.parts) != _shape_of(unit.parts):
        return False
    pairs = list(zip(before.cells, unit.cells, strict=True))
    return _read_alike(pairs) and all(_own_alike(old, new) or _are_tied(old, new) for old, new in pairs)


def _shape_of(parts: Sequence[Cell | _Unit]) -> list[Any]:
    """All that copies must have in common to be drawn once; bytes may differ, for scratch belongs to the layer that needs it first."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, _Unit):
            found.append((part.mark.text, part.mark.copy, part.mark.copies, part.times, _shape_of(part.parts)))
        else:
            shapes, keys = tuple(shape for _, shape in part.values), _keys(part)
            found.append((part.row.kind, part.row.arguments, shapes, part.row.output, part.row.points, keys, part.reached, part.joined))
    return found


def _keys(cell: Cell) -> list[str]:
    return sorted([key for key, _ in cell.arrays] + [share.key for share in cell.shares])


def _read_alike(pairs: Sequence[tuple[Cell, Cell]]) -> bool:
    """Whether a copy reads in its own cells what the first one reads in its own, the end of the copy before it where the first one reads
    what stands before the repeat, and from elsewhere the same."""
    old_places, new_places = _places([old for old, _ in pairs], pairs), _places([new for _, new in pairs], pairs)
    end = pairs[-1][0].names[-1]
    entry = None
    for old, new in pairs:
        for (source, _), (other, _) in zip(old.values, new.values, strict=True):
            if other in new_places or source in old_places:
                if new_places.get(other) != old_places.get(source):
                    return False
            elif other == end:
                entry = source if entry is None else entry
                if source != entry:
                    return False
            elif other != source:
                return False
    return True


def _places(cells: Sequence[Cell], pairs: Sequence[tuple[Cell, Cell]]) -> dict[str, tuple[int, int]]:
    """Where the names of one copy stand in it."""
    counts = [len(new.names) for _, new in pairs]
    return {name: (at, number) for at, cell in enumerate(cells) for number, name in enumerate(cell.names[: counts[at]])}


def _own_alike(old: Cell, new: Cell) -> bool:
    """Whether both have arrays of their own, or share the same ones, or those of layers equally far before them."""
    if [(one.key, one.turned) for one in old.shares] != [(one.key, one.turned) for one in new.shares] or old.tied != new.tied:
        return False
    both = list(zip(old.shares, new.shares, strict=True))
    return all(one.owner == other.owner for one, other in both) or all(
        old.place - one.place == new.place - other.place for one, other in both
    )


def _are_tied(old: Cell, new: Cell) -> bool:
    """Whether the new one has the arrays of the first copy, all of them."""
    others = {(share.key, share.owner) for share in old.shares}
    return (
        bool(new.shares and old.arrays)
        and not new.arrays
        and all(share.owner == old.name or (share.key, share.owner) in others for share in new.shares)
    )


def _merged(before: _Unit, unit: _Unit) -> _Unit:
    """A copy more: same cells, with its names and bytes too."""
    parts: list[Cell | _Unit] = []
    for old, new in zip(before.parts, unit.parts, strict=True):
        if isinstance(old, _Unit) and isinstance(new, _Unit):
            parts.append(_merged(old, new))
        elif isinstance(old, Cell) and isinstance(new, Cell):
            names, held = (*old.names, *new.names), (*old.held, *new.held)
            parts.append(replace(old, names=names, held=held, tied=old.tied or _are_tied(old, new)))
    mark = before.mark if before.mark.title == unit.mark.title else replace(before.mark, title="")
    return _Unit(mark, parts, unit.last)


def _framed(parts: Sequence[Cell | _Unit], frames: tuple[Frame, ...]) -> Iterator[Cell]:
    for part in parts:
        if isinstance(part, Cell):
            yield replace(part, frames=frames)
        elif part.mark.copies == 1 and (not part.mark.title or len(part.cells) == 1):  # a unit that nothing repeats, and no def's
            yield from _framed(part.parts, frames)
        else:
            copies, times = part.mark.copies, part.times
            which = f"copy {part.mark.copy} of {copies}: " if times == 1 else f"copies {part.mark.copy} to {part.last} of {copies}: "
            tied = ", tied" if any(cell.tied for cell in part.cells) else ""
            label = ("" if times == copies else which) + (part.mark.title or part.mark.text) + tied
            yield from _framed(part.parts, (*frames, Frame(part.mark.key, times, label)))
