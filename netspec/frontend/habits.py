"""Words for what is written as in Python, in C, in other libraries: tuples, powers, comments, `input = 32`, `lr = 0.1, batch = 3`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netspec.base.diagnostic import Diagnostic
from netspec.base.text import Span
from netspec.frontend.place import CLOSING, OPENING, Place, Slip, opener_of
from netspec.frontend.program import DataSection, TrainSection
from netspec.frontend.slips import SIDES_ARE_NUMBERS, comment_sign, leading_count, span_of
from netspec.frontend.syntax import BLOCKS

_SECTION_WORDS = frozenset({"data", "train", "defaults", "search"})
_VALUE_KINDS = frozenset({"NUMBER", "PERCENT", "DURATION", "SHAPE", "STRING", "NAME", "TRUE", "FALSE", "EQUAL", "COLON"})
_SHOWN_PAIRS = 80
"""Letters of a corrected section that a message shows whole."""
_KEYS = {"train": frozenset({*TrainSection.model_fields, "lr"}), "data": frozenset(DataSection.model_fields)}


def _comment(place: Place) -> Slip:
    """`// words`, `-- words`, `/* words */`."""
    found = comment_sign(place.source, place.token.start_pos or 0)
    if found is not None:
        return found
    if place.token.value == "-" == place.before.value and re.match(r"\s--\s+\w", place.source.text[(place.before.start_pos or 1) - 1 :]):
        span = Span(place.before.start_pos or 0, place.token.end_pos or 0)
        return place.found("NS101", "`--` begins no comment, and is no sign", "a comment begins with #; between units stands ->", span)
    if place.token.type == "SLASH" and place.after.type == "STAR" and place.token.end_pos == place.after.start_pos:
        return place.found("NS101", "`/*` begins no comment", "a comment begins with # and ends with its line")
    if place.token.type != "FLOOR_DIVIDE" or "FLOOR_DIVIDE" in place.expected or "NUMBER" in place.expected:
        return None
    return place.found("NS101", "`//` begins no comment: it divides whole numbers", "a comment begins with # and ends with its line")


def _sign_behind_word(place: Place) -> Slip:
    """`input = 32`, `net: relu`, `train = {`."""
    word = place.before.value
    if place.token.type not in ("EQUAL", "COLON") or word not in place.entry_words or word in ("let", "def", "use"):
        return None
    if place.before.type == "NAME":  # inside braces
        return None
    if word in _SECTION_WORDS:
        end = min(place.end(place.at + 2, ()) + 1, len(place.tokens))
        known = place.after.value == "{" and end > place.at + 3
        pairs = "; ".join(_with_semicolons(place, place.at + 2, end - 1)) if known else ""
        help_text = f"write {word} {{ {pairs if 0 < len(pairs) <= _SHOWN_PAIRS else 'key = value; key = value'} }}"
    else:
        end = place.end(place.at + 1, ())
        rest = place.words(place.at + 1, end) if end > place.at + 1 else "..."
        help_text = f"write {word} {rest if len(rest) < _SHOWN_PAIRS else '...'}"
    return place.found("NS101", f"behind `{word}` stands no `{place.token.value}`", help_text)


def _pairs(place: Place) -> Slip:
    """`train { lr = 0.1, batch = 3 }`, `train { lr: 0.1, batch: 3 }`."""
    inside = place.inside
    if place.token.type not in ("EQUAL", "COLON", "STRING") or (inside is not None and place.tokens[inside].value != "{"):
        return None
    begin = 0 if inside is None else inside + 1
    if inside is None and (place.tokens[0].type != "NAME" or "ARROW" in place.expected):  # no pairs of a section by themselves
        return None
    comma = _key_begin(place, place.at - 1) - 1
    if place.kind(comma) == "COMMA" and comma > begin:
        message, span = "keys are separated by `;`, and `,` by itself joins the values of a list", span_of(place.tokens[comma])
    elif place.token.type == "COLON" and place.before.type == "NAME":
        message, span = "a key and its value are joined by `=`", span_of(place.token)
    elif place.token.type == "STRING" and place.after.type in ("EQUAL", "COLON"):
        message, span = "a key stands without quotes", span_of(place.token)
    else:
        return None
    pairs = _with_semicolons(place, begin, place.end(begin, ()))
    while len("; ".join(pairs)) > _SHOWN_PAIRS:
        pairs.pop()
    return place.found("NS101", message, f"write {'; '.join(pairs) or 'key = value; key = value'}", span)


def _key_begin(place: Place, at: int) -> int:
    """The number of the first word of the key `affine.width` that ends at a word."""
    while place.kind(at - 1) == "DOT":
        at -= 2
    return at


def _with_semicolons(place: Place, begin: int, end: int) -> list[str]:
    """The pairs from one word to before another, as they should be written: each comma before a key ends one."""
    pairs, start, depth = [], begin, 0
    for at in range(begin, end):
        depth += (place.tokens[at].value in OPENING) - (place.tokens[at].value in CLOSING)
        follows = depth == 0 and place.kind(at) in ("EQUAL", "COLON") and place.kind(at - 1) in ("NAME", "STRING")
        key = _key_begin(place, at - 1) if follows else begin
        if key > start:
            pairs.append(place.words(start, key))
            start = key
    pairs.append(place.words(start, end))
    return [re.sub(r'^"?([\w.]+)"?\s*[:=]\s*', r"\1 = ", pair.rstrip(",; ")) for pair in pairs]


def _key_as_entry(place: Place) -> Slip:
    """`epochs 5` beside the other entries."""
    token = place.token
    if place.inside is not None or place.before.type in ("EQUAL", "COMMA", "ARROW", "MINUS", "DOT", "AT", "LET", "DEF"):
        return None
    if place.expected <= {"EQUAL", "DOT"}:  # a pair of a section
        return None
    key_at = place.at - 1 if token.type in ("EQUAL", "COLON") else place.at  # in `net relu epochs = 5` or `epochs = 5`
    key = place.tokens[key_at].value if key_at >= 0 else ""
    section = next((section for section, keys in _KEYS.items() if key in keys and len(key) > 1), None)  # x may be of a shape
    if section is None or place.kind(key_at) != "NAME" or place.kind(key_at + 1) not in _VALUE_KINDS:
        return None
    begin = key_at + 2 if place.kind(key_at + 1) in ("EQUAL", "COLON") else key_at + 1
    end = begin + 1
    if place.kind(end) == "LPAR":
        end = min(place.end(end + 1, ()) + 1, len(place.tokens))
    value = place.words(begin, end) if begin < len(place.tokens) else "..."
    return place.found(
        "NS113", f"`{key}` is a key of `{section}`, and no entry of its own", f"write {section} {{ {key} = {value} }}",
        span_of(place.tokens[key_at]),
    )  # fmt: skip


def _count_first(place: Place) -> Slip:
    """`3 * [affine-relu]`."""
    if place.token.type not in ("NUMBER", "SHAPE") or not {"NAME", "LSQB"} <= place.expected:
        return None
    return leading_count(place.source, place.token.start_pos or 0)


def _count_by_name(place: Place) -> Slip:
    """`[affine-relu]xn`, `[affine-relu] x n`, `[affine-relu]*n`."""
    token = place.token
    if place.before.type not in ("RSQB", "RPAR") or "REPEAT" not in place.expected:
        return None
    after = place.after
    if token.type == "STAR" and after.type == "NAME" and re.search(rf"\blet\s+{after.value}\s*=", place.source.text):
        return place.found(
            "NS107", "a repeat is written x, and a count that is a value stands in brackets", f"write x({place.after.value})"
        )
    if token.type != "NAME":
        return None
    if token.value in ("x", "X", "\u00d7") and after.type == "NAME":
        return place.found("NS107", "a count that is a value stands in brackets", f"write x({after.value})")
    name = token.value[1:]
    if token.value[0] != "x" or not name.isidentifier() or place.before.end_pos != token.start_pos:
        return None
    return place.found("NS107", "a count that is a value stands in brackets", f"write x({name})")


def _block_arguments_first(place: Place) -> Slip:
    """`res(proj)[conv(8)]`, `res(conv(8) -> bn)`."""
    if place.token.type == "LSQB" and place.before.type == "RPAR" and "ARROW" in place.expected:
        opener = opener_of(place.tokens, place.at - 1)
        name = place.tokens[opener - 1].value if opener else ""
        if name not in BLOCKS:
            return None
        chain = place.words(place.at, min(place.end(place.at + 1, ()) + 1, len(place.tokens)))
        arguments = place.words(opener, place.at)
        message = f"the arguments of {name} stand behind its chain"
        return place.found("NS101", message, f"write {name}{chain}{arguments}", span_of(place.tokens[opener - 1]))
    inside = place.inside
    if inside is None or place.kind(inside) != "LPAR" or place.kind(inside - 1) != "NAME" or place.tokens[inside - 1].value not in BLOCKS:
        return None
    if place.token.type not in ("ARROW", "LSQB", "AT"):
        return None
    name = place.tokens[inside - 1].value
    chain = place.words(inside + 1, place.end(inside + 1, ()))
    around = span_of(place.tokens[inside - 1])
    return place.found("NS101", f"{name} goes around a chain in square brackets", f"write {name}[{chain}]", around)


def _tuple(place: Place) -> Slip:
    """`kernel=(3, 3)`, `input (32, 32, 3)`, `input [3, 32, 32]`."""
    at = place.at if place.token.type == "LSQB" else place.inside
    if at is None or place.token.type not in ("COMMA", "LSQB") or place.tokens[at].value not in ("(", "["):
        return None
    if place.kind(at - 1) in ("NAME", "REPEAT"):
        return None
    begin = place.tokens[at].start_pos or 0
    sides = re.match(r"[(\[]\s*(\d+(?:\s*,\s*\d+)*)\s*,?\s*[)\]]", place.source.text[begin:])
    if place.token.type == "LSQB" and place.kind(at - 1) != "INPUT":
        return None
    if sides is None and place.token.type == "COMMA" and "RPAR" in place.expected and place.tokens[at].value == "(":
        return place.found("NS101", SIDES_ARE_NUMBERS, "write the numbers, as in 16x1x1")
    if sides is None:
        return None
    numbers = [int(side) for side in re.findall(r"\d+", sides[1])] if len(sides[1]) < _SHOWN_PAIRS else []
    if not numbers:
        return None
    span = Span(begin, begin + sides.end())
    return place.found("NS101", "sides are joined by x", f"write {shape_words(numbers, place.kind(at - 1) == 'INPUT')}", span)


def shape_words(sides: Sequence[int], of_input: bool) -> str:
    """`3x5`; of an image whose channels stand last `3x32x32 (channels first)`."""
    if of_input and channels_last(tuple(sides)):
        return f"{'x'.join(map(str, (sides[2], *sides[:2])))} (channels x height x width)"
    return "x".join(map(str, sides))


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether a shape of three sides looks like height x width x channels: two sides of one size about, and few channels behind."""
    if len(shape) != 3 or shape[2] not in (1, 3, 4):
        return False
    low, high = sorted(shape[:2])
    return low > shape[2] and low > 3 and high <= 2 * low


def _shape_of_names(place: Place) -> Slip:
    """`reshape(c x 1 x 1)`, `reshape((c)x1x1)`."""
    word, after = place.token, place.after
    if word.type not in ("NAME", "REPEAT") or "ARROW" in place.expected or not place.expected & {"STAR", "RPAR"}:
        return None
    if not re.fullmatch(r"[x\u00d7](\d+(x\w+)*)?", word.value) or place.before.type not in ("NAME", "RPAR", "NUMBER", "SHAPE"):
        return None
    if len(word.value) == 1 and after.type not in ("NUMBER", "NAME", "SHAPE", "LPAR"):
        return None
    return place.found("NS101", SIDES_ARE_NUMBERS, "write the numbers, as in 16x1x1")


def _power(place: Place) -> Slip:
    """`2**4`."""
    if place.token.type != "STAR" or place.before.type != "STAR" or place.before.end_pos != place.token.start_pos:
        return None
    span = Span(place.before.start_pos or 0, place.token.end_pos or 0)
    return Diagnostic("NS101", "there are no powers here", place.source, span, help="write the number, or a product such as 2 * 2")


def _slash(place: Place) -> Slip:
    """`affine(w / 2)`."""
    inside = place.inside
    if place.token.type != "SLASH" or inside is None or place.kind(inside) != "LPAR" or place.before.type not in ("NAME", "NUMBER", "RPAR"):
        return None
    begin = place.at
    while begin > 0 and place.kind(begin - 1) not in ("COMMA", "EQUAL", "COLON") and place.tokens[begin - 1].value not in OPENING:
        begin = opener_of(place.tokens, begin - 1) if place.tokens[begin - 1].value in CLOSING else begin - 1
    end = place.end(place.at + 1, ("COMMA",))
    if end == place.at + 1:
        return None
    written = re.sub("/+", "//", place.words(begin, end))
    return place.found("NS101", "whole numbers are divided by //, and / stands between the parts of a split", f"write {written}")


def _long_arrow(place: Place) -> Slip:
    """`relu --> softmax`."""
    if place.token.type != "ARROW" or place.before.type != "MINUS" or place.before.end_pos != place.token.start_pos:
        return None
    return place.found("NS108", "an arrow is one word, `->`", "write ->", Span(place.before.start_pos or 0, place.token.end_pos or 0))


HABITS = (
    _comment, _long_arrow, _sign_behind_word, _key_as_entry, _pairs, _count_first, _count_by_name, _block_arguments_first, _tuple,
    _shape_of_names, _power, _slash,
)  # fmt: skip
"""In the order in which they are tried."""
