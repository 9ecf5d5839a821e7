"""`netspec summary FILE`: the net by layer, as far as it is right."""

from __future__ import annotations

from pathlib import Path

from netspec.base.errors import LimitError, SpecError
from netspec.frontend.program import Overrides
from netspec.frontend.text import source_of
from netspec.graph.build import Survey
from netspec.graph.check import known
from netspec.pipeline import read, stages
from netspec.ui.given import spec_file
from netspec.ui.layer_rows import rows_of
from netspec.ui.layer_table import broken, layers_table
from netspec.ui.screen import print_json
from netspec.ui.shapes import known_counts
from netspec.ui.summary import summarize
from netspec.ui.tables import console, print_table


def run(file: Path, overrides: Overrides, *, json: bool) -> int:
    """Prints the table and the totals; of a net with errors the layers whose shapes are known. Raises SpecError."""
    try:
        program = read(spec_file(file), overrides)
        made = stages(program, known_counts(program))
    except LimitError:
        raise
    except SpecError:
        survey = known(source_of(file), overrides).survey
        if survey is not None and survey.nodes:
            _print_known(survey, json)
        raise
    summary = summarize(made.program, made.graph, made.plan)
    if json:
        print_json(summary.as_json())
    else:
        print_table(summary.table(console().width))
        print(f"\n{summary.footer(console().width)}")
    return 0


def _print_known(survey: Survey, json: bool) -> None:
    rows = rows_of(survey.nodes, 1, 4)
    if json:
        layers = [
            {"name": row.name, "layer": row.kind, "output": list(row.output), "parameters": row.parameters, "flops": row.flops}
            for row in rows
        ]
        print_json({"input": list(survey.input), "complete": False, "layers": layers})
        return
    width = console().width
    print_table(layers_table(survey.input, rows, width, ("parameters", "FLOPs")))
    errors = len(survey.errors)
    found = f"these are the layers whose shapes are known: the net has {errors} error{'s' * (errors != 1)}"
    print("", *broken(found, width, 0, 0), "", sep="\n", flush=True)
