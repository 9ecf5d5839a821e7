"""What a text may name: its `let`s and `def`s in order, and the defs of the files that it uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netspec.base.layer import Layer
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.ties import points_in
from netspec.frontend.values import Definition, Scope, Value, fail


def defined(entry: syntax.Def, index: int, scope: Scope) -> Definition:
    """A def that is entry number `index`; `scope` has what is named before it."""
    parameters = frozenset(parameter.name.text for parameter in entry.parameters)
    return Definition(index, entry, replace(scope, points=points_in(entry.chain), siblings=parameters))


def check_free(
    entry: syntax.Let | syntax.Def,
    file: syntax.File,
    source: Source,
    definitions: Mapping[str, Definition],
    lets: Mapping[str, tuple[int, Value]],
) -> None:
    """Raises SpecError where the name of an entry is taken."""
    name = entry.name.text
    taken = definitions.get(name) or lets.get(name)
    if taken is None or (isinstance(taken, tuple) and taken[0] < 0):
        return
    at = taken.index if isinstance(taken, Definition) else taken[0]
    before = file.entries[at]
    line = source.position(before.span.start)[0]
    where = f"by {before.path.text} (line {line})" if isinstance(before, syntax.Use) else f"first in line {line}"
    raise fail("NS206", f"`{name}` is defined twice, {where}", source, entry.name.span, help="choose another name")


def check_definition(entry: syntax.Def, source: Source, layers: Mapping[str, type[Layer]]) -> None:
    """Raises SpecError where a def takes the name of a layer, or has a parameter twice."""
    name = entry.name.text
    if name in layers or name == "res":
        message = f"`{name}` is a layer, and a def may not take its name"
        raise fail("NS205", message, source, entry.name.span, help="choose another name")
    names = [parameter.name.text for parameter in entry.parameters]
    for at, parameter in enumerate(entry.parameters):
        if parameter.name.text in names[:at]:
            message = f"`{parameter.name.text}` is a parameter twice"
            raise fail("NS206", message, source, parameter.name.span, help="choose another name")
