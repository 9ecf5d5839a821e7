"""The `search` section: each key a `let` or a key of train, each value a choice or an interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError
from netspec.base.text import Source, Span
from netspec.frontend import limits, syntax
from netspec.frontend.format import value_text
from netspec.frontend.program import TrainSection
from netspec.frontend.report import Report
from netspec.frontend.sections import section_keys
from netspec.frontend.space import Candidates, Choice, Interval, Number
from netspec.frontend.unsearched import SECTION, instead_of_key
from netspec.frontend.used import used_names
from netspec.frontend.values import Content, Items, Named, Parts, Scope, Value, evaluate, fail, show, without_value
from netspec.frontend.words import nearest, takes_decimals

FORMS = {
    "choice": ("choice(64, 128)", "one of the values"),
    "range": ("range(2, 6)", "a number between two"),
    "log": ("log(1e-4, 1e-1)", "a number between two, as likely in each decade"),
}
"""The calls of the section, each with an example and what it stands for."""
OTHER_FORMS = {
    "choose": "choice", "categorical": "choice", "options": "choice", "values": "choice", "one_of": "choice", "grid": "choice",
    "uniform": "range", "int": "range", "float": "range", "linear": "range", "between": "range", "interval": "range",
    "loguniform": "log", "log_uniform": "log", "logrange": "log", "log_range": "log", "logspace": "log",
}  # fmt: skip
"""Words of other libraries for them."""


@dataclass(frozen=True)
class Lets:
    """The `let`s of a text by name, with their values, and which of them it uses."""

    values: Mapping[str, Value | None]
    used: Collection[str]


def read_search(section: syntax.Section, scope: Scope, lets: Lets, report: Report) -> dict[str, Candidates]:
    """The candidates by key. Errors go to the report."""
    found: dict[str, Candidates] = {}
    if not section.pairs:
        message = "`search` is empty: it names what a sweep tries"
        help_text = "write for example search { train.lr = log(1e-4, 1e-1) }, or leave the section out"
        report.add([Diagnostic("NS516", message, scope.source, section.word.span, help=help_text)])
    given: dict[str, Span] = {}
    for pair in section.pairs:
        key = ".".join(pair.key)
        with report.collecting():
            if key in given:
                raise fail("NS505", f"`{key}` is given twice in search", scope.source, pair.key_span, help="keep one")
            given[key] = pair.key_span
            with report.collecting():
                _check_key(key, pair, scope.source, lets)
            found[key] = _candidates(pair, key, scope)
            report.add(_of_whole_numbers(key, found[key], lets, scope.source))
    report.add(_two_rates(section, scope, found))
    return found


def _check_key(key: str, pair: syntax.Pair, source: Source, lets: Lets) -> None:
    """Raises SpecError for a key that no sweep can change, or whose value changes nothing."""
    if key in lets.values:
        if key not in lets.used:
            message = f"search tries values of `{key}`, and the text never uses it"
            raise fail("NS207", message, source, pair.key_span, help=f"use `{key}` in the net, or take it out of search")
        return
    if key in section_keys(SECTION):
        return
    names = [
        f"lets: {', '.join(lets.values)}" if lets.values else "the text has no `let`",
        f"keys of train: {', '.join(section_keys(SECTION))}",
    ]
    message = f"search changes `let`s and keys of train, and `{key}` is neither"
    help_text = instead_of_key(pair.key, pair.value, lets.values)
    raise SpecError([Diagnostic("NS217", message, source, pair.key_span, notes=tuple(names), help=help_text)])


def _candidates(pair: syntax.Pair, key: str, scope: Scope) -> Candidates:
    node = pair.value
    if not isinstance(node, syntax.CallValue) or node.name.text not in FORMS:
        raise _no_form(node, key, scope)
    keyed = next((argument.key for argument in node.arguments if argument.key is not None), None)
    if keyed is not None:
        raise fail("NS316", f"{node.name.text} takes its values without keys", scope.source, keyed.span, help=f"write {_example(node)}")
    return (_choice if node.name.text == "choice" else _interval)(node, scope)


def _no_form(node: syntax.Expression, key: str, scope: Scope) -> SpecError:
    """For a value that is none of the forms."""
    words = scope.source.words(node.span)
    name = node.name.text if isinstance(node, syntax.CallValue) else ""
    message = f"`{key}` of search takes choice(...), range(a, b) or log(a, b); this is {words if len(words) <= 40 else f'{words[:37]}...'}"
    near = OTHER_FORMS.get(name.lower()) or nearest(name, FORMS)
    span = node.name.span if isinstance(node, syntax.CallValue) else node.span
    inner = ", ".join(value_text(item) for item in node.items) if isinstance(node, syntax.ListValue) else value_text(node)
    help_text = f"did you mean `{near}`?" if near else f"write {key} = choice({inner})"
    notes = tuple(", ".join(form) for form in FORMS.values())
    return SpecError([Diagnostic("NS316", message, scope.source, span, notes=notes, help=help_text)])


def _example(node: syntax.CallValue) -> str:
    return f"{node.name.text}({', '.join(value_text(argument.value) for argument in node.arguments)})"


def _choice(node: syntax.CallValue, scope: Scope) -> Choice:
    if not node.arguments:
        raise fail("NS316", "this choice has no values", scope.source, node.span, help="write choice(64, 128)")
    if len(node.arguments) > limits.VALUE_SIZE:
        message = f"a choice holds more than {limits.VALUE_SIZE} values"
        raise LimitError([Diagnostic("NS803", message, scope.source, node.span)])
    texts: list[str] = []
    seen: set[tuple[type, str]] = set()
    errors: list[Diagnostic] = []
    for argument in node.arguments:
        try:
            value = evaluate(argument.value, scope)
            _require_value(value, (type(value.content), show(value.content)) in seen, scope.source)
        except LimitError:
            raise
        except SpecError as error:
            errors += error.diagnostics
            continue
        seen.add((type(value.content), show(value.content)))
        texts.append(_text(argument.value, value, scope))
    if errors or len(texts) < len(node.arguments):
        raise SpecError(errors)
    return Choice(tuple(texts), tuple(argument.value.span for argument in node.arguments))


def _require_value(value: Value, is_known: bool, source: Source) -> None:
    """Raises SpecError for what cannot be one of the values of a choice."""
    content = value.content
    if is_known:
        raise fail("NS505", f"{show(content)} stands twice in this choice", source, value.span, help="keep one")
    if isinstance(content, Named) and content.arguments is not None and content.word.text in FORMS:
        message = f"a value of a choice is no {content.word.text}(...) itself"
        raise fail("NS316", message, source, value.span, help="list the values, or search the interval alone")
    if isinstance(content, (Parts, Items)):
        raise fail("NS316", f"a value of a choice is one value; this is {show(content)}", source, value.span)


def _text(node: syntax.Expression, value: Value, scope: Scope) -> str:
    """The value as it is written, where it means the same outside the section; else what it comes to."""
    stands_alone = not isinstance(node, syntax.Arithmetic) and not used_names(node) & set(scope.names())
    return value_text(node) if stands_alone else show(value.content)


def _interval(node: syntax.CallValue, scope: Scope) -> Interval:
    name = node.name.text
    if len(node.arguments) != 2:
        count = f"{len(node.arguments)} value{'s' * (len(node.arguments) != 1)}"
        help_text = f"write {FORMS[name][0]}, or choice(...) for values of your own"
        raise fail("NS316", f"{name} takes two numbers, its ends; this has {count}", scope.source, node.span, help=help_text)
    low, high = (_end(evaluate(argument.value, scope), name) for argument in node.arguments)
    spans = tuple(argument.value.span for argument in node.arguments)
    if name == "log" and low <= 0:
        message = f"log takes ends above 0; this is {show(low)}"
        raise fail("NS317", message, scope.source, spans[0], help="write range(...) where 0 may be tried")
    if not low < high:
        message = f"the first end is below the second; this is {name}({show(low)}, {show(high)})"
        back = f"write {name}({show(high)}, {show(low)})" if high < low and not (name == "log" and high <= 0) else None
        raise fail("NS317", message, scope.source, Span(spans[0].start, spans[1].end), help=back or "give two different ends")
    return Interval(low, high, name == "log", spans)


def _end(value: Value, form: str) -> Number:
    content = value.content
    if isinstance(content, (int, float)) and not isinstance(content, bool):
        return content
    raise without_value(value) or fail(
        "NS316", f"the ends of {form} are numbers; this is {show(content)}", *value.place, help="write choice(...) for what is no number"
    )


# what two keys, or a key and its candidates, mean together


def _of_whole_numbers(key: str, found: Candidates, lets: Lets, source: Source) -> list[Diagnostic]:
    """A warning where an interval has whole numbers alone, and its key takes any number."""
    if not isinstance(found, Interval) or not found.whole or not _takes_any_number(key, lets):
        return []
    span = Span(found.spans[0].start, found.spans[1].end)
    some = ", ".join(str(found.low + step) for step in range(min(3, int(found.high - found.low) + 1)))
    dots = ", ..." if found.high - found.low > 2 else ""
    message = f"both ends are whole numbers, so that `{key}` takes whole numbers alone: {some}{dots}"
    form = "log" if found.log else "range"
    help_text = f"write {form}({float(found.low)!r}, {float(found.high)!r}) for the numbers between too"
    return [Diagnostic("W108", message, source, span, help=help_text)]


def _takes_any_number(key: str, lets: Lets) -> bool:
    own = lets.values.get(key)
    if own is not None:
        return isinstance(own.content, float)
    name = key.removeprefix(f"{SECTION}.")
    return name == "lr" or (name in TrainSection.model_fields and takes_decimals(TrainSection.model_fields[name].annotation))


def _two_rates(section: syntax.Section, scope: Scope, found: Mapping[str, Candidates]) -> Sequence[Diagnostic]:
    """For a search of `train.lr` beside optimizers that say their own."""
    optimizers = found.get(f"{SECTION}.optimizer")
    if f"{SECTION}.lr" not in found or not isinstance(optimizers, Choice):
        return []
    pairs = {".".join(pair.key): pair for pair in section.pairs}
    call = pairs[f"{SECTION}.optimizer"].value
    assert isinstance(call, syntax.CallValue), "it was read as a choice"
    for argument in call.arguments:
        value = evaluate(argument.value, scope)
        if _says_rate(value.content):
            message = f"the learning rate is searched twice: as `train.lr`, and in {show(value.content)}"
            return [Diagnostic("NS505", message, scope.source, value.span, help="leave it out of one of them")]
    return []


def _says_rate(content: Content) -> bool:
    return isinstance(content, Named) and any(one.key is None or one.key.text == "lr" for one in content.arguments or ())
