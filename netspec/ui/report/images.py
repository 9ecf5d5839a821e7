"""Rows that are images as small pictures inside a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.extras import library

COLOUR = 3
"""Channels that are red, green and blue; of any other number the mean is shown in grey."""
LONGEST_SIDE = 160
"""Pixels; larger images are made smaller."""


def pictures(images: NDArray[Any]) -> list[str]:
    """PNG data URIs of images (N, C, H, W), all on one scale of brightness."""
    image_module = library("PIL.Image", "report")
    found = []
    for pixels in _as_bytes(images):
        shown = image_module.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        shown.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        stream = io.BytesIO()
        shown.save(stream, format="png", optimize=True)
        found.append(f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}")
    return found


def _as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, H, W, 1 or 3): bytes and fractions as they are, other numbers from the lowest (dark) to the highest (bright) of all."""
    values = images if images.shape[1] == COLOUR else images.astype(np.float64).mean(axis=1, keepdims=True)
    if images.dtype == np.uint8 and images.max(initial=0) > COLOUR * 10:  # bytes of a few levels are counts
        low, high = 0.0, 255.0
    else:
        low, high = float(values.min()), float(values.max())
        if low >= 0 and 0.5 < high <= 1:
            low, high = 0.0, 1.0
    with np.errstate(over="ignore"):
        scaled = (values.astype(np.float64) - low) / ((high - low) or 1.0)
    return np.ascontiguousarray((255 * np.clip(scaled, 0, 1)).round().astype(np.uint8).transpose(0, 2, 3, 1))
