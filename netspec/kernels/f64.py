"""The element type float64 for kernels: as `f32`, with exact library functions."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

from netspec.kernels.arrays import array_of
from netspec.kernels.depthwise import make_depthwise, make_depthwise_gradient
from netspec.kernels.native import INLINE
from netspec.kernels.simd import current
from netspec.kernels.tail import longest_tail, make_pack_tail, make_tail_along_depth, make_tail_along_rows
from netspec.kernels.tile import make_pack_rows, make_pack_transposed, make_tile
from netspec.kernels.transforms import make_gradient_to_planes, make_image_to_planes, make_planes_to_result

F = np.float64
ITEMSIZE = 8
SIMD = current()
LANES = SIMD.lanes(ITEMSIZE)
TILE_ROWS = SIMD.rows
ROW_VECTORS = SIMD.single.vectors
PANEL = SIMD.vectors * LANES
STRIP = -(-SIMD.rows // LANES) * LANES
tile_m = make_tile(SIMD, ITEMSIZE, "m")
tile_k = make_tile(SIMD, ITEMSIZE, "k")
tile_row = make_tile(SIMD.single, ITEMSIZE, "k")
pack_transposed = make_pack_transposed(SIMD, ITEMSIZE)
pack_tail = make_pack_tail(SIMD, ITEMSIZE)
tail_along_depth = make_tail_along_depth(SIMD, ITEMSIZE)
tail_along_rows = make_tail_along_rows(SIMD, ITEMSIZE)
LONGEST_TAIL = longest_tail(LANES)
pack_rows = make_pack_rows(SIMD, ITEMSIZE)
image_to_planes = make_image_to_planes(SIMD, ITEMSIZE)
planes_to_result = make_planes_to_result(SIMD, ITEMSIZE)
gradient_to_planes = make_gradient_to_planes(SIMD, ITEMSIZE)
depthwise = make_depthwise(SIMD, ITEMSIZE)
depthwise_gradient = make_depthwise_gradient(SIMD, ITEMSIZE)
floats = array_of(types.float64)


@njit(**INLINE)
def exp(x):
    """e**x, the library's, as all below."""
    return np.exp(x)


@njit(**INLINE)
def expm1(x):
    """e**x - 1."""
    return np.expm1(x)


@njit(**INLINE)
def log(x):
    """The natural logarithm."""
    return np.log(x)


@njit(**INLINE)
def log1p(x):
    """log(1 + x)."""
    return np.log1p(x)


@njit(**INLINE)
def tanh(x):
    """The hyperbolic tangent."""
    return np.tanh(x)


@njit(**INLINE)
def erf(x):
    """The error function."""
    return math.erf(x)
