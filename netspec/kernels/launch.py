"""Kernels and what they are called with: buffers that have no address yet, and launches over them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Literal

Section = Literal["forward", "loss", "backward", "regularize", "update"]
SECTIONS: tuple[Section, ...] = ("forward", "loss", "backward", "regularize", "update")

ELEMENT_GRAIN = 32_768
"""Elements that are worth a task of their own."""

BufferKind = Literal["control", "parameters", "gradients", "slots", "state", "data", "value", "result", "constants"]


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory that kernels read and write. `value` buffers live from their first use to their last and share one arena; the others
    last as long as the plan. `data` buffers are the caller's, bound before a run."""

    name: str
    count: int
    itemsize: int
    kind: BufferKind = "value"
    flat: Buffer | None = None
    """The buffer that this one is a part of, from element `start` on."""
    start: int = 0

    @property
    def bytes(self) -> int:
        return self.count * self.itemsize


@dataclass(frozen=True)
class At:
    """The address of an element of a buffer."""

    buffer: Buffer
    offset: int = 0


@dataclass(frozen=True)
class Entry:
    """The address of a compiled function: `name` in the module that `source` gives."""

    source: str
    name: str


Word = int | float | At | Entry


def float_bits(value: float) -> int:
    """The bits of a float64 as a signed 64-bit integer."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


Cut = tuple[str, int, int]
"""What is shared: rows of the batch or columns of a matrix, how many columns, and of what the borders are multiples."""
ROWS_CUT: Cut = ("rows", 0, 1)


@dataclass(frozen=True)
class Launch:
    """One call of a kernel: `tasks` shares of the work that its `words` describe. `flops` and `bytes` are those of a full batch.

    `cut` says how the work is shared where task t of this launch may follow task t of another one at once: both have the same cut, the
    same number of tasks, and of the buffers in `own` each task touches its own share alone. Its borders are multiples of the cut's last
    number: a kernel that declares a cut has to use that one.
    """

    label: str
    section: Section
    kernel: Entry
    words: tuple[Word, ...]
    tasks: int
    reads: tuple[Buffer, ...]
    writes: tuple[Buffer, ...]
    flops: int = 0
    layers: tuple[str, ...] = ()
    cut: Cut | None = None
    own: tuple[Buffer, ...] = ()
    exchanged: Buffer | None = None
    """Of a batch that several processes share: a part for each of them, (ranks, n), of which this launch writes the own one."""

    @property
    def bytes(self) -> int:
        """Memory read and written once, without the scratch."""
        return sum(buffer.bytes for buffer in {*self.reads, *self.writes} if not buffer.name.startswith("work"))


@dataclass(frozen=True)
class ParameterPlace:
    """Where an array lies in a flat buffer, in elements."""

    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Lowered:
    """All launches of a plan, in order, and the buffers that a caller uses by name."""

    launches: tuple[Launch, ...]
    named: dict[str, Buffer]
    parameters: dict[str, ParameterPlace]
    states: dict[str, ParameterPlace]
    parameter_elements: int
    weight_elements: int
    state_elements: int
    slot_names: tuple[str, ...] = ()
    constants: dict[str, tuple[int, ...]] = field(default_factory=dict)
    input_is_flat: bool = False
    """Whether input images are read as vectors in C order; else channels last."""
