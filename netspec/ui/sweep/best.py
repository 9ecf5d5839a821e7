"""The best trial as a spec of its own: training it gives the weights that the trial has."""

from __future__ import annotations

import os
from pathlib import Path

from netspec.base.errors import DataError, SpecError
from netspec.base.figure import shown_figure
from netspec.base.text import Source
from netspec.catalog.paths import folders_of, resolve_path
from netspec.frontend.migrations import migrate
from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides, Program
from netspec.frontend.settle import settle
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.counts import Counts
from netspec.save.atomic import write_atomic
from netspec.train.resume import differences
from netspec.train.source import resolved_from
from netspec.ui.sweep.order import Order
from netspec.ui.sweep.outcome import Outcome

NAME = "best.net"


def write_best(order: Order, best: Outcome, total: int, counts: Counts) -> Path:
    """The file as it was given, with the values of the trial in place and its search section gone. Where that does not come to the same
    program (a `use` that leads nowhere from here, say), all is written out. Raises SaveError."""
    path = order.trials / NAME
    overrides = order.overrides.with_values(best.values)
    source = source_of(Path(order.file))
    program = load(source, overrides)
    heading = [
        f"Trial {best.number} of {total} of the sweep over {Path(order.file).name}: {order.metric} {shown_figure(best.metric or 0.0)}."
    ]
    text = settle(migrate(parse(source)), program, overrides, best.values, _places(program, path, order), heading)
    if not _is_same(text, program, path, counts):
        allow = [Path(one) for one in order.allow]
        text = f"# {heading[0]}\n" + resolved_from(program, path.parent, program.seed, program.train.epochs, allow)
    write_atomic(path, text.encode())
    return path


def _places(program: Program, path: Path, order: Order) -> dict[str, str]:
    """The paths of the data from the new file, where its own lead elsewhere from there."""
    section, found = program.data, {}
    if section is None or section.source is None:
        return {}
    allow = [Path(one) for one in order.allow]
    for key in section.source.path_keys:
        given = getattr(section, key)
        if given is None:
            continue
        real = resolve_path(given, (*folders_of(program.source), *allow), allow)
        try:
            same = resolve_path(given, folders_of(Source("", str(path))), allow) == real
        except DataError:
            same = False
        if not same:
            found[key] = os.path.relpath(real, path.parent.resolve())
    return found


def _is_same(text: str, program: Program, path: Path, counts: Counts) -> bool:
    try:
        made = load(Source(text, str(path)), Overrides())
    except SpecError:
        return False
    return not differences(program, made, counts) and made.train.epochs == program.train.epochs
