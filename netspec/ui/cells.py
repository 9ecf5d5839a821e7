"""What a picture of a net is made of: layers with the words of their two passes, frames of copies, values on their way."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.shape import Shape
from netspec.ui.copies import named
from netspec.ui.layer_rows import LayerRow

INPUT, LOSS = "input", "loss"


@dataclass(frozen=True)
class Share:
    """An array that belongs to another layer: `key` as the layer calls it, `owner` the other one, `place` where that stands."""

    key: str
    owner: str
    place: int
    turned: bool


@dataclass(frozen=True)
class Frame:
    """A copy of a repeat, or `times` copies in a row that are alike. `key` tells it from any other."""

    key: int
    times: int
    label: str


@dataclass(frozen=True)
class Cell:
    """A layer, or the copies of one that are drawn once: `names` are theirs. `inputs` are cells, by the first of their names; `values` the
    layers whose outputs they give, and their shapes. `gradients` says of each whether it has a gradient, `reached` of the layer itself."""

    names: tuple[str, ...]
    inputs: tuple[str, ...]
    values: tuple[tuple[str, Shape], ...]
    gradients: tuple[bool, ...]
    reached: bool
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    row: LayerRow
    place: int
    arrays: tuple[tuple[str, Shape], ...]
    """Its own parameters."""
    held: tuple[tuple[int, int], ...]
    """Bytes of the forward and the backward pass, by copy."""
    merges: bool = False
    """Whether it makes one value of those of several branches."""
    shares: tuple[Share, ...] = ()
    tied: bool = False
    """Whether the copies have one set of arrays, the first one's."""
    lent: tuple[tuple[str, str], ...] = ()
    """Keys of its arrays that other layers have too, and those layers."""
    frames: tuple[Frame, ...] = ()
    """Outermost first."""
    joined: tuple[bool, bool] = (False, False)
    """Whether it is computed together with the layer before it, and the one behind."""

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def title(self) -> str:
        """The layer that is drawn, or the copies."""
        return named(self.names)

    @property
    def is_shared(self) -> bool:
        """Whether some of its arrays are other layers' too, or those of all its copies."""
        return bool(self.shares or self.tied or self.lent)


@dataclass(frozen=True)
class Arrow:
    """A value on its way from one cell to another, INPUT and LOSS among them; its gradient goes back where it has one."""

    source: str
    target: str
    shape: Shape
    gradient: str
    """Its name, or "" where there is none."""
    value: str = ""
    """The layer that gives it: of copies that are drawn once, the one that is read."""
    place: int = 0
    """Which of the target's inputs it is."""


@dataclass(frozen=True)
class Flow:
    """Everything that a picture shows, in reading order."""

    name: str
    cells: tuple[Cell, ...]
    arrows: tuple[Arrow, ...]
    groups: tuple[tuple[tuple[str, ...], bool, bool], ...]
    """Cells that are computed together, and whether their group goes on above and below them in other copies."""
    input: tuple[str, ...]
    loss: tuple[str, ...]
    subtitles: tuple[str, ...]
    notes: tuple[str, ...]
    lines: tuple[str, ...] = ()
    """Layers that are branches by themselves and change nothing: they are drawn as the line from what they read to the merge."""
