"""Chains to pieces: defs and parameters resolved, values checked, repeats kept as numbers until their size is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError
from netspec.base.kinds import Merge as MergeLayer
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.catalog.layers.conv import Conv
from netspec.frontend import limits, syntax
from netspec.frontend.arguments import arguments_of
from netspec.frontend.bind import Bound, Keys, argument_spans, bind, layers
from netspec.frontend.format import chain_text, item_text
from netspec.frontend.later import MISPLACED
from netspec.frontend.pieces import Gap, Piece, Pieces, Recall, merge, unit
from netspec.frontend.pieces import Named as NamedPiece
from netspec.frontend.program import Call
from netspec.frontend.report import Report
from netspec.frontend.values import (
    Definition,
    Named,
    Open,
    Scope,
    Value,
    divided,
    evaluate,
    evaluate_arguments,
    fail,
    is_open,
    show,
    without_value,
)
from netspec.frontend.words import listing


@dataclass
class Expander:
    """Expands the chains of one text, and of the texts that it uses. Errors go to `report`; work and depth are bounded."""

    source: Source
    defaults: Mapping[str, Keys]
    report: Report
    layers: Mapping[str, type[Layer]] = field(default_factory=layers)
    points: Sequence[str] = ()
    """Names that are read by @."""
    lacks_defs: bool = False
    """Whether a file could not be used, so that a name that is not known may be one of its defs."""
    steps: int = 0
    expanded: dict[tuple[Source, str], Pieces] = field(default_factory=dict)
    """Bodies of defs by their file and call: what is called again in the same words is expanded once."""
    called: set[str] = field(default_factory=set)
    bound: dict[str, Bound] = field(default_factory=dict)
    texts: dict[int, tuple[str, str]] = field(default_factory=dict)
    merges: dict[int, str] = field(default_factory=dict)

    def chain(self, node: syntax.Chain, scope: Scope, depth: int = 0) -> Pieces:
        """The pieces of a chain, runs of several layers as units of their own."""
        runs = [(run, self._run(run, scope, depth)) for run in node.runs]
        if len(runs) == 1:
            return runs[0][1]
        pieces: list[Piece] = []
        for run, found in runs:
            pieces += unit(_run_text(run), (found,), label=run.label.text if run.label else "") if len(run.items) > 1 else found
        return tuple(pieces)

    def _run(self, run: syntax.Run, scope: Scope, depth: int) -> Pieces:
        pieces: list[Piece] = []
        for item in run.items:
            if len(run.items) > 1 and isinstance(item, syntax.Repeated) and not _ends_in_bracket(item.unit):
                with self.report.collecting():
                    raise _repeat_in_run(item, scope)
            found: Pieces = (Gap(),)  # where what is wrong leaves nothing
            with self.report.collecting():
                found = self._item(item, scope, depth)
            pieces += found
        return tuple(pieces) if run.label is None else (NamedPiece(tuple(pieces), run.label, scope.source),)

    def _item(self, item: syntax.Item, scope: Scope, depth: int) -> Pieces:
        self.steps += 1
        if self.steps > limits.EXPANSION_STEPS:
            message = f"the net takes more than {limits.EXPANSION_STEPS} steps to expand"
            raise LimitError([Diagnostic("NS808", message, scope.source, item.span)])
        if depth > limits.NESTING:
            message = f"defs and brackets are nested more than {limits.NESTING} deep when expanded"
            raise LimitError([Diagnostic("NS803", message, scope.source, item.span)])
        if self.report.full:
            return (Gap(),)
        match item:
            case syntax.Repeated():
                return self._repeated(item, scope, depth)
            case syntax.Bracket():
                return self.chain(item.chain, scope, depth + 1)
            case syntax.Layer():
                return self._layer(item, scope, depth)
            case syntax.Branches():
                return self._branches(item, scope, depth)
            case syntax.Block():
                return self._block(item, scope, depth)
            case syntax.Reference():
                return (Recall(item.name, scope.source),)

    # branches

    def _branches(self, item: syntax.Branches, scope: Scope, depth: int) -> Pieces:
        named = Named(item.name, None, scope.limit, scope=scope)
        bound = self._bound(named, Value(named, scope.source, item.name.span), scope)
        if not isinstance(bound.entry, MergeLayer):
            merges = listing([name for name, layer in self.layers.items() if issubclass(layer, MergeLayer)])
            message = f"{item.name.text} takes no branches; {merges} merge them"
            raise fail("NS510", message, scope.source, item.name.span, help="write add(a | b)")
        call = Call(bound.entry, item.span, item.name.span, scope.source, from_defaults=bound.from_defaults)
        branches = tuple(self.chain(chain, scope, depth + 1) for chain in item.chains)
        return merge(self._text(item), call, branches, tuple(map(chain_text, item.chains)))

    def _block(self, item: syntax.Block, scope: Scope, depth: int) -> Pieces:
        if item.name.text not in syntax.BLOCKS:
            message = f"`{item.name.text}[...]`: a chain in brackets stands alone, or behind res"
            help_text = f"write {item.name.text} -> [...], or res[...]" if item.name.text in self.layers else "write res[...]"
            if issubclass(self.layers.get(item.name.text, Layer), MergeLayer):
                help_text = f"write {item.name.text}({chain_text(item.chain)} | id)"
            help_text = MISPLACED.get(item.name.text, help_text)
            raise fail("NS513", message, scope.source, item.name.span, help=help_text)
        arguments = item.arguments or ()
        for argument in arguments:
            value = argument.value
            if argument.key or len(arguments) > 1 or not (isinstance(value, syntax.Name) and value.text == "proj"):
                message = "res takes no argument but proj, which puts a 1x1 conv (affine for vectors) on the skip"
                raise fail("NS311", message, scope.source, argument.span, help="write res[...](proj), or res[...]")
        layer = self.layers["add"]()
        call = Call(layer, item.span, item.name.span, scope.source)
        skip = (Call(Conv(filters=1, kernel=(1, 1)), item.span, item.name.span, scope.source, projects=True),) if arguments else ()
        return merge(self._text(item), call, (self.chain(item.chain, scope, depth + 1), skip), (chain_text(item.chain), ""), is_res=True)

    def _text(self, item: syntax.Branches | syntax.Block) -> str:
        """Read often where repeats are nested."""
        if id(item) not in self.merges:
            self.merges[id(item)] = item_text(item)
        return self.merges[id(item)]

    # repeats

    def _repeated(self, item: syntax.Repeated, scope: Scope, depth: int) -> Pieces:
        if isinstance(item.unit, syntax.Layer) and item.unit.arguments is None:
            raise _repeat_in_run(item, scope)
        text, note = self._words_of(item, scope)
        if isinstance(item.times, syntax.Over):
            if item.tied:
                message = "copies for different values cannot share their weights"
                span = Span(item.span.end - len("tied"), item.span.end)
                raise fail("NS312", message, scope.source, span, help="leave `tied` out, or write one value and a count: [...]x3 tied")
            return self._over(item, item.times, (text, note), scope, depth)
        times = evaluate(item.times.value, scope)
        unknown = without_value(times)
        if unknown is not None:
            raise unknown
        if is_open(times.content):
            times = replace(times, content=1)
        if type(times.content) is not int or times.content < 0:
            message = f"a repeat takes a whole number of at least 0; this is {show(times.content)}"
            raise fail("NS310", message, *times.place, help=divided(times))
        body = self._item(item.unit, scope, depth)
        return unit(
            text, (body,), times.content, note=note, repeat=_repeat_span(item, scope), tied=item.tied, source=scope.source
        )  # fmt: skip

    def _words_of(self, item: syntax.Repeated, scope: Scope) -> tuple[str, str]:
        """The text of what is repeated, and how a copy is named; read often where repeats are nested."""
        if id(item) not in self.texts:
            repeated = chain_text(item.unit.chain) if isinstance(item.unit, syntax.Bracket) else item_text(item.unit)
            self.texts[id(item)] = repeated, f"of {_short_repeat(item)} ({self._line(scope.source, item.span)})"
        return self.texts[id(item)]

    def _over(self, item: syntax.Repeated, over: syntax.Over, words: tuple[str, str], scope: Scope, depth: int) -> Pieces:
        text, note = words
        bodies, titles = [], []
        for number, node in enumerate(over.values, 1):
            value = evaluate(node, scope)
            inner = replace(scope, parameters={**scope.parameters, over.name.text: value})
            with self.report.inside(f"in copy {number} of {len(over.values)} {note}"):
                bodies.append(self._item(item.unit, inner, depth))
            titles.append(f"{text}, {over.name.text}={show(value.content)}")
        return unit(text, tuple(bodies), note=note, repeat=_repeat_span(item, scope), source=scope.source, titles=tuple(titles))

    def _line(self, source: Source, span: Span) -> str:
        """`line 3`, with the file's name where it is another one."""
        line = f"line {source.position(span.start)[0]}"
        return line if source is self.source else f"{source.path}, {line}"

    # layers, parameters and defs

    def _layer(self, item: syntax.Layer, scope: Scope, depth: int) -> Pieces:
        name = item.name.text
        held = scope.find(name)
        where = Value(Named(item.name, limit=scope.limit, scope=scope), scope.source, item.span)
        if held is not None and isinstance(held.content, Named):
            if item.arguments is not None:
                message = f"`{name}` stands for {show(held.content)} and takes no arguments"
                raise fail("NS509", message, scope.source, item.span, help=f"write {name}")
            return self._call(held.content, Value(held.content, scope.source, item.span), scope, depth)
        if held is not None and name not in scope.definitions and name not in self.layers:
            if is_open(held.content) and item.arguments is None:
                return (Gap(),)
            if is_open(held.content):
                message = f"`{name}` is a parameter, which stands for a whole layer and takes no arguments"
                raise fail("NS509", message, scope.source, item.span, help=f"write {name}")
            message = f"`{name}` is {show(held.content)}, and a chain is made of layers"
            place = held.place if name in scope.parameters else (scope.source, item.name.span)
            raise fail("NS509", message, *place, help=f"give `{name}` a layer or the name of a def, as in {name} = relu")
        kind = self.layers.get(name)
        if kind is not None and issubclass(kind, MergeLayer) and item.arguments and name not in scope.definitions:
            branches = [scope.source.words(argument.span) for argument in item.arguments]
            help_text = f"write {name}({' | '.join([*branches, '...'] if len(branches) == 1 else branches)})"
            raise fail("NS510", f"branches of {name} are separated by |", scope.source, item.span, help=help_text)
        if name in syntax.BLOCKS and item.arguments and kind is None and name not in scope.definitions:
            chain = ", ".join(scope.source.words(argument.span) for argument in item.arguments)
            plain = any(isinstance(argument.value, syntax.Literal) for argument in item.arguments)
            inner = "conv(16)-bn-relu-conv(16)-bn" if plain else chain
            help_text = f"write {name}[...](proj)" if chain == "proj" else f"write {name}[{inner}]"
            raise fail("NS513", f"{name} goes around a chain in square brackets", scope.source, item.name.span, help=help_text)
        arguments = None if item.arguments is None else evaluate_arguments(name, item.arguments, scope)
        return self._call(Named(item.name, arguments, scope.limit, scope=scope), where, scope, depth)

    def _call(self, named: Named, where: Value, scope: Scope, depth: int) -> Pieces:
        definition = (named.scope or scope).definitions.get(named.word.text)
        if definition is not None:
            return self._def_call(definition, named, where, scope, depth)
        if named.word.text in syntax.BLOCKS and named.word.text not in self.layers:
            message = f"{named.word.text} goes around a chain in square brackets"
            raise fail("NS513", message, where.source, _name_span(named, where), help="write res[conv(16)-bn-relu-conv(16)-bn]")
        bound = self._bound(named, where, scope)
        layer = bound.entry
        assert isinstance(layer, Layer)
        if isinstance(layer, MergeLayer):
            message = f"{layer.name} merges branches, and here it has none"
            raise fail(
                "NS510", message, where.source, _name_span(named, where), help=f"write {layer.name}(a | b); id is the branch as it is"
            )
        return (
            Call(
                layer=layer,
                span=where.span,
                name_span=_name_span(named, where),
                source=where.source,
                arguments=argument_spans(type(layer), named, where),
                explicit=bound.explicit,
                from_defaults=bound.from_defaults,
                word=(named.scope.source, named.word.span) if named.scope is not None else None,
            ),
        )

    def _bound(self, named: Named, where: Value, scope: Scope) -> Bound:
        key = show(named)
        bound = self.bound.get(key)
        if bound is None:
            definitions = (named.scope or scope).definitions
            if self.lacks_defs and named.word.text not in self.layers:  # it may stand in the file that could not be used
                raise SpecError([])
            known = named.word.text in self.layers  # else the message lists what could be meant
            visible = {} if known else {name: d.signature() for name, d in definitions.items() if d.index < scope.limit}
            bound = self.bound[key] = bind(Layer, named, where, self.defaults.get(named.word.text), visible, self.points)
        return bound

    def _def_call(self, definition: Definition, named: Named, where: Value, scope: Scope, depth: int) -> Pieces:
        node, home = definition.node, definition.home
        if node.name.text in self.layers:  # refused where it stands; which of the two is meant here cannot be told
            return (Gap(),)
        name_span = _name_span(named, where)
        line = self._line(home.source, node.name.span)
        same_file = named.scope is None or named.scope.source is scope.source
        if definition.index >= (max(scope.limit, named.limit) if same_file else named.limit):
            brought = home.source is not where.source
            message = f"`{node.name.text}` is used before {'the `use` that brings it' if brought else f'its `def` ({line})'}"
            raise fail("NS209", message, where.source, name_span, help=f"move the `{'use' if brought else 'def'}` before this entry")
        self.called.add(node.name.text)
        parameters = arguments_of(definition, named.arguments or (), Value(named, where.source, name_span))
        shown = ", ".join(f"{name}={show(value.content)}" for name, value in parameters.items())
        text = node.name.text + (f"({shown})" if shown else "")
        note = f"inside def {text} ({line})"
        body = self.expanded.get((home.source, text))
        if body is None:
            inner = replace(home, parameters=parameters)
            with self.report.inside(note):
                body = self.expanded[home.source, text] = self.chain(node.chain, inner, depth + 1)
        return unit(show(named), (body,), inside=note, titles=(text,))

    def uncalled(self, definition: Definition) -> Pieces:
        """The body of a def that nothing calls: with the defaults of its parameters, the others open."""
        node, home = definition.node, definition.home
        self.steps = 0
        parameters = {}
        for parameter in node.parameters:
            parameters[parameter.name.text] = Value(Open(parameter.name.text), home.source, parameter.name.span)
            if parameter.default is not None:
                with self.report.collecting():
                    parameters[parameter.name.text] = evaluate(parameter.default, home)
        return unit(node.name.text, (self.chain(node.chain, replace(home, parameters=parameters)),), inside=f"inside def {node.name.text}")


def _ends_in_bracket(unit: syntax.Item) -> bool:
    """Whether a repeat may follow it inside a run."""
    return isinstance(unit, syntax.Bracket) or (isinstance(unit, syntax.Block) and unit.arguments is None)


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
