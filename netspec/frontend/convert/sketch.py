"""What the readers give: a net as a graph of steps, in order, before any of them means anything here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from netspec.base.layer import Layer
from netspec.frontend.convert.rows import Row

INPUT = ""
"""The name of the value that goes into a net."""


class NotMapped(Exception):  # noqa: N818  a bare fact on its way to the walk, which adds the place
    """Why a step has no counterpart; the walk adds the layer and goes on without it."""


class Misfit(NotMapped):
    """A step takes rows of another size than arrive, where the shape of the input is a guess or was given from outside."""


class NoChain(Exception):  # noqa: N818
    """Why a model as a whole is no chain of layers from one input to one output."""


@dataclass(frozen=True)
class Made:
    """What a step becomes: layers in order, or a merge of its inputs. `row` is what is known of the result beyond the layers' own shapes.

    `notes` are facts that a user has to know though nothing is missing, `lost` what has no counterpart though the layer itself has one.
    `l2` is the penalty on the weights, as half the square is multiplied by it here.
    """

    layers: tuple[Layer, ...] = ()
    merge: str | None = None
    row: Callable[[Row], Row] = lambda row: row
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    l2: float = 0.0


Operation = Callable[[Sequence[Row]], Made]


@dataclass(frozen=True)
class Step:
    """One layer or operation of the source: `place` is where it stands (`layer conv2d_1`), `words` how it reads there (`Conv2D(32)`)."""

    name: str
    place: str
    words: str
    operation: Operation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What a user is told of one layer: `missing` where something has no counterpart, else a note."""

    missing: bool
    words: str
    place: str
    why: str

    def __str__(self) -> str:
        if self.missing:
            return f"not mapped: {self.words} ({self.place}): {self.why}"
        return f"note: {self.why} ({self.place})" if self.place else f"note: {self.why}"


@dataclass(frozen=True)
class Sketch:
    """A net as its library describes it. `steps` come after their inputs; `input` is the shape of a row, None where a side is not known.

    `head` is the head that the loss of a compiled model asks for.
    """

    library: str
    title: str
    steps: tuple[Step, ...]
    output: str
    input: tuple[int | None, ...] | None
    rows_without_channels: bool = False
    head: str | None = None
    findings: tuple[Finding, ...] = field(default=())
    modules: tuple[str, ...] = ()
    """Paths of PyTorch's modules in the order of a net without branches, where it is known."""

    def __post_init__(self) -> None:
        known = {INPUT}
        for step in self.steps:
            if step.name in known or not step.inputs or not known.issuperset(step.inputs):
                raise ValueError(f"{step.place}: a step has a name of its own, and comes after its inputs")
            known.add(step.name)
