"""`netspec convert MODEL`: a model of Keras or PyTorch as a .net text, and what of it has no counterpart."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import NetspecError, UsageError
from netspec.base.text import Source
from netspec.catalog.arrays import require_file
from netspec.frontend.convert.convert import Conversion, convert
from netspec.frontend.convert.read import FORMS, MOST_BYTES, read_model
from netspec.frontend.convert.sketch import Finding, NoChain, Sketch
from netspec.graph.check import diagnose
from netspec.ui.given import shape_of
from netspec.ui.guard import tell
from netspec.ui.new_file import require_new, write_new
from netspec.ui.screen import print_diagnostic, print_json, say

STDIN = "-"
SPEC = ".net"


def run(model: Path, *, output: Path | None, input: str | None, head: str | None, json: bool) -> int:  # noqa: A002  the word of the language
    """Writes the text to `output`, or prints it; 1 where anything of the model is not in it. Raises DataError, UsageError."""
    if output is not None:
        require_new(output)
    name = "<stdin>" if str(model) == STDIN else str(model)
    try:
        found = convert(sketch_of(model, name), shape_of(input), head)
    except NoChain as reason:
        raise NetspecError(f"{name}: cannot be written as a .net: {reason}") from None
    diagnostics = diagnose(Source(found.text, str(output) if output is not None else "<converted>"))
    checks = all(diagnostic.severity == "warning" for diagnostic in diagnostics)
    if output is not None and checks:
        write_new(output, found.text)
    if json:
        print_json(_as_json(found, diagnostics, output if checks else None))
    else:
        _print(found, diagnostics, output, name, checks)
    return 0 if checks and not found.missing else 1


def sketch_of(model: Path, name: str) -> Sketch:
    """The sketch of a model's description. Raises DataError, NoChain, UsageError."""
    if str(model) == STDIN:
        return read_model(io.BytesIO(sys.stdin.buffer.read(MOST_BYTES + 1)), name)
    if not model.exists():
        raise UsageError(f"{model}: no such file")
    require_file(model)
    if model.suffix == SPEC:
        raise UsageError(
            f"{model}: is a {SPEC} file already; convert reads {FORMS}. netspec check {model} looks at it, netspec summary {model} shows it"
        )
    with model.open("rb") as stream:
        return read_model(stream, name)


def _print(found: Conversion, diagnostics: list[Diagnostic], output: Path | None, name: str, checks: bool) -> None:
    for one in (*found.missing, *found.notes):
        tell(str(one))
    for diagnostic in diagnostics:
        print_diagnostic(diagnostic, sys.stderr)
    if not checks:
        tell(f"{name}: what of it has a counterpart makes no net that checks, as above; nothing was written")
    elif output is None:
        print(found.text, end="")
    else:
        rest = f", {_count(len(found.missing), 'thing')} not mapped" if found.missing else ""
        say(f"{output}: {_count(found.layers, 'layer')}{rest}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _as_json(found: Conversion, diagnostics: list[Diagnostic], output: Path | None) -> dict[str, Any]:
    return {
        "model": found.title,
        "output": None if output is None else str(output),
        "text": found.text,
        "layers": found.layers,
        "not_mapped": [_finding(one) for one in found.missing],
        "notes": [_finding(one) for one in found.notes],
        "diagnostics": [diagnostic.as_json() for diagnostic in diagnostics],
    }


def _finding(one: Finding) -> dict[str, str]:
    return {"layer": one.words, "place": one.place, "why": one.why}
