"""`netspec fmt FILE...`: files in canonical form."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from netspec.base.errors import NetspecError, UsageError
from netspec.base.text import Source
from netspec.frontend import limits
from netspec.frontend.explicit import write_out
from netspec.frontend.format import format_file
from netspec.frontend.migrations import steps_of
from netspec.frontend.parse import parse
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.compare import compare, meaning_of
from netspec.graph.counted import counted_arguments
from netspec.ui.given import spec_file
from netspec.ui.guard import tell, tell_error
from netspec.ui.rewriting import Rewriting, print_difference, write
from netspec.ui.screen import say

STDIN = Path("-")


def run(files: Sequence[Path], *, check: bool, diff: bool, explicit: bool) -> int:
    """Formats every file that can be read; the exit code is the worst of all. Raises nothing but what ends the whole."""
    codes: list[int] = []
    changed: list[bool] = []
    for file in files:
        try:
            one = _rewriting(file, explicit)
            _carry_out(one, check=check, diff=diff)
        except NetspecError as error:
            codes.append(tell_error(error))
        else:
            changed.append(one.changes)
    if changed and list(files) != [STDIN]:
        tell(_in_words(changed, "would be formatted" if check or diff else "formatted"))
    return max([*codes, int(check and any(changed))])


def _rewriting(file: Path, explicit: bool) -> Rewriting:
    """The file as it is and as it should be. Raises SpecError, UsageError."""
    if file == STDIN:
        content = sys.stdin.buffer.read(limits.SPEC_BYTES + 1)
        return Rewriting("<stdin>", None, content, _formatted(Source(_decoded(content), "<stdin>"), explicit))
    text = _formatted(source_of(spec_file(file)), explicit)
    return Rewriting(str(file), file, file.read_bytes(), text)


def _formatted(source: Source, explicit: bool) -> str:
    text = explicit_text(source) if explicit else format_file(parse(source))
    _check_same(source, text, explicit)
    return text


def _decoded(content: bytes) -> str:
    try:
        return content.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"<stdin>: is not UTF-8 text (byte {error.start})") from None


def explicit_text(source: Source) -> str:
    """The text with its defaults written out. Raises SpecError, also for a program that is wrong; UsageError for an older language."""
    file = parse(source)
    if steps_of(file):
        raise UsageError(f"{source.path}: is in an older version of the language; first: netspec migrate {source.path}")
    program = load(source)
    return format_file(write_out(file, program, counted_arguments(program)))


def _check_same(source: Source, text: str, explicit: bool) -> None:
    """Raises LimitError where the new text is longer than a text may be; AssertionError where it means anything else."""
    new = Source(text, source.path)
    if explicit:
        assert compare(meaning_of(load(source)), meaning_of(load(new))).same, f"{source.path}: with its defaults it means something else"
    else:
        assert parse(new) == parse(source), f"{source.path}: formatted it means something else"


def _carry_out(one: Rewriting, *, check: bool, diff: bool) -> None:
    """Writes what changes, or shows it. Raises SaveError."""
    if diff:
        print_difference(one)
    if one.path is None and not (check or diff):
        sys.stdout.write(one.after)
    if not one.changes:
        return
    if check or diff:
        say(f"{one.name}: would be formatted", sys.stderr if diff else sys.stdout)
    elif one.path is not None:
        write(one)
        tell(f"{one.name}: formatted")


def _in_words(changed: Sequence[bool], done: str) -> str:
    """`1 file formatted, 2 files left unchanged`."""
    counts = {done: sum(changed), "left unchanged": len(changed) - sum(changed)}
    return ", ".join(f"{count} file{'' if count == 1 else 's'} {what}" for what, count in counts.items() if count)
