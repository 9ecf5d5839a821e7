"""`netspec migrate FILE`: a file in the newest version of the language, with its version line."""

from __future__ import annotations

import sys
from pathlib import Path

from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.format import format_file
from netspec.frontend.migrations import migrate, newest, steps_of, version_of
from netspec.frontend.parse import parse
from netspec.frontend.text import source_of
from netspec.ui.given import spec_file
from netspec.ui.rewriting import Rewriting, print_difference, write
from netspec.ui.screen import say


def run(file: Path, *, check: bool, diff: bool) -> int:
    """Rewrites the file, or with `check` or `diff` says what would change. Raises SpecError, UsageError, SaveError."""
    source = source_of(spec_file(file))
    changes, text = _changes(parse(source)), newest_text(source)
    one = Rewriting(str(file), file, file.read_bytes(), text)
    said = sys.stderr if diff else sys.stdout
    if not changes:
        say(f"{file}: in version {newest()} of the language, the newest", said)
        return 0
    if diff:
        print_difference(one)
    elif not check:
        write(one)
    would = "would be " if check or diff else ""
    for change in changes:
        say(f"{file}: {would}{change}", said)
    return 1 if check else 0


def newest_text(source: Source) -> str:
    """The text in the newest version. One that needs a version line alone is left as it is but for that."""
    file = parse(source)
    if version_of(file) is not None:
        return format_file(migrate(file)) if steps_of(file) else source.text
    text = source.text
    bare = next((entry for entry in file.entries if isinstance(entry, syntax.Net) and entry.bare), None)
    if bare is not None:
        text = f"{text[: bare.span.start]}net {text[bare.span.start :]}"
    return f"netspec {newest()}\n{text}"


def _changes(file: syntax.File) -> list[str]:
    """What is done to a file, one thing a line."""
    if version_of(file) is None:
        return [f"given its version line, netspec {newest()}"]
    return [f"brought from version {step.from_} to {step.to}: {step.says}" for step in steps_of(file)]
