"""Shapes for verbs that only look: from the text and the command line, else from the data where it can be read."""

from __future__ import annotations

from netspec.base.errors import DataError, SpecError
from netspec.frontend.program import Program
from netspec.graph.check import to_graph
from netspec.graph.counts import Counts, counts_of
from netspec.train.source import counts_with_data, read_data

ASKS_FOR_COUNTS = {"NS405", "NS409"}
"""Nothing gives the number of classes, or the shape of a row."""


def known_counts(program: Program) -> Counts | None:
    """The ends of the net. Raises SpecError where neither the text nor the data gives them, or the net is wrong."""
    try:
        to_graph(program)
    except SpecError as error:
        if program.data is None or not {found.code for found in error.diagnostics} <= ASKS_FOR_COUNTS:
            raise
        try:
            dataset = read_data(program)
        except DataError:
            raise error from None
        return counts_with_data(program, dataset)
    return counts_of(program)
