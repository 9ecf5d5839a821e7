"""Which version of the language a text is for: read before anything else of it, for a newer one may have words that this grammar lacks."""

from __future__ import annotations

import re

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import SpecError
from netspec.base.text import Source, Span
from netspec.frontend import limits
from netspec.frontend.migrations import FIRST, newest
from netspec.frontend.tokens import ENTRY_WORDS

_PARTS = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*"|[{}]|(?<!\w)netspec(?!\w)')
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_NUMBER = re.compile(r"[^\s#;{}()\[\],|]*")
LONGEST = 20
"""Letters of a wrong version that a message shows."""


def check_version(source: Source) -> None:
    """Raises SpecError for a text whose version line names no version that is known here: then nothing else of it can be judged."""
    place = _version_line(source)
    if place is None:
        return
    word, number = place
    found = number_error(source.words(number)) if number.start < number.end else _missing(source, word)
    if found is not None:
        code, message, help_text = found
        raise SpecError([Diagnostic(code, message, source, number if number.start < number.end else word, help=help_text)])


def number_error(number: str) -> tuple[str, str, str] | None:
    """Code, message and help for the number of a version line; None where that version is known."""
    if not re.fullmatch(r"[1-9][0-9]*", number):
        shown = number if len(number) <= LONGEST else f"{number[:LONGEST]}..."
        message = f"`{shown}` is no version of the language: versions are whole numbers from {FIRST} on"
        return "NS702", message, f"write netspec {newest()}"
    if len(number) <= len(str(newest())) and int(number) <= newest():
        return None
    wanted = number if len(number) <= LONGEST else f"{number[:LONGEST]}..."
    known = f"version {FIRST}" if newest() == FIRST else f"versions {FIRST} to {newest()}"
    message = f"this text is written in version {wanted} of the language, and this netspec reads {known}"
    return "NS701", message, "a newer netspec reads it: pip install -U netspec"


def _missing(source: Source, word: Span) -> tuple[str, str, str] | None:
    after = _blank_end(source.text, word.end)
    following = re.match(r"\w+|;|$", source.text[after : after + LONGEST])
    if following is None or (following.group() not in ("", ";") and following.group() not in ENTRY_WORDS):
        return None
    return "NS702", "the number of the version is missing after `netspec`", f"write netspec {newest()}"


def _version_line(source: Source) -> tuple[Span, Span] | None:
    """The word `netspec` outside sections and what follows it, empty where that is no word; None where the text has no such line."""
    depth = 0
    for part in _PARTS.finditer(source.text, 0, limits.SPEC_BYTES):
        found = part.group()
        depth += {"{": 1, "}": -1}.get(found, 0)
        if found != "netspec" or depth > 0:
            continue
        start = _blank_end(source.text, part.end())
        number = _NUMBER.match(source.text, start)
        end = number.end() if number else start
        words = source.text[start:end]
        if words in ENTRY_WORDS or not (_begins_line(source.text, part.start()) or re.fullmatch(r"[0-9]+", words)):
            end = start
        if end == start and not _begins_line(source.text, part.start()):
            return None
        return Span(part.start(), part.end()), Span(start, end)
    return None


def _begins_line(text: str, at: int) -> bool:
    before = text[text.rfind("\n", 0, at) + 1 : at].strip()
    return not before or before.endswith(";")


def _blank_end(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
