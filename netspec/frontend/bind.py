"""A name with arguments to a catalogue entry: the class by name, the arguments by key, values checked, every error at its words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from netspec.base.dataset import DataSource
from netspec.base.diagnostic import Diagnostic
from netspec.base.entry import Entry
from netspec.base.errors import SpecError
from netspec.base.kinds import Merge
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.base.tie import Tie
from netspec.catalog.registry import entries, entry_of
from netspec.frontend.later import (
    CALLED_ELSEWHERE,
    KEYS_OF_TRAINING,
    LAYER_OF_ITS_OWN,
    MISPLACED,
    NOT_IN_LANGUAGE,
    OTHER_FORMS,
    OTHER_KEYS,
    OTHER_VALUES,
    OTHER_WORDS,
    squeezed,
)
from netspec.frontend.parse import parse_value
from netspec.frontend.slips import SIDES_ARE_NUMBERS
from netspec.frontend.values import (
    Content,
    Given,
    Items,
    Named,
    Parts,
    Scope,
    Sides,
    Value,
    divided,
    evaluate,
    fail,
    is_layer,
    is_open,
    out_of_reach,
    show,
    unquoted,
    without_value,
)
from netspec.frontend.words import NOUNS, accepts, accepts_words, contract_of, describe_field, is_list, nearest, signature, takes_decimals

ModelT = TypeVar("ModelT", bound=BaseModel)
EntryT = TypeVar("EntryT", bound=Entry)


@dataclass(frozen=True)
class Key:
    """A value given for a key, and the words of both."""

    value: Value
    source: Source
    span: Span


Keys = dict[str, Key]


@dataclass(frozen=True)
class Bound:
    """A checked entry, and which of its arguments the call and the defaults give."""

    entry: Entry
    explicit: frozenset[str] = frozenset()
    from_defaults: frozenset[str] = frozenset()


def layers() -> Mapping[str, type[Layer]]:
    """Every layer by name."""
    return entries(Layer)  # type: ignore[type-abstract]  # the contract itself is never made


def find(
    contract: type[Entry], name: str, source: Source, span: Span, more: Mapping[str, str] | None = None, points: Sequence[str] = ()
) -> type[Entry]:
    """The entry of that name. Raises SpecError with the nearest name and all there are; `more` are further names with their signature,
    `points` those that are read by @."""
    found = entry_of(contract, name)
    if found is not None:
        return found
    known, noun = entries(contract), NOUNS[contract]
    plural = "losses" if noun == "loss" else f"{noun}s"
    every = [_short(entry) for entry in known.values()]
    notes = [f"{plural}: {', '.join(every)}"]
    if more:
        notes.append(f"defs: {', '.join(more.values())}")
    if contract is Layer and name.lower() in NOT_IN_LANGUAGE:
        message = f"`{name}`: {NOT_IN_LANGUAGE[name.lower()]} are not in version 1 of the language".replace(
            "recurrence are", "recurrence is"
        )
        raise SpecError([Diagnostic("NS202", message.replace("attention are", "attention is"), source, span, notes=tuple(notes))])
    suggestion = (
        MISPLACED.get(name) or _other_form(contract, name) or _suggestion(name, [*(f"@{point}" for point in points), *known, *(more or ())])
    )
    code = "NS201" if contract is Layer else "NS208"
    raise SpecError([Diagnostic(code, f"unknown {noun} `{name}`", source, span, notes=tuple(notes), help=suggestion)])


def _short(entry: type[Entry]) -> str:
    """`affine(width = 100)`: the name and its first argument."""
    first = entry.positional()
    if first is None or entry.model_fields[first].default is None:
        return entry.name
    return f"{entry.name}({signature(entry).split(' (')[0]})"


def _other_form(contract: type[Entry], name: str) -> str | None:
    """What to write for a layer of other libraries that several words stand for here."""
    word = squeezed(name)
    return OTHER_FORMS.get(OTHER_WORDS.get(word, word)) if contract is Layer else None


def _suggestion(name: str, known: list[str]) -> str | None:
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    if digits and stem in known:
        return f"write {stem}({digits})"
    if digits and stem.endswith("x") and stem[:-1] in known:
        return f"a repeat follows brackets: [{stem[:-1]}]x{digits}"
    other = OTHER_WORDS.get(squeezed(name))
    near = other if other in known else nearest(name, known)
    return f"did you mean `{near}`?" if near else None


def bind(
    contract: type[Entry], named: Named, where: Value, defaults: Keys | None = None, more: Mapping[str, str] | None = None,
    points: Sequence[str] = (),
) -> Bound:  # fmt: skip
    """The entry that a name or call stands for. `defaults` are used where the call is silent. Raises SpecError with all its errors."""
    name = Value(named, *(where.place if named.scope is None else (named.scope.source, named.word.span)))
    if named.scope is not None and entry_of(contract, named.word.text) is None:
        elsewhere = out_of_reach(named.word.text, named.scope, named.word.span)
        if elsewhere is not None:
            raise elsewhere
    model = find(contract, named.word.text, *name.place, more, points)
    keys, errors = _by_key(model, named, where)
    filled = {key: given for key, given in (defaults or {}).items() if key not in keys}
    try:
        entry = check(model, {**filled, **keys}, named.word.text, name)
    except SpecError as error:
        raise SpecError([*errors, *error.diagnostics]) from None
    if errors:
        raise SpecError(errors)
    return Bound(entry, frozenset(keys), frozenset(filled))


def argument_spans(model: type[Entry], named: Named, where: Value) -> dict[str, Span]:
    """The value of each argument of a call that was bound, as written in the text of `where`."""
    keys, _ = _by_key(model, named, where)
    return {key: given.value.span for key, given in keys.items() if given.value.source is where.source}


def _by_key(model: type[Entry], named: Named, where: Value) -> tuple[Keys, list[Diagnostic]]:
    """Arguments by name; errors for those that cannot have one."""
    keys: Keys = {}
    errors: list[Diagnostic] = []
    places = model.positionals()
    given_arguments = named.arguments or ()
    for index, given in enumerate(given_arguments):
        span, source = given.value.span, given.value.source
        if given.key is None and index >= len(places):
            sides = _sides_apart(model, given_arguments)
            if sides is not None:
                errors += [sides] if index == len(places) else []
                continue
            errors.append(_extra_positional(model, given_arguments, index))
            continue
        key = given.key.text if given.key else places[index]
        if key in keys:
            errors.append(
                Diagnostic("NS305", f"`{key}` of {named.word.text} is given twice", source, given.key.span if given.key else span)
            )
            continue
        keys[key] = Key(given.value, source, given.key.span if given.key else span)
    return keys, errors


def _takes_sides(annotation: Any, count: int) -> bool:
    """Whether a shape of so many sides, three at least, is a value of this type."""
    kinds = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
    return count > 2 and any(get_origin(kind) is tuple and len(get_args(kind)) == count for kind in kinds)


def _sides_apart(model: type[Entry], given: tuple[Given, ...]) -> Diagnostic | None:
    """For `reshape(8, 1, 1)` and `reshape(c, 1, 1)`: all sides of a shape of three, each as an argument."""
    first = model.positional()
    sides = [one.value for one in given if one.key is None]
    if first is None or not _takes_sides(model.model_fields[first].annotation, len(sides)):
        return None
    if any(not (type(side.content) is int or is_open(side.content)) or side.source is not sides[0].source for side in sides):
        return None
    source, span = sides[0].source, Span(sides[0].span.start, sides[-1].span.end)
    if any(not source.words(side.span).isdigit() for side in sides):
        return Diagnostic("NS304", SIDES_ARE_NUMBERS, source, span, help="write the numbers, as in 16x1x1")
    written = "x".join(show(side.content) for side in sides)
    return Diagnostic("NS304", "the sides of a shape are joined by x", source, span, help=f"write {written}")


def _extra_positional(model: type[Entry], given: tuple[Given, ...], index: int) -> Diagnostic:
    value, first = given[index].value, model.positional()
    if first is None and model.model_fields:
        notes = (f"{model.name} takes: {signature(model)}",)
        message = f"{model.name} takes its arguments by their keys"
        return Diagnostic("NS304", message, value.source, value.span, notes=notes, help="write key = value")
    if first is None:
        written = value.source.text[value.span.start : value.span.end]
        plain = f"write {model.name}(a | b)" if issubclass(model, Merge) else f"write {model.name}"
        advice = CALLED_ELSEWHERE.get(model.name, plain).format(written)
        return Diagnostic("NS304", f"{model.name} takes no arguments", value.source, value.span, help=advice)
    before = given[index - 1].value
    whole = type(before.content) is int and type(value.content) is int
    annotation = model.model_fields[first].annotation
    if whole and takes_decimals(annotation) and before.span.end + 1 == value.span.start:
        number = f"{show(before.content)}.{value.source.words(value.span)}"
        message = "a decimal is written with a point, not with a comma"
        more = "" if len(model.model_fields) == 1 else "; a second argument is written with its key"
        return Diagnostic("NS110", message, value.source, Span(before.span.start, value.span.end), help=f"write {number}{more}")
    notes = (f"{model.name} takes: {signature(model)}",)
    several = len(model.positionals())
    unnamed = "one argument without its key" if several == 1 else f"{several} arguments without their keys"
    message = f"{model.name} takes {unnamed}, first; the others are key = value"
    sides = whole and index == 1 and get_origin(annotation) is tuple
    keys = list(model.model_fields)
    fits = index < len(keys) and (model.model_fields[keys[index]].annotation is bool) == isinstance(value.content, bool)
    keyed = f"write {keys[index]} = {show(value.content)}" if fits else None
    layer = _layer_word(value.content)
    if layer and issubclass(model, Layer):
        keyed = LAYER_OF_ITS_OWN.format(owner=model.name, value=layer)
    help_text = f"write {show(before.content)}x{show(value.content)}" if sides else keyed
    return Diagnostic("NS304", message, value.source, value.span, notes=notes, help=help_text)


def check(model: type[ModelT], keys: Mapping[str, Key], owner: str, whole: Value | None) -> ModelT:
    """The model with these keys, every value converted and checked. `whole` is the place for an error that is about no single key."""
    errors: list[Diagnostic] = []
    plain: dict[str, Any] = {}
    for key, given in keys.items():
        if key not in model.model_fields:
            errors.append(_unknown_key(model, key, given, owner))
            continue
        if is_open(given.value.content):
            continue
        file = _file_as_source(given.value, model.model_fields[key].annotation)
        if file is not None:
            errors.append(file)
            continue
        try:
            plain[key] = plain_value(given.value, model.model_fields[key].annotation)
        except SpecError as error:
            errors += error.diagnostics
    wrong = {key for key in keys if key in model.model_fields and key not in plain}
    try:
        made = model.model_validate(plain)
    except ValidationError as error:
        errors += [_wrong(model, key, keys, owner, whole, detail) for key, detail in _by_field(error).items() if key not in wrong]
    if errors or wrong:
        raise SpecError(errors)
    return made


def _file_as_source(value: Value, annotation: Any) -> Diagnostic | None:
    """For `source = "houses.csv"`: the kind of a file and its path are keys of their own."""
    if contract_of(annotation) is not DataSource or isinstance(value.content, (int, float)):
        return None
    source, span = value.place
    path = re.fullmatch(r'(?:\w+\(\s*(?:path\s*=\s*)?)?"?([\w./\\~-]*[./][\w./-]*)"?\)?', source.words(span))
    if path is None:
        return None
    kind = source_of_path(path[1])
    keys = f'x = "{path[1]}"; y = "labels.npy"' if kind == "npy" else f'path = "{path[1]}"'
    message = "`source` names the kind of the data, and `path` the file or folder"
    return Diagnostic("NS301", message, source, span, help=f"write source = {kind}; {keys}")


def source_of_path(path: str) -> str:
    """The data source that reads a file, by its ending; a folder holds images."""
    ending = path.rpartition(".")[2].lower() if "." in path.rpartition("/")[2] else ""
    ending = {"tsv": "csv", "txt": "csv", "pq": "parquet"}.get(ending, ending)
    return ending if ending in entries(DataSource) else "images"  # type: ignore[type-abstract]  # a contract, looked up by


def _by_field(error: ValidationError) -> dict[str, ErrorDetails]:
    """One fault for each field: of several members of a union, that of the one that was followed deepest."""
    found: dict[str, ErrorDetails] = {}
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0]) if detail["loc"] else ""
        if key not in found or len(detail["loc"]) > len(found[key]["loc"]):
            found[key] = detail
    return found


def plain_value(value: Value, annotation: Any) -> Any:
    """What pydantic is given: entries bound, names to text where the field takes words, shapes and splits to tuples."""
    content = value.content
    if isinstance(content, Named) and content.arguments is None:
        if accepts(annotation, Tie):
            return Tie(content.word.text)
        if accepts_words(annotation):
            return content.word.text
    if is_list(annotation) and not isinstance(content, (Parts, Items, Sides)):
        return (_inner(value, annotation),)
    contract = contract_of(annotation)
    if contract is not None and isinstance(content, Named):
        return bind(contract, content, value).entry
    match content:
        case Sides():
            return content.sides
        case Parts():
            return tuple(_inner(part, annotation) for part in content.parts)
        case Items():
            return tuple(_inner(item, annotation) for item in content.items)
        case _:
            return content


def _inner(value: Value, annotation: Any) -> Any:
    content, contract = value.content, contract_of(annotation)
    if contract is not None and isinstance(content, Named):
        return bind(contract, content, value).entry
    return content.word.text if isinstance(content, Named) and content.arguments is None else content


def _layer_word(content: Content) -> str:
    """A value that is a layer, or the name of one in quotes, as the language writes it; else empty."""
    if isinstance(content, str):
        return content if content in layers() else ""
    return show(content) if is_layer(content) else ""


def _unknown_key(model: type[BaseModel], key: str, given: Key, owner: str) -> Diagnostic:
    is_entry = issubclass(model, Entry)
    takes = signature(model) if is_entry else f"{', '.join(model.model_fields)}; `netspec layers {owner}` says what they mean"
    notes = (f"{owner} takes: {takes}",)
    other = OTHER_KEYS.get(squeezed(key))
    known = [*model.model_fields, *(("lr",) if owner == "train" else ())]
    near = other if other in known else nearest(key, known)
    hint = f"did you mean `{near}`?" if near else None
    layer = _layer_word(given.value.content)
    elsewhere = LAYER_OF_ITS_OWN if layer else None if is_entry else KEYS_OF_TRAINING.get(key)
    if near is None and elsewhere is not None:
        hint = elsewhere.format(owner=owner, value=layer or show(given.value.content))
    noun, code = ("argument", "NS303") if is_entry else ("key", "NS204")
    message = f"{owner} has no {noun} `{key}`"
    return Diagnostic(code, message, given.source, given.span, notes=notes, help=hint)


BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def _wrong(model: type[BaseModel], key: str, keys: Mapping[str, Key], owner: str, whole: Value | None, detail: ErrorDetails) -> Diagnostic:
    """The finding for one field that pydantic refused."""
    given = keys.get(key)
    if given is None:
        source, span = (whole.source, whole.span) if whole else (None, None)
        if detail["type"] == "missing":
            return Diagnostic("NS306", f"{owner} needs `{key}`", source, span, notes=(f"{owner} takes: {signature(model)}",))
        return Diagnostic("NS302", f"{owner}: {detail['msg'].removeprefix('Value error, ')}", source, span)
    content = given.value.content
    place = given.value
    in_range = detail["type"] in _RANGE
    at = next((part for part in detail["loc"][1:] if isinstance(part, int)), None)  # behind the name of a member of a union
    if isinstance(content, (Parts, Items)) and at is not None:
        place = (content.parts if isinstance(content, Parts) else content.items)[at]
    decimal = _decimal_comma(content)
    if decimal is not None and takes_decimals(model.model_fields[key].annotation):
        message = "a decimal is written with a point, not with a comma"
        return Diagnostic("NS110", message, *given.value.place, help=f"write {decimal}")
    annotation = model.model_fields[key].annotation
    unknown = None if accepts_words(annotation) or accepts(annotation, Tie) else without_value(place)
    if unknown is not None:
        return unknown.diagnostics[0]
    hint = None
    must = describe_field(model.model_fields[key])
    if in_range and not re.search(r"\b(at least|at most|above|below)\b", must):
        hint = "".join(f"write {BOUNDS[bound]} {limit}" for bound, limit in detail.get("ctx", {}).items() if bound in BOUNDS)
    what = "the layer " if is_layer(place.content) else ""
    message = f"`{key}` of {owner} must be {must}; this is {what}{show(place.content)}"
    near = nearest(place.content.word.text, re.split(", | or ", must)) if isinstance(place.content, Named) else None
    quoted = unquoted(place.content, names=contract_of(annotation) is not None)
    other = OTHER_VALUES.get((key, show(place.content).strip('"').lower()))
    hint = f"write {key}={other}" if other else f"did you mean `{near}`?" if near else hint or quoted or _share(place.content, detail)
    hint = divided(given.value) or hint
    return Diagnostic("NS302" if in_range else "NS301", message, *place.place, help=hint)


def _share(content: Content, detail: ErrorDetails) -> str | None:
    """For `dropout(50)`: a share in percent."""
    most = detail.get("ctx", {}).get("lt", detail.get("ctx", {}).get("le"))
    return f"write {content}% or {content / 100:g}" if most == 1 and type(content) is int and 5 <= content < 100 else None


def _decimal_comma(content: Content) -> str | None:
    if not isinstance(content, Items) or len(content.items) != 2:
        return None
    one, other = content.items
    adjacent = one.span.end + 1 == other.span.start and one.source == other.source
    whole = type(one.content) is int and type(other.content) is int
    return f"{one.content}.{other.source.words(other.span)}" if adjacent and whole else None


def entry_from_text(contract: type[EntryT], text: str) -> EntryT:
    """The entry that a text like `adam(lr=1e-2)` stands for. Raises SpecError."""
    source = Source(text)
    value = evaluate(parse_value(source), Scope(source, {}, 0))
    if not isinstance(value.content, Named):
        raise fail("NS304", f"a name or a call is needed here, as in {next(iter(entries(contract)))}(...)", source, value.span)
    entry = bind(contract, value.content, value).entry
    assert isinstance(entry, contract), "the registry gives entries of its contract"
    return entry
