"""A word that cannot stand where it stands, with the words around it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lark import Token

from netspec.base.diagnostic import Diagnostic
from netspec.base.text import Source, Span
from netspec.frontend.slips import span_of

OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")
FOLLOWED = frozenset({"COMMA", "SEMICOLON", "VBAR"})
"""Kinds of words that end an argument or a branch."""


@dataclass(frozen=True)
class Place:
    """A word that cannot stand where it stands, its neighbours, and the kinds of words that can."""

    source: Source
    before: Token
    token: Token
    after: Token
    expected: frozenset[str]
    entry_words: Collection[str]
    tokens: Sequence[Token]
    at: int

    @property
    def inside(self) -> int | None:
        """The number of the innermost bracket that is open here."""
        depth = 0
        for at in range(self.at - 1, -1, -1):
            depth += (self.tokens[at].value in CLOSING) - (self.tokens[at].value in OPENING)
            if depth < 0:
                return at
        return None

    def kind(self, at: int) -> str:
        """The kind of the word of that number; empty where there is none."""
        return str(self.tokens[at].type) if 0 <= at < len(self.tokens) else ""

    def words(self, begin: int, end: int) -> str:
        """The text from one word to before another; empty where none stands between."""
        if not begin < end:
            return ""
        first, last = self.tokens[begin], self.tokens[end - 1]
        return " ".join(self.source.text[first.start_pos or 0 : last.end_pos or 0].split())

    def end(self, begin: int, ends: Collection[str] = FOLLOWED) -> int:
        """The number of the word behind what begins with the word number `begin`: a bracket that closes one around it, an entry, or a word
        of those kinds."""
        depth = 0
        for at in range(begin, len(self.tokens)):
            word = self.tokens[at]
            if depth == 0 and (word.value in CLOSING or word.type in ends or word.value in self.entry_words):
                return at
            depth += (word.value in OPENING) - (word.value in CLOSING)
        return len(self.tokens)

    def found(self, code: str, message: str, help_text: str, span: Span | None = None) -> Diagnostic:
        return Diagnostic(code, message, self.source, span or span_of(self.token), help=help_text)


Slip = Diagnostic | None
EDGE = Token("$END", "", start_pos=0, end_pos=0)
"""Stands for the neighbour of the first word and of the last."""


def opener_of(tokens: Sequence[Token], closer: int) -> int:
    """The number of the bracket that the one of number `closer` ends."""
    depth = 0
    for at in range(closer, -1, -1):
        depth += (tokens[at].value in CLOSING) - (tokens[at].value in OPENING)
        if depth == 0:
            return at
    return 0


def run_begin(tokens: Sequence[Token], end: int) -> int:
    """The number of the first word of the run `a-b-c` that ends before the word number `end`."""
    at = end
    while at > 0:
        word = tokens[at - 1]
        if word.value in CLOSING:
            at = opener_of(tokens, at - 1)
        elif word.value not in OPENING and word.type in ("NAME", "MINUS", "REPEAT", "NUMBER"):
            at -= 1
        else:
            break
    return at
