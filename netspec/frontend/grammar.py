"""Loads the grammar, from an installed package or from a checkout, and builds its LALR tables once a process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token
from lark.lexer import Lexer

STARTS = ("file", "pairs", "value")
_PLACES = (Path(__file__).with_name("netspec.lark"), Path(__file__).parents[2] / "grammar" / "netspec.lark")


class _WordsFromOutside(Lexer):
    """Tells lark to build no lexers: tokens.py reads the words and feeds them one by one."""

    def __init__(self, _configuration: Any) -> None: ...

    def lex(self, _text: Any) -> Iterator[Token]:  # type: ignore[override]
        yield from ()


@cache
def grammar() -> Lark:
    """The language's parser, with the starts `file`, `pairs` (the inside of a section) and `value`."""
    place = next(path for path in _PLACES if path.is_file())
    return Lark(place.read_text(encoding="utf-8"), parser="lalr", lexer=_WordsFromOutside, start=list(STARTS), propagate_positions=True)
