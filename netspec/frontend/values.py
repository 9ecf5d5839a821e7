"""What expressions stand for: numbers and shapes as they are, names and calls with their arguments evaluated where they were written."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isfinite
from typing import Any

from netspec.base.diagnostic import Diagnostic
from netspec.base.duration import Duration
from netspec.base.errors import LimitError, SpecError
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.catalog.registry import entry_of
from netspec.frontend import limits, syntax
from netspec.frontend.format import value_text
from netspec.frontend.slips import SIDES_ARE_NUMBERS
from netspec.frontend.syntax import Word
from netspec.frontend.ties import tied_name
from netspec.frontend.words import nearest

MOST_NAMES = 40
"""Names that a message lists."""


@dataclass(frozen=True, slots=True)
class Sides:
    """A shape as written."""

    sides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """`80% / 10% / 10%`."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """`flip, crop(4)`."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """An argument of a call."""

    key: Word | None
    value: Value


@dataclass(frozen=True, slots=True)
class Named:
    """A name that no `let` or parameter has, or a call: a layer, an optimiser, a def, one of several words. `limit`: see Scope."""

    word: Word
    arguments: tuple[Given, ...] | None = None
    limit: int = 0
    size: int = 1
    scope: Scope | None = field(default=None, compare=False, repr=False)
    """Where it was read: whose defs it may mean, and whose names a message lists where a bare name should have had a value."""


@dataclass(frozen=True, slots=True)
class Open:
    """The value of a parameter that no call gives: of a def that is checked without one."""

    name: str


Content = int | float | bool | str | Duration | Sides | Parts | Items | Named | Open


@dataclass(frozen=True, slots=True)
class Value:
    """A value and the words that it comes from."""

    content: Content
    source: Source = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)
    given: Value | None = field(default=None, compare=False, repr=False)
    """The argument that gives it, where its words are the name of a parameter."""

    @property
    def place(self) -> tuple[Source, Span]:
        """Where an error about it is told: at the words that give it, through all calls of defs."""
        return self.given.place if self.given is not None else (self.source, self.span)


@dataclass(frozen=True)
class Scope:
    """The names that an expression may use: parameters, and the `let`s of entries before number `limit`."""

    source: Source
    lets: Mapping[str, tuple[int, Value]]
    limit: int
    parameters: Mapping[str, Value] = field(default_factory=dict)
    later: Mapping[str, Span] = field(default_factory=dict)
    """Places of all `let`s of the text, for the message about one that comes too late."""
    broken: Collection[str] = ()
    """Names whose own value is wrong, so that their use is no further error."""
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    """The defs of the text, and those of the texts that it uses."""
    points: Collection[str] = ()
    """The points of the chain that the expression stands in: `tie` means these before any value of the same name."""
    siblings: Collection[str] = ()
    """The parameters of the def that the expression stands in, which a default cannot read."""
    is_outside: bool = False
    """Whether the expression is a caller's, so that nothing can be defined before it."""

    def find(self, name: str) -> Value | None:
        """The value of a name, if it has one here. Raises SpecError, with nothing to report, for a name whose own value is wrong."""
        if name in self.parameters:
            return self.parameters[name]
        if name in self.broken:
            raise SpecError([])
        index, value = self.lets.get(name, (self.limit, None))
        return value if index < self.limit else None

    def names(self) -> list[str]:
        return [*self.parameters, *(name for name, (index, _) in self.lets.items() if index < self.limit)]


@dataclass(frozen=True)
class Definition:
    """A def: the number of the entry that brings it into a text (itself, or a `use`), and the names that its words may mean."""

    index: int
    node: syntax.Def
    home: Scope

    def signature(self) -> str:
        """`hidden(w, p = 25%)`: how it is called, the first parameter without its key."""
        names = [p.name.text if p.default is None else f"{p.name.text} = {value_text(p.default)}" for p in self.node.parameters]
        names[1:] = [name if " = " in name else f"{name} = ..." for name in names[1:]]
        return f"{self.node.name.text}({', '.join(names)})" if names else self.node.name.text


def fail(code: str, message: str, source: Source, span: Span, **more: str | None) -> SpecError:
    """One error at one place, to be raised."""
    return SpecError([Diagnostic(code, message, source, span, help=more.get("help"))])


def show(content: Content) -> str:
    """A value as the language writes it, calls with their arguments."""
    match content:
        case bool():
            return "true" if content else "false"
        case int() | float():
            return repr(content)
        case str():
            return '"' + content.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Duration():
            return str(content)
        case Sides():
            return "x".join(map(str, content.sides))
        case Parts():
            return " / ".join(show(part.content) for part in content.parts)
        case Items():
            return ", ".join(show(item.content) for item in content.items)
        case Named():
            if content.arguments is None:
                return content.word.text
            given = (f"{g.key.text}={show(g.value.content)}" if g.key else show(g.value.content) for g in content.arguments)
            return f"{content.word.text}({', '.join(given)})"
        case Open():
            return content.name


def is_open(content: Content) -> bool:
    """Whether a value is not known, or a part of it is not, before a call gives it."""
    match content:
        case Open():
            return True
        case Parts():
            return any(is_open(part.content) for part in content.parts)
        case Items():
            return any(is_open(item.content) for item in content.items)
        case Named():
            return any(is_open(given.value.content) for given in content.arguments or ())
        case _:
            return False


def evaluate(node: syntax.Expression, scope: Scope) -> Value:
    """The value of an expression. Raises SpecError at the words that have none."""
    content = _content(node, scope)
    return content if isinstance(content, Value) else Value(content, scope.source, node.span)


def _content(node: syntax.Expression, scope: Scope) -> Content | Value:
    match node:
        case syntax.Literal():
            return _literal(node, scope.source)
        case syntax.Name():
            return _name(node, scope)
        case syntax.Group():
            return replace(evaluate(node.inner, scope), source=scope.source, span=node.span)
        case syntax.Negative():
            operand = evaluate(node.operand, scope)
            return operand.content if is_open(operand.content) else _bounded(-_number(operand), scope, node.span)
        case syntax.Arithmetic():
            return _arithmetic(node, scope)
        case syntax.SplitValue():
            return Parts(tuple(_single(evaluate(part, scope)) for part in node.parts))
        case syntax.ListValue():
            return Items(tuple(_item(item, scope) for item in node.items))
        case syntax.CallValue():
            return _call(node, scope)


def _literal(node: syntax.Literal, source: Source) -> Content:
    text = node.text
    match node.kind:
        case "string":
            return string_of(node)
        case "boolean":
            return text == "true"
        case "percent":
            return float(_decimal(text[:-1], node, source) / 100)
        case "duration":
            return Duration(_integer(text[:-2], node, source), text[-2:])
        case "shape":
            return Sides(tuple(_integer(side, node, source) for side in text.split("x")))
    if text.isdigit():
        return _integer(text, node, source)
    number = _decimal(text, node, source)
    if "." not in text and number == number.to_integral_value() and abs(number) <= limits.INTEGER:
        return int(number)
    result = float(number)
    if not isfinite(result):
        raise _too_large(source, node.span)
    return result


def string_of(node: syntax.Literal) -> str:
    """The text that a string stands for."""
    return re.sub(r"\\(.)", r"\1", node.text[1:-1])


def _integer(text: str, node: syntax.Literal, source: Source) -> int:
    if len(text.lstrip("0")) > len(str(limits.INTEGER)) or int(text.lstrip("0") or "0") > limits.INTEGER:
        raise _too_large(source, node.span)
    return int(text)


def _decimal(text: str, node: syntax.Literal, source: Source) -> Decimal:
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > limits.NAME_LENGTH or len(exponent.lstrip("+-0")) > 3:
        raise _too_large(source, node.span)
    return Decimal(text)


def _too_large(source: Source, span: Span) -> SpecError:
    return fail("NS309", "a number beyond what can be counted here", source, span, help=f"whole numbers go up to {limits.INTEGER}")


def _name(node: syntax.Name, scope: Scope) -> Content | Value:
    found = scope.find(node.text) if node.part is None else None
    if found is not None:
        # an error about the value of a `let` points at the place where it is used, one about an argument at the call that gives it
        return Value(found.content, scope.source, node.span, found if node.text in scope.parameters else None)
    text = node.text if node.part is None else f"{node.text}.{node.part}"
    return Named(Word(text, span=node.span), limit=scope.limit, scope=scope)


CHAIN_IN_VALUE = "an argument or a `let` is one value, one layer or the name of a def, and this is a chain"


def chain_help(chain: str) -> str:
    """How a chain is given as a value."""
    return f"give the chain a name by a def, and write that name here: def part = {' '.join(chain.split())}"


def unquoted(content: Content, *, names: bool = False) -> str | None:
    """For a number, or a name where one is asked for, that stands in quotes."""
    pattern = r"[\w.%+-]+" if names else r"\d[\w.%+-]*"
    return f"write {content} without quotes" if isinstance(content, str) and re.fullmatch(pattern, content) else None


def divided(value: Value) -> str | None:
    """For a split of whole numbers, `64 / 2`, where a number is asked for."""
    content = value.content
    if not isinstance(content, Parts) or any(type(part.content) is not int for part in content.parts):
        return None
    words = value.place[0].words(value.place[1])
    whole = " // ".join(show(part.content) for part in content.parts)
    return f"/ stands between the parts of a split; write {f'let {words} = ' if words.isidentifier() else ''}{whole}"


def without_value(value: Value) -> SpecError | None:
    """The error for a bare name that nothing has, at a place where only a value will do; None for anything else."""
    content = value.content
    if not isinstance(content, Named) or content.arguments is not None or content.scope is None or is_layer(content):
        return None
    return unknown_value(content.word.text, content.scope, content.word.span)


def is_layer(content: Content) -> bool:
    """Whether a value is the name or the call of a layer, or of a def."""
    if not isinstance(content, Named):
        return False
    layer: Any = Layer  # the contract itself is never made
    return entry_of(layer, content.word.text) is not None or (content.scope is not None and content.word.text in content.scope.definitions)


def out_of_reach(name: str, scope: Scope, span: Span) -> SpecError | None:
    """The error for a name that has a value elsewhere: in a `let` behind this place, or as a parameter, in the default of another one."""
    if name in scope.siblings and name not in scope.parameters:
        message = f"`{name}` is a parameter of this def, and a default cannot read other parameters"
        return fail("NS203", message, scope.source, span, help="write a value, or the name of a `let` that stands before the def")
    if name not in scope.later:
        return None
    line = scope.source.position(scope.later[name].start)[0]
    message = f"`{name}` is used before its `let` (line {line})"
    return fail("NS209", message, scope.source, span, help="move the `let` before this entry")


GIVE_A_VALUE = "give a value, such as 0.01, 64 or true, or the name of a `let` of the text"


def unknown_value(name: str, scope: Scope, span: Span) -> SpecError:
    """For a name that should be a `let` or a parameter."""
    elsewhere = out_of_reach(name, scope, span)
    if elsewhere is not None:
        return elsewhere
    known = scope.names()
    note = (f"known here: {', '.join(known[:MOST_NAMES])}{', ...' if len(known) > MOST_NAMES else ''}",) if known else ()
    define = GIVE_A_VALUE if scope.is_outside else f"define it before: let {name} = ..."
    text = f"did you mean `{near}`?" if (near := nearest(name, known)) else define
    text = _word_elsewhere(name, known) or text
    return SpecError(
        [Diagnostic("NS203", f"`{name}` has no value: no `let` and no parameter has this name", scope.source, span, notes=note, help=text)]
    )


def _word_elsewhere(name: str, known: Sequence[str]) -> str | None:
    """For `True`, `None`, and `cx1x1` with a known `c`."""
    if name.lower() in ("true", "false"):
        return f"write {name.lower()}"
    if name in ("None", "null"):
        return "leave the argument out"
    sides = name.split("x")
    if len(sides) > 1 and all(side.isdigit() or side in known for side in sides):
        return f"{SIDES_ARE_NUMBERS}, as in 16x1x1"
    return None


def _number(value: Value) -> int | float:
    content = value.content
    if isinstance(content, (int, float)) and not isinstance(content, bool):
        return content
    unknown = without_value(value)
    if unknown is not None:
        raise unknown
    raise fail("NS307", f"{show(content)} is not a number, and here one is calculated with", *value.place, help=divided(value))


def _numbers(values: Sequence[Value]) -> list[int | float] | Open:
    """The numbers that values are; an open one where there is one among them."""
    known = [_number(value) for value in values if not isinstance(value.content, Open)]
    return next((value.content for value in values if isinstance(value.content, Open)), known)


def _bounded(number: int | float, scope: Scope, span: Span) -> int | float:
    if (isinstance(number, int) and abs(number) > limits.INTEGER) or (isinstance(number, float) and not isfinite(number)):
        raise _too_large(scope.source, span)
    return number


def _arithmetic(node: syntax.Arithmetic, scope: Scope) -> int | float | Open:
    values = [evaluate(operand, scope) for operand in (node.first, *(operand for _, operand in node.rest))]
    if node.rest[0][0] == "-" and any(value.given is None and is_layer(value.content) for value in values):
        raise fail("NS307", CHAIN_IN_VALUE, scope.source, node.span, help=chain_help(scope.source.words(node.span)))
    numbers = _numbers(values)
    if isinstance(numbers, Open):
        return numbers
    total, *others = numbers
    for (operator, operand), value in zip(node.rest, others, strict=True):
        match operator:
            case "+":
                total = total + value
            case "-":
                total = total - value
            case "*":
                total = total * value
            case _ if value == 0:
                raise fail("NS308", "division by zero", scope.source, operand.span)
            case "//":
                total = total // value
            case "mod":
                total = total % value
        total = _bounded(total, scope, node.span)
    return total


def _call(node: syntax.CallValue, scope: Scope) -> Content:
    name = node.name.text
    if name in ("min", "max"):
        if len(node.arguments) < 2 or any(argument.key for argument in node.arguments):
            raise fail("NS307", f"{name} takes two numbers or more", scope.source, node.span, help=f"write {name}(a, b)")
        values = [evaluate(argument.value, scope) for argument in node.arguments]
        numbers = _numbers(values)
        if isinstance(numbers, Open):
            return numbers
        return min(numbers) if name == "min" else max(numbers)
    given = evaluate_arguments(name, node.arguments, scope)
    size = 1 + sum(_size(item.value.content) for item in given)
    if size > limits.VALUE_SIZE:
        message = f"a value holds more than {limits.VALUE_SIZE} others"
        raise LimitError([Diagnostic("NS803", message, scope.source, node.span)])
    return Named(node.name, given, scope.limit, size, scope)


def _size(content: Content) -> int:
    """How many values a value holds, itself included."""
    match content:
        case Named():
            return content.size
        case Parts():
            return 1 + sum(_size(part.content) for part in content.parts)
        case Items():
            return 1 + sum(_size(item.content) for item in content.items)
        case _:
            return 1


def _item(node: syntax.Expression, scope: Scope) -> Value:
    value = evaluate(node, scope)
    return value if isinstance(node, syntax.SplitValue) else _single(value)


def _single(value: Value) -> Value:
    """A value that may stand in a list or a split: no list or split itself."""
    if isinstance(value.content, (Parts, Items)):
        raise fail("NS307", f"{show(value.content)} is a list, and here one value is asked for", *value.place)
    return value


def evaluate_arguments(owner: str, arguments: tuple[syntax.Argument, ...], scope: Scope) -> tuple[Given, ...]:
    """The value of each argument of a call of `owner`, in the order written."""
    return tuple(Given(argument.key, _argument(owner, argument, scope)) for argument in arguments)


def _argument(owner: str, argument: syntax.Argument, scope: Scope) -> Value:
    tied = tied_name(owner, argument)
    if tied is None or tied.part is not None or tied.text not in scope.points:
        return evaluate(argument.value, scope)
    return Value(Named(Word(tied.text, span=tied.span), limit=scope.limit, scope=scope), scope.source, argument.value.span)
