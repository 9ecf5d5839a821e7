"""The layers of a net with their shapes, as far as they are known: all of them, or those before the first error."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from netspec.base.errors import SpecError
from netspec.base.shape import Shape
from netspec.base.text import Source, Span
from netspec.catalog.layers.affine import Affine
from netspec.catalog.layers.flatten import Flatten
from netspec.frontend import syntax
from netspec.frontend.program import Call, Program, TrainSection
from netspec.frontend.used import used_names
from netspec.frontend.validate import validate
from netspec.graph.build import build
from netspec.graph.check import to_graph
from netspec.graph.counts import Counts, counts_of, split_head
from netspec.graph.graph import Node

ATTEMPTS = 8
"""How often a text is cut where it has errors: each time those of the time before are gone."""


@dataclass(frozen=True)
class Survey:
    """Layers in reading order with their shapes; `input` is None where nothing gives the shape of a row, `whole` tells that none is
    missing."""

    nodes: tuple[Node, ...] = ()
    input: Shape | None = None
    whole: bool = False


def survey(file: syntax.File, source: Source) -> Survey:
    """What is known of a file's net. Raises nothing: the entries with errors are left out, and the net ends before its first one."""
    rest: syntax.File | None = file
    for _ in range(ATTEMPTS):
        if rest is None:
            break
        try:
            program = validate(rest, source)
        except SpecError as error:
            rest = _without(rest, [one.span for one in error.diagnostics if one.span is not None and one.source == source])
        else:
            return known(program, cut=_net_of(rest) != _net_of(file))
    return Survey()


def known(program: Program, cut: bool) -> Survey:
    """The layers of a program up to the first whose shape is wrong; `cut` says that more of the net follows than the program has."""
    program = replace(program, train=TrainSection.model_validate({}))
    try:
        counts = counts_of(program)
        if counts is not None and not cut:
            return Survey(to_graph(program, counts).nodes, counts.input, whole=True)
    except SpecError:
        counts = None if program.input is None else Counts(program.input)
    if counts is None:
        return Survey()
    calls = list(program.net) if cut else split_head(program)[0]
    return Survey(_longest(program, calls[: None if cut else _counted_affine(calls)], counts.input), counts.input)


def _counted_affine(calls: Sequence[Call]) -> int | None:
    """The place of the affine whose width the classes give, if there is one."""
    for place in range(len(calls) - 1, -1, -1):
        if isinstance(calls[place].layer, Affine):
            return None if "width" in calls[place].explicit else place
        if not calls[place].layer.keeps_shape:
            return None
    return None


def _longest(program: Program, calls: Sequence[Call], shape: Shape) -> tuple[Node, ...]:
    """The layers of the longest beginning that has shapes."""
    end = Call(Flatten(), syntax.NOWHERE, syntax.NOWHERE)  # behind it no affine counts as the last, whose width would be the outputs
    found: tuple[Node, ...] = ()
    low, high = 0, len(calls)
    while low < high:
        middle = (low + high + 1) // 2
        try:
            found = build(replace(program, net=(*calls[:middle], end)), Counts(shape)).nodes[:-1]
            low = middle
        except SpecError:
            high = middle - 1
    return found


# a file without its errors


def _net_of(file: syntax.File) -> syntax.Net | None:
    return next((entry for entry in file.entries if isinstance(entry, syntax.Net)), None)


def _without(file: syntax.File, wrong: Sequence[Span]) -> syntax.File | None:
    """The file without the entries that have errors, and its chains up to theirs; None where that is the same file."""
    broken = {entry.name.text for entry in file.entries if isinstance(entry, syntax.Def) and _inside(wrong, entry.span)}
    for entry in file.entries:
        if isinstance(entry, syntax.Def) and broken & used_names(entry.chain):
            broken.add(entry.name.text)
    entries: list[syntax.Entry] = []
    for entry in file.entries:
        match entry:
            case syntax.Net() | syntax.Def():
                shorter = _beginning(entry.chain, wrong, broken)
                if shorter is not None:
                    entries.append(replace(entry, chain=shorter) if shorter != entry.chain else entry)
            case syntax.Section() if entry.word.text in ("data", "defaults"):
                pairs = tuple(pair for pair in entry.pairs if not _inside(wrong, pair.span))
                entries.append(replace(entry, pairs=pairs) if pairs != entry.pairs else entry)
            case syntax.Section() | syntax.Use():
                pass
            case _ if not _inside(wrong, entry.span):
                entries.append(entry)
    return None if len(entries) == len(file.entries) and tuple(entries) == file.entries else syntax.File(tuple(entries), span=file.span)


def _inside(wrong: Sequence[Span], span: Span) -> bool:
    return any(span.start <= one.start < span.end or one == span for one in wrong)


def _beginning(chain: syntax.Chain, wrong: Sequence[Span], broken: AbstractSet[str]) -> syntax.Chain | None:
    """The chain up to its first error, or to the first call of a def that has one; None where nothing is before it."""
    runs: list[syntax.Run] = []
    for run in chain.runs:
        items: list[syntax.Item] = []
        for item in run.items:
            kept, whole = _kept(item, wrong, broken)
            if kept is not None:
                items.append(kept)
            if not whole:
                return _chain(chain, [*runs, *([replace(run, items=tuple(items), label=None)] if items else [])])
        named = run.label is None or not _inside(wrong, run.label.span)
        runs.append(run if named else replace(run, label=None))
    return _chain(chain, runs)


def _chain(chain: syntax.Chain, runs: Sequence[syntax.Run]) -> syntax.Chain | None:
    return replace(chain, runs=tuple(runs)) if runs else None


def _kept(item: syntax.Item, wrong: Sequence[Span], broken: AbstractSet[str]) -> tuple[syntax.Item | None, bool]:
    """What is left of an item, and whether that is all of it. Of a repeat with an error that is the beginning of its first copy."""
    faulty = _inside(wrong, item.span)
    if not faulty and not broken & used_names(item):
        return item, True
    match item:
        case syntax.Bracket():
            shorter = _beginning(item.chain, wrong, broken)
            return (None if shorter is None else replace(item, chain=shorter)), False
        case syntax.Repeated():
            unit, _ = _kept(item.unit, wrong, broken)
            if unit is None or isinstance(unit, syntax.Repeated):
                return unit, False
            if isinstance(item.times, syntax.Count):
                return replace(item, unit=unit, times=syntax.Count(syntax.Literal("number", "1"))), False
            return replace(item, unit=unit, times=replace(item.times, values=item.times.values[:1])), False
    return (None if faulty else item), False
