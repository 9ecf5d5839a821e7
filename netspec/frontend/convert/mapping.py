"""A sketch to pieces: every step in order, with what is known of the rows, becomes layers here or a finding that says why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from netspec.base.errors import Problem
from netspec.base.kinds import Head, Pointwise
from netspec.base.layer import Layer
from netspec.frontend.convert.build import no_zeros
from netspec.frontend.convert.rows import NO_MARGINS, Row, Sides, after
from netspec.frontend.convert.sketch import INPUT, Finding, Made, Misfit, NotMapped, Sketch, Step

POSITIVE = ("relu", "sigmoid", "softplus", "softmax")
KEEPS_SIGN = ("pool", "avgpool", "globalpool", "flatten", "reshape", "upsample", "dropout", "dropout2d", "id")
NOT_ZERO_AT_ZERO = ("sigmoid", "softplus")
"""Activations behind which the zeros of a padding layer are zeros no more."""
HEAD_INSIDE = "a head here, which stands at the end of a net; the layer of that name within a net is not in version 1 of the language"


@dataclass
class Mapped:
    """What became of each step. `gaps` are the steps without a counterpart, `misfits` how many take rows of another size than arrive."""

    made: dict[str, Made] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    gaps: dict[str, Finding] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    misfits: int = 0


def map_steps(sketch: Sketch, shape: Sides | None) -> Mapped:
    """Goes through the steps with rows of `shape`, or of one that is not known."""
    found = Mapped(rows={INPUT: Row(shape, bare=sketch.rows_without_channels)})
    readers = {name for step in sketch.steps for name in step.inputs}
    for step in sketch.steps:
        rows = [found.rows[name] for name in step.inputs]
        try:
            made = step.operation(rows)
            if any(isinstance(layer, Head) for layer in made.layers) and step.name in readers:
                raise NotMapped(HEAD_INSIDE)
            found.rows[step.name] = _row_after(made, rows)
        except (NotMapped, Problem) as reason:
            found.misfits += isinstance(reason, (Misfit, Problem))
            finding = Finding(True, step.words, step.place, _why(reason))
            found.made[step.name], found.gaps[step.name], found.rows[step.name] = Made(), finding, Row()
            found.findings.append(finding)
            continue
        found.made[step.name] = made
        found.findings += [Finding(False, step.words, step.place, note) for note in made.notes]
        found.findings += [Finding(True, step.words, step.place, lost) for lost in made.lost]
    if sketch.steps and found.rows[sketch.output].margins != NO_MARGINS:
        last = sketch.steps[-1]
        found.findings.append(
            Finding(True, "padding", last.place, "zeros stand around its output, and no conv follows that takes them over")
        )
    return found


def _why(reason: NotMapped | Problem) -> str:
    if isinstance(reason, Problem):
        return f"{reason.message} [{reason.code}]"
    return str(reason)


def _row_after(made: Made, rows: Sequence[Row]) -> Row:
    if made.merge is not None:
        return made.row(Row(_merged(made.merge, [row.shape for row in rows]), pixel=all(row.pixel for row in rows)))
    row = rows[0]
    for layer in made.layers:
        if layer.name in NOT_ZERO_AT_ZERO:
            no_zeros(row)
        row = replace(row, shape=after(layer, row.shape), positive=_is_positive(layer, row))
    return made.row(row)


def _is_positive(layer: Layer, row: Row) -> bool:
    if layer.name in KEEPS_SIGN:
        return row.positive
    return isinstance(layer, (Pointwise, Head)) and layer.name in POSITIVE


def _merged(name: str, shapes: Sequence[Sides | None]) -> Sides | None:
    """The shape of a merge. Raises NotMapped where its branches do not go together."""
    if any(shape is None for shape in shapes):
        return None
    known = [shape for shape in shapes if shape is not None]
    if len({len(shape) for shape in known}) > 1:
        raise NotMapped("it merges vectors and images; nothing is broadcast here")
    first = known[0]
    for place in range(1 if name == "concat" else 0, len(first)):
        if len({shape[place] for shape in known if shape[place] is not None}) > 1:
            shown = ", ".join("x".join("?" if side is None else str(side) for side in shape) for shape in known)
            raise NotMapped(f"it merges rows of different shapes, {shown}; nothing is broadcast here")
    if name != "concat":
        return next((shape for shape in known if None not in shape), first)
    total = None if any(shape[0] is None for shape in known) else sum(shape[0] or 0 for shape in known)
    return (total, *first[1:])


def together(findings: Sequence[Finding]) -> list[Finding]:
    """Notes of the same words as one, with every place."""
    places: dict[tuple[bool, str, str], list[str]] = {}
    for one in findings:
        places.setdefault((one.missing, one.words if one.missing else "", one.why), []).append(one.place)
    return [Finding(missing, words, _listed(where), why) for (missing, words, why), where in places.items()]


def _listed(places: Sequence[str], most: int = 8) -> str:
    named = [place for place in dict.fromkeys(places) if place]
    return ", ".join(named[:most]) + (f" and {len(named) - most} more" if len(named) > most else "")


def penalties(sketch: Sketch, made: Mapping[str, Made]) -> list[tuple[Step, float]]:
    """The l2 of each step that has weights."""
    return [
        (step, made[step.name].l2) for step in sketch.steps if any(layer.name in ("affine", "conv") for layer in made[step.name].layers)
    ]
