"""What several float64 references share: the windows of a padded image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Window2D


def patches(x: NDArray[np.float64], window: Window2D, fill: float) -> NDArray[np.float64]:
    """The elements under each window: x (N, C, H, W) to (N, C, OH, OW, KH, KW), with `fill` in the margins."""
    top, bottom, left, right = window.margins
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(padded, window.kernel, axis=(2, 3))
    return views[:, :, :: window.stride[0], :: window.stride[1]]
