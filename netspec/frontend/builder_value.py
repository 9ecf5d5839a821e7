"""Values of the language from Python: numbers, words, strings, shapes, lists, and names to calculate with.

0.25, True, "25%", "20ep", "same", "a.csv", (3, 5), ["flip", ns.crop(4)] are 0.25, true, 25%, 20ep, same, "a.csv", 3x5, flip, crop(4).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Number, Real
from typing import Any, ClassVar

from netspec.base.errors import SpecError, UsageError
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.builder_part import Built, Held, in_words, named_word, together
from netspec.frontend.format import value_text
from netspec.frontend.parse import parse_value

RANKS = {"+": 1, "-": 1, "*": 2, "//": 2, "mod": 2}
SIGNED, ATOM = 3, 4


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Value(Built):
    """A value of the language: `+ - * // %` (mod) and the sign write a calculation down, brackets where they are needed."""

    kind: ClassVar[str] = "value"
    node: syntax.Expression

    @property
    def text(self) -> str:
        return value_text(self.node)

    def expression(self) -> syntax.Expression:
        return self.node

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Value({self})"

    def __add__(self, other: Any) -> Value:
        return _calculated(self, "+", other)

    def __radd__(self, other: Any) -> Value:
        return _calculated(other, "+", self)

    def __sub__(self, other: Any) -> Value:
        return _calculated(self, "-", other)

    def __rsub__(self, other: Any) -> Value:
        return _calculated(other, "-", self)

    def __mul__(self, other: Any) -> Value:
        return _calculated(self, "*", other)

    def __rmul__(self, other: Any) -> Value:
        return _calculated(other, "*", self)

    def __floordiv__(self, other: Any) -> Value:
        return _calculated(self, "//", other)

    def __rfloordiv__(self, other: Any) -> Value:
        return _calculated(other, "//", self)

    def __mod__(self, other: Any) -> Value:
        return _calculated(self, "mod", other)

    def __rmod__(self, other: Any) -> Value:
        return _calculated(other, "mod", self)

    def _undecided(self, *_: Any) -> Any:
        """Python asks for the number itself. Raises UsageError."""
        raise UsageError(
            f"`{self}` has no value while the net is built: it stands for a name or a calculation of the text, so that if, ==, <, range "
            "and int cannot look at it; write ns.min or ns.max, a repeat with values (ns.repeat(lambda c: ns.conv(c), c=(16, 32))), or a "
            "Python function without ns.define, which takes numbers"
        )

    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __int__ = __float__ = __index__ = __iter__ = __len__ = __abs__ = __round__ = _undecided

    def _no_operator(self, *_: Any) -> Any:
        raise UsageError(f"`{self}`: the language calculates with + - * // and % (mod) alone; write // for the whole part of a quotient")

    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = _no_operator

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Number):
            self._undecided()
        return Built.__eq__(self, other)

    def __hash__(self) -> int:
        return Built.__hash__(self)

    def __neg__(self) -> Value:
        operand = _operand(single(self), ATOM)
        return Value(together([self.held.bracketed(operand is not self.node)]), syntax.Negative(operand))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Parameter(Value):
    """A name that a def takes, with its default."""

    default: Value | None = None


def _calculated(left: Any, operator: str, right: Any) -> Value:
    if any(isinstance(side, Built) and not isinstance(side, Value) for side in (left, right)):
        return NotImplemented  # type: ignore[no-any-return]  # a net on either side: there `-` binds a run
    one, other, rank = as_value(left), as_value(right), RANKS[operator]
    first, second = single(one), _operand(single(other), rank + 1)
    before: tuple[tuple[str, syntax.Expression], ...] = ()
    begin = _operand(first, rank)
    if isinstance(first, syntax.Arithmetic) and _rank(first) == rank:
        begin, before = first.first, first.rest
    left = one.held.bracketed(not before and begin is not first)
    right = other.held.bracketed(second is not other.node)
    return Value(together([left, right]), syntax.Arithmetic(begin, (*before, (operator, second))))


def _rank(node: syntax.Expression) -> int:
    """How tightly an expression binds."""
    if isinstance(node, syntax.Arithmetic):
        return RANKS[node.rest[0][0]]
    return SIGNED if isinstance(node, syntax.Negative) else ATOM


def _operand(node: syntax.Expression, lowest: int) -> syntax.Expression:
    return node if _rank(node) >= lowest else syntax.Group(node)


def single(value: Value) -> syntax.Expression:
    """The value, which must be one: lists and splits stand only as the whole value of a key or a let. Raises UsageError."""
    if isinstance(value.node, (syntax.ListValue, syntax.SplitValue)):
        raise UsageError(f"{value} is several values, and here one is needed; a list or a split is the whole value of a key or a let")
    return value.node


def as_value(given: Any) -> Value:
    """What a Python object stands for. A str of one word of the language (`"relu"`, `"25%"`, `"20ep"`, `"1e-3"`, `"3x5"`) is that word,
    any other a string, and a path is a string always. Raises UsageError for what is no value."""
    match given:
        case Value():
            return given
        case Built():
            return Value(given.held, given.expression())
        case bool():
            return _literal("boolean", str(given).lower())
        case str():
            word = _word(given)
            return string(given) if word is None else word
        case os.PathLike():
            return string(os.fspath(given))
        case Integral():
            return _signed(str(int(given)))
        case Real():
            return _signed(_decimal(float(given)))
        case tuple():
            return _shape(given)
        case list():
            return _list(given)
    raise UsageError(f"{in_words(given)} is no value of the language; {_help(given)}")


def _help(given: Any) -> str:
    if given is None:
        return "leave the argument out"
    return "give a number, True or False, a str, a path, a tuple of whole numbers (a shape), or a list"


def _literal(kind: str, text: str) -> Value:
    return Value(Held(), syntax.Literal(kind, text))


def _word(text: str) -> Value | None:
    try:
        node = parse_value(Source(text))
    except SpecError:
        return None
    is_word = isinstance(node, syntax.Literal) or (isinstance(node, syntax.Name) and node.part is None)
    return Value(Held(), node) if is_word and value_text(node) == text else None


def _signed(text: str) -> Value:
    return -_literal("number", text[1:]) if text.startswith("-") else _literal("number", text)


def _decimal(number: float) -> str:
    """A decimal that is read as the same decimal: with a point where its digits alone would be a whole number."""
    if not isfinite(number):
        raise UsageError(f"{number} is no value of the language; give a finite number")
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:
        return mantissa
    power = int(exponent)
    return f"{mantissa}{'' if '.' in mantissa or power < 0 else '.0'}e{power}"


def _shape(sides: tuple[Any, ...]) -> Value:
    if not sides or not all(isinstance(side, Integral) and not isinstance(side, bool) and int(side) >= 0 for side in sides):
        help_text = "a list is written [a, b], a split ns.split(a, b)"
        raise UsageError(f"{in_words(sides)} is no value of the language; a tuple is a shape, of whole numbers; {help_text}")
    text = "x".join(str(int(side)) for side in sides)
    return _literal("shape" if len(sides) > 1 else "number", text)


def _list(items: Sequence[Any]) -> Value:
    if not items:
        raise UsageError("an empty list is no value of the language; leave the key out")
    values = [as_value(item) for item in items]
    nested = next((value for value in values if isinstance(value.node, syntax.ListValue)), None)
    if nested is not None:
        raise UsageError(f"{nested} is a list in a list, which the language does not have")
    if len(values) == 1:
        return values[0]
    return Value(together(value.held for value in values), syntax.ListValue(tuple(value.node for value in values)))


def value_in_text(given: str | Built) -> str:
    """A value as a text of the language, whether it is given as one or was built in Python. Raises UsageError for a chain."""
    return str(as_value(given)) if isinstance(given, Built) else given


def literal(given: Any) -> Value:
    """A Python value as one of the language, to calculate with: `ns.literal("25%") * 2`. Raises UsageError for what is none."""
    return as_value(given)


def string(text: str) -> Value:
    """A string of the language, also where the text is a word: `ns.string("price")` is `"price"`. Raises UsageError."""
    if not isinstance(text, str) or re.search(r"[\r\n]", text):
        raise UsageError(f"{in_words(text)}: a string of the language is a str on one line")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return _literal("string", f'"{escaped}"')


def min(*values: Any) -> Value:  # noqa: A001  the word of the language
    """The least of two values or more, to calculate with: `ns.min(width, 64)` is `min(width, 64)`. Raises UsageError."""
    return _of_several("min", values)


def max(*values: Any) -> Value:  # noqa: A001  the word of the language
    """The greatest of two values or more: `ns.max(width // 2, 1)` is `max(width // 2, 1)`. Raises UsageError."""
    return _of_several("max", values)


def _of_several(name: str, values: Sequence[Any]) -> Value:
    if len(values) < 2:
        raise UsageError(f"{name} takes two numbers or more: ns.{name}(a, b)")
    given = [as_value(value) for value in values]
    arguments = tuple(syntax.Argument(None, single(value)) for value in given)
    return Value(together(value.held.bracketed() for value in given), syntax.CallValue(syntax.Word(name), arguments))


def split(*parts: Any) -> Value:
    """`ns.split("80%", "10%", "10%")` is `80% / 10% / 10%`. Raises UsageError for fewer than two parts."""
    if len(parts) < 2:
        raise UsageError('a split has two parts or more: ns.split(49000, 1000), ns.split("80%", "10%", "10%")')
    values = [as_value(part) for part in parts]
    return Value(together(value.held for value in values), syntax.SplitValue(tuple(map(single, values))))


def param(name: str, default: Any = None) -> Parameter:
    """A value by its name: a parameter of a def, with its default; the name of a `repeat`; a `let` that is given elsewhere.

    `ns.affine(ns.param("width") // 2)` is `affine(width // 2)`. Raises UsageError for what is no name.
    """
    value = None if default is None else as_value(default)
    if value is not None:
        single(value)
    return Parameter(Held(), syntax.Name(named_word(name).text), value)


def run_once(function: Callable[..., Any], positional: Sequence[Value], keywords: Mapping[str, Value]) -> Any:
    """What a function makes of names in place of numbers. Raises UsageError where it cannot do with names."""
    try:
        return function(*positional, **keywords)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        if isinstance(error, (UsageError, SpecError)):
            raise
        named = ", ".join(f"`{value}`" for value in (*positional, *keywords.values())) or "no parameters"
        what = getattr(function, "__name__", type(function).__name__)
        raise UsageError(
            f"{what} is run once, with names in place of numbers ({named}), and failed: {type(error).__name__}: {error}; "
            "names go into layers, and into + - * // and %"
        ) from error
