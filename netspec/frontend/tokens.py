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
_REPEAT = re.compile(r"[x\u00d7](?=(?:\s|#[^\n]*\n)*[0-9(])")
_ENTRY_LINE = re.compile(rf"(?:{'|'.join(sorted(ENTRY_WORDS))})\b(?!\s*[=.])")


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
    tokens: list[Token] = []
    comments: list[tuple[int, str]] = []
    open_at: list[int] = []
    joins = 0
    text, at = source.text, 0
    while at < len(text):
        found = _word_at(source, at, tokens, open_at)
        if found is None:
            raise SpecError([bad_letter(source, at, tokens)])
        kind, end = found
        if kind == "COMMENT":
            comments.append((at, text[at:end].rstrip()))
        elif kind != "SPACE":
            tokens.append(Token(kind, text[at:end], start_pos=at, end_pos=end, line=1, column=1))
            _match_brackets(source, tokens, open_at)
            if kind in ("MINUS", "ARROW") and (not open_at or tokens[open_at[-1]].type != "LPAR"):
                joins += 1
                _check_joins(source, joins, Span(at, end))
        at = end
    if open_at:
        raise SpecError([never_closed(source, tokens, open_at[-1], ENTRY_WORDS)])
    return Words(tuple(tokens), tuple(comments))


def tokenize_unfinished(source: Source) -> Words:
    """The words of a text that is being written, whatever it is: letters with which no word begins are left out, and so are brackets
    that do not fit or are nested too deep; others may stay open. An entry word that begins a line, and is no key, closes what is open."""
    tokens: list[Token] = []
    comments: list[tuple[int, str]] = []
    open_at: list[int] = []
    text, at = source.text[: limits.SPEC_BYTES], 0
    while at < len(text):
        if open_at and _ENTRY_LINE.match(text, at) and not text[text.rfind("\n", 0, at) + 1 : at].strip():
            open_at.clear()
        try:
            kind, end = _word_at(source, at, tokens, open_at) or ("SPACE", at + 1)
        except SpecError:  # a very long name
            kind, end = "SPACE", at + limits.NAME_LENGTH
        word = text[at:end]
        if kind == "COMMENT":
            comments.append((at, word.rstrip()))
        elif kind != "SPACE" and _may_stand(word, tokens, open_at):
            tokens.append(Token(kind, word, start_pos=at, end_pos=end, line=1, column=1))
            _match_brackets(source, tokens, open_at)
        at = end
    return Words(tuple(tokens), tuple(comments))


def _may_stand(word: str, tokens: list[Token], open_at: list[int]) -> bool:
    """Whether a word is no bracket, or one that fits those that are open."""
    if word in CLOSERS:
        return len(open_at) < limits.NESTING
    return word not in CLOSERS.values() or (bool(open_at) and CLOSERS[tokens[open_at[-1]].value] == word)


def _word_at(source: Source, at: int, tokens: list[Token], open_at: list[int]) -> tuple[str, int] | None:
    """The kind and the end of the word, comment or white space that begins at a place; None where nothing does."""
    pattern, fixed = _patterns()
    repeat = _REPEAT.match(source.text, at) if tokens and tokens[-1].type in ("RSQB", "RPAR") and not _in_section(tokens, open_at) else None
    if repeat is not None:
        return "REPEAT", repeat.end()
    match = pattern.match(source.text, at)
    if match is None:
        return None
    kind = match.lastgroup or ""
    return (_kind_of_word(source, Span(at, match.end()), tokens, open_at, fixed) if kind == "NAME" else kind), match.end()


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
