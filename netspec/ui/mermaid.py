"""The same picture as a mermaid flowchart, for pages that draw these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netspec.base.shape import show
from netspec.ui.cells import INPUT, LOSS, Cell, Flow

INDENT = "  "


def mermaid(flow: Flow) -> str:
    """The flowchart: nodes `f0`, `b0` for the passes of the first layer, subgraphs for repeats and for layers computed together."""
    numbers = {cell.name: number for number, cell in enumerate(flow.cells)}
    ids = {INPUT: INPUT, LOSS: LOSS}
    lines = [
        "flowchart TD",
        f"{INDENT}{INPUT}[{_quoted(flow.input)}]",
        *_nodes(flow, flow.cells, 0, numbers),
        f"{INDENT}{LOSS}[{_quoted(flow.loss)}]",
    ]
    for arrow in flow.arrows:
        source, target = (ids.get(name, f"f{numbers.get(name)}") for name in (arrow.source, arrow.target))
        lines.append(f"{INDENT}{source} -->|{_quoted([show(arrow.shape)])}| {target}")
    for arrow in flow.arrows:
        if arrow.gradient:
            source, target = (ids.get(name, f"b{numbers.get(name)}") for name in (arrow.source, arrow.target))
            lines.append(f"{INDENT}{target} -.->|{_quoted([f'{arrow.gradient} {show(arrow.shape)}'.strip()])}| {source}")
    return "\n".join(lines)


def _nodes(flow: Flow, cells: Sequence[Cell], level: int, numbers: dict[str, int]) -> Iterator[str]:
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
            yield f"{indent}subgraph r{frames[0].key}[{_quoted([times + frames[0].label])}]"
            yield from _nodes(flow, cells[start:end], level + 1, numbers)
            yield f"{indent}end"
        else:
            yield from _grouped(flow, cells[start:end], level, numbers)
        start = end


def _grouped(flow: Flow, cells: Sequence[Cell], level: int, numbers: dict[str, int]) -> Iterator[str]:
    indent = INDENT * (level + 1)
    first = {names[0]: names for names, _, _ in flow.groups if len(names) > 1}
    last = {names[-1] for names in first.values()}
    inner = ""
    for cell in cells:
        number = numbers[cell.name]
        if cell.name in first:
            yield f"{indent}subgraph g{number}[{_quoted(['computed together'])}]"
            inner = INDENT
        yield f"{indent}{inner}f{number}[{_quoted(cell.forward)}]"
        if cell.reached:
            yield f"{indent}{inner}b{number}([{_quoted(cell.backward)}])"
        if cell.name in last:
            yield f"{indent}end"
            inner = ""


def _quoted(lines: Sequence[str]) -> str:
    """A label in quotes; what mermaid or HTML would read is written as its character's number."""
    return '"' + "<br/>".join("".join(_written(one) for one in line) for line in lines) + '"'


def _written(one: str) -> str:
    return f"#{ord(one)};" if one in '"#<>&;`|' or not one.isprintable() else one
