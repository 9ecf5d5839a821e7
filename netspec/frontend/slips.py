"""Words for syntax errors: what the usual slips are, and what to write instead. Never a parser's own names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from lark import Token

from netspec.base.diagnostic import Diagnostic
from netspec.base.text import Source, Span

SHOWN = {
    "NAME": "a name", "NUMBER": "a number", "PERCENT": "a percentage", "DURATION": "a duration", "SHAPE": "a shape", "STRING": "a string",
    "TRUE": "true", "FALSE": "false", "ARROW": "`->`", "MINUS": "`-`", "PLUS": "`+`", "STAR": "`*`", "SLASH": "`/`",
    "FLOOR_DIVIDE": "`//`", "MOD": "`mod`", "EQUAL": "`=`", "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`",
    "RBRACE": "`}`", "COMMA": "`,`", "SEMICOLON": "`;`", "DOT": "`.`", "AT": "`@`", "COLON": "`:`", "VBAR": "`|`",
    "VALUE": "a value", "LAYER": "a layer",
    "REPEAT": "a repeat `x4`", "TIED": "`tied`", "BRANCH_OPEN": "`(`", "$END": "the end of the text",
}  # fmt: skip
OPERANDS = frozenset({"NUMBER", "PERCENT", "DURATION", "SHAPE", "STRING", "TRUE", "FALSE", "NAME", "LPAR"})
OPERATORS = frozenset({"PLUS", "STAR", "SLASH", "FLOOR_DIVIDE", "MOD"})
DANGLING = frozenset({"ARROW", "MINUS", "EQUAL", "COMMA", "VBAR", "NET", "LET", "DEF", *OPERATORS})
_REPEAT_WORD = re.compile(r"[x\u00d7](\d+)")
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
        word = (re.match(r"[\w.]+", rest) or re.match(r".", rest, re.S) or [letter])[0]
        return Diagnostic("NS111", f"`{word}` is not a number", source, Span(at, at + len(word)), help=_number_help(word))
    if letter == "." and rest[1:2].isdigit():
        return Diagnostic("NS111", "a decimal begins with a digit", source, here, help="write 0.5 for .5")
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
        "'": 'strings stand in double quotes: "..."', "%": "a percentage is written without a space: 25%", "&": "branches are add(a | b)",
        ">": "write `->`", "<": "write `->`", "!": "a comment begins with #", ":": "write `key = value`",
    }  # fmt: skip
    return Diagnostic("NS103", f"{shown} has no meaning here", source, here, help=hints.get(letter))


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


def unexpected(source: Source, tokens: Sequence[Token], at: int, expected: Collection[str], entry_words: Collection[str]) -> Diagnostic:
    """For a word that cannot stand where it stands; `at` is its place among the tokens, one past the last for the end of the text."""
    if not tokens:
        return Diagnostic(
            "NS102", "the text is empty", source, Span(0, 0), help="write a chain, such as affine(100)-relu -> affine -> softmax"
        )
    before = tokens[at - 1] if at else None
    if at >= len(tokens):
        end = tokens[-1].end_pos or 0
        if before is not None and before.type in DANGLING:
            what = _what(expected)
            return Diagnostic("NS114", f"{what} is missing after `{before.value}`", source, Span(end, end))
        return Diagnostic("NS101", f"the text ends where {_listed(expected)} should follow", source, Span(end, end))
    token = tokens[at]
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    for slip in (_stars, _repeat_count, _repeat_word, _argument, _reserved, _missing_sign, _missing_net, _missing_operand):
        found = slip(source, before, token, after, expected, entry_words)
        if found is not None:
            return found
    return Diagnostic("NS101", f"{_shown(token)} cannot stand here", source, span_of(token), help=f"here may stand {_listed(expected)}")


def _what(expected: Collection[str]) -> str:
    return "a layer" if "LSQB" in expected else "a value" if "NUMBER" in expected else "a name"


def _shown(token: Token) -> str:
    return f"`{token.value}`"


def _listed(expected: Collection[str]) -> str:
    if {"NUMBER", "STRING"} <= set(expected):
        expected = (set(expected) - OPERANDS) | {"VALUE"}
    elif {"NAME", "LSQB", "AT"} <= set(expected):
        expected = (set(expected) - {"NAME", "LSQB", "AT"}) | {"LAYER"}
    words = sorted({SHOWN.get(kind, "another entry") for kind in expected}, key=lambda word: (word.startswith("`"), word))
    if not words:
        return "nothing more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


Slip = Diagnostic | None


def _stars(
    source: Source, before: Token | None, token: Token, after: Token | None, _expected: Collection[str], _words: Collection[str]
) -> Slip:
    if token.type != "STAR" or before is None or before.type not in ("RSQB", "RPAR", "NAME"):
        return None
    doubled = after is not None and after.type == "STAR"
    end = after.end_pos or 0 if after is not None and doubled else token.end_pos or 0
    number = re.match(r"\s*(\d+)", source.text[end:])
    if number is None:
        return None
    stars = "**" if doubled else "*"
    target = "" if before.type == "RSQB" else f" after brackets: [{before.value}]x{number[1]}" if before.type == "NAME" else ""
    message = f"a repeat is written x{number[1]}, not {stars}{number[1]}"
    return Diagnostic("NS107", message, source, Span(token.start_pos or 0, end + number.end()), help=f"write x{number[1]}{target}")


def _repeat_count(
    source: Source, before: Token | None, token: Token, after: Token | None, _expected: Collection[str], _words: Collection[str]
) -> Slip:
    if before is None or before.type not in ("RSQB", "RPAR") or token.value not in ("x", "X") or "REPEAT" not in _expected:
        return None
    message = "a repeat is `x` and a whole number, or a value in brackets"
    return Diagnostic("NS107", message, source, span_of(token), help="write x4, or x(depth - 1)")


def _repeat_word(
    source: Source, before: Token | None, token: Token, after: Token | None, _expected: Collection[str], _words: Collection[str]
) -> Slip:
    if before is None or before.type != "NAME" or token.type not in ("NAME", "REPEAT") or "ARROW" not in _expected:
        return None
    match = _REPEAT_WORD.fullmatch(token.value)
    number = match[1] if match else after.value if token.value == "x" and after is not None and after.type == "NUMBER" else None
    spelled = number or ("(...)" if token.value == "x" and after is not None and after.type == "LPAR" else None)
    if spelled is None:
        return None
    end = (after.end_pos if after is not None and match is None else token.end_pos) or 0
    message = "a repeat follows brackets; a bare name cannot be repeated"
    return Diagnostic("NS107", message, source, Span(token.start_pos or 0, end), help=f"write [{before.value}]x{spelled}")


def _argument(
    source: Source, before: Token | None, token: Token, _after: Token | None, expected: Collection[str], _words: Collection[str]
) -> Slip:
    if before is None or before.type != "NAME" or token.type not in OPERANDS - {"NAME", "LPAR"} or "LPAR" not in expected:
        return None
    message = f"the argument of `{before.value}` stands in brackets"
    return Diagnostic("NS109", message, source, span_of(token), help=f"write {before.value}({token.value})")


def _reserved(
    source: Source, before: Token | None, token: Token, after: Token | None, expected: Collection[str], words: Collection[str]
) -> Slip:
    if token.value not in words or "NAME" not in expected:
        return None
    is_name = before is not None and (
        before.value in ("let", "def") or (after is not None and after.type in ("EQUAL", "MINUS", "ARROW", "LPAR"))
    )
    if not is_name:
        return None
    return Diagnostic(
        "NS112", f"`{token.value}` is a word of the language and cannot be a name", source, span_of(token), help="choose another name"
    )


def _missing_sign(
    source: Source, before: Token | None, token: Token, after: Token | None, expected: Collection[str], _words: Collection[str]
) -> Slip:
    if before is None or before.type not in (*OPERANDS, "RPAR", "RSQB") or (after is not None and after.type == "EQUAL"):
        return None
    message = f"a sign is missing between `{before.value}` and `{token.value}`"
    if token.type in ("LSQB", "NAME") and "ARROW" in expected:
        return Diagnostic("NS114", message, source, span_of(token), help="write `-` inside a unit, or `->` between units")
    if token.type in OPERANDS and token.type != "LPAR" and "COMMA" in expected and "RPAR" in expected:
        return Diagnostic("NS114", message, source, span_of(token), help="write `,` between arguments")
    return None


def _missing_net(
    source: Source, before: Token | None, token: Token, after: Token | None, expected: Collection[str], words: Collection[str]
) -> Slip:
    if token.value in words and before is not None and "NET" not in expected and "$END" in expected:
        message = f"a chain that stands beside other entries begins with `net`; here `{token.value}` follows a bare chain"
        return Diagnostic("NS113", message, source, span_of(token), help="write `net` before the chain")
    if token.type in ("LSQB", "NAME") and "NET" in expected:
        if token.type == "NAME" and after is not None and after.type == "EQUAL":
            known = "it is a key of a section, or `let` is missing before it"
            return Diagnostic("NS113", f"`{token.value}` begins no entry", source, span_of(token), help=f"{known}: let {token.value} = ...")
        return Diagnostic("NS113", f"`{token.value}` begins no entry", source, span_of(token), help="a chain begins with `net`")
    return None


def _missing_operand(
    source: Source, before: Token | None, token: Token, _after: Token | None, expected: Collection[str], _words: Collection[str]
) -> Slip:
    if before is not None and before.type in DANGLING and "NAME" in expected:
        what = _what(expected)
        at = before.end_pos or 0
        message = f"{what} is missing after `{before.value}`"
        return Diagnostic("NS114", message, source, Span(at, max(at, token.start_pos or 0)), label=f"before `{token.value}`")
    if token.type == "DOT" and _after is not None and _after.type == "NUMBER":
        return Diagnostic("NS111", "a decimal begins with a digit", source, span_of(token), help=f"write 0.{_after.value}")
    if token.type == "EQUAL" and before is not None and before.type == "NAME" and "ARROW" in expected:
        return Diagnostic("NS113", f"`{before.value}` begins no entry", source, span_of(before), help=f"write let {before.value} = ...")
    if expected and set(expected) <= {"EQUAL", "DOT"} and before is not None:
        return Diagnostic("NS114", f"`=` is missing after `{before.value}`", source, span_of(token), help=f"write {before.value} = ...")
    return None
