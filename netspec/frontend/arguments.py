"""The arguments of a call of a def: one for each parameter."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import SpecError
from netspec.frontend import syntax
from netspec.frontend.values import Definition, Given, Value, evaluate, show


def arguments_of(definition: Definition, arguments: Sequence[Given], where: Value) -> dict[str, Value]:
    """The value of each parameter of a def. Raises SpecError with every argument that does not fit."""
    values = given_to(definition, arguments, where)
    for parameter in definition.node.parameters:
        if parameter.name.text not in values and parameter.default is not None:
            values[parameter.name.text] = evaluate(parameter.default, definition.home)
    return {parameter.name.text: values[parameter.name.text] for parameter in definition.node.parameters}


def given_to(definition: Definition, arguments: Sequence[Given], where: Value) -> dict[str, Value]:
    """The values that a call gives by parameter; the others have defaults. Raises SpecError with every argument that does not fit."""
    node, errors = definition.node, []
    names = [parameter.name.text for parameter in node.parameters]
    values: dict[str, Value] = {}
    for index, given in enumerate(arguments):
        found = _parameter_of(node, names, given, index)
        if isinstance(found, Diagnostic):
            errors.append(found)
        elif found in values:
            errors.append(Diagnostic("NS305", f"`{found}` of {node.name.text} is given twice", given.value.source, given.value.span))
        else:
            values[found] = given.value
    missing = [p.name.text for p in node.parameters if p.name.text not in values and p.default is None]
    if missing and not errors:
        message = f"{node.name.text} needs {', '.join(f'`{name}`' for name in missing)}"
        errors.append(Diagnostic("NS306", message, where.source, where.span, help=f"write {definition.signature()}"))
    if errors:
        raise SpecError(errors)
    return values


def _parameter_of(node: syntax.Def, names: list[str], given: Given, index: int) -> str | Diagnostic:
    name, value = node.name.text, given.value
    takes = (f"{name} takes: {', '.join(names)}",) if names else ()
    if given.key is not None:
        if given.key.text in names:
            return given.key.text
        return Diagnostic("NS303", f"{name} has no parameter `{given.key.text}`", value.source, given.key.span, notes=takes)
    if not names:
        return Diagnostic("NS304", f"{name} takes no arguments", value.source, value.span, help=f"write {name}")
    if index > 0:
        message = f"{name} takes one argument without its key, first; the others are key = value"
        help_text = f"write {names[index]} = {show(value.content)}" if index < len(names) else None
        return Diagnostic("NS304", message, value.source, value.span, notes=takes, help=help_text)
    return names[0]
