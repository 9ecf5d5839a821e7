"""Chains to layers: defs and parameters resolved, values checked, repeats kept as numbers until their size is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.frontend import limits, syntax
from netspec.frontend.bind import Bound, Keys, argument_spans, bind, layers
from netspec.frontend.format import chain_text, item_text
from netspec.frontend.program import Call, Chain, UnitMark
from netspec.frontend.report import Report
from netspec.frontend.values import Given, Named, Scope, Value, evaluate, evaluate_arguments, fail, show, without_value


@dataclass(frozen=True)
class Unit:
    """Layers that belong together: one body for each value of a list, all of them `times` times over."""

    text: str
    bodies: tuple[tuple[Piece, ...], ...]
    layers: int
    times: int = 1
    note: str = ""
    """How one copy is named: `of [...]x3 (line 7)`; empty where nothing repeats."""
    inside: str = ""
    """`inside def rb(c=64) (line 3)`."""
    repeat: Span | None = None
    """The words `x3` of a repeat."""


Piece = Call | Unit
Pieces = tuple[Piece, ...]


def count_layers(pieces: Pieces) -> int:
    """How many layers the pieces stand for, by arithmetic."""
    return sum(1 if isinstance(piece, Call) else piece.layers for piece in pieces)


def _unit(text: str, bodies: tuple[Pieces, ...], times: int = 1, *, note: str = "", inside: str = "", repeat: Span | None = None) -> Pieces:
    """One unit, or nothing where it holds no layer: what repeats nothing costs nothing."""
    layers = times * sum(map(count_layers, bodies))
    return (Unit(text, bodies, layers, times, note, inside, repeat),) if layers else ()


@dataclass(frozen=True)
class Definition:
    """A def, and the number of its entry."""

    index: int
    node: syntax.Def

    def signature(self) -> str:
        names = [p.name.text for p in self.node.parameters]
        return f"{self.node.name.text}({', '.join(names)})" if names else self.node.name.text


@dataclass
class Expander:
    """Expands the chains of one text. Errors go to `report`; work and depth are bounded."""

    scope: Scope
    definitions: Mapping[str, Definition]
    defaults: Mapping[str, Keys]
    report: Report
    layers: Mapping[str, type[Layer]] = field(default_factory=layers)
    steps: int = 0
    expanded: dict[str, Pieces] = field(default_factory=dict)
    """Bodies of defs by their call: what is called again in the same words is expanded once."""
    called: set[str] = field(default_factory=set)
    bound: dict[str, Bound] = field(default_factory=dict)
    texts: dict[int, tuple[str, str]] = field(default_factory=dict)

    def chain(self, node: syntax.Chain, scope: Scope, depth: int = 0) -> Pieces:
        """The pieces of a chain, runs of several layers as units of their own."""
        runs = [(run, self._run(run, scope, depth)) for run in node.runs]
        if len(runs) == 1:
            return runs[0][1]
        pieces: list[Piece] = []
        for run, found in runs:
            pieces += _unit(_run_text(run), (found,)) if len(run.items) > 1 else found
        return tuple(pieces)

    def _run(self, run: syntax.Run, scope: Scope, depth: int) -> Pieces:
        if run.label is not None:
            with self.report.collecting():
                raise fail("NS501", "names (`@stem`) are not in this version of netspec yet", scope.source, run.label.span)
        pieces: list[Piece] = []
        for item in run.items:
            if isinstance(item, syntax.Repeated) and len(run.items) > 1 and not isinstance(item.unit, syntax.Bracket):
                with self.report.collecting():
                    raise _repeat_in_run(item, scope)
            with self.report.collecting():
                pieces += self._item(item, scope, depth)
        return tuple(pieces)

    def _item(self, item: syntax.Item, scope: Scope, depth: int) -> Pieces:
        self.steps += 1
        if self.steps > limits.EXPANSION_STEPS:
            message = f"the net takes more than {limits.EXPANSION_STEPS} steps to expand"
            raise LimitError([Diagnostic("NS808", message, scope.source, item.span)])
        if depth > limits.NESTING:
            message = f"defs and brackets are nested more than {limits.NESTING} deep when expanded"
            raise LimitError([Diagnostic("NS803", message, scope.source, item.span)])
        if self.report.full:
            return ()
        match item:
            case syntax.Repeated():
                return self._repeated(item, scope, depth)
            case syntax.Bracket():
                return self.chain(item.chain, scope, depth + 1)
            case syntax.Layer():
                return self._layer(item, scope, depth)
            case syntax.Branches() | syntax.Block():
                message = f"branches (`{item.name.text}{'(a | b)' if isinstance(item, syntax.Branches) else '[...]'}`)"
                raise fail("NS501", f"{message} are not in this version of netspec yet", scope.source, item.name.span)
            case syntax.Reference():
                raise fail("NS501", "names (`@stem`) are not in this version of netspec yet", scope.source, item.span)

    # repeats

    def _repeated(self, item: syntax.Repeated, scope: Scope, depth: int) -> Pieces:
        if item.tied:
            with self.report.collecting():
                raise fail("NS501", "tied copies are not in this version of netspec yet", scope.source, item.span)
        if isinstance(item.unit, syntax.Layer) and item.unit.arguments is None:
            raise _repeat_in_run(item, scope)
        text, note = self._words_of(item, scope)
        if isinstance(item.times, syntax.Over):
            return self._over(item, item.times, (text, note), scope, depth)
        times = evaluate(item.times.value, scope)
        unknown = without_value(times)
        if unknown is not None:
            raise unknown
        if type(times.content) is not int or times.content < 0:
            message = f"a repeat takes a whole number of at least 0; this is {show(times.content)}"
            raise fail("NS310", message, scope.source, item.times.value.span)
        body = self._item(item.unit, scope, depth)
        return _unit(text, (body,), times.content, note=note, repeat=_repeat_span(item, scope))

    def _words_of(self, item: syntax.Repeated, scope: Scope) -> tuple[str, str]:
        """The text of what is repeated, and how a copy is named; read often where repeats are nested."""
        if id(item) not in self.texts:
            unit = chain_text(item.unit.chain) if isinstance(item.unit, syntax.Bracket) else item_text(item.unit)
            self.texts[id(item)] = unit, f"of {_short_repeat(item)} (line {scope.source.position(item.span.start)[0]})"
        return self.texts[id(item)]

    def _over(self, item: syntax.Repeated, over: syntax.Over, words: tuple[str, str], scope: Scope, depth: int) -> Pieces:
        text, note = words
        bodies = []
        for number, node in enumerate(over.values, 1):
            value = evaluate(node, scope)
            inner = replace(scope, parameters={**scope.parameters, over.name.text: value})
            with self.report.inside(f"in copy {number} of {len(over.values)} {note}"):
                bodies.append(self._item(item.unit, inner, depth))
        return _unit(text, tuple(bodies), note=note, repeat=_repeat_span(item, scope))

    # layers, parameters and defs

    def _layer(self, item: syntax.Layer, scope: Scope, depth: int) -> Pieces:
        name = item.name.text
        held = scope.find(name)
        where = Value(Named(item.name, limit=scope.limit), scope.source, item.span)
        if held is not None and isinstance(held.content, Named):
            if item.arguments is not None:
                message = f"`{name}` stands for {show(held.content)} and takes no arguments"
                raise fail("NS509", message, scope.source, item.span, help=f"write {name}")
            return self._call(held.content, Value(held.content, scope.source, item.span), scope, depth)
        if held is not None and name not in self.definitions and name not in self.layers:
            message = f"`{name}` is {show(held.content)}, and a chain is made of layers"
            raise fail("NS509", message, scope.source, item.name.span)
        arguments = None if item.arguments is None else evaluate_arguments(item.arguments, scope)
        return self._call(Named(item.name, arguments, scope.limit), where, scope, depth)

    def _call(self, named: Named, where: Value, scope: Scope, depth: int) -> Pieces:
        definition = self.definitions.get(named.word.text)
        if definition is not None:
            return self._def_call(definition, named, where, scope, depth)
        key = show(named)
        bound = self.bound.get(key)
        if bound is None:
            visible = {name: d.signature() for name, d in self.definitions.items() if d.index < scope.limit}
            bound = self.bound[key] = bind(Layer, named, where, self.defaults.get(named.word.text), visible)
        layer = bound.entry
        if not isinstance(layer, Layer):
            raise TypeError(f"{named.word.text} is no layer")
        return (
            Call(
                layer=layer,
                span=where.span,
                name_span=_name_span(named, where),
                arguments=argument_spans(type(layer), named, where),
                explicit=bound.explicit,
                from_defaults=bound.from_defaults,
            ),
        )

    def _def_call(self, definition: Definition, named: Named, where: Value, scope: Scope, depth: int) -> Pieces:
        node = definition.node
        if node.name.text in self.layers:  # refused where it stands; which of the two is meant here cannot be told
            return ()
        name_span = _name_span(named, where)
        line = scope.source.position(node.name.span.start)[0]
        if definition.index >= max(scope.limit, named.limit):
            message = f"`{node.name.text}` is used before its `def` (line {line})"
            raise fail("NS209", message, scope.source, name_span, help="move the `def` before this entry")
        self.called.add(node.name.text)
        parameters = self._parameters(definition, named, scope, name_span)
        shown = ", ".join(f"{name}={show(value.content)}" for name, value in parameters.items())
        text = node.name.text + (f"({shown})" if shown else "")
        note = f"inside def {text} (line {line})"
        body = self.expanded.get(text)
        if body is None:
            inner = replace(scope, parameters=parameters, limit=definition.index)
            with self.report.inside(note):
                body = self.expanded[text] = self.chain(node.chain, inner, depth + 1)
        return _unit(show(named), (body,), inside=note)

    def _parameters(self, definition: Definition, named: Named, scope: Scope, name_span: Span) -> dict[str, Value]:
        """The value of each parameter of a def. Raises SpecError with every argument that does not fit."""
        node, errors = definition.node, []
        own = replace(scope, parameters={}, limit=definition.index)
        names = [parameter.name.text for parameter in node.parameters]
        values: dict[str, Value] = {}
        for index, given in enumerate(named.arguments or ()):
            found = _parameter_of(node, names, given, index)
            if isinstance(found, Diagnostic):
                errors.append(found)
            elif found in values:
                errors.append(Diagnostic("NS305", f"`{found}` of {node.name.text} is given twice", given.value.source, given.value.span))
            else:
                values[found] = given.value
        for parameter in node.parameters:
            if parameter.name.text not in values and parameter.default is not None:
                values[parameter.name.text] = evaluate(parameter.default, own)
        missing = [name for name in names if name not in values]
        if missing and not errors:
            listed = ", ".join(f"`{name}`" for name in missing)
            message = f"{node.name.text} needs {listed}"
            errors.append(Diagnostic("NS306", message, scope.source, name_span, help=f"write {definition.signature()}"))
        if errors:
            raise SpecError(errors)
        return {name: values[name] for name in names}


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
        return Diagnostic("NS304", message, value.source, value.span, notes=takes)
    return names[0]


def _repeat_in_run(item: syntax.Repeated, scope: Scope) -> SpecError:
    unit = item_text(item.unit)
    times = item_text(item)[len(unit) :]
    message = "a repeat follows brackets, or a call with brackets that stands alone between arrows"
    return fail("NS107", message, scope.source, item.span, help=f"write [{unit}]{times}")


def _repeat_span(item: syntax.Repeated, scope: Scope) -> Span:
    """The words `x3` of a repeat."""
    after = scope.source.text[item.unit.span.end : item.span.end]
    return Span(item.span.end - len(after.lstrip()), item.span.end)


def _short_repeat(item: syntax.Repeated) -> str:
    """`[...]x3`, `hidden(64)x4`."""
    unit = item_text(item.unit)
    return ("[...]" if isinstance(item.unit, syntax.Bracket) else unit) + item_text(item)[len(unit) :]


def _run_text(run: syntax.Run) -> str:
    return "-".join(map(item_text, run.items))


def _name_span(named: Named, where: Value) -> Span:
    """The name's own words where it stands inside `where`; a name that came as a value points at the place of its use."""
    return named.word.span if where.span.start <= named.word.span.start < where.span.end else where.span


MANY = 10**18


class _Keys:
    """Numbers for the copies of units."""

    def __init__(self) -> None:
        self.next = 0

    def take(self) -> int:
        self.next += 1
        return self.next


def flatten(pieces: tuple[Piece, ...], source: Source, span: Span) -> Chain:
    """Every copy written out. Raises LimitError, before anything is written, where there are too many."""
    total = count_layers(pieces)
    if total > limits.LAYERS:
        shown = str(total) if total < MANY else "more than 10^18"
        message = f"the net has {shown} layers when repeats are expanded; at most {limits.LAYERS} are allowed"
        raise LimitError([Diagnostic("NS804", message, source, _too_often(pieces) or span, help="repeat less")])
    calls: list[Call] = []
    _flatten(pieces, calls, _Keys(), (), ())
    return tuple(calls)


def _too_often(pieces: Pieces) -> Span | None:
    """The innermost repeat that alone makes too many layers, if there is one."""
    found: Span | None = None
    while True:
        unit = next((piece for piece in pieces if isinstance(piece, Unit) and piece.layers > limits.LAYERS), None)
        if unit is None:
            return found
        found, pieces = unit.repeat or found, tuple(piece for body in unit.bodies for piece in body)


def _flatten(pieces: Pieces, calls: list[Call], keys: _Keys, marks: tuple[UnitMark, ...], notes: tuple[str, ...]) -> None:
    for piece in pieces:
        if isinstance(piece, Call):
            calls.append(replace(piece, units=marks, notes=(", ".join(notes),) if notes else ()))
            continue
        copies = piece.times * len(piece.bodies)
        number = 0
        for _ in range(piece.times):
            for body in piece.bodies:
                number += 1
                text, inside = piece.text, piece.inside
                here = (f"in copy {number} of {copies} {piece.note}",) if piece.note else ()
                only = body[0] if len(body) == 1 else None
                if isinstance(only, Unit) and only.inside and not inside:  # copies of one def call: its mark is theirs
                    text, inside, body = only.text, only.inside, only.bodies[0]
                mark = UnitMark(keys.take(), text, number, copies)
                _flatten(body, calls, keys, (*marks, mark), (*((inside,) if inside else ()), *here, *notes))
