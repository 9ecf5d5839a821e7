"""Convolutions of 3x3 and stride 1 by F(2x2, 3x3): which ones, and the sizes that library/winograd.py works with."""

from __future__ import annotations

from netspec.base.kinds import Window2D
from netspec.base.shape import Shape
from netspec.kernels.context import Context
from netspec.kernels.native import CACHE_LINE, PLANES, SET_STRIDE

LEAST_CHANNELS = 12
"""Measured on AVX-512 against the direct form, GFLOP/s counted as the direct one's: 8 to 32 channels 249 to 248, 12 to 40 254 to 200,
32 to 32 414 to 258, 128 to 128 524 to 264, 64 to 64 on images of 2x2 195 to 133."""
BLOCK_BYTES = 400_000  # of planes: a block stays in L2


def pays(window: Window2D) -> bool:
    """Whether a convolution, and so its gradients, is faster by tiles."""
    shaped = window.kernel == (3, 3) and window.stride == (1, 1) and max(window.margins) <= 2 and window.groups == 1
    return shaped and min(window.input[0], window.output[0]) >= LEAST_CHANNELS


class Tiled:
    """Sizes, in elements, of a convolution of one image by tiles, and its geometry words."""

    def __init__(self, context: Context, name: str, image: Shape, result: Shape, top: int, left: int) -> None:
        (channels, height, width), (out, out_height, out_width) = image, result
        down, across = -(-out_height // 2), -(-out_width // 2)
        padded = (2 * down + 2, 2 * across + 2)
        blocks = max(1, round(down * across * PLANES * (channels + out) * context.itemsize / BLOCK_BYTES))
        rows = -(-down // min(blocks, down))
        tiles = rows * across
        lanes, line = context.lanes, CACHE_LINE // context.itemsize

        def apart(count: int) -> int:
            # whole vectors, and not on the same few sets of the cache
            whole = -(-count // lanes) * lanes
            return whole + line if whole * context.itemsize % SET_STRIDE == 0 else whole

        x_tile, y_tile = apart(channels), apart(out)
        x_plane, y_plane = apart(tiles * x_tile), apart(tiles * y_tile)
        margins = padded != (height, width)
        image_elements = -(-padded[0] * padded[1] * channels // line) * line if margins else 0
        words = (
            channels, height, width, out, out_height, out_width, 3, 3, 1, 1, top, left, *padded, int(margins), rows, image_elements,
            x_tile, x_plane, y_tile, y_plane,
        )  # fmt: skip
        self.channels = channels
        self.geometry = context.constants(name, words)
        self.packed = PLANES * -(-out // context.panel) * context.panel * channels
        self.image, self.result = image_elements + PLANES * x_plane, PLANES * y_plane + y_tile
