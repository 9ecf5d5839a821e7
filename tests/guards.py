"""Memory with guards: each buffer has a place of its own, with bytes behind it that no kernel may change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from netspec.kernels.launch import Launch
from netspec.plan import plan, store
from netspec.plan.arena import ALIGNMENT, Arena, lives
from netspec.plan.waves import Wave

GUARD = 4096
UNTOUCHED = 0xFF
"""Every byte of memory that nothing has written: as floats, NaN."""


@contextmanager
def guarded() -> Iterator[None]:
    """Plans and stores built inside have guards; at the end all are asserted to be untouched. The arena begins as NaN, not as zeros."""
    guards: list[tuple[str, NDArray[np.uint8]]] = []
    made = iter(range(10**6))

    def aligned(count: int, dtype: Any) -> NDArray[Any]:
        size = count * np.dtype(dtype).itemsize
        raw = np.zeros(GUARD + size + GUARD + ALIGNMENT, np.uint8)
        start = GUARD + -(raw.ctypes.data + GUARD) % ALIGNMENT
        raw[:start] = raw[start + size :] = UNTOUCHED
        guards.extend((f"array {next(made)}", part) for part in (raw[:start], raw[start + size :]))
        return raw[start : start + size].view(dtype)

    def place(launches: Sequence[Launch], waves: Sequence[Wave]) -> Arena:
        found, at = {}, GUARD
        everything = lives(launches, waves)
        for life in everything:
            found[life.buffer] = at
            at += -(-life.buffer.bytes // ALIGNMENT) * ALIGNMENT + GUARD
        return Arena(found, everything, at)

    class Guarded(plan.Plan):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._arena[:] = UNTOUCHED
            ends = [(buffer.name, at + buffer.bytes) for buffer, at in self.layout.arena.offsets.items()]
            guards.extend((name, self._arena[end : end + GUARD]) for name, end in ends)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "place", place)
        patch.setattr(plan, "aligned", aligned)
        patch.setattr(store, "aligned", aligned)
        patch.setattr("netspec.plan.network.Plan", Guarded)
        yield
    assert guards
    written = {name for name, guard in guards if (guard != UNTOUCHED).any()}
    assert not written, f"written behind {sorted(written)}"
