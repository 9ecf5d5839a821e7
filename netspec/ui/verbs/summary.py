"""`netspec summary FILE`: the net by layer."""

from __future__ import annotations

from pathlib import Path

from netspec.frontend.program import Overrides
from netspec.pipeline import read, stages
from netspec.ui.given import spec_file
from netspec.ui.screen import print_json
from netspec.ui.shapes import known_counts
from netspec.ui.summary import summarize
from netspec.ui.tables import console, print_table


def run(file: Path, overrides: Overrides, *, json: bool) -> int:
    """Prints the table and the totals. Raises SpecError."""
    program = read(spec_file(file), overrides)
    made = stages(program, known_counts(program))
    summary = summarize(made.program, made.graph, made.plan)
    if json:
        print_json(summary.as_json())
    else:
        print_table(summary.table(console().width))
        print(f"\n{summary.footer()}")
    return 0
