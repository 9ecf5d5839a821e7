"""A model of another library to a .net text: read, mapped, put in a row, given its head, printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.base.errors import UsageError
from netspec.base.shape import Shape, show
from netspec.frontend.convert.ends import with_end
from netspec.frontend.convert.mapping import Mapped, map_steps, penalties, together
from netspec.frontend.convert.paths import layers_in, to_chain
from netspec.frontend.convert.rows import Row, Sides
from netspec.frontend.convert.sides import square_side
from netspec.frontend.convert.sketch import INPUT, Finding, NoChain, Sketch
from netspec.frontend.convert.to_text import to_file


@dataclass(frozen=True)
class Conversion:
    """The text, and what is told about it. `missing` is what has no counterpart, `notes` what differs and is written all the same."""

    title: str
    text: str
    layers: int
    missing: tuple[Finding, ...]
    notes: tuple[Finding, ...]


def convert(sketch: Sketch, input: Shape | None = None, head: str | None = None) -> Conversion:  # noqa: A002  the word of the language
    """The sketch as a text. `input` is the shape of a row where the model does not know it, `head` the head where it has none.

    Raises NoChain for what is no chain from one input to one output, UsageError where `input` or `head` contradicts the model.
    """
    shape, guess = _input(sketch, input)
    mapping = map_steps(sketch, shape)
    pieces = to_chain(sketch, mapping.made, mapping.gaps)
    layers = layers_in(pieces)
    if not layers:
        raise NoChain(_nothing(mapping) if sketch.steps else "it has no layers")
    l2, lost = _l2(sketch, mapping)
    row = mapping.rows[sketch.output] if pieces[-1].gap is None else Row()
    end = with_end(pieces, row, head or sketch.head)
    told = [*sketch.findings, *mapping.findings, *lost, *(Finding(False, "", "", note) for note in (*guess, *end.notes))]
    findings = together(told)
    missing = tuple(one for one in findings if one.missing)
    notes = tuple(one for one in findings if not one.missing)
    header = [
        f"Converted from {sketch.title}: {len(layers)} layer{'' if len(layers) == 1 else 's'}, without their weights.",
        *map(str, findings),
    ]
    known = None if _is_sequence(sketch, mapping) else Row(shape).known
    if known is None:
        header.append("The shape of a row is not known: write it below (input 30, or input 3x32x32), or convert with --input.")
    text = to_file(end, None if known is None else show(known), header, l2)
    return Conversion(sketch.title, text, len(layers), missing, notes)


def _nothing(mapping: Mapped, most: int = 3) -> str:
    """That nothing is left to write, with the reasons."""
    reasons = [str(one).removeprefix("not mapped: ") for one in together(mapping.findings) if one.missing]
    more = f"; and {len(reasons) - most} more" if len(reasons) > most else ""
    return "none of its layers has a counterpart here" + (f": {'; '.join(reasons[:most])}{more}" if reasons else "")


def _is_sequence(sketch: Sketch, mapping: Mapped) -> bool:
    """Whether rows of height x width go into a layer that is not mapped: no net here takes them as they are."""
    return sketch.rows_without_channels and any(step.inputs == (INPUT,) and step.name in mapping.gaps for step in sketch.steps)


def _input(sketch: Sketch, given: Shape | None) -> tuple[Sides | None, Sequence[str]]:
    """The shape of a row, and what is to be said of it where it was found by trying."""
    if given is None:
        if sketch.input is None or None not in sketch.input[1:] or sketch.input[0] is None:
            return sketch.input, ()
        return square_side(sketch)
    known = sketch.input
    if known is not None and (len(known) != len(given) or any(one not in (None, other) for one, other in zip(known, given, strict=True))):
        shown = "x".join("?" if side is None else str(side) for side in known)
        raise UsageError(f"--input {show(given)}: the model takes {shown}")
    return given, ()


def _l2(sketch: Sketch, mapping: Mapped) -> tuple[float, list[Finding]]:
    """The l2 of a whole net, where all its weights have the same; else every penalty is told as missing."""
    found = penalties(sketch, mapping.made)
    if len({value for _, value in found}) == 1:
        return found[0][1], []
    why = "only some weights are penalised, or not all alike; l2 of train is one number for all weights of a net"
    return 0.0, [Finding(True, f"L2({value / 2:g})", step.place, why) for step, value in found if value]
