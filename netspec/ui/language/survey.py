"""The layers of a net with their shapes, as far as they are known: where a text has errors, those that do not depend on what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.errors import SpecError
from netspec.base.shape import Shape
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.graph.check import known_of
from netspec.graph.graph import Node


@dataclass(frozen=True)
class Survey:
    """Layers in reading order with their shapes; `input` is None where nothing gives the shape of a row, `whole` tells that nothing is
    wrong."""

    nodes: tuple[Node, ...] = ()
    input: Shape | None = None
    whole: bool = False


def survey(file: syntax.File, source: Source) -> Survey:
    """What is known of a file's net. Raises nothing."""
    try:
        found = known_of(file, source)
    except SpecError:  # a limit
        return Survey()
    made = found.survey
    return Survey() if made is None else Survey(made.nodes, made.input, whole=not found.found)
