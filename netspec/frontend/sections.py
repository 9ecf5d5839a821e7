"""The sections and settings of a file, with what a caller overrides, to checked models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel

from netspec.base.diagnostic import Diagnostic
from netspec.base.entry import Entry
from netspec.base.errors import SpecError, UsageError
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.base.transform import Flattening
from netspec.frontend import syntax
from netspec.frontend.bind import Key, Keys, check, find, source_of_path
from netspec.frontend.builder_part import Built
from netspec.frontend.builder_value import value_in_text
from netspec.frontend.habits import shape_words
from netspec.frontend.parse import parse_pairs, parse_value
from netspec.frontend.program import DataSection, TrainSection
from netspec.frontend.report import Report
from netspec.frontend.syntax import Word
from netspec.frontend.values import (
    Content,
    Given,
    Items,
    Named,
    Scope,
    Sides,
    Value,
    divided,
    evaluate,
    fail,
    show,
    unquoted,
    without_value,
)
from netspec.frontend.words import accepts_words, is_list, written

SECTION_MODELS: dict[str, type[BaseModel]] = {"train": TrainSection, "data": DataSection}
MORE_KEYS = {"train": ("lr",), "data": ()}
"""Keys that a section takes for one of its values."""


def section_keys(*sections: str) -> tuple[str, ...]:
    """The dotted names of all keys of these sections."""
    return tuple(f"{name}.{key}" for name in sections for key in (*SECTION_MODELS[name].model_fields, *MORE_KEYS[name]))


def key_of(name: str) -> str | None:
    """The dotted name of the key that is called so in the first section that has one."""
    return next((key for key in section_keys(*SECTION_MODELS) if key.partition(".")[2] == name), None)


def read_pairs(pairs: Sequence[syntax.Pair], scope: Scope, section: str, report: Report) -> Keys:
    """The values of a section's pairs by key. Errors go to the report."""
    keys: Keys = {}
    for pair in pairs:
        with report.collecting():
            key = ".".join(pair.key)
            if key in keys:
                raise fail("NS505", f"`{key}` is given twice in {section}", scope.source, pair.key_span, help="keep one")
            keys[key] = Key(evaluate(pair.value, scope), scope.source, pair.key_span)
    return keys


def text_value(text: str, label: str, scope: Scope) -> Value:
    """The value of a text that comes from outside the file; raises SpecError."""
    source = Source(text, label)
    outside = Scope(
        source, scope.lets, scope.limit, scope.parameters, definitions=scope.definitions, points=scope.points, is_outside=True
    )  # fmt: skip
    return evaluate(parse_value(source), outside)


def outside_value(value: Any, label: str, scope: Scope, words: bool) -> Value:
    """A Python value, a text of the language, or what was built in Python, as a value. With `words` a text that is no value stands for
    itself."""
    if isinstance(value, Built):
        return text_value(value_in_text(value), label, scope)
    if isinstance(value, str):
        return _words_value(value, label, scope) if words else text_value(value, label, scope)
    content: Content
    if isinstance(value, bool):
        content = value
    elif isinstance(value, Integral):
        content = int(value)
    elif isinstance(value, Real):
        content = float(value)
    elif isinstance(value, (tuple, list)) and value and all(type(side) is int for side in value):
        content = Sides(tuple(value))
    else:
        source = Source(" ".join(str(value).split()), label)
        message = f"{label[1:-1]} is given {_in_words(value)}, which is no value of the language"
        raise fail("NS301", message, source, Span(0, len(source.text)), help=_value_help(value, words))
    shown = Source(show(content), label)
    return Value(content, shown, Span(0, len(shown.text)))


def _items(values: Sequence[Any], label: str, scope: Scope) -> Value:
    """Python values as a list."""
    content = Items(tuple(outside_value(value, label, scope, words=True) for value in values))
    shown = Source(show(content), label)
    return Value(content, shown, Span(0, len(shown.text)))


def _in_words(value: Any) -> str:
    """`the type float64`, `a dict`."""
    if value is None:
        return "None"
    name = value.__name__ if isinstance(value, type) else type(value).__name__
    return f"the type {name}" if isinstance(value, type) else f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _value_help(value: Any, words: bool) -> str:
    name = getattr(value, "__name__", None) or getattr(value, "name", None)  # of a type of NumPy's, or a dtype
    if words and isinstance(name, str):
        return f'give its name, "{name}"'
    return 'give a number, True or False, a tuple of whole numbers, or a text of the language such as "0.5"'


def _words_value(text: str, label: str, scope: Scope) -> Value:
    """A text for a place that takes words: a string or a name of the language, else the text itself (a path, say)."""
    plain = Value(text, Source(text, label), Span(0, len(text)))
    try:
        content = text_value(text, label, scope).content
    except SpecError:
        return plain
    is_name = isinstance(content, Named) and content.arguments is None
    return replace(plain, content=content) if isinstance(content, str) or is_name else plain


def override_keys(section: str, given: Mapping[str, Any], scope: Scope, report: Report) -> Keys:
    """Keys such as `train.batch` that belong to a section."""
    model = SECTION_MODELS[section]
    keys: Keys = {}
    for dotted, value in given.items():
        name = dotted.removeprefix(f"{section}.")
        info = model.model_fields.get(name)
        words = info is not None and accepts_words(info.annotation) and not is_list(info.annotation)
        with report.collecting():
            if info is not None and info.annotation is bool and isinstance(value, str) and _is_other_word(value, scope):
                raise fail("NS301", f"`{name}` of {section} must be true or false", Source(value, f"<{dotted}>"), Span(0, len(value)))
            several = info is not None and is_list(info.annotation) and isinstance(value, (tuple, list))
            found = _items(value, f"<{dotted}>", scope) if several else outside_value(value, f"<{dotted}>", scope, words)
            source = Source(dotted, f"<{dotted}>")
            keys[name] = Key(found, source, Span(0, len(dotted)))
    return keys


def _is_other_word(text: str, scope: Scope) -> bool:
    """Whether a text is a word such as `yes`, neither a truth value nor a `let`."""
    return text.isidentifier() and text not in ("true", "false") and text not in scope.lets


def override_pairs(text: str, scope: Scope, report: Report) -> Keys:
    """The keys of a text that stands for the inside of `train { ... }`. Raises UsageError where it is no text."""
    if not isinstance(text, str):
        example = "; ".join(f"{key} = {value}" for key, value in text.items()) if isinstance(text, Mapping) else "batch = 50; l2 = 1e-4"
        raise UsageError(f'train= takes a text, what stands between the braces of a train section: train="{example}"')
    source = Source(text, "<train>")
    if not text.strip():
        return {}
    with report.collecting():
        outside = Scope(source, scope.lets, scope.limit, scope.parameters, definitions=scope.definitions, is_outside=True)
        return read_pairs(parse_pairs(source), outside, "train", report)
    return {}


def merge_train(layers: Sequence[Keys]) -> Keys:
    """Later keys over earlier ones. A later optimizer replaces an earlier `lr` too."""
    merged: Keys = {}
    for keys in layers:
        if "optimizer" in keys:
            merged.pop("lr", None)
        merged.update(keys)
    return merged


def train_section(keys: Keys, place: Value | None) -> TrainSection:
    """The checked section; `lr` is the optimiser's. Raises SpecError with all its errors."""
    keys = dict(keys)
    rate = keys.pop("lr", None)
    if rate is not None and "optimizer" not in keys:
        word = Word("adam")
        default = Value(Named(word, ()), Source("adam", "<train>"), word.span)
        keys["optimizer"] = Key(default, default.source, default.span)
    if rate is not None:
        keys["optimizer"] = _with_rate(keys["optimizer"], rate)
    return check(TrainSection, keys, "train", place)


def _with_rate(optimizer: Key, rate: Key) -> Key:
    named = optimizer.value.content
    if not isinstance(named, Named):
        return optimizer
    positional = [given for given in named.arguments or () if given.key is None]
    own = next((given for given in named.arguments or () if given.key is None or given.key.text == "lr"), None)
    if own is not None and rate.source is optimizer.source:
        message = f"the learning rate is given twice: lr = {show(rate.value.content)}, and {show(own.value.content)} in {named.word.text}"
        raise fail("NS505", message, rate.source, rate.span, help="keep one")
    others = [given for given in named.arguments or () if given.key is not None and given.key.text != "lr"]
    arguments = (Given(Word("lr", span=rate.span), rate.value), *positional[1:], *others)
    value = Value(Named(named.word, arguments, named.limit), optimizer.value.source, optimizer.value.span)
    return Key(value, optimizer.source, optimizer.span)


def data_section(keys: Keys, place: Value | None) -> DataSection:
    """The checked section, with the keys that its source takes."""
    section = check(DataSection, keys, "data", place)
    errors: list[Diagnostic] = []
    always = ("source", "split", "normalize", "transforms")
    if section.source is None:
        for key, given in keys.items():
            if key not in always:
                message = f"`{key}` of data says where a source is read, and there is no `source`"
                path = given.value.content if key == "path" and isinstance(given.value.content, str) else ""
                help_text = f"write source = {source_of_path(path)} too" if path else "write source = npz, for example"
                errors.append(Diagnostic("NS306", message, given.source, given.span, help=help_text))
    else:
        takes = section.source.keys
        for key, given in keys.items():
            if key not in always and key not in takes:
                message = f"the source {section.source.name} takes no `{key}`"
                notes = (f"{section.source.name} takes: {', '.join((*takes, *always[1:]))}",)
                errors.append(Diagnostic("NS313", message, given.source, given.span, notes=notes))
    errors += [*_split_errors(section, keys), *_order_errors(section, keys)]
    if errors:
        raise SpecError(errors)
    return section


def _split_errors(section: DataSection, keys: Keys) -> list[Diagnostic]:
    given = keys.get("split")
    if given is None:
        return []
    parts = section.split
    if len(parts) not in (2, 3):
        message = f"a split has two parts (train / validation) or three (and test); this has {len(parts)}"
        return [Diagnostic("NS314", message, given.value.source, given.value.span)]
    if len({type(part) for part in parts}) > 1:
        message = "the parts of a split are all rows (whole numbers) or all fractions"
        return [Diagnostic("NS314", message, given.value.source, given.value.span)]
    if isinstance(parts[0], float) and sum(parts) > 1 + 1e-9:
        message = f"the parts of the split add up to {100 * sum(parts):g}%, more than all rows"
        return [Diagnostic("NS314", message, given.value.source, given.value.span)]
    return []


def _order_errors(section: DataSection, keys: Keys) -> list[Diagnostic]:
    """Steps that stand behind one whose turn comes later."""
    steps = [step for step in section.transforms or () if not isinstance(step, Flattening)]  # no image is left: NS607
    given = keys.get("transforms")
    early = next((place for place, (one, other) in enumerate(pairwise(steps), 1) if other.turn < one.turn), None)
    if early is None or given is None:
        return []
    step, before = steps[early], steps[early - 1]
    why = (
        "text becomes numbers first" if step.turn == 0 else f"{before.name} is drawn anew in each step, and {step.name} is done once before"
    )
    right = ", ".join(_as_given(one) for one in sorted(section.transforms or (), key=lambda one: one.turn))
    message = f"{step.name} cannot stand behind {before.name}: {why}"
    return [Diagnostic("NS315", message, given.value.source, given.value.span, help=f"write transforms = {right}")]


def _as_given(entry: Entry) -> str:
    """The call with the arguments that were written."""
    inner = ", ".join(f"{name}={written(getattr(entry, name))}" for name in type(entry).model_fields if name in entry.model_fields_set)
    return f"{entry.name}({inner})" if inner else entry.name


def read_defaults(keys: Keys, report: Report) -> dict[str, Keys]:
    """`affine.width = 64` by layer and argument, each checked alone."""
    found: dict[str, Keys] = {}
    for dotted, given in keys.items():
        with report.collecting():
            layer, _, argument = dotted.partition(".")
            if not argument or "." in argument:
                message = "a key of defaults names a layer and an argument"
                raise fail("NS204", message, given.source, given.span, help="write <layer>.<argument> = value, such as affine.width = 64")
            model = find(Layer, layer, given.source, Span(given.span.start, given.span.start + len(layer)))
            key = Key(given.value, given.source, Span(given.span.end - len(argument), given.span.end))
            check(model, {argument: key}, layer, None)
            found.setdefault(layer, {})[argument] = key
    return found


def whole_number(value: Value, what: str, lowest: int) -> int:
    """A setting's whole number; raises SpecError."""
    content = value.content
    if type(content) is int and content >= lowest:
        return content
    message = f"{what} takes a whole number of at least {lowest}; this is {show(content)}"
    code = "NS302" if type(content) is int else "NS301"
    count = f"write {prod(content.sides)}, all sides multiplied" if isinstance(content, Sides) and what == "outputs" else None
    raise without_value(value) or fail(code, message, value.source, value.span, help=unquoted(content) or divided(value) or count)


def input_shape(value: Value) -> tuple[int, ...]:
    """The shape of one row: a vector or an image."""
    content = value.content
    sides = content.sides if isinstance(content, Sides) else (content,) if type(content) is int else None
    unknown = without_value(value)
    if unknown is not None:
        raise unknown
    if sides is None or len(sides) not in (1, 3) or min(sides) < 1:
        message = f"input takes the features of a vector, or channels x height x width of an image; this is {show(content)}"
        raise fail("NS301", message, value.source, value.span, help=unquoted(content) or _input_help(content))
    return sides


def _input_help(content: Content) -> str:
    """For `input 32, 32, 3` and `input 28x28`."""
    sides = content.sides if isinstance(content, Sides) else ()
    if isinstance(content, Items) and all(type(item.content) is int for item in content.items):
        sides = tuple(item.content for item in content.items if isinstance(item.content, int))
    if len(sides) == 2:
        return f"write input 1x{sides[0]}x{sides[1]} for one channel, or input {prod(sides)} for a vector"
    return f"write input {shape_words(sides, of_input=True)}" if len(sides) == 3 and min(sides) > 0 else "write input 30, or input 3x32x32"
