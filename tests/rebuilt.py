"""Any syntax tree as calls of the Python builder: what a text says, said again in Python."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import reduce
from typing import Any

import netspec as ns
from netspec.catalog.registry import FOLDERS, entry_of
from netspec.frontend import syntax
from netspec.frontend.builder import ORDER
from netspec.frontend.sections import SECTION_MODELS

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "mod": operator.mod}


def value(node: syntax.Expression) -> Any:
    """The Python object for a value, a plain one where Python has it."""
    match node:
        case syntax.Literal():
            return _literal(node)
        case syntax.Name():
            return ns.ref(node.text).T if node.part else node.text
        case syntax.CallValue() if node.name.text in ("min", "max") and len(node.arguments) > 1:
            return getattr(ns, node.name.text)(*(value(given.value) for given in node.arguments))
        case syntax.CallValue():
            return _call(node.name.text, node.arguments)
        case syntax.Group():
            return value(node.inner)
        case syntax.Negative():
            return -ns.literal(value(node.operand))
        case syntax.Arithmetic():
            steps = ((OPERATORS[sign], ns.literal(value(operand))) for sign, operand in node.rest)
            return reduce(lambda total, step: step[0](total, step[1]), steps, ns.literal(value(node.first)))
        case syntax.SplitValue():
            return ns.split(*map(value, node.parts))
        case syntax.ListValue():
            return [value(item) for item in node.items]


def _literal(node: syntax.Literal) -> Any:
    if node.kind == "string":
        return ns.string(re.sub(r"\\(.)", r"\1", node.text[1:-1]))
    if node.kind == "boolean":
        return node.text == "true"
    sides = node.text.split("x")
    if all(side == str(int(side)) for side in sides if side.isdigit()) and all(map(str.isdigit, sides)):
        return int(node.text) if node.kind == "number" else tuple(map(int, sides))
    return node.text


def _call(name: str, arguments: Sequence[syntax.Argument]) -> ns.Net:
    positional, keywords = _arguments(arguments)
    return ns.call(name, *positional, **keywords)


def _arguments(arguments: Sequence[syntax.Argument]) -> tuple[list[Any], dict[str, Any]]:
    positional = [value(given.value) for given in arguments if given.key is None]
    return positional, {given.key.text: value(given.value) for given in arguments if given.key}


def chain(node: syntax.Chain) -> ns.Net:
    """The net for a chain."""
    return reduce(operator.rshift, map(_run, node.runs))


def _run(run: syntax.Run) -> ns.Net:
    net = reduce(operator.sub, map(_item, run.items))
    return net.named(run.label.text) if run.label else net


def _item(item: syntax.Item) -> ns.Net:
    match item:
        case syntax.Layer():
            return ns.layer(item.name.text) if item.arguments is None else _call(item.name.text, item.arguments)
        case syntax.Bracket():
            return ns.unit(chain(item.chain))
        case syntax.Block():
            positional, keywords = _arguments(item.arguments or ())
            return ns.block(item.name.text, chain(item.chain), *positional, **keywords)
        case syntax.Branches():
            return ns.branches(item.name.text, *map(chain, item.chains))
        case syntax.Reference():
            return ns.ref(item.name.text)
        case syntax.Repeated(times=syntax.Over() as over):
            return ns.repeat(_item(item.unit), tied=item.tied, **{over.name.text: [value(one) for one in over.values]})
        case syntax.Repeated(times=syntax.Count() as count):
            return ns.repeat(_item(item.unit), value(count.value), tied=item.tied)
    raise AssertionError("every kind of element is above")


def program(file: syntax.File) -> ns.Net | ns.Spec:
    """The net or the whole program for a file whose entries stand in the order of `canonical`."""
    given: dict[str, Any] = {"version": None, "use": [], "names": []}
    nets: list[ns.Net] = []
    for entry in file.entries:
        match entry:
            case syntax.Net(bare=True):
                return chain(entry.chain)
            case syntax.Net():
                nets.append(chain(entry.chain))
            case syntax.Version():
                given["version"] = int(entry.number.text)
            case syntax.Use():
                given["use"].append(re.sub(r"\\(.)", r"\1", entry.path.text[1:-1]))
            case syntax.Let():
                given["names"].append(ns.let(entry.name.text, value(entry.value)))
            case syntax.Def():
                parameters = [ns.param(p.name.text, None if p.default is None else value(p.default)) for p in entry.parameters]
                given["names"].append(ns.definition(entry.name.text, chain(entry.chain), *parameters))
            case syntax.Setting():
                given[entry.word.text] = value(entry.value)
            case syntax.Section():
                given[entry.word.text] = {".".join(pair.key): value(pair.value) for pair in entry.pairs}
    return ns.program(*nets, **given)


# the few things that a text may write in more than one way, and Python in one


def canonical(node: Any) -> Any:
    """The tree with its meaning kept: arguments without keys first and each key once, the brackets of a repeat inside a run, no empty
    ones behind `res[...]`, entries in the usual order and each once. Calls of layers get names of no layer: the builder checks those."""
    if isinstance(node, tuple):
        return tuple(map(canonical, node))
    if not isinstance(node, syntax.Node):
        return node
    node = replace(node, **{one.name: canonical(getattr(node, one.name)) for one in fields(node) if one.name not in ("span", "key_span")})
    match node:
        case syntax.Layer(arguments=tuple()) | syntax.CallValue():
            return replace(node, name=_no_layer(node.name), arguments=_in_order(node.arguments))
        case syntax.Block():  # the builder takes no other word before square brackets
            return replace(node, name=replace(node.name, text="res"), arguments=_in_order(node.arguments or ()) or None)
        case syntax.Run() if len(node.items) > 1:
            return replace(node, items=tuple(map(_bracketed, node.items)))
        case syntax.Section():
            return replace(node, pairs=tuple({pair.key: pair for pair in reversed(node.pairs) if _is_known(node, pair)}.values())[::-1])
        case syntax.File():
            return replace(node, entries=_entries(node.entries))
    return node


def _is_known(section: syntax.Section, pair: syntax.Pair) -> bool:
    """Whether the builder takes the key: it refuses one that its section does not know."""
    model = SECTION_MODELS.get(section.word.text)
    return model is None or ".".join(pair.key) in (*model.model_fields, "lr")


def _no_layer(name: syntax.Word) -> syntax.Word:
    known = any(entry_of(contract, name.text) for contract in FOLDERS)
    return replace(name, text=f"{name.text}_") if known else name


def _in_order(arguments: Sequence[syntax.Argument]) -> tuple[syntax.Argument, ...]:
    keyed = {given.key.text: given for given in reversed(arguments) if given.key}
    return (*(given for given in arguments if given.key is None), *reversed(keyed.values()))


def _bracketed(item: syntax.Item) -> syntax.Item:
    if isinstance(item, syntax.Repeated) and not isinstance(item.unit, syntax.Bracket):
        return replace(item, unit=syntax.Bracket(syntax.Chain((syntax.Run((item.unit,)),))))
    return item


def _entries(entries: Sequence[syntax.Entry]) -> tuple[syntax.Entry, ...]:
    of = {kind: tuple(one for one in entries if isinstance(one, kind)) for kind in (syntax.Version, syntax.Use, syntax.Let | syntax.Def)}
    words = {_word(one): one for one in reversed(entries)}
    names = {meaning(one): one for one in reversed(of[syntax.Let | syntax.Def])}
    firsts = [one for one in of[syntax.Let | syntax.Def] if names[meaning(one)] is one]
    return (*of[syntax.Version][:1], *of[syntax.Use], *firsts, *(words[word] for word in ORDER if word in words))


def _word(entry: syntax.Entry) -> str:
    return "net" if isinstance(entry, syntax.Net) else entry.word.text if isinstance(entry, (syntax.Setting, syntax.Section)) else ""


def meaning(node: Any) -> Any:
    """A tree as nested tuples in which brackets around values have done their work: `(a + b) + c` is `a + b + c`."""
    match node:
        case tuple():
            return tuple(map(meaning, node))
        case syntax.Group():
            return meaning(node.inner)
        case syntax.Arithmetic():
            steps = ((sign, meaning(operand)) for sign, operand in node.rest)
            return reduce(lambda total, step: (step[0], total, step[1]), steps, meaning(node.first))
        case syntax.Node():
            return type(node), *(meaning(getattr(node, one.name)) for one in fields(node) if one.compare)
    return node
