"""Words for messages: the nearest name, types and ranges of arguments, lists of what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from netspec.base.clip import Clip
from netspec.base.dataset import DataSource
from netspec.base.entry import Entry
from netspec.base.initializer import Initializer
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.schedule import RateSchedule
from netspec.base.stopping import StoppingRule
from netspec.base.tie import Tie
from netspec.base.transform import Transform

NOUNS: dict[type[Entry], str] = {
    Layer: "layer", Loss: "loss", Optimizer: "optimizer", Initializer: "initial-weight rule", DataSource: "data source",
    RateSchedule: "schedule", Clip: "gradient bound", StoppingRule: "stopping rule", Transform: "transform",
}  # fmt: skip


MOST_TRIED = 100
"""Names that are compared letter by letter; a text may have thousands."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like `word`, if one is near: at most a third of its letters differ, and at most 3."""
    best, best_distance = None, min(3, max(1, len(word) // 3)) + 1
    letters = set(word.lower())
    tried = 0
    for name in known:
        if abs(len(name) - len(word)) < best_distance and len(letters ^ set(name.lower())) <= 2 * best_distance and tried < MOST_TRIED:
            tried += 1
            distance = 0 if name.lower() == word.lower() else _distance(word, name)
            if distance < best_distance:
                best, best_distance = name, distance
    return best


def _distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace or swap with the next."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def listing(words: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def contract_of(annotation: Any) -> type[Entry] | None:
    """The kind of catalogue entry that an annotation accepts, if any."""
    if isinstance(annotation, type):
        return next((contract for contract in NOUNS if issubclass(annotation, contract)), None)
    return next(filter(None, map(contract_of, get_args(annotation))), None)


def takes_decimals(annotation: Any) -> bool:
    """Whether a number with a point is, or may be part of, a value of this type."""
    return annotation is float or any(takes_decimals(part) for part in get_args(annotation))


def accepts_words(annotation: Any) -> bool:
    """Whether a bare name stands for its own text: strings and choices."""
    return annotation is str or get_origin(annotation) is Literal or any(map(accepts_words, _inner(annotation)))


def accepts(annotation: Any, kind: type) -> bool:
    """Whether a value of that very class is taken."""
    return annotation is kind or any(accepts(part, kind) for part in _inner(annotation))


def is_list(annotation: Any) -> bool:
    """Whether the annotation takes any number of values."""
    arguments = get_args(annotation)
    return (get_origin(annotation) is tuple and Ellipsis in arguments) or any(map(is_list, _inner(annotation)))


def _inner(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType, Annotated) else ()


def describe_field(info: FieldInfo) -> str:
    """`a whole number of at least 1`."""
    return _describe(info.annotation, info.metadata)


def _describe(annotation: Any, metadata: Sequence[Any]) -> str:
    for extra in metadata:
        if isinstance(extra, BeforeValidator):
            try:
                extra.func(object())  # type: ignore[call-arg]
            except PydanticCustomError as error:
                return error.message()
            except (TypeError, ValueError):
                break
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extras = get_args(annotation)
        return _describe(inner, [*extras, *metadata])
    if origin is Literal:
        return listing([str(choice) for choice in get_args(annotation)])
    if origin in (Union, UnionType):
        return listing(list(dict.fromkeys(_describe(part, metadata) for part in get_args(annotation) if part is not NoneType)))
    if origin is tuple:
        arguments = get_args(annotation)
        if Ellipsis in arguments:
            return f"one or more, each {_describe(arguments[0], ())}"
        return "two whole numbers as 3x5"
    contract = contract_of(annotation)
    if contract is not None:
        noun = NOUNS[contract]
        return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}.get(annotation, "another value")
    return plain + (_range(metadata) if annotation in (int, float) else "")


def _range(metadata: Sequence[Any]) -> str:
    bounds: dict[str, Any] = {}
    for extra in metadata:
        for source in (extra, *getattr(extra, "metadata", ())):
            bounds |= {name: getattr(source, name) for name in ("ge", "gt", "le", "lt") if getattr(source, name, None) is not None}
    low = f"at least {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}" if "gt" in bounds else ""
    high = f"at most {bounds['le']}" if "le" in bounds else f"below {bounds['lt']}" if "lt" in bounds else ""
    if low and high:
        return f", {low} and {high}"
    return f" of {low or high}" if (low or high).startswith("at") else f" {low or high}" if low or high else ""


def written(value: Any) -> str:
    """A checked value as the language writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case Tie():
            return str(value)
        case str():
            return value if value.isidentifier() else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Entry():
            given = {name: getattr(value, name) for name in type(value).model_fields}
            inner = ", ".join(f"{name}={written(one)}" for name, one in given.items() if one is not None)
            return f"{value.name}({inner})" if inner else value.name
        case tuple() if len(value) == 2 and all(isinstance(side, int) for side in value):
            return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"
        case tuple() if value and all(isinstance(side, int) for side in value):
            return "x".join(map(str, value))
        case tuple() if all(isinstance(part, (int, float)) for part in value):
            return " / ".join(map(written, value))
        case tuple():
            return ", ".join(map(written, value))
        case _:
            return str(value)


@cache
def signature(model: type[BaseModel]) -> str:
    """Every key with its default and type: `width = 100 (a whole number of at least 1), bias = true (true or false)`."""
    parts = []
    for name, info in model.model_fields.items():
        default = "" if info.is_required() or info.default is None else f" = {written(info.get_default(call_default_factory=True))}"
        parts.append(f"{name}{default} ({describe_field(info)})")
    return ", ".join(parts) if parts else "nothing"
