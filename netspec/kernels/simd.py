"""The vector unit that kernels are emitted for: bytes of a register, and the tile that fills its registers.

Tiles are measured choices: 14x2 vectors on AVX-512 (28 of 32 registers accumulate), 6x2 where there are 16 registers.
`NETSPEC_SIMD=avx2|generic` forces a narrower unit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache

import llvmlite.binding as llvm

from netspec.base.errors import UsageError


@dataclass(frozen=True, slots=True)
class Simd:
    """`width` is the bytes of a vector register; a tile is `rows` x `vectors` registers."""

    name: str
    width: int
    rows: int
    vectors: int

    def lanes(self, itemsize: int) -> int:
        return self.width // itemsize

    @property
    def single(self) -> Simd:
        """The unit with a tile of one row: as many sums as multiply-adds are under way at once, two a cycle that take four."""
        return replace(self, rows=1, vectors=8)


UNITS = {
    "avx512": Simd("avx512", 64, 14, 2),
    "avx2": Simd("avx2", 32, 6, 2),
    "generic": Simd("generic", 16, 6, 2),
}


@cache
def host_features() -> dict[str, bool]:
    """CPU features by LLVM's names."""
    return dict(llvm.get_host_cpu_features())


def supported() -> list[str]:
    """Names of the units that this machine can run, widest first."""
    features = host_features()
    names = ["generic"]
    if features.get("avx2") and features.get("fma"):
        names.insert(0, "avx2")
    if features.get("avx512f"):
        names.insert(0, "avx512")
    return names


def current() -> Simd:
    """The unit in force: the widest, or the one that NETSPEC_SIMD names. Raises UsageError for one that the machine lacks."""
    wanted = os.environ.get("NETSPEC_SIMD", "")
    if not wanted:
        return UNITS[supported()[0]]
    if wanted not in supported():
        raise UsageError(f"NETSPEC_SIMD={wanted}: this machine can run {', '.join(supported())}")
    return UNITS[wanted]
