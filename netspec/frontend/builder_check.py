"""The arguments of a call, checked while it is built as far as they can be told: in the words that the text gets."""

from __future__ import annotations

from collections.abc import Sequence, Set

from netspec.base.diagnostic import Diagnostic
from netspec.base.entry import Entry
from netspec.base.errors import SpecError, UsageError
from netspec.base.text import Source, Span
from netspec.catalog.registry import entry_of
from netspec.frontend import syntax
from netspec.frontend.arguments import given_to
from netspec.frontend.bind import bind
from netspec.frontend.format import value_text
from netspec.frontend.parse import parse_value
from netspec.frontend.used import nodes_in
from netspec.frontend.values import Content, Definition, Given, Named, Scope, Value, evaluate
from netspec.frontend.words import NOUNS

LATER = frozenset({"NS306"})
"""Told of the whole program: what is missing may stand in `defaults`."""


def check_call(contracts: Sequence[type[Entry]], call: syntax.CallValue, words: Set[str] = frozenset()) -> None:
    """Raises SpecError for arguments that no entry of that name takes. A value made with names waits until the names have values; `words`
    are those that are names of the catalogue, and wait for nothing."""
    words = {one for one in words if any(entry_of(contract, one) is not None for contract in NOUNS)}
    refused: SpecError | None = None
    for contract in contracts:
        if call.arguments and entry_of(contract, call.name.text) is not None:
            try:
                _check(contract, value_text(call), words)
                return
            except SpecError as error:
                refused = refused or error
    if refused is not None:
        raise refused


def _check(contract: type[Entry], text: str, words: Set[str]) -> None:
    source = Source(text)
    call = parse_value(source)
    assert isinstance(call, syntax.CallValue), "a call is printed as one"
    scope = Scope(source, {}, 0)
    given, open_places = [], {call.name.span}
    for argument in call.arguments:
        place = argument.value.span
        node = argument.value
        if _has_names(node) and not (isinstance(node, syntax.Name) and node.text in words and not _is_place(argument)):
            open_places.add(place)
            given.append(Given(argument.key, Value(0, source, place)))
        else:
            given.append(Given(argument.key, evaluate(argument.value, scope)))
    try:
        bind(contract, Named(call.name, tuple(given)), Value(text, source, call.span))
    except SpecError as error:
        found = [one for one in error.diagnostics if _can_be_told(one, open_places)]
        if found:
            raise SpecError(sorted(found, key=lambda one: one.span.start if one.span else -1)) from None


def _is_place(argument: syntax.Argument) -> bool:
    """Whether an argument names a layer of the net, and none of the catalogue."""
    return argument.key is not None and argument.key.text == "tie"


def check_def_call(definition: syntax.Def, call: syntax.CallValue) -> None:
    """Raises SpecError for arguments that the def does not take, and where one is missing."""
    source = Source(value_text(call))
    scope = Scope(source, {}, 0)
    made = parse_value(source)
    assert isinstance(made, syntax.CallValue), "a call is printed as one"
    given = [Given(one.key, Value(_content(one.value, scope), source, one.value.span)) for one in made.arguments]
    given_to(Definition(0, definition, scope), tuple(given), Value(0, source, made.span))


def _content(node: syntax.Expression, scope: Scope) -> Content:
    """A value, or where it is made with names a name that messages show."""
    return Named(syntax.Word(value_text(node))) if _has_names(node) else evaluate(node, scope).content


def check_count(times: syntax.Expression, shown: str) -> None:
    """Raises UsageError for what is no number of copies. A number made with names waits until the names have values."""
    if _has_names(times):
        return
    source = Source(value_text(times))
    count = evaluate(parse_value(source), Scope(source, {}, 0)).content
    if type(count) is not int or count < 0:
        raise UsageError(f"the number of copies is a whole number of at least 0, as in ns.repeat(block, 4); this is {shown}")


def _has_names(node: syntax.Expression) -> bool:
    return any(isinstance(one, syntax.Name) for one in nodes_in(node))


def _can_be_told(found: Diagnostic, open_places: set[Span]) -> bool:
    about_a_value = found.code in ("NS301", "NS302", "NS110")
    return found.code not in LATER and not (about_a_value and found.span in open_places)
