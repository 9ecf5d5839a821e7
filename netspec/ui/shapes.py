"""Shapes for verbs that only look: from the text and the command line, else from the data where it can be read."""

from __future__ import annotations

from netspec.base.errors import SpecError
from netspec.frontend.program import Program
from netspec.graph.check import to_graph
from netspec.graph.counts import Counts, counts_of
from netspec.train.source import counts_with_data, read_encoded


def asks_for_counts(error: SpecError) -> bool:
    """Whether all that is wrong is that nothing gives the number of classes, or the shape of a row."""
    return {found.code for found in error.diagnostics} <= {"NS405", "NS409"}


def known_counts(program: Program) -> Counts | None:
    """The ends of the net. Raises SpecError where nothing can give them, or the net is wrong; DataError where the data alone can."""
    try:
        to_graph(program)
    except SpecError as error:
        if program.data is None or program.data.source is None or not asks_for_counts(error):
            raise
    else:
        return counts_of(program)
    return counts_with_data(program, read_encoded(program)[0])
