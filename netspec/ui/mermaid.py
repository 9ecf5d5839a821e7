"""The same picture as a mermaid flowchart, for pages that draw these: the forward pass down to the loss, then the backward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netspec.base.shape import show
from netspec.ui.cells import INPUT, LOSS, Cell, Flow

INDENT = "  "


def mermaid(flow: Flow) -> str:
    """The flowchart: nodes `f0`, `b0` for the passes of the first layer, subgraphs for repeats and for layers computed together."""
    numbers = {cell.name: number for number, cell in enumerate(flow.cells)}
    groups = {name: names for names, _, _ in flow.groups for name in names}
    ends = {INPUT: INPUT, LOSS: LOSS}
    forward, backward = ({**{name: f"{side}{number}" for name, number in numbers.items()}, **ends} for side in "fb")
    lines = [
        "flowchart TD",
        f"{INDENT}{INPUT}[{_quoted(flow.input)}]",
        *_Nodes(forward, groups, False).lines(flow.cells, 0),
        f"{INDENT}{LOSS}[{_quoted(flow.loss)}]",
        *_Nodes(backward, groups, True).lines([cell for cell in flow.cells if cell.reached], 0),
    ]
    for arrow in flow.arrows:
        lines.append(f"{INDENT}{forward[arrow.source]} -->|{_quoted([show(arrow.shape)])}| {forward[arrow.target]}")
    for arrow in flow.arrows:
        if arrow.gradient:
            label = _quoted([f"{arrow.gradient} {show(arrow.shape)}".strip()])
            lines.append(f"{INDENT}{backward[arrow.target]} -.->|{label}| {backward[arrow.source]}")
    sides = [(forward, flow.cells), (backward, [cell for cell in flow.cells if cell.reached])]
    shared = [names[cell.name] for names, cells in sides for cell in cells if cell.is_shared]
    if shared:
        lines += [f"{INDENT}classDef shared stroke-width:4px", f"{INDENT}class {','.join(shared)} shared"]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Nodes:
    """The nodes of one pass."""

    ids: dict[str, str]
    groups: dict[str, tuple[str, ...]]
    is_backward: bool

    def lines(self, cells: Sequence[Cell], level: int) -> Iterator[str]:
        """Cells with the frames from a level on, then by group."""
        start = 0
        while start < len(cells):
            frames = cells[start].frames[level : level + 1]
            end = start
            while end < len(cells) and cells[end].frames[level : level + 1] == frames:
                end += 1
            if frames:
                indent = INDENT * (level + 1)
                times = f"x{frames[0].times} " if frames[0].times > 1 else ""
                back, label = ("b", f"{times}{frames[0].label} backward") if self.is_backward else ("", times + frames[0].label)
                yield f"{indent}subgraph r{frames[0].key}{back}[{_quoted([label])}]"
                yield from self.lines(cells[start:end], level + 1)
                yield f"{indent}end"
            else:
                yield from self._grouped(cells[start:end], INDENT * (level + 1))
            start = end

    def _grouped(self, cells: Sequence[Cell], indent: str) -> Iterator[str]:
        place = 0
        while place < len(cells):
            names = self.groups.get(cells[place].name, ())
            together = [cell for cell in cells[place:] if cell.name in names]
            if len(together) > 1:
                yield f"{indent}subgraph g{self.ids[cells[place].name]}[{_quoted(['computed together'])}]"
                yield from (f"{indent}{INDENT}{self._node(cell)}" for cell in together)
                yield f"{indent}end"
            else:
                yield f"{indent}{self._node(cells[place])}"
            place += max(1, len(together))

    def _node(self, cell: Cell) -> str:
        name = self.ids[cell.name]
        return f"{name}([{_quoted(cell.backward)}])" if self.is_backward else f"{name}[{_quoted(cell.forward)}]"


def _quoted(lines: Sequence[str]) -> str:
    """A label in quotes; what mermaid or HTML would read is written as its character's number. A `#` that no `;` follows is a `#`."""
    return '"' + "<br/>".join("".join(_written(one) for one in line) for line in lines) + '"'


def _written(one: str) -> str:
    return f"#{ord(one)};" if one in '"<&;`|' or not one.isprintable() else one
