"""A text to words. The patterns are the grammar's; what a word is may depend on the words around it, as the grammar's head says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from lark import Token

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError
from netspec.base.text import Source, Span
from netspec.frontend import limits
from netspec.frontend.grammar import grammar
from netspec.frontend.slips import bad_letter, never_closed, never_opened, wrong_closer

CLOSERS = {"(": ")", "[": "]", "{": "}"}
ENTRY_WORDS = frozenset(
    {"netspec", "let", "def", "use", "data", "input", "classes", "outputs", "net", "train", "defaults", "search", "seed"}
)
_REPEAT = re.compile(r"[x\u00d7](?=\s*[0-9(])")


@dataclass(frozen=True)
class Words:
    """Tokens in order, and the comments between them as (offset, text)."""

    tokens: tuple[Token, ...]
    comments: tuple[tuple[int, str], ...]


@cache
def _patterns() -> tuple[re.Pattern[str], dict[str, str]]:
    """One pattern of all words, the strongest first, and the token type of each fixed word."""
    terminals = sorted(grammar().terminals, key=lambda terminal: -terminal.priority)
    fixed = {terminal.pattern.value: terminal.name for terminal in terminals if terminal.pattern.type == "str"}
    words = {word for word in fixed if word.isidentifier()}
    parts = [f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in terminals if t.pattern.type == "re" or t.pattern.value not in words]
    return re.compile("|".join(parts)), fixed


def check_size(source: Source) -> None:
    """Raises LimitError for a text or a line that is too long."""
    if len(source.text) > limits.SPEC_BYTES or len(source.text.encode("utf-8", "replace")) > limits.SPEC_BYTES:
        raise LimitError([Diagnostic("NS801", f"the text is longer than {limits.SPEC_BYTES // 1024} KiB", source, Span(0, 0))])
    start = 0
    for line in source.text.split("\n"):
        if len(line) > limits.LINE_LENGTH:
            message = f"a line has {len(line)} characters; at most {limits.LINE_LENGTH} are allowed"
            at = start + limits.LINE_LENGTH
            raise LimitError([Diagnostic("NS802", message, source, Span(at, at + 1))])
        start += len(line) + 1


def tokenize(source: Source) -> Words:
    """The words of a text. Raises SpecError for a letter or a bracket that does not belong, LimitError beyond the limits."""
    check_size(source)
    pattern, fixed = _patterns()
    tokens: list[Token] = []
    comments: list[tuple[int, str]] = []
    open_at: list[int] = []
    joins = 0
    text, at = source.text, 0
    while at < len(text):
        repeat = _REPEAT.match(text, at) if tokens and tokens[-1].type in ("RSQB", "RPAR") and not _in_section(tokens, open_at) else None
        match = repeat or pattern.match(text, at)
        if match is None:
            raise SpecError([bad_letter(source, at, tokens)])
        end = match.end()
        if repeat is not None:
            kind = "REPEAT"
        else:
            kind = match.lastgroup or ""
            if kind == "COMMENT":
                comments.append((at, match.group().rstrip()))
            elif kind == "NAME":
                kind = _kind_of_word(source, Span(at, end), tokens, open_at, fixed)
        if kind not in ("COMMENT", "SPACE"):
            tokens.append(Token(kind, match.group(), start_pos=at, end_pos=end, line=1, column=1))
            _match_brackets(source, tokens, open_at)
            if kind in ("MINUS", "ARROW") and (not open_at or tokens[open_at[-1]].type != "LPAR"):
                joins += 1
                _check_joins(source, joins, Span(at, end))
        at = end
    if open_at:
        raise SpecError([never_closed(source, tokens, open_at[-1], ENTRY_WORDS)])
    return Words(tuple(tokens), tuple(comments))


def _check_joins(source: Source, joins: int, span: Span) -> None:
    """Raises LimitError where the chains of a text, as written, already have too many layers: parsing them takes longest."""
    if joins >= limits.LAYERS:
        message = f"the chains of this text have more than {limits.LAYERS} layers; at most {limits.LAYERS} are allowed"
        raise LimitError([Diagnostic("NS804", message, source, span, help="write a repeat, such as [affine-relu]x4")])


def _kind_of_word(source: Source, span: Span, tokens: list[Token], open_at: list[int], fixed: dict[str, str]) -> str:
    word = source.words(span)
    if len(word) > limits.NAME_LENGTH:
        message = f"a name has {len(word)} letters; at most {limits.NAME_LENGTH} are allowed"
        raise SpecError([Diagnostic("NS103", message, source, span)])
    if word in ENTRY_WORDS:
        return "NAME" if _in_section(tokens, open_at) else fixed[word]
    if word == "tied":
        return "TIED" if _after_repeat(tokens) else "NAME"
    return fixed.get(word, "NAME")


def _in_section(tokens: list[Token], open_at: list[int]) -> bool:
    """Whether braces are open: pairs stand there, and no chains."""
    return any(tokens[at].type == "LBRACE" for at in open_at)


def _after_repeat(tokens: list[Token]) -> bool:
    """Whether the last words are `x4` or `x(...)`."""
    at = len(tokens) - 1
    if at >= 0 and tokens[at].type == "RPAR":
        depth = 0
        while at >= 0:
            depth += {"RPAR": 1, "LPAR": -1, "BRANCH_OPEN": -1}.get(tokens[at].type, 0)
            if depth == 0:
                break
            at -= 1
    return at > 0 and tokens[at - 1].type == "REPEAT"


def _match_brackets(source: Source, tokens: list[Token], open_at: list[int]) -> None:
    """Keeps the places of open brackets; marks a bracket that holds `|`. Raises where a closing one does not fit."""
    token = tokens[-1]
    if token.value in CLOSERS:
        open_at.append(len(tokens) - 1)
        if len(open_at) > limits.NESTING:
            message = f"brackets are nested more than {limits.NESTING} deep"
            raise LimitError([Diagnostic("NS803", message, source, Span(token.start_pos or 0, token.end_pos or 0))])
    elif token.type == "VBAR" and open_at and tokens[open_at[-1]].type == "LPAR":
        opener = tokens[open_at[-1]]
        tokens[open_at[-1]] = Token("BRANCH_OPEN", opener.value, start_pos=opener.start_pos, end_pos=opener.end_pos, line=1, column=1)
    elif token.value in CLOSERS.values():
        if not open_at:
            raise SpecError([never_opened(source, token)])
        opener = tokens[open_at.pop()]
        if CLOSERS[opener.value] != token.value:
            raise SpecError([wrong_closer(source, opener, token, CLOSERS[opener.value])])
