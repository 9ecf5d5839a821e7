"""The element type float32 for kernels: arrays, literals, tile intrinsics, and functions that vectorise.

A kernel's source imports either this module or `f64`, and nothing else differs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from netspec.kernels.native import INLINE, pointer_f32
from netspec.kernels.simd import current
from netspec.kernels.tile import make_pack_rows, make_pack_transposed, make_tile

F = np.float32
ITEMSIZE = 4
SIMD = current()
LANES = SIMD.lanes(ITEMSIZE)
TILE_ROWS = SIMD.rows
PANEL = SIMD.vectors * LANES  # columns of a packed panel
STRIP = -(-SIMD.rows // LANES) * LANES  # row stride of a packed tile of A
tile_m = make_tile(SIMD, ITEMSIZE, "m")
tile_k = make_tile(SIMD, ITEMSIZE, "k")
pack_transposed = make_pack_transposed(SIMD, ITEMSIZE)
pack_rows = make_pack_rows(SIMD, ITEMSIZE)


@njit(**INLINE)
def floats(address, count):
    """`count` elements at an address, as an array."""
    return carray(pointer_f32(address), (count,))


@intrinsic
def _bits(_context: Any, x: Any) -> Any:
    return types.int32(types.float32), lambda context, b, signature, a: b.bitcast(a[0], ir.IntType(32))


@intrinsic
def _from_bits(_context: Any, x: Any) -> Any:
    return types.float32(types.int32), lambda context, b, signature, a: b.bitcast(a[0], ir.FloatType())


_HIGHEST, _LOWEST, _LOG2E, _MAGIC = F(88.7), F(-87.3), F(1.44269504), F(12582912.0 + 127)
_LN2_HIGH, _LN2_LOW = F(0.693145751953125), F(1.42860677e-06)
_C0, _C1, _C2, _C3, _C4 = (
    F(0.4999999403953552),
    F(0.1666652113199234),
    F(0.04166838899254799),
    F(0.008368746377527714),
    F(0.0013814539415761828),
)
_ONE = F(1)


@njit(**INLINE)
def exp(x):
    """e**x by 2**n (1 + r + r*r*p(r)), |r| <= ln2/2, p a degree-4 minimax fit. Infinite above 127.5 ln2 = 88.37; below -87.3 the value
    there, 1.2e-38; NaN stays NaN."""
    inside = x if x < _HIGHEST else _HIGHEST
    inside = inside if inside > _LOWEST else _LOWEST
    shifted = inside * _LOG2E + _MAGIC  # its low mantissa bits hold n + 127
    n = shifted - _MAGIC
    r = (inside - n * _LN2_HIGH) - n * _LN2_LOW
    p = (((_C4 * r + _C3) * r + _C2) * r + _C1) * r + _C0
    y = ((p * r) * r + r + _ONE) * _from_bits(_bits(shifted) << np.int32(23))
    return y if x == x else x
