"""From a text to its graph or to everything that is wrong with it: what `netspec check` does, without data and without kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from netspec.base.diagnostic import Diagnostic, Diagnostics
from netspec.base.errors import SpecError
from netspec.base.kinds import describe
from netspec.base.shape import Shape
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.migrations import migrate
from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides, Program
from netspec.frontend.text import AnySpec, source_of
from netspec.frontend.validate import validate_partly
from netspec.graph.build import Survey, build, survey
from netspec.graph.counts import Counts, counts_of
from netspec.graph.graph import Graph
from netspec.graph.trials import refused

NO_OVERRIDES = Overrides()


def overrides_of(
    *, input: Shape | int | None = None, classes: int | None = None, outputs: int | None = None, train: str | None = None,  # noqa: A002
    dtype: str | None = None, seed: int | None = None, threads: int | None = None, fuse: bool | None = None, **lets: Any,
) -> Overrides:  # fmt: skip
    """The keywords of `netspec.compile` as overrides of a text."""
    keys: Mapping[str, Any] = {"train.dtype": dtype, "train.threads": threads, "train.fuse": fuse}
    given = {key: value for key, value in keys.items() if value is not None}
    sides: Any = (input,) if isinstance(input, Integral) else input
    shape: Any = input  # what is no shape is refused with the words of any other value
    if isinstance(sides, Iterable) and not isinstance(sides, str):
        shape = tuple(int(side) if isinstance(side, Integral) else side for side in sides)
    return Overrides(shape, classes, outputs, seed, train, given, lets, keys_by="text")


def check(spec: AnySpec, **keywords: Any) -> list[Diagnostic]:
    """Every finding about a text, a .net file or a net built in Python, errors first; an empty list means that all is well. Takes the
    keywords of `compile`."""
    return Diagnostics(diagnose(source_of(spec), overrides_of(**keywords)))


def to_graph(program: Program, counts: Counts | None = None) -> Graph:
    """Program to graph. Raises SpecError; also where no shape is known."""
    counts = counts or counts_of(program)
    if counts is None:
        help_text = "write `input 3x32x32` in the text, --input 3x32x32 on the command line, or input=(3, 32, 32) in Python"
        place = program.spans.get("net")
        raise SpecError([Diagnostic("NS409", "nothing gives the shape of an input row", program.source, place, help=help_text)])
    _require_images(program, counts)
    graph = build(program, counts)
    graph.verify()
    return graph


def _require_images(program: Program, counts: Counts) -> None:
    """Raises SpecError where rows that are vectors are to be changed as images."""
    if len(counts.input) == 3 or program.data is None or not program.data.augmentations:
        return
    name, place = program.data.augmentations[0].name, program.spans.get("data.transforms")
    message = f"{name} needs images (channels x height x width), and the rows here are {describe(counts.input)}"
    help_text = f"take {name} out, or give the data as images; a net may flatten them itself, as affine does"
    raise SpecError([Diagnostic("NS607", message, program.source, place, help=help_text)])


def diagnose(source: Source, overrides: Overrides = NO_OVERRIDES) -> list[Diagnostic]:
    """Every finding about a text: errors of syntax and meaning, of shapes where an input shape is known, and warnings."""
    return diagnosed(source, overrides)[1]


def diagnosed(source: Source, overrides: Overrides = NO_OVERRIDES) -> tuple[Program | None, list[Diagnostic]]:
    """The findings, with the program where none of them is an error."""
    try:
        file = migrate(parse(source))
        program, found = validate_partly(file, source, overrides)
    except SpecError as error:
        return None, list(error.diagnostics)
    if program is None:
        return None, [one for one in found if one.code != "NS504" or not _is_library(file)]
    try:
        counts = counts_of(program)
        if found:
            errors = survey(program, counts).errors if counts is not None else ()
            return None, [*found, *errors]
        if counts is not None:
            to_graph(program, counts)
    except SpecError as error:
        return None, [*found, *error.diagnostics, *(() if found else program.warnings)]
    wrong = refused(file, source, overrides, program) if program.search else []
    return (None if wrong else program), [*wrong, *program.warnings]


def _is_library(file: syntax.File) -> bool:
    """Whether a text holds defs for others to use, and nothing else."""
    kinds = (syntax.Version, syntax.Use, syntax.Let, syntax.Def)
    return all(isinstance(entry, kinds) for entry in file.entries) and any(isinstance(entry, syntax.Def) for entry in file.entries)


@dataclass(frozen=True)
class Known:
    """What is known of a text that may be wrong: its program, its layers with their shapes, and all findings."""

    program: Program | None
    survey: Survey | None
    found: tuple[Diagnostic, ...]


def known(source: Source, overrides: Overrides = NO_OVERRIDES) -> Known:
    """Everything that can be told of a text, errors and all. Where its net has a class head and nothing gives the count, the layers before
    are known all the same."""
    try:
        return known_of(migrate(parse(source)), source, overrides)
    except SpecError as error:
        return Known(None, None, error.diagnostics)


def known_of(file: syntax.File, source: Source, overrides: Overrides = NO_OVERRIDES) -> Known:
    """The same of a tree in the newest language. Counts that contradict each other leave the shape that the text gives. Raises SpecError
    where a limit is passed."""
    program, found = validate_partly(file, source, overrides)
    if program is None:
        return Known(None, None, found)
    try:
        counts = counts_of(program)
    except SpecError as error:
        counts, found = (None if program.input is None else Counts(program.input)), (*found, *error.diagnostics)
    if counts is None:
        return Known(program, None, found)
    made = survey(program, counts)
    found = (*found, *made.errors)
    return Known(program, made, found or tuple(refused(file, source, overrides, program)))
