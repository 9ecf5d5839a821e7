"""The element type float32 for kernels: arrays, literals, tile intrinsics, and functions that vectorise.

A kernel's source imports either this module or `f64`, and nothing else differs.
"""

from __future__ import annotations

import numpy as np
from numba import types

from netspec.kernels.arrays import array_of
from netspec.kernels.depthwise import make_depthwise, make_depthwise_gradient
from netspec.kernels.functions import erf, exp, expm1, log, log1p, tanh
from netspec.kernels.simd import current
from netspec.kernels.tail import longest_tail, make_pack_tail, make_tail_along_depth, make_tail_along_rows
from netspec.kernels.tile import make_pack_rows, make_pack_transposed, make_tile
from netspec.kernels.transforms import make_gradient_to_planes, make_image_to_planes, make_planes_to_result

__all__ = [
    "ITEMSIZE", "LANES", "LONGEST_TAIL", "PANEL", "ROW_VECTORS", "SIMD", "STRIP", "TILE_ROWS", "F", "depthwise", "depthwise_gradient",
    "erf", "exp", "expm1", "floats", "gradient_to_planes", "image_to_planes", "log", "log1p", "pack_rows", "pack_tail", "pack_transposed",
    "planes_to_result", "tail_along_depth", "tail_along_rows", "tanh", "tile_k", "tile_m", "tile_row",
]  # fmt: skip

F = np.float32
ITEMSIZE = 4
SIMD = current()
LANES = SIMD.lanes(ITEMSIZE)
TILE_ROWS = SIMD.rows
ROW_VECTORS = SIMD.single.vectors
PANEL = SIMD.vectors * LANES  # columns of a packed panel
STRIP = -(-SIMD.rows // LANES) * LANES  # row stride of a packed tile of A
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
floats = array_of(types.float32)
