"""`netspec check FILE...`: every finding about the files, without kernels, and with no more of the data than its beginning."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netspec.base.diagnostic import Diagnostic, counted_in_words
from netspec.base.errors import LimitError, SpecError, UsageError
from netspec.frontend.program import Overrides
from netspec.frontend.text import source_of
from netspec.graph.check import diagnosed
from netspec.graph.glance import glanced
from netspec.ui.given import spec_file
from netspec.ui.guard import tell
from netspec.ui.screen import print_diagnostic, print_json, say


def run(files: Sequence[Path], overrides: Overrides, *, json: bool) -> int:
    """Prints the findings; the exit code is that of the first file that has errors."""
    codes: list[int] = []
    listed: list[dict[str, Any]] = []
    for file in files:
        try:
            program, found = diagnosed(source_of(spec_file(file)), overrides)
        except UsageError as error:
            tell(f"error: {error}")
            codes.append(error.exit_code)
            continue
        seen = "all"
        if program is not None:
            doubt, seen = glanced(program)
            found = [*found, *([doubt] if doubt is not None else [])]
        codes.append(exit_code(found))
        listed += [diagnostic.as_json() for diagnostic in found]
        if not json:
            for diagnostic in found:
                print_diagnostic(diagnostic, sys.stdout)
            say(f"{file}: {counted_in_words(found)}{'' if found else of_data(file, seen)}")
    if json:
        print_json(listed)
    return next((code for code in codes if code), 0)


def exit_code(found: Sequence[Diagnostic]) -> int:
    """Of a file with these findings: 0 where all are warnings."""
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if not errors:
        return 0
    return LimitError.exit_code if any(error.code.startswith("NS8") for error in errors) else SpecError.exit_code


def of_data(file: Path, seen: str) -> str:
    """How much of the data was read, and what reads all of it."""
    command = f"netspec train {shlex.quote(str(file))} --dry-run"
    match seen:
        case "none":
            return f" (its data was not read: {command} reads it)"
        case "some":
            return f" (of its data the beginning was read: {command} reads all)"
    return ""
