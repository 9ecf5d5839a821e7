"""A syntax tree back to text in canonical form. Parsing the text gives the same tree; formatting it again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.frontend import syntax
from netspec.frontend.layout import Doc, Fill, Group, Line, Nest, Own, Trail, flat, lay_out


def format_file(file: syntax.File) -> str:
    """The whole text, one entry a line where it fits, with its comments and single empty lines between entries; ends in a line end."""
    lines: list[str] = []
    for entry in file.entries:
        lines += lay_out(_with_comments(entry, _entry(entry)))
    lines += file.tail
    return "\n".join(lines) + "\n" if lines else ""


def chain_text(chain: syntax.Chain) -> str:
    """A chain on one line."""
    return flat(_chain(chain))


def item_text(item: syntax.Item) -> str:
    """One element of a run on one line."""
    return flat(_item(item))


def value_text(value: syntax.Expression) -> str:
    """An expression on one line."""
    return flat(_value(value))


def _with_comments(node: syntax.Node, body: Doc) -> Doc:
    """What a node is written as, between its comments."""
    beside = node.trivia
    if beside is syntax.BARE:
        return body
    trailing = [Trail(beside.trailing)] if beside.trailing else []
    return [*map(Own, beside.leading), body, *trailing, *map(Own, beside.after)]


def _entry(entry: syntax.Entry) -> Doc:
    match entry:
        case syntax.Version():
            return ["netspec ", _value(entry.number)]
        case syntax.Use():
            return ["use ", _value(entry.path)]
        case syntax.Let():
            return ["let ", _word(entry.name), " = ", _value(entry.value)]
        case syntax.Setting():
            return [_word(entry.word), " ", _value(entry.value)]
        case syntax.Def():
            parameters = _bracketed("(", [_parameter(one) for one in entry.parameters], ")") if entry.parameters else ""
            return ["def ", _word(entry.name), parameters, *_body(entry.chain)]
        case syntax.Net():
            return ["" if entry.bare else "net ", _chain(entry.chain)]
        case syntax.Section():
            return _section(entry)


def _body(chain: syntax.Chain) -> list[Doc]:
    """The chain of a def, on lines of its own where comments stand before it."""
    if not chain.trivia.leading:
        return [" = ", _chain(chain)]
    return [" =", Nest([Line(" "), _chain(chain, inside=True)])]


def _word(word: syntax.Word) -> Doc:
    return _with_comments(word, word.text)


def _parameter(parameter: syntax.Parameter) -> Doc:
    default: Doc = "" if parameter.default is None else [" = ", _value(parameter.default)]
    return _with_comments(parameter, [_word(parameter.name), default])


def _section(section: syntax.Section) -> Doc:
    """`train { batch = 100; epochs = 10 }`, or a pair a line."""
    pairs: list[Doc] = []
    for pair in section.pairs:
        text: Doc = [".".join(pair.key), " = ", _value(pair.value)]
        pairs += [Line("; " if pairs else " "), _with_comments(pair, text)]
    return [_word(section.word), " ", Group(["{", Nest([*pairs, *map(Own, section.tail)]), Line(" ", closes=True), "}"])]


def _bracketed(
    opener: str, parts: Sequence[Doc], closer: str, *, opening: str = "", separator: str = ", ", rather_not: bool = False
) -> Doc:
    """All on one line, or a part a line, indented; `opening` is a comment behind the opener."""
    before, behind = separator.split(" ", 1)
    inside: list[Doc] = [Trail(opening)] if opening else []
    for number, part in enumerate(parts):
        inside += [before, Line(" ", rather_not=rather_not), behind, part] if number else [Line("", rather_not=rather_not), part]
    return Group([opener, Nest(inside), Line("", closes=True, rather_not=rather_not), closer])


# chains


def _chain(chain: syntax.Chain, inside: bool = False) -> Doc:
    """Runs on one line, or a run a line, all but the first indented unless they stand `inside` brackets of their own."""
    first, *others = map(_run, chain.runs)
    following: list[Doc] = [part for run in others for part in (Line(" "), "-> ", run)]
    if not following:
        return _with_comments(chain, first)
    return _with_comments(chain, Group([first, following if inside else Nest(following)]))


def _run(run: syntax.Run) -> Doc:
    items: list[Doc] = [["-" if number else "", _item(item)] for number, item in enumerate(run.items)]
    if run.label:
        items[-1] = [items[-1], " @", _word(run.label)]
    return _with_comments(run, _filled(items, ""))


def _filled(parts: Sequence[Doc], between: str) -> Doc:
    """The parts with places between them that break where a line is full."""
    spaced: list[Doc] = []
    for part in parts:
        spaced += [Line(between), part] if spaced else [part]
    return Fill(spaced) if len(spaced) > 1 else spaced[0]


def _item(item: syntax.Item) -> Doc:
    return _with_comments(item, _bare_item(item))


def _bare_item(item: syntax.Item) -> Doc:
    match item:
        case syntax.Layer():
            return [_word(item.name), _arguments(item.arguments)]
        case syntax.Bracket():
            return _bracketed("[", [_chain(item.chain, inside=True)], "]", opening=item.trivia.opening)
        case syntax.Block():
            behind = _arguments(item.arguments, rather_not=True)
            return [_word(item.name), _bracketed("[", [_chain(item.chain, inside=True)], "]"), behind]
        case syntax.Branches():
            return [_word(item.name), _bracketed("(", [_chain(chain) for chain in item.chains], ")", separator=" | ")]
        case syntax.Reference():
            return ["@", _word(item.name)]
        case syntax.Repeated():
            return [_item(item.unit), "x", _times(item.times), " tied" if item.tied else ""]


def _times(times: syntax.Count | syntax.Over) -> Doc:
    if isinstance(times, syntax.Over):
        return _with_comments(times, ["(", _word(times.name), ": ", _listed(times.values), ")"])
    value, shown = times.value, _value(times.value)
    plain = isinstance(value, syntax.Literal) and value.kind == "number"
    return _with_comments(times, shown if plain else ["(", shown, ")"])


def _arguments(arguments: Sequence[syntax.Argument] | None, rather_not: bool = False) -> Doc:
    if not arguments:
        return "" if arguments is None else "()"
    return _bracketed("(", [_argument(one) for one in arguments], ")", rather_not=rather_not)


def _argument(argument: syntax.Argument) -> Doc:
    key: Doc = [_word(argument.key), "="] if argument.key else ""
    return _with_comments(argument, [key, _value(argument.value)])


# values


def _listed(values: Sequence[syntax.Expression]) -> Doc:
    return _filled([[_value(one), "," if number < len(values) else ""] for number, one in enumerate(values, 1)], " ")


def _value(value: syntax.Expression) -> Doc:
    return _with_comments(value, _bare_value(value))


def _bare_value(value: syntax.Expression) -> Doc:
    match value:
        case syntax.Literal():
            return value.text
        case syntax.Name():
            return value.text if value.part is None else f"{value.text}.{value.part}"
        case syntax.CallValue():
            return [_word(value.name), _arguments(value.arguments)]
        case syntax.Group():
            return ["(", _value(value.inner), ")"]
        case syntax.Negative():
            return ["-", _value(value.operand)]
        case syntax.Arithmetic():
            return _filled([_value(value.first), *([f"{operator} ", _value(operand)] for operator, operand in value.rest)], " ")
        case syntax.SplitValue():
            return _filled([_value(value.parts[0]), *(["/ ", _value(part)] for part in value.parts[1:])], " ")
        case syntax.ListValue():
            return _listed(value.items)
