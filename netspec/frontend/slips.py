"""Words for letters and brackets that do not belong, with what to write instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from lark import Token

from netspec.base.diagnostic import Diagnostic
from netspec.base.text import Source, Span

SIDES_ARE_NUMBERS = "the sides of a shape are written as numbers, not as names or calculations"
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
    commented = comment_sign(source, at, anywhere=True)
    if commented is not None:
        return commented
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
        counted = leading_count(source, at)
        if counted is not None:
            return counted
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
        ">": "write `->`", "<": "write `->`",
        "^": "there are no powers: write the number, or a product such as 2 * 2",
        "!": "a comment begins with #", ":": "write `key = value`",
    }  # fmt: skip
    return Diagnostic("NS103", f"{shown} has no meaning here", source, here, help=hints.get(letter))


def comment_sign(source: Source, at: int, *, anywhere: bool = False) -> Diagnostic | None:
    """For a line that begins with a comment as other languages write it, where the word at fault is its sign, or stands anywhere in it."""
    start = source.text.rfind("\n", 0, at) + 1
    line = source.text[start:].split("\n", 1)[0]
    sign = re.match(r"\s*(//|--(?!>)|/\*)", line)
    if sign is None or not (anywhere or start + sign.start(1) <= at < start + sign.end(1)):
        return None
    span = Span(start + sign.start(1), start + sign.end(1))
    return Diagnostic("NS101", f"`{sign[1]}` begins no comment", source, span, help="a comment begins with # and ends with its line")


def leading_count(source: Source, at: int) -> Diagnostic | None:
    """For a repeat whose count stands before what repeats: `3x[affine-relu]`, `3 * affine(8)`."""
    count = re.match(r"([0-9]+)\s*([x\u00d7*]\s*(?=[\[A-Za-z_])|(?=\[))", source.text[at:])
    if count is None:
        return None
    end = _unit_end(source.text, at + count.end())
    unit = " ".join(source.text[at + count.end() : end].split())
    repeated = unit if unit.startswith("[") else f"[{unit}]"
    message = "the count of a repeat stands behind what repeats"
    return Diagnostic("NS107", message, source, Span(at, at + len(count[0].rstrip())), help=f"write {repeated}x{count[1]}")


def _unit_end(text: str, begin: int) -> int:
    """Where a name, a call or a bracket that begins there ends."""
    name = re.compile(r"\w+").match(text, begin)
    at = name.end() if name else begin
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] in "([{") - (text[end] in ")]}")
        if depth <= 0:
            return end + 1 if text[end] in ")]}" and depth == 0 and end > at else at
    return len(text)


def shape_without_blanks(words: str) -> str:
    """`3x5` for `3 x 5`."""
    return re.sub(r"\s*[x\u00d7]\s*", "x", words)


def _number_help(word: str) -> str | None:
    if re.fullmatch(r"\d+(epochs?|e|iterations?|its|steps?)", word):
        return "durations are written 20ep (epochs) or 500it (iterations)"
    if re.fullmatch(r"\d+(x\w+)+", word):
        return f"{SIDES_ARE_NUMBERS}, as in 3x5"
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
