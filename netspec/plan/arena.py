"""Places for buffers that live a while: two buffers share memory when no wave needs both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.kernels.launch import At, Buffer, Launch
from netspec.plan.waves import Wave

ALIGNMENT = 64


@dataclass(frozen=True)
class Life:
    """A buffer with the first and the last wave that touches it."""

    buffer: Buffer
    first: int
    last: int

    def meets(self, other: Life) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Arena:
    """Byte offsets of all buffers of the kind `value`, and the bytes that they need together."""

    offsets: dict[Buffer, int]
    lives: tuple[Life, ...]
    bytes: int

    def verify(self) -> None:
        """No two buffers that live at once overlap; raises AssertionError."""
        for place, one in enumerate(self.lives):
            start = self.offsets[one.buffer]
            for other in self.lives[:place]:
                if one.meets(other):
                    at = self.offsets[other.buffer]
                    apart = start + one.buffer.bytes <= at or at + other.buffer.bytes <= start
                    assert apart, f"{one.buffer.name} and {other.buffer.name} overlap"


def lives(launches: Sequence[Launch], waves: Sequence[Wave]) -> tuple[Life, ...]:
    """The life of every value buffer, over all waves: a launch touches what it reads, writes or is given."""
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for number, wave in enumerate(waves):
        for launch in launches[wave.first : wave.last]:
            given = (word.buffer for word in launch.words if isinstance(word, At))
            for buffer in (*launch.reads, *launch.writes, *given):
                if buffer.kind == "value":
                    first.setdefault(buffer, number)
                    last[buffer] = number
    return tuple(Life(buffer, first[buffer], last[buffer]) for buffer in first)


def place(launches: Sequence[Launch], waves: Sequence[Wave]) -> Arena:
    """First fit by decreasing size: each buffer goes to the lowest gap that is free for its whole life."""
    placed: list[tuple[int, int, Life]] = []
    offsets: dict[Buffer, int] = {}
    everything = lives(launches, waves)
    for life in sorted(everything, key=lambda one: (-one.buffer.bytes, one.first)):
        need = -(-life.buffer.bytes // ALIGNMENT) * ALIGNMENT
        at = 0
        for start, end, other in sorted(placed, key=lambda one: one[0]):
            if other.meets(life):
                if at + need <= start:
                    break
                at = max(at, end)
        placed.append((at, at + need, life))
        offsets[life.buffer] = at
    arena = Arena(offsets, everything, max((end for _, end, _ in placed), default=0))
    arena.verify()
    return arena
