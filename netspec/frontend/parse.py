"""Text to syntax tree. Nothing but SpecError, and LimitError among them, is ever raised, whatever the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedToken
from lark.parsers.lalr_interactive_parser import InteractiveParser

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import SpecError
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.build import build
from netspec.frontend.comments import attach_comments
from netspec.frontend.grammar import grammar
from netspec.frontend.place import CLOSING, OPENING
from netspec.frontend.tokens import ENTRY_WORDS, tokenize
from netspec.frontend.unexpected import unexpected
from netspec.frontend.versions import check_version

KEYWORDS = frozenset(word.upper() for word in ENTRY_WORDS)


def parse(source: Source) -> syntax.File:
    """The program as written. Raises SpecError with every syntax error, one for each entry at most, or that its version is not known."""
    check_version(source)
    words = tokenize(source)
    try:
        tree = _read(source, words.tokens, "file")
    except SpecError as error:
        raise SpecError(_each_entry(source, words.tokens) or error.diagnostics) from None
    file: syntax.File = build(tree)
    return attach_comments(source, file, words.comments)


def parse_pairs(source: Source) -> tuple[syntax.Pair, ...]:
    """What stands between the braces of a section."""
    # outside braces entry words are reserved, so that a key such as `data.path` is read as inside them
    words = tokenize(source)
    tokens = [Token("NAME", t.value, start_pos=t.start_pos, end_pos=t.end_pos) if t.value in ENTRY_WORDS else t for t in words.tokens]
    return build(_read(source, tokens, "pairs"))  # type: ignore[no-any-return]


def parse_value(source: Source) -> syntax.Expression:
    """One value."""
    return build(_read(source, tokenize(source).tokens, "value"))  # type: ignore[no-any-return]


def _read(source: Source, tokens: Sequence[Token], start: str) -> Any:
    parser = grammar().parse_interactive(start=start)
    for at, token in enumerate(tokens):
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            raise SpecError([unexpected(source, tokens, at, _expected(parser), ENTRY_WORDS)]) from None
    if start == "file" and not tokens:
        raise SpecError([unexpected(source, tokens, 0, (), ENTRY_WORDS)])
    try:
        return parser.feed_eof()  # type: ignore[no-untyped-call]  # lark's

    except UnexpectedToken:
        raise SpecError([unexpected(source, tokens, len(tokens), _expected(parser), ENTRY_WORDS)]) from None


def _each_entry(source: Source, tokens: Sequence[Token]) -> list[Diagnostic]:
    """The first error of each entry, where the text has entries: an error in one does not hide one in another."""
    starts = [at for at in _outside_brackets(tokens) if _begins_entry(tokens, at)]
    if not starts or starts[0] != 0:
        return []
    found: list[Diagnostic] = []
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        try:
            _read(source, tokens[start:end], "file")
        except SpecError as error:
            found += error.diagnostics
    return found


def _outside_brackets(tokens: Sequence[Token]) -> Iterator[int]:
    """The numbers of the words that stand in no bracket: an entry word in one is a slip of the entry around it."""
    depth = 0
    for at, token in enumerate(tokens):
        if depth == 0:
            yield at
        depth += (token.value in OPENING) - (token.value in CLOSING)


def _begins_entry(tokens: Sequence[Token], at: int) -> bool:
    if tokens[at].type not in KEYWORDS:
        return False
    # `let net = 3`, `use blocks.net` and `net relu @input` have one entry, with what cannot be a name
    return (at == 0 or tokens[at - 1].type not in ("LET", "DEF", "DOT", "AT")) and (at + 1 == len(tokens) or tokens[at + 1].type != "EQUAL")


def _expected(parser: InteractiveParser) -> set[str]:
    return set(parser.accepts())  # type: ignore[no-untyped-call]  # lark's
