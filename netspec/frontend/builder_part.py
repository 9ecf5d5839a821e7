"""What every part of a program that is built in Python shares: what it brings along, its limits, and the names that it may have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, UsageError
from netspec.frontend import limits, syntax
from netspec.frontend.format import format_file
from netspec.frontend.tokens import ENTRY_WORDS

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = ENTRY_WORDS | {"mod", "true", "false"}


@dataclass(frozen=True, slots=True)
class Definition:
    """A `let` or a def that a part uses. Equal ones, which have the same text, stand in a program once."""

    text: str
    entry: syntax.Let | syntax.Def = field(compare=False, repr=False)

    @classmethod
    def of(cls, entry: syntax.Let | syntax.Def) -> Definition:
        return cls(format_file(syntax.File((entry,))), entry)


@dataclass(frozen=True, slots=True)
class Held:
    """What a part brings along: the definitions that it uses, each before its use; how deep its brackets go; how many words it has."""

    names: tuple[Definition, ...] = ()
    depth: int = 0
    size: int = 1

    def bracketed(self, brackets: bool = True) -> Held:
        """The same inside brackets."""
        return replace(self, depth=self.depth + brackets, size=self.size + brackets)


def together(parts: Iterable[Held]) -> Held:
    """What several parts in one bring along. Raises LimitError where no text could hold them: shared parts grow fast when written out."""
    held = tuple(parts)
    names = tuple(dict.fromkeys(name for one in held for name in one.names))
    depth = max((one.depth for one in held), default=0)
    size = sum(one.size for one in held)
    if depth > limits.NESTING:
        raise LimitError([Diagnostic("NS803", f"brackets are nested more than {limits.NESTING} deep")])
    if size > limits.SPEC_BYTES:
        message = f"the text is longer than {limits.SPEC_BYTES // 1024} KiB"
        raise LimitError([Diagnostic("NS801", message, help="write a repeat, such as ns.repeat(block, 4)")])
    return Held(names, depth, size)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Built:
    """A part of a program that was built in Python. It never changes; what is made of it is a new one."""

    held: Held
    kind: ClassVar[str]
    __array_ufunc__: ClassVar[None] = None  # a NumPy number on the left leaves operators to the part on the right

    @property
    def text(self) -> str:
        """The part alone, on one line."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        # by text: comparing deep trees takes a deep stack
        if not isinstance(other, Built) or self.kind != other.kind:
            return NotImplemented
        return (self.text, self.held.names) == (other.text, other.held.names)

    def __hash__(self) -> int:
        return hash((self.text, self.held.names))

    def expression(self) -> syntax.Expression:
        """The part where a value stands. Raises UsageError where it is none."""
        raise NotImplementedError


def in_words(given: Any) -> str:
    """`None`, `[3] (a list)`."""
    if given is None:
        return "None"
    shown, kind = " ".join(repr(given).split()), type(given).__name__
    return f"{shown if len(shown) <= 40 else shown[:37] + '...'} ({'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind})"


def named_word(name: str) -> syntax.Word:
    """A name of the language. Raises UsageError for what is none."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > limits.NAME_LENGTH:
        rule = f"the letters A-Z and a-z, digits and _, no digit first, at most {limits.NAME_LENGTH}"
        raise UsageError(f"{in_words(name)} is no name of the language: names are made of {rule}")
    if name in RESERVED:
        raise UsageError(f"`{name}` is a word of the language itself, and no name; choose another")
    return syntax.Word(name)
