"""`netspec gradcheck FILE`: gradients against numeric ones, in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError, SpecError
from netspec.base.kinds import Normalization
from netspec.frontend.program import Overrides
from netspec.graph.check import to_graph
from netspec.graph.graph import Graph
from netspec.model import Model
from netspec.pipeline import read
from netspec.train.gradcheck import GradcheckReport
from netspec.train.normalize import as_input
from netspec.ui.given import spec_file
from netspec.ui.screen import print_json
from netspec.ui.shapes import asks_for_counts

LIMIT = 1e-6
NOISE = 0.05
"""Standard deviation of what is added to rows of the data: pixels that are equal would tie for a maximum, or leave a sum at exactly 0."""


def run(file: Path, overrides: Overrides, *, json: bool) -> int:
    """Prints the largest error of each parameter and of the input; 1 where one is above the limit."""
    # in float64 from the start: kernels in float32 would be compiled for nothing
    double = replace(overrides, keys={**overrides.keys, "train.dtype": "float64"})
    model = Model(read(spec_file(file), double))
    x, y, origin = batch(model)
    report = model.gradcheck(x, y)
    passed = report.max_error <= LIMIT and not report.unchecked
    if json:
        print_json({"max_error": report.max_error, "limit": LIMIT, "passed": passed, "rows": origin, "errors": report.errors})
    else:
        print(in_words(report, origin, passed))
    return 0 if passed else 1


def batch(model: Model) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Rows, labels, and where they come from: the first training rows, or drawn ones where the data is absent.

    Raises SpecError where nothing gives the shape, DataError where only the absent data does.
    """
    section = model.program.data
    absent: DataError | None = None
    if section is not None and section.source is not None:
        try:
            rows = model.splits_of_data().train
        except DataError as error:
            absent = error  # shapes are all that is needed
        else:
            count = rows_for(model.graph)
            x = as_input(rows.x[:count], model.normalization, np.float64)
            x += NOISE * np.random.default_rng([model.program.seed, 3]).standard_normal(x.shape)
            model.learn({"labels": None})  # the labels of the splits are encoded already
            return x, rows.y[:count], f"the first {len(x)} training rows with a little noise"
    try:
        graph = to_graph(model.program)
    except SpecError as error:
        if absent is not None and asks_for_counts(error):
            raise absent from None
        raise
    x, y = synthetic(graph, model.program.seed)
    return x, y, f"{len(x)} drawn rows"


def rows_for(graph: Graph) -> int:
    """Few, so that few kinks lie near; more than two where statistics of the batch are taken, which of two rows are almost constant."""
    return 4 if any(isinstance(node.layer, Normalization) for node in graph.nodes) else 2


def synthetic(graph: Graph, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Normal inputs and labels that fit the head."""
    generator, rows = np.random.default_rng([seed, 3]), rows_for(graph)
    x = generator.standard_normal((rows, *graph.input.shape))
    shape = (rows, *graph.output.shape)
    if graph.loss.target == "class":
        return x, generator.integers(0, graph.classes, rows)
    if graph.head.target == "binary":
        return x, generator.integers(0, 2, shape)
    return x, generator.standard_normal(shape)


def in_words(report: GradcheckReport, origin: str, passed: bool) -> str:
    """The report as it is read."""
    lines = [str(report), "", f"{origin}, float64; the limit is {LIMIT:.0e}: {'passed' if passed else 'FAILED'}"]
    lines += [f"{name}: no smooth place found for {count} directions" for name, count in report.unchecked.items()]
    return "\n".join(lines)
