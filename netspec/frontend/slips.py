"""Words for letters and brackets that do not belong, with what to write instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from lark import Token

from netspec.base.diagnostic import Diagnostic
from netspec.base.text import Source, Span

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"


def span_of(token: Token) -> Span:
    return Span(token.start_pos or 0, token.end_pos or 0)


def _place(source: Source, offset: int) -> str:
    line, column = source.position(offset)
    return f"line {line}, column {column}"


def bad_letter(source: Source, at: int, tokens: Sequence[Token]) -> Diagnostic:
    """For a letter with which no word begins."""
    letter, rest = source.text[at], source.text[at:]
    here = Span(at, at + 1)
    if letter == '"':
        end = at + len(rest.split("\n", 1)[0])
        if re.match(r'"([^"\\\n]|\\.)*"', rest):
            return Diagnostic("NS106", 'in a string only \\" and \\\\ are written with a backslash', source, Span(at, end))
        return Diagnostic("NS106", "a string is not closed on its line", source, Span(at, end), help='end it with "')
    if letter.isdigit() and letter.isascii():
        shape = re.match(r"[0-9]+([ \t]*[x\u00d7][ \t]*[0-9]+)+(?![\w.])", rest)
        if shape and shape_without_blanks(shape[0]) != shape[0]:
            help_text = f"write {shape_without_blanks(shape[0])} without blanks"
            return Diagnostic("NS111", "a shape is written without blanks", source, Span(at, at + shape.end()), help=help_text)
        word = (re.match(r"[\w.]+", rest) or re.match(r".", rest, re.S) or [letter])[0]
        return Diagnostic("NS111", f"`{word}` is not a number", source, Span(at, at + len(word)), help=_number_help(word))
    decimal = re.match(r"\.[0-9]+", rest)
    if decimal:
        return Diagnostic("NS111", "a decimal begins with a digit", source, here, help=f"write 0{decimal[0]}")
    if letter == ">" and tokens and tokens[-1].type == "MINUS":
        arrow = Span(tokens[-1].start_pos or 0, at + 1)
        return Diagnostic("NS108", "an arrow is one word, `->`", source, arrow, help="write `->` without the space")
    if letter in _DASHES:
        return Diagnostic("NS103", f"`{letter}` is not the dash of the language", source, here, help="write `-`, or `->` between units")
    plain = unicodedata.normalize("NFKC", letter)
    if plain != letter and len(plain) == 1 and plain.isascii() and plain.isprintable():
        return Diagnostic("NS103", f"`{letter}` is a full-width or styled character", source, here, help=f"write `{plain}`")
    if letter.isalpha() or rest[:1].isidentifier() or re.match(r"[A-Za-z_]", rest):
        word = (re.match(r"\w+", rest) or [letter])[0]
        message = f"`{word}` is not a name: names are made of the letters A-Z and a-z, digits and _"
        return Diagnostic("NS103", message, source, Span(at, at + len(word)))
    shown = f"`{letter}`" if letter.isprintable() else f"the character U+{ord(letter):04X}"
    hints = {
        "\ufeff": "save the file as UTF-8 without a byte order mark",
        "'": 'strings stand in double quotes: "..."', "%": "a percentage is written without a space: 25%", "&": "branches are add(a | b)",
        ">": "write `->`", "<": "write `->`", "!": "a comment begins with #", ":": "write `key = value`",
    }  # fmt: skip
    return Diagnostic("NS103", f"{shown} has no meaning here", source, here, help=hints.get(letter))


def shape_without_blanks(words: str) -> str:
    """`3x5` for `3 x 5`."""
    return re.sub(r"\s*[x\u00d7]\s*", "x", words)


def _number_help(word: str) -> str | None:
    if re.fullmatch(r"\d+(epochs?|e|iterations?|its|steps?)", word):
        return "durations are written 20ep (epochs) or 500it (iterations)"
    if re.fullmatch(r"\d+\.", word):
        return f"write {word}0"
    if re.fullmatch(r"\d+[A-Za-z_]\w*", word):
        return "a name begins with a letter; between a number and a word stands a space or a sign"
    return None


def never_closed(source: Source, tokens: Sequence[Token], opener_at: int, entry_words: Collection[str]) -> Diagnostic:
    """For the innermost bracket that has no end; points where the closing one is missing."""
    opener = tokens[opener_at]
    closer = {"(": ")", "[": "]", "{": "}"}[opener.value]
    last = tokens[-1]
    for before, token, after in zip(tokens[opener_at:], tokens[opener_at + 1 :], [*tokens[opener_at + 2 :], None], strict=False):
        if token.value in entry_words and not (after is not None and after.type in ("EQUAL", "DOT")):
            last = before
            break
    end = last.end_pos or 0
    message = f"`{closer}` is missing: the `{opener.value}` of {_place(source, opener.start_pos or 0)} is never closed"
    return Diagnostic("NS104", message, source, Span(end, end), label=f"`{closer}` is missing here at the latest")


def never_opened(source: Source, token: Token) -> Diagnostic:
    opener = {")": "(", "]": "[", "}": "{"}[token.value]
    return Diagnostic(
        "NS105", f"`{token.value}` closes nothing", source, span_of(token), help=f"write the `{opener}` that it ends, or leave it out"
    )


def wrong_closer(source: Source, opener: Token, token: Token, closer: str) -> Diagnostic:
    message = f"`{closer}` is missing: the `{opener.value}` of {_place(source, opener.start_pos or 0)} cannot be closed by `{token.value}`"
    return Diagnostic("NS104", message, source, span_of(token), label=f"`{closer}` is missing before this")
