"""Units that stand several times in a row, written once: `[affine(64)-relu]x3`."""

from __future__ import annotations

from dataclasses import replace

from netspec.frontend import syntax

Runs = tuple[syntax.Run, ...]


def fold(runs: Runs) -> Runs:
    """The runs with equal neighbours, of any length, as repeats, the longest saving first, and inside of what repeats again; a pool that
    then stands alone behind a unit becomes the unit's end."""
    return _joined(_folded(runs))


def _folded(runs: Runs) -> Runs:
    best = _best(runs)
    if best is None:
        return runs
    start, period, times = best
    bracket = syntax.Bracket(syntax.Chain(fold(runs[start : start + period])))
    repeated = syntax.Repeated(bracket, syntax.Count(syntax.Literal("number", str(times))))
    return (*_folded(runs[:start]), syntax.Run((repeated,)), *_folded(runs[start + period * times :]))


ENDS = ("pool", "avgpool", "globalpool", "upsample", "flatten")
"""Layers that end a unit."""


def _joined(runs: Runs) -> Runs:
    found: list[syntax.Run] = []
    for run in runs:
        before = found[-1] if found else None
        plain = before is not None and not _is_marked(before) and all(isinstance(item, syntax.Layer) for item in before.items)
        if before is not None and plain and _ends_unit(run) and not run.trivia.leading:
            found[-1] = replace(run, items=(*before.items, *run.items), trivia=replace(run.trivia, leading=before.trivia.leading))
        else:
            found.append(run)
    return tuple(found)


def _is_marked(run: syntax.Run) -> bool:
    return run.label is not None or bool(run.trivia.trailing)


def _ends_unit(run: syntax.Run) -> bool:
    item = run.items[0]
    return len(run.items) == 1 and isinstance(item, syntax.Layer) and item.name.text in ENDS


MOST_PERIOD = 64


def _best(runs: Runs) -> tuple[int, int, int] | None:
    """(start, length of the unit, copies) of the repeat that saves most; of equals the one with the shortest unit, then the first."""
    best: tuple[int, int, int] | None = None
    saved = 0
    numbers = _numbers(runs)
    for period in range(1, min(MOST_PERIOD, len(runs) // 2) + 1):
        # where element i equals element i + period, for `length` elements in a row, the unit stands 1 + length // period times
        length = 0
        for at in range(len(runs) - period - 1, -1, -1):
            length = length + 1 if numbers[at] == numbers[at + period] else 0
            times = 1 + length // period
            # a unit that begins with weights and ends in a pool reads better than one that begins with the pool
            gain = 2 * (times - 1) * sum(len(run.items) for run in runs[at : at + period]) + (not _ends_unit(runs[at]))
            if times > 1 and gain >= saved + (best is not None and best[1] != period):
                best, saved = (at, period, times), gain
    return best


def _numbers(runs: Runs) -> list[int]:
    """The same number for equal runs; each its own for those with a name or a comment, which are never folded."""
    seen: dict[object, int] = {}
    found = []
    for place, run in enumerate(runs):
        alone = run.label is not None or run.trivia.leading or run.trivia.trailing
        found.append(-1 - place if alone else seen.setdefault(run, len(seen)))
    return found
