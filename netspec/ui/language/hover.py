"""What stands under a cursor: a layer with its shapes, an argument, a definition with its value, a key, an entry word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from netspec.base.kinds import Head
from netspec.base.layer import Layer
from netspec.base.shape import Shape, show, size
from netspec.base.text import Span
from netspec.base.units import short_count
from netspec.frontend import syntax
from netspec.frontend.format import chain_text, format_file, value_text
from netspec.frontend.words import describe_field, written
from netspec.graph.graph import Node
from netspec.ui.copies import named
from netspec.ui.language.analysis import Analysis
from netspec.ui.language.names import Occurrence
from netspec.ui.language.pages import argument_page, code, entry_page, formula, key_page, word_page
from netspec.ui.language.points import joint_at, layers_of_call, runs_of, shapes_behind, unit_of
from netspec.ui.verbs.layers import one_line

MOST_ROWS = 12
"""Of a table of copies."""


@dataclass(frozen=True)
class Hover:
    """Markdown about the words of a span."""

    span: Span
    text: str


def hover(analysis: Analysis, offset: int) -> Hover | None:
    """What is to be said about the word at an offset; None where there is nothing."""
    found = analysis.names.at(offset)
    if found is None or offset == found.span.end:
        joint = _joint(analysis, offset)
        if joint is not None or found is None:
            return joint
    text = _text(analysis, found)
    return Hover(found.span, text) if text else None


def _text(analysis: Analysis, found: Occurrence) -> str | None:
    match found.role:
        case "word":
            nodes = _projections(analysis, found) if found.text == "proj" else analysis.nodes_at(found.span)
            return "\n\n".join(filter(None, (word_page(found.text), _shapes(analysis, nodes) if nodes else "")))
        case "key":
            return key_page(found.section, found.text)
        case "argument":
            return argument_page(found.owner, found.text) if found.owner is not None else None
        case "choice":
            return f"**{found.text}**: one of {describe_field(found.info)}" if found.info is not None else None
        case "entry":
            entry = found.entry
            if entry is not None and issubclass(entry, Layer) and isinstance(found.node, syntax.Layer | syntax.Block | syntax.Branches):
                return _layer(analysis, found, entry)
            return None if entry is None else entry_page(entry)
        case "name":
            return _name(analysis, found)
    return None


# layers


def _layer(analysis: Analysis, found: Occurrence, entry: type[Layer]) -> str:
    nodes = analysis.nodes_at(found.span)
    shapes = _scores(analysis) if issubclass(entry, Head) and not nodes else _shapes(analysis, nodes)
    parts = [f"**{found.text}**: {one_line(entry)}", shapes, _values(nodes), formula(entry)]
    return "\n\n".join(filter(None, parts))


def _scores(analysis: Analysis) -> str:
    """What a head takes: the output of the last layer."""
    survey = analysis.survey
    if not survey.whole or survey.input is None:
        return _why_unknown(analysis)
    shape = survey.nodes[-1].output.shape if survey.nodes else survey.input
    return f"scores of one row: `{show(shape)}`"


def _projections(analysis: Analysis, found: Occurrence) -> list[Node]:
    """The copies of the layer on the skip of the innermost `res` around a word."""
    units = (unit_of(item) for run in runs_of(analysis.file) for item in run.items)
    around = [unit for unit in units if isinstance(unit, syntax.Block) and unit.span.start <= found.span.start < unit.span.end]
    word = max((unit.name.span for unit in around), key=lambda span: span.start, default=None)
    calls = ((node, node.call) for node in analysis.survey.nodes)
    return [node for node, call in calls if call and call.projects and call.name_span == word and call.source is analysis.source]


def _shapes(analysis: Analysis, nodes: Sequence[Node]) -> str:
    """The shapes of each copy, with parameters and FLOPs."""
    return table([analysis.with_flatten(node) for node in nodes]) if nodes else _why_unknown(analysis)


def _why_unknown(analysis: Analysis) -> str:
    if not any(isinstance(entry, syntax.Net) for entry in analysis.file.entries):
        return "Its shape is not known: the text has no net."
    if analysis.survey.input is None:
        return "Its shape is not known: nothing gives the shape of an input row. Write `input 3x32x32`, for example."
    if not analysis.survey.whole:
        return "Its shape is not known: the text has an error before this point, or here."
    return "The net has no copy of it."


def table(copies: Sequence[Sequence[Node]]) -> str:
    """A line for each copy, those alike together: input and output of its layers, parameters, FLOPs of the forward pass on one row, and
    what the layer is called in the summary."""
    cells = [_cells(nodes) for nodes in copies]
    rows = [[number for number, _ in together] for _, together in groupby(enumerate(cells), key=lambda one: one[1])]
    if len(copies) == 1:
        shapes, parameters, flops = cells[0]
        return f"`{shapes}`, {parameters} parameters, {flops} FLOPs a row"
    outputs = ", ".join(dict.fromkeys(cells[row[0]][0].rsplit(" ", 1)[1] for row in rows[:MOST_ROWS]))
    alone = all(sum(node.call is not None for node in nodes) == 1 for nodes in copies)
    lines = [f"copies 1..{len(copies)}: {outputs}{', ...' if len(rows) > MOST_ROWS else ''}", ""]
    lines += [f"| copy | shapes | parameters | FLOPs a row |{' layer |' * alone}", f"|---|---|---:|---:|{'---|' * alone}"]
    for row in rows[:MOST_ROWS]:
        shapes, parameters, flops = cells[row[0]]
        nodes = [copies[number][-1] for number in row]
        layers = f" {named([node.name for node in nodes])}{', tied' * any(node.shared for node in nodes)} |" if alone else ""
        lines.append(f"| {_range(row[0] + 1, row[-1] + 1)} | `{shapes}` | {parameters} | {flops} |{layers}")
    return "\n".join([*lines, "", f"and {len(rows) - MOST_ROWS} lines more"] if len(rows) > MOST_ROWS else lines)


def _range(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}..{last}"


def _cells(nodes: Sequence[Node]) -> tuple[str, str, str]:
    parameters = sum(size(one.shape) for node in nodes for one in node.own_parameters.values())
    shapes = f"{' and '.join(map(show, nodes[0].shapes))} -> {show(nodes[-1].output.shape)}"
    return shapes, f"{parameters:,}", short_count(sum(node.flops for node in nodes))


def _values(nodes: Sequence[Node]) -> str:
    """The values of all arguments, and where those come from that the call does not give."""
    if not nodes:
        return ""
    lines = []
    for name in type(nodes[0].layer).model_fields:
        values = list(dict.fromkeys(value_of(node, name) for node in nodes if getattr(node.layer, name) is not None))
        if values:
            shown = ", ".join(values[:MOST_ROWS]) + (", ..." if len(values) > MOST_ROWS else "")
            lines.append(f"- `{name} = {shown}`{origin(nodes[0], name)}")
    return "\n".join(lines)


def value_of(node: Node, name: str) -> str:
    """An argument's value as the language writes it."""
    return written(getattr(node.layer, name))


def origin(node: Node, name: str) -> str:
    """`, a default`, for a value that its call does not give."""
    call = node.call
    if call is None or name in call.explicit:
        return ""
    if name == "width" and node.layer is not call.layer:  # a copy that has been given its width
        return ", from the number of classes or outputs"
    return ", from `defaults`" if name in call.from_defaults else ", a default"


# names


def _name(analysis: Analysis, found: Occurrence) -> str | None:
    symbol = found.symbol
    if symbol is None:
        return None
    if symbol.kind == "parameter" and symbol.path:
        of = next((name for name, one in analysis.imported.items() if (one.path, one.index) == (symbol.path, symbol.place)), "")
        return f"**{symbol.name}**, a parameter of `{of}`\n\nfrom {symbol.path}"
    brought = analysis.imported.get(symbol.name) if symbol.path else None
    node = brought.entry if brought else analysis.names.definitions.get(symbol)
    parts: list[str] = []
    match node:
        case syntax.Let():
            value, written_value = analysis.value_of(node), value_text(node.value)
            parts = [code(f"let {symbol.name} = {written_value}"), f"is `{value}`" if value != written_value else ""]
        case syntax.Def():
            parts = [code(def_text(node)), _calls(analysis, found)]
        case syntax.Parameter():
            default = f", `{value_text(node.default)}` if not given" if node.default is not None else ""
            owner = analysis.file.entries[symbol.place]
            of = f" of `{owner.name.text}`" if isinstance(owner, syntax.Def) else ""
            parts = [f"**{symbol.name}**, a parameter{of}{default}"]
        case syntax.Repeated():
            values = ", ".join(map(value_text, node.times.values)) if isinstance(node.times, syntax.Over) else ""
            parts = [f"**{symbol.name}**, one copy for each of `{values}`"]
        case syntax.Run():
            parts = [f"**@{symbol.name}**, the point behind `{chain_text(syntax.Chain((_bare(node),)))}`", _point(analysis, node)]
    if brought:
        parts.append(f"from {brought.path}")
    if isinstance(found.node, syntax.Layer) and not isinstance(node, syntax.Def):
        nodes = analysis.nodes_at(found.span)
        parts += [_shapes(analysis, nodes), _values(nodes)] if nodes else []
    return "\n\n".join(filter(None, parts)) or None


def _bare(run: syntax.Run) -> syntax.Run:
    return syntax.Run(run.items)


def def_text(node: syntax.Def) -> str:
    """A def as formatting writes it, without the comments around it."""
    return format_file(syntax.File((syntax.Def(node.name, node.parameters, node.chain),))).rstrip()


def _calls(analysis: Analysis, found: Occurrence) -> str:
    """The shapes, parameters and layers of one call of a def, of each of its copies."""
    if not isinstance(found.node, syntax.Layer):
        return ""
    copies = layers_of_call(analysis.file, analysis.source, found.node)
    if not copies:
        return _why_unknown(analysis)
    counts = ", ".join(dict.fromkeys(str(sum(node.call is not None for node in nodes)) for nodes in copies))
    return f"{table(copies)}\n\n{counts} layer{'' if counts == '1' else 's'}{' each' if len(copies) > 1 else ''}"


def _point(analysis: Analysis, run: syntax.Run) -> str:
    return _listed(shapes_behind(analysis.file, analysis.source, run, len(run.items) - 1)) or _why_unknown(analysis)


def _joint(analysis: Analysis, offset: int) -> Hover | None:
    """The shape where two layers join, at `-` or `->`."""
    found = joint_at(analysis.file, offset)
    if found is None:
        return None
    run, place, gap = found
    text = _listed(shapes_behind(analysis.file, analysis.source, run, place))
    return Hover(gap, text) if text else None


def _listed(shapes: Sequence[Shape]) -> str:
    """`16x32x32` of one point, or those of each copy in order with its number, alike ones together."""
    if not shapes:
        return ""
    runs = [(show(shape), [number for number, _ in together]) for shape, together in groupby(enumerate(shapes, 1), key=lambda one: one[1])]
    if len(shapes) == 1:
        return f"shape here: `{runs[0][0]}`"
    told = [f"`{shape}` in {'copy' if len(row) == 1 else 'copies'} {_range(row[0], row[-1])}" for shape, row in runs[:MOST_ROWS]]
    return f"shape here: {', '.join(told)}{f', and more of {len(shapes)} copies' if len(runs) > MOST_ROWS else ''}"
