"""Shapes at the points of a net, and the layers of one call, found by writing the tree a little differently and looking again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netspec.base.shape import Shape
from netspec.base.text import Source, Span
from netspec.frontend import syntax
from netspec.graph.graph import Node
from netspec.ui.language.survey import survey

START, END = Span(-2, -2), Span(-1, -1)
"""Where the layers stand that are put into a tree to be found again."""


def _probe(place: Span) -> syntax.Run:
    """An `id`, which changes nothing."""
    return syntax.Run((syntax.Layer(syntax.Word("id", span=place), span=place),), span=place)


def _is_probe(node: Node, place: Span) -> bool:
    return node.call is not None and node.call.span == place


def shapes_behind(file: syntax.File, source: Source, run: syntax.Run, place: int) -> list[Shape]:
    """The shape behind item number `place` of a run, for each copy of that point."""
    probe = _probe(END)
    if place + 1 == len(run.items):  # a run of its own, for a repeated call stands alone
        runs: tuple[syntax.Run, ...] = (run, probe)
    else:
        runs = (replace(run, items=(*run.items[: place + 1], *probe.items, *run.items[place + 1 :])),)
    nodes = survey(with_runs(file, run, runs), source).nodes
    return [node.output.shape for node in nodes if _is_probe(node, END)]


def layers_of_call(file: syntax.File, source: Source, layer: syntax.Layer) -> list[list[Node]]:
    """The layers of each copy of one call of a def: those between two probes around it."""
    run = next((run for run in runs_of(file) if any(unit_of(item) is layer for item in run.items)), None)
    if run is None:
        return []
    chain = syntax.Chain((_probe(START), syntax.Run((layer,), span=layer.span), _probe(END)), span=layer.span)
    around = syntax.Bracket(chain, span=layer.span)
    changed = replace(run, items=tuple(_with_unit(item, layer, around) for item in run.items))
    found: list[list[Node]] = []
    inside = False
    for node in survey(with_runs(file, run, (changed,)), source).nodes:
        if _is_probe(node, START):
            inside = True
            found.append([])
        elif _is_probe(node, END):
            inside = False
        elif inside:
            found[-1].append(node)
    return [nodes for nodes in found if nodes]


def joint_at(file: syntax.File, offset: int) -> tuple[syntax.Run, int, Span] | None:
    """The run, the number of its item, and the words behind that item up to the next, where an offset lies between two items."""
    for chain in chains_of(file):
        for run, behind in zip(chain.runs, [*chain.runs[1:], None], strict=True):
            ends = [item.span.end for item in run.items]
            starts = [item.span.start for item in run.items[1:]] + ([behind.span.start] if behind else [])
            for place, (end, start) in enumerate(zip(ends, starts, strict=False)):
                if end <= offset < start:
                    return run, place, Span(end, start)
    return None


# trees


def chains_of(file: syntax.File) -> Iterator[syntax.Chain]:
    """Every chain of a file, those inside others too."""
    waiting = [entry.chain for entry in file.entries if isinstance(entry, (syntax.Net, syntax.Def))]
    while waiting:
        chain = waiting.pop()
        yield chain
        for run in chain.runs:
            for item in run.items:
                waiting += chains_in(item)


def runs_of(file: syntax.File) -> Iterator[syntax.Run]:
    """Every run of a file."""
    return (run for chain in chains_of(file) for run in chain.runs)


def unit_of(item: syntax.Item) -> syntax.Item:
    """What a repeat repeats; any other item itself."""
    return item.unit if isinstance(item, syntax.Repeated) else item


def chains_in(item: syntax.Item) -> tuple[syntax.Chain, ...]:
    """The chains directly inside an item."""
    match item:
        case syntax.Bracket() | syntax.Block():
            return (item.chain,)
        case syntax.Branches():
            return item.chains
        case syntax.Repeated():
            return chains_in(item.unit)
    return ()


def with_runs(file: syntax.File, run: syntax.Run, runs: tuple[syntax.Run, ...]) -> syntax.File:
    """The file with others in the place of one run."""
    entries = (
        replace(entry, chain=_exchanged(entry.chain, run, runs)) if isinstance(entry, (syntax.Net, syntax.Def)) else entry
        for entry in file.entries
    )
    return replace(file, entries=tuple(entries))


def _exchanged(chain: syntax.Chain, run: syntax.Run, runs: tuple[syntax.Run, ...]) -> syntax.Chain:
    if not chain.span.start <= run.span.start < chain.span.end:
        return chain
    found: list[syntax.Run] = []
    for one in chain.runs:
        found += runs if one is run else (replace(one, items=tuple(_exchanged_in(item, run, runs) for item in one.items)),)
    return replace(chain, runs=tuple(found))


def _exchanged_in(item: syntax.Item, run: syntax.Run, runs: tuple[syntax.Run, ...]) -> syntax.Item:
    match item:
        case syntax.Bracket() | syntax.Block():
            return replace(item, chain=_exchanged(item.chain, run, runs))
        case syntax.Branches():
            return replace(item, chains=tuple(_exchanged(chain, run, runs) for chain in item.chains))
        case syntax.Repeated():
            unit = _exchanged_in(item.unit, run, runs)
            return item if isinstance(unit, syntax.Repeated) else replace(item, unit=unit)
    return item


def _with_unit(item: syntax.Item, layer: syntax.Layer, unit: syntax.Bracket) -> syntax.Item:
    """The item with brackets in the place of one of its calls."""
    if unit_of(item) is not layer:
        return item
    return replace(item, unit=unit) if isinstance(item, syntax.Repeated) else unit
