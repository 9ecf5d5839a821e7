"""`netspec diff A B`: what two specs, or two runs, mean differently."""

from __future__ import annotations

from pathlib import Path

from netspec.base.errors import DataError, NetspecError, SpecError, UsageError
from netspec.frontend.program import Overrides, Program
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.graph.compare import Meaning, compare, meaning_of
from netspec.graph.counts import Counts, counts_of, split_head
from netspec.save.description import Ends, described_as, spec_of
from netspec.save.run_folder import find, open_run_folder
from netspec.save.weights import read_header
from netspec.ui.comparison import as_json, parts, without_shapes
from netspec.ui.given import spec_file
from netspec.ui.guard import tell, tell_error
from netspec.ui.screen import print_json, say
from netspec.ui.shapes import asks_for_counts, known_counts
from netspec.ui.tables import print_parts

WEIGHTS = ".safetensors"


def run(a: Path, b: Path, overrides: Overrides, *, json: bool) -> int:
    """Prints the differences: 0 without any, 1 with some. Where A or B cannot be read, says why of both."""
    found: list[Meaning] = []
    codes: list[int] = []
    for path in (a, b):
        try:
            found.append(_meaning(path, overrides))
        except NetspecError as error:
            codes.append(tell_error(error))
    if codes:
        return max(codes)
    comparison = compare(*found)
    blind = [str(path) for path, one in zip((a, b), found, strict=True) if one.graph is None]
    if json:
        print_json({"a": str(a), "b": str(b), **as_json(comparison)})
    elif comparison.same:
        say(f"{a} and {b} mean the same{', as far as can be told' if blind else ''}")
        if blind:
            tell(without_shapes(blind))
    else:
        print_parts(lambda width: parts(comparison, str(a), str(b), blind, width))
    return 0 if comparison.same else 1


def _meaning(path: Path, overrides: Overrides) -> Meaning:
    """The program of a file or a run, with its graph where the shapes can be known. Raises SpecError, UsageError, DataError."""
    if path.is_dir() or path.suffix == WEIGHTS:
        return meaning_of_run(path)
    source = source_of(spec_file(path))
    program = load(source)
    needed = _needed(program, overrides)
    if needed != Overrides():
        program = load(source, needed)
    try:
        return Meaning(program, to_graph(program, known_counts(program)))
    except SpecError as error:
        if not asks_for_counts(error):
            raise
    except DataError:
        pass  # its data lies elsewhere: what needs no shapes is compared
    return Meaning(program)


def _needed(program: Program, given: Overrides) -> Overrides:
    """Of what the command line gives for both, what this program leaves open."""
    known = counts_of(program)
    values = split_head(program)[1].target == "value"
    return Overrides(
        input=given.input if known is None else None,
        classes=None if values or (known and known.classes) or program.classes else given.classes,
        outputs=given.outputs if values and not (known and known.outputs) and not program.outputs else None,
    )


def meaning_of_run(path: Path) -> Meaning:
    """The resolved spec of a run folder or weights file, with the ends that its net was trained with."""
    try:
        located = find(path)
    except UsageError:
        folder = open_run_folder(path)  # stopped before the first weights were saved
        return meaning_of(load(source_of(folder.resolved if folder.resolved.is_file() else folder.spec)))
    found = described_as(Ends, read_header(located.weights)[1], located.weights)
    program = load(spec_of(located.weights, found))
    return Meaning(program, to_graph(program, Counts(tuple(found.input), found.classes, found.outputs)))
