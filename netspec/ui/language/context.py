"""What may be written at a cursor, told from the words before it; the text need not parse."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lark import Token

from netspec.base.text import Source, Span
from netspec.frontend.tokens import tokenize_unfinished
from netspec.ui.language.unfinished import begins_entry

Wanted = Literal["nothing", "entry", "element", "argument", "value", "number", "key", "reference"]
Opened = Literal["section", "call", "chain", "branches", "count", "parameters", "group"]
MERGES = frozenset({"add", "concat", "mul"})
OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "FLOOR_DIVIDE", "MOD"})
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass
class Frame:
    """An open bracket: what it is, of what (a layer, a section), and where its words begin."""

    opened: Opened
    owner: str
    first: int


@dataclass(frozen=True)
class Context:
    """What is wanted at a cursor. `prefix` is the word begun there; `owner` the call or section around it, `key` the key whose value
    is wanted, `given` the keys that stand there already. `entry` is the word of the entry, empty in a bare chain, and `start` where
    it begins. `first` says that an argument may be the positional one."""

    wanted: Wanted
    prefix: Span
    entry: str = ""
    start: int = 0
    owner: str = ""
    key: str = ""
    section: str = ""
    pair: str = ""
    """The key of the section whose value is being written, where the cursor stands in a call of that value."""
    given: frozenset[str] = frozenset()
    first: bool = False
    may_end: bool = False
    """Whether an entry may begin here too."""
    sees_own: bool = True
    """Whether the parameters of the entry can be used: not in their own defaults."""


def context_at(source: Source, offset: int) -> Context:
    """What is wanted at an offset."""
    before = Source(source.text[:offset], source.path)
    tokens = list(tokenize_unfinished(before).tokens)
    nothing = Context("nothing", Span(offset, offset))
    if _in_comment_or_string(before.text):
        return nothing
    prefix = Span(offset, offset)
    if tokens and tokens[-1].end_pos == offset and (_WORD.match(tokens[-1]) or tokens[-1][:1].isdigit()):
        if not _WORD.match(tokens[-1]):
            return nothing  # a number
        prefix = Span(tokens.pop().start_pos or 0, offset)
    return _told(tokens, prefix)


def _in_comment_or_string(text: str) -> bool:
    line = text[text.rfind("\n") + 1 :]
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
    return "#" in rest or '"' in rest


def _told(tokens: list[Token], prefix: Span) -> Context:
    at = _entry_start(tokens)
    entry, begins = ("", 0) if at is None else (str(tokens[at]), tokens[at].start_pos or 0)
    here = tokens if at is None else tokens[at:]
    frames = frames_of(here)
    kind = here[-1].type if here else ""
    base = Context("nothing", prefix, entry, begins)
    if not frames:
        return _outside(base, here, kind)
    frame = frames[-1]
    inside = here[frame.first :]
    section = next((one.owner for one in frames if one.opened == "section"), "")
    match frame.opened:
        case "section":
            return _in_section(base, frame.owner, inside)
        case "chain" | "branches":
            return _in_chain(base, here, kind)
        case "call":
            return _with(_in_call(base, frame.owner, inside, section), pair=_pair_around(here, frames))
        case "count":
            return _with(base, "number") if kind in ("LPAR", "COLON", "COMMA", *OPERATORS) else base
        case "parameters":
            return _with(base, "value", sees_own=False) if kind in ("EQUAL", *OPERATORS) else base
        case _:
            return _with(base, "value", section=section) if kind in ("LPAR", *OPERATORS) else base


def _pair_around(here: Sequence[Token], frames: Sequence[Frame]) -> str:
    """The key of a section whose value holds the cursor; empty outside sections."""
    opened = next((one for one in frames if one.opened == "section"), None)
    if opened is None:
        return ""
    inside = here[opened.first :]
    equals = [at for at, token in enumerate(inside) if token.type == "EQUAL" and _depth(inside[:at]) == 0]
    return "".join(_key_before(inside, equals[-1])) if equals else ""


def _with(base: Context, wanted: Wanted | None = None, **more: object) -> Context:
    return Context(**{**vars(base), "wanted": wanted or base.wanted, **more})


def _entry_start(tokens: Sequence[Token]) -> int | None:
    return next((at for at in range(len(tokens) - 1, -1, -1) if begins_entry(tuple(tokens), at)), None)


def frames_of(tokens: Sequence[Token]) -> list[Frame]:
    """The brackets that are open behind the words of one entry."""
    frames: list[Frame] = []
    for at, token in enumerate(tokens):
        if token in ("(", "[", "{"):
            frames.append(_frame(tokens, at))
        elif token in (")", "]", "}") and frames:
            frames.pop()
    return frames


def _frame(tokens: Sequence[Token], at: int) -> Frame:
    token, before = tokens[at], tokens[at - 1] if at else None
    if token == "{":
        return Frame("section", str(before) if before is not None else "", at + 1)
    if token == "[":
        return Frame("chain", "", at + 1)
    if before is None:
        return Frame("group", "", at + 1)
    if before.type == "REPEAT":
        return Frame("count", "", at + 1)
    if token.type == "BRANCH_OPEN" or before in MERGES:
        return Frame("branches", str(before), at + 1)
    if before.type == "NAME" and at >= 2 and tokens[at - 2].type == "DEF":
        return Frame("parameters", str(before), at + 1)
    if before.type == "NAME":
        return Frame("call", str(before), at + 1)
    if before.type == "RSQB":
        return Frame("call", _block(tokens, at - 1), at + 1)
    return Frame("group", "", at + 1)


def _block(tokens: Sequence[Token], at: int) -> str:
    """The name before the brackets that close at a place: `res` of `res[...]`."""
    depth = 0
    for place in range(at, -1, -1):
        depth += (tokens[place].type == "RSQB") - (tokens[place].type == "LSQB")
        if depth == 0:
            return str(tokens[place - 1]) if place and tokens[place - 1].type == "NAME" else ""
    return ""


def _outside(base: Context, here: Sequence[Token], kind: str) -> Context:
    """Outside all brackets: of an entry, or of a text that is a bare chain."""
    if not here:
        return _with(base, "element", may_end=True)
    if base.entry in ("net", "def", ""):
        return _in_chain(base, here, kind)
    if base.entry == "use" or kind in ("LET", "DEF", "NETSPEC"):
        return _with(base, "entry", may_end=True) if kind == "STRING" else base
    if base.entry in ("input", "classes", "outputs", "seed") and (len(here) == 1 or kind in OPERATORS):
        return _with(base, "number")
    if kind in ("EQUAL", "COMMA", "SLASH", *OPERATORS):
        return _with(base, "value")
    if base.entry in ("data", "train", "defaults", "search") and kind != "RBRACE":
        return base
    return _with(base, "entry", may_end=True)


def _in_chain(base: Context, here: Sequence[Token], kind: str) -> Context:
    if kind in ("NET", "ARROW", "MINUS", "LSQB", "VBAR", "BRANCH_OPEN", "LPAR", "EQUAL"):
        return _with(base, "element")
    if kind == "AT":
        before = here[-2].type if len(here) > 1 else ""
        return _with(base, "reference") if before in ("NET", "ARROW", "MINUS", "LSQB", "VBAR", "BRANCH_OPEN", "LPAR") else base
    if kind == "DEF" or (base.entry == "def" and not any(token.type == "EQUAL" for token in here)):
        return base
    return _with(base, "entry", may_end=True) if not frames_of(here) else base


def _in_call(base: Context, owner: str, inside: Sequence[Token], section: str) -> Context:
    arguments = split_arguments(inside)
    keys = [key_of(argument) for argument in arguments]
    more = {"owner": owner, "section": section, "given": frozenset(filter(None, keys))}
    argument, key = arguments[-1], keys[-1]
    if not argument:
        return _with(base, "argument", first=len(arguments) == 1, **more)
    if argument[-1].type in ("EQUAL", "SLASH", *OPERATORS):
        return _with(base, "value", key=key, **more)
    return _with(base, "nothing", key=key, **more)


def split_arguments(inside: Sequence[Token]) -> list[list[Token]]:
    """The words of each argument behind an open bracket; the last one may have none."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in inside:
        depth += (token in ("(", "[")) - (token in (")", "]"))
        if depth == 0 and token.type == "COMMA":
            found.append([])
        else:
            found[-1].append(token)
    return found


def key_of(argument: Sequence[Token]) -> str:
    """The key of an argument; empty for a positional one."""
    return str(argument[0]) if len(argument) > 1 and argument[1].type == "EQUAL" else ""


def _in_section(base: Context, section: str, inside: Sequence[Token]) -> Context:
    """Between braces: pairs follow one another, with or without a semicolon."""
    equals = [at for at, token in enumerate(inside) if token.type == "EQUAL" and _depth(inside[:at]) == 0]
    given = frozenset("".join(_key_before(inside, at)) for at in equals)
    base = _with(base, "nothing", owner=section, section=section, given=given)
    if not inside or inside[-1].type == "SEMICOLON":
        return _with(base, "key")
    last = inside[-1].type
    if last == "DOT" and (not equals or len(_key_before(inside, len(inside))) > 1):
        key = _key_before(inside, len(inside))
        if not equals or equals[-1] < len(inside) - len(key):
            return _with(base, "key", key="".join(key), prefix=Span(inside[len(inside) - len(key)].start_pos or 0, base.prefix.end))
    key_now = "".join(_key_before(inside, equals[-1])) if equals else ""
    if last in ("EQUAL", "COMMA", "SLASH", *OPERATORS):
        return _with(base, "value", key=key_now)
    behind = inside[equals[-1] + 1 :] if equals else []
    if last == "NAME" and (not equals or (len(behind) > 1 and behind[-2].type not in ("COMMA", "SLASH", *OPERATORS))):
        return base  # a key, whose `=` is missing
    return _with(base, "key")


def _depth(tokens: Sequence[Token]) -> int:
    return sum((token in ("(", "[")) - (token in (")", "]")) for token in tokens)


def _key_before(tokens: Sequence[Token], end: int) -> list[str]:
    """The parts of a key with its dots, that ends before a place."""
    parts: list[str] = []
    at = end - 1
    if at >= 0 and tokens[at].type == "DOT":
        parts.insert(0, ".")
        at -= 1
    while at >= 0 and tokens[at].type not in ("EQUAL", "SEMICOLON", "COMMA"):
        parts.insert(0, str(tokens[at]))
        if at >= 1 and tokens[at - 1].type == "DOT":
            parts.insert(0, ".")
            at -= 2
        else:
            break
    return parts


# names that can be seen


@dataclass(frozen=True)
class Visible:
    """The names that a text has before an offset: lets, defs with their parameters, those of the entry around it, and its points."""

    lets: tuple[str, ...] = ()
    defs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    points: tuple[str, ...] = ()


def visible_at(source: Source, offset: int) -> Visible:
    """The names that can be used at an offset."""
    tokens = tokenize_unfinished(source).tokens
    starts = [at for at in range(len(tokens)) if begins_entry(tokens, at)]
    lets: list[str] = []
    defs: dict[str, tuple[str, ...]] = {}
    own: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    for start, end in zip(starts or [0], [*starts[1:], len(tokens)], strict=True):
        entry = tokens[start:end]
        if not entry or (entry[0].start_pos or 0) >= offset:
            break
        last = end == len(tokens) or (tokens[end].start_pos or 0) >= offset
        named = len(entry) > 1 and entry[1].type == "NAME" and entry[0].type in ("LET", "DEF")
        parameters = _parameters(entry) if named and entry[0].type == "DEF" else ()
        if last:
            own, points = (*parameters, *_variables(entry, offset)), _points(entry, offset)
        elif named and entry[0].type == "LET":
            lets.append(str(entry[1]))
        elif named:
            defs[str(entry[1])] = parameters
    return Visible(tuple(lets), defs, own, points)


def _parameters(entry: Sequence[Token]) -> tuple[str, ...]:
    if len(entry) < 3 or entry[2] != "(":
        return ()
    found, depth = [], 0
    for at, token in enumerate(entry[2:], 2):
        depth += (token in ("(", "[")) - (token in (")", "]"))
        if depth == 0:
            break
        if depth == 1 and token.type == "NAME" and entry[at - 1] in ("(", ","):
            found.append(str(token))
    return tuple(found)


def _variables(entry: Sequence[Token], offset: int) -> list[str]:
    """The variables of the repeats whose unit is around an offset."""
    found: list[str] = []
    opened: list[int] = []
    for at, token in enumerate(entry):
        if token in ("(", "["):
            opened.append(at)
        elif token in (")", "]") and opened:
            start = entry[opened.pop()].start_pos or 0
            follows = [one.type for one in entry[at + 1 : at + 5]]
            if start < offset <= (token.start_pos or 0) and follows == ["REPEAT", "LPAR", "NAME", "COLON"]:
                found.append(str(entry[at + 3]))
    return found


def _points(entry: Sequence[Token], offset: int) -> tuple[str, ...]:
    """The names that are given to points before an offset."""
    openers = ("NET", "ARROW", "MINUS", "LSQB", "VBAR", "BRANCH_OPEN", "LPAR", "EQUAL")
    found = (
        str(token)
        for at, token in enumerate(entry)
        if at >= 2 and entry[at - 1].type == "AT" and entry[at - 2].type not in openers and (token.end_pos or 0) < offset
    )
    return tuple(dict.fromkeys(found))
