"""Words for a word that cannot stand where it stands: what the usual slips are, and what to write instead. Never a parser's own names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from lark import Token

from netspec.base.diagnostic import Diagnostic
from netspec.base.text import Source, Span
from netspec.frontend.habits import HABITS
from netspec.frontend.misplaced import MISPLACED_WORDS
from netspec.frontend.place import CLOSING, EDGE, Place, Slip, opener_of, run_begin
from netspec.frontend.slips import shape_without_blanks, span_of

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


def unexpected(source: Source, tokens: Sequence[Token], at: int, expected: Collection[str], entry_words: Collection[str]) -> Diagnostic:
    """For the word number `at`, one past the last for the end of the text."""
    if not tokens:
        return Diagnostic(
            "NS102", "the text is empty", source, Span(0, 0), help="write a chain, such as affine(100)-relu -> affine -> softmax"
        )
    before = tokens[at - 1] if at else EDGE
    if at >= len(tokens):
        return _end(source, before, frozenset(expected))
    after = tokens[at + 1] if at + 1 < len(tokens) else EDGE
    place = Place(source, before, tokens[at], after, frozenset(expected), entry_words, tokens, at)
    for slip in SLIPS:
        found = slip(place)
        if found is not None:
            return found
    return place.found("NS101", f"`{place.token.value}` cannot stand here", f"here may stand {_listed(place.expected)}")


def _end(source: Source, last: Token, expected: frozenset[str]) -> Diagnostic:
    end = Span(last.end_pos or 0, last.end_pos or 0)
    if last.type in DANGLING:
        return Diagnostic("NS114", f"{_what(expected)} is missing after `{last.value}`", source, end)
    return Diagnostic("NS101", f"the text ends where {_listed(expected)} should follow", source, end)


def _what(expected: frozenset[str]) -> str:
    return "a layer" if "LSQB" in expected else "a value" if "NUMBER" in expected else "a name"


def _listed(expected: frozenset[str]) -> str:
    if {"NUMBER", "STRING"} <= expected:
        expected = (expected - OPERANDS) | {"VALUE"}
    elif {"NAME", "LSQB", "AT"} <= expected:
        expected = (expected - {"NAME", "LSQB", "AT"}) | {"LAYER"}
    words = sorted({SHOWN.get(kind, "another entry") for kind in expected}, key=lambda word: (word.startswith("`"), word))
    if not words:
        return "nothing more"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _stars(place: Place) -> Slip:
    """`]*4`, `]**4`."""
    if place.token.type != "STAR" or place.before.type not in ("RSQB", "RPAR", "NAME"):
        return None
    doubled = place.after.type == "STAR"
    end = (place.after if doubled else place.token).end_pos or 0
    number = re.match(r"\s*([0-9]+)", place.source.text[end:])
    if number is None:
        return None
    message = f"a repeat is written x{number[1]}, not {'**' if doubled else '*'}{number[1]}"
    target = f" after brackets: [{place.before.value}]x{number[1]}" if place.before.type == "NAME" else ""
    return place.found("NS107", message, f"write x{number[1]}{target}", Span(place.token.start_pos or 0, end + number.end()))


def _repeat_count(place: Place) -> Slip:
    """`]x-1`."""
    if place.before.type not in ("RSQB", "RPAR") or place.token.value not in ("x", "X") or "REPEAT" not in place.expected:
        return None
    return place.found("NS107", "a repeat is `x` and a whole number, or a value in brackets", "write x4, or x(depth - 1)")


def _repeat_word(place: Place) -> Slip:
    """`relu x4`, `relu x 4`, `relu x(n)`."""
    if place.before.type != "NAME" or place.token.type != "NAME" or "ARROW" not in place.expected:
        return None
    match = _REPEAT_WORD.fullmatch(place.token.value)
    last = place.token
    if match:
        times = match[1]
    elif place.token.value == "x" and place.after.type == "NUMBER":
        times, last = str(place.after.value), place.after
    elif place.token.value == "x" and place.after.type == "NAME":
        times, last = f"({place.after.value})", place.after
    elif place.token.value == "x" and place.after.type == "LPAR":
        times = "(...)"
    else:
        return None
    span = Span(place.token.start_pos or 0, last.end_pos or 0)
    begin = run_begin(place.tokens, place.at)
    run = place.source.text[place.tokens[begin].start_pos or 0 : place.before.end_pos or 0]
    whole = f", or [{run}]x{times} for all of them" if begin < place.at - 1 else ""
    message = "a repeat follows brackets; a bare name cannot be repeated"
    return place.found("NS107", message, f"write [{place.before.value}]x{times}{whole}", span)


def _second_repeat(place: Place) -> Slip:
    """`[a]x2x3`, `[a]x2 x3`, `[a]x(2)x3`."""
    tokens, at, token = place.tokens, place.at, place.token
    count_at = opener_of(tokens, at - 1) if place.before.type == "RPAR" else at if token.type == "SHAPE" else at - 1
    if count_at < 2 or tokens[count_at - 1].type != "REPEAT" or tokens[count_at - 2].value not in CLOSING:
        return None
    repeats = re.match(r"[0-9x\u00d7\s]*", place.source.text[tokens[count_at].start_pos if token.type == "SHAPE" else token.start_pos :])
    counts = re.findall(r"[0-9]+", repeats[0] if repeats else "")
    if not counts or not (token.type in ("SHAPE", "REPEAT") or re.fullmatch(r"[x\u00d7][0-9]*", token.value)):
        return None
    opener = opener_of(tokens, count_at - 2)
    if tokens[opener].value == "(":
        opener -= 1
    ends_at = tokens[count_at - 2].end_pos if token.type == "SHAPE" else place.before.end_pos
    unit = place.source.text[tokens[opener].start_pos or 0 : ends_at]
    if token.type == "SHAPE":
        unit = f"{unit}x{counts.pop(0)}"
    for count in counts:
        unit = f"[{unit}]x{count}"
    return place.found("NS107", "a repeat that is repeated stands in brackets of its own", f"write {unit}")


def _blanks_in_shape(place: Place) -> Slip:
    """`kernel=3 x 5`."""
    if place.before.type not in ("NUMBER", "SHAPE"):
        return None
    begin = place.before.start_pos or 0
    shape = re.match(r"[0-9]+([ \t]*[x\u00d7][ \t]*[0-9]+)+", place.source.text[begin:])
    if shape is None or shape.end() <= len(place.before.value):
        return None
    span = Span(begin, begin + shape.end())
    return place.found("NS111", "a shape is written without blanks", f"write {shape_without_blanks(shape[0])} without blanks", span)


def _argument(place: Place) -> Slip:
    """`affine 100`."""
    if place.before.type != "NAME" or place.token.type not in OPERANDS - {"NAME", "LPAR"} or "LPAR" not in place.expected:
        return None
    message = f"the argument of `{place.before.value}` stands in brackets"
    return place.found("NS109", message, f"write {place.before.value}({place.token.value})")


def _reserved(place: Place) -> Slip:
    """`let net = 3`."""
    if place.token.value not in place.entry_words or "NAME" not in place.expected:
        return None
    if place.before.value not in ("let", "def") and place.after.type not in ("EQUAL", "MINUS", "ARROW", "LPAR"):
        return None
    return place.found("NS112", f"`{place.token.value}` is a word of the language and cannot be a name", "choose another name")


def _missing_sign(place: Place) -> Slip:
    """`affine(100) relu`, `f(a b)`."""
    if place.before.type not in (*OPERANDS, "RPAR", "RSQB") or place.after.type == "EQUAL":
        return None
    message = f"a sign is missing between `{place.before.value}` and `{place.token.value}`"
    if place.token.type in ("LSQB", "NAME") and "ARROW" in place.expected:
        return place.found("NS114", message, "write `-` inside a unit, or `->` between units")
    if place.token.type in OPERANDS - {"LPAR"} and {"COMMA", "RPAR"} <= place.expected:
        return place.found("NS114", message, "write `,` between arguments")
    return None


def _missing_net(place: Place) -> Slip:
    """`affine-relu train {...}`, `let a = 3 [affine(a)]x4`, `width = 3`."""
    token, before = place.token, place.before
    if token.value in place.entry_words and before is not EDGE and "NET" not in place.expected and "$END" in place.expected:
        message = f"a chain that stands beside other entries begins with `net`; here `{token.value}` follows a bare chain"
        return place.found("NS113", message, "write `net` before the chain")
    if token.type == "EQUAL" and before.type == "NAME" and "ARROW" in place.expected:
        return place.found("NS113", f"`{before.value}` begins no entry", f"write let {before.value} = ...", span_of(before))
    if token.type not in ("LSQB", "NAME") or "NET" not in place.expected:
        return None
    if token.type == "NAME" and place.after.type == "EQUAL":
        hint = f"it is a key of a section, or `let` is missing before it: let {token.value} = ..."
        return place.found("NS113", f"`{token.value}` begins no entry", hint)
    return place.found("NS113", f"`{token.value}` begins no entry", "a chain begins with `net`")


def _missing_operand(place: Place) -> Slip:
    """`a -> -> b`, `affine(.5)`."""
    token, before = place.token, place.before
    if token.type == "DOT" and place.after.type == "NUMBER" and token.end_pos == place.after.start_pos:
        return place.found("NS111", "a decimal begins with a digit", f"write 0.{place.after.value}")
    if before.type in DANGLING and "NAME" in place.expected:
        at = before.end_pos or 0
        span = Span(at, max(at, token.start_pos or 0))
        message = f"{_what(place.expected)} is missing after `{before.value}`"
        hint = "id is the branch that changes nothing" if before.type == "VBAR" else None
        return Diagnostic("NS114", message, place.source, span, label=f"before `{token.value}`", help=hint)
    return None


def _missing_equals(place: Place) -> Slip:
    """`batch 10`."""
    if not place.expected or not place.expected <= {"EQUAL", "DOT"}:
        return None
    value = place.token.value if place.token.type in OPERANDS - {"LPAR"} else "..."
    return place.found("NS114", f"`=` is missing after `{place.before.value}`", f"write {place.before.value} = {value}")


SLIPS = (
    _second_repeat, _blanks_in_shape, *HABITS, *MISPLACED_WORDS, _stars, _repeat_count, _repeat_word, _argument, _reserved, _missing_sign,
    _missing_net, _missing_operand, _missing_equals,
)  # fmt: skip
"""In the order in which they are tried."""
