"""Blocks that have the same parts as one class, whose arguments are the numbers in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

from netspec.save.export.torch_calls import Call
from netspec.save.export.torch_scopes import Scope, Several, Zeros
from netspec.save.export.words import docstring, identifier, literal, shorten, wrapped

OWN = ("BatchNorm1d", "BatchNorm2d", "MeanOfWindow")
"""Classes that the file defines itself, beside blocks."""
TAKEN = {"Net", "F", "Path", "WEIGHTS", "CLASSES", "COLUMNS", "ValueError", *OWN, "BiasedVariance"}
ORDER = ("in_channels", "out_channels", "in_features", "out_features", "num_features", "num_channels")
INDENT = "        "


@dataclass
class Class:
    """A class of blocks: one of them, and the numbers of each, in the order of their parts."""

    name: str
    sample: Scope
    numbers: list[tuple[Any, ...]] = field(default_factory=list)

    @cached_property
    def arguments(self) -> list[tuple[str, list[int]]]:
        """The numbers that differ: the name and the places of each."""
        columns = list(zip(*self.numbers, strict=True))
        roles = [role for role, _ in _leaves(self.sample)]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for place, column in enumerate(columns):
            if any(one != column[0] or type(one) is not type(column[0]) for one in column):
                groups.setdefault(column, []).append(place)
        found: list[tuple[str, list[int]]] = []
        for places in groups.values():
            name = _role([roles[place] for place in places])
            number, unique = 2, name
            while unique in [other for other, _ in found]:
                unique, number = f"{name}{number}", number + 1
            found.append((unique, places))
        return found


class Classes:
    """Every class of a net, inner ones first."""

    def __init__(self, net: Scope) -> None:
        self.found: dict[Any, Class] = {}
        self._collect(net)
        self.net = net

    def _collect(self, scope: Scope) -> None:
        for held in scope.held.values():
            for inner in _inner(held):
                self._collect(inner)
                key = _skeleton(inner)
                if key not in self.found:
                    self.found[key] = Class(self._fresh(inner.title or "Block"), inner)
                self.found[key].numbers.append(tuple(value for _, value in _leaves(inner)))

    def _fresh(self, title: str) -> str:
        name = "".join(part[:1].upper() + part[1:] for part in title.split("_")) or "Block"
        name = identifier(f"{name}Block" if name in TAKEN else name)
        names, number, unique = {one.name for one in self.found.values()}, 2, name
        while unique in names or unique in TAKEN:
            unique, number = f"{name}{number}", number + 1
        return unique

    def source(self) -> list[str]:
        """The classes of blocks."""
        return [self._class(one) for one in self.found.values()]

    def _class(self, one: Class) -> str:
        arguments = one.arguments
        texts = [literal(value) for value in one.numbers[0]]
        for name, places in arguments:
            for place in places:
                texts[place] = name
        told = f"`{one.sample.title}` of the spec." if one.sample.title else one.sample.told
        taken = "".join(f", {name}" for name, _ in arguments)
        lines = [f"class {one.name}(nn.Module):", f"    {docstring(told)}", "", f"    def __init__(self{taken}):"]
        return "\n".join([*lines, *self.held(one.sample, iter(texts)), "", *forward(one.sample)])

    def held(self, scope: Scope, texts: Iterator[str] | None = None) -> list[str]:
        """The lines of `__init__`; `texts` are its numbers in words, where some are arguments."""
        numbers = texts or (literal(value) for _, value in _leaves(scope))
        made = [self._made(f"self.{name} = ", held, numbers) for name, held in scope.held.items()]
        return [f"{INDENT}super().__init__()", *made]

    def _made(self, opening: str, held: Call | Zeros | Scope | Several, numbers: Iterator[str]) -> str:
        if isinstance(held, Zeros):
            return f"{INDENT}{opening}nn.Parameter(torch.zeros({next(numbers)}))"
        if not isinstance(held, Several):
            return f"{INDENT}{opening}{self._expression(held, numbers)}"
        parts = [self._expression(part, numbers) for part in held.parts]
        written: list[str] = []
        for text, same in groupby(parts):
            times = len(list(same))
            written += [f"*({text} for _ in range({times}))"] if times > 2 else [text] * times
        return wrapped(f"{opening}nn.Sequential(", written, ")", INDENT)

    def _expression(self, held: Call | Scope, numbers: Iterator[str]) -> str:
        if isinstance(held, Call):
            args = [literal(value) if isinstance(value, str) else next(numbers) for value in held.args]
            more = [f"{key}={literal(value) if isinstance(value, str) else next(numbers)}" for key, value in held.more.items()]
            return f"{'' if held.name in OWN else 'nn.'}{held.name}({', '.join([*args, *more])})"
        one = self.found[_skeleton(held)]
        texts = [next(numbers) for _ in _leaves(held)]
        return f"{one.name}({', '.join(f'{name}={texts[places[0]]}' for name, places in one.arguments)})"


def forward(scope: Scope, first: Sequence[str] = ()) -> list[str]:
    """The method `forward`; `first` are lines before its own."""
    lines = [*first, *scope.lines]
    shorten(lines)
    return ["    def forward(self, x):", *(f"{INDENT}{line}" for line in lines)]


def _inner(held: Call | Zeros | Scope | Several) -> Sequence[Scope]:
    return held.parts if isinstance(held, Several) else (held,) if isinstance(held, Scope) else ()


def _leaves(scope: Scope) -> Iterator[tuple[str, Any]]:
    """The numbers of a block's parts in order, with the names of their arguments."""
    for held in scope.held.values():
        if isinstance(held, Call):
            yield from ((name, value) for name, value in zip(held.named, held.args, strict=True) if not isinstance(value, str))
            yield from ((name, value) for name, value in held.more.items() if not isinstance(value, str))
        elif isinstance(held, Zeros):
            yield "out_features", held.size
        for inner in _inner(held):
            yield from _leaves(inner)


def _skeleton(scope: Scope) -> Any:
    """What two blocks of one class have in common."""
    return scope.title, tuple(scope.lines), tuple((name, _bones(held)) for name, held in scope.held.items())


def _bones(held: Call | Zeros | Scope | Several) -> Any:
    if isinstance(held, Call):
        texts = tuple(value for value in (*held.args, *held.more.values()) if isinstance(value, str))
        return held.name, len(held.args), tuple(held.more), texts
    if isinstance(held, Zeros):
        return "zeros"
    return (type(held).__name__, *(_skeleton(inner) for inner in _inner(held)))


def _role(roles: Sequence[str]) -> str:
    """A name for a number that stands in several places."""
    if any(role.startswith("in_") for role in roles) and any(role.startswith("out_") for role in roles):
        return "channels" if any("channels" in role for role in roles) else "features"
    found = min(roles, key=lambda role: ORDER.index(role) if role in ORDER else len(ORDER))
    return identifier(found)
