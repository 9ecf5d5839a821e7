"""What is known of the rows between two layers while a net is converted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from netspec.base.kinds import Contraction, Head, Pointwise, Upsampling, Window
from netspec.base.layer import Layer
from netspec.catalog.layers.affine import Affine
from netspec.catalog.layers.flatten import Flatten
from netspec.catalog.layers.globalpool import GlobalPool
from netspec.catalog.layers.reshape import Reshape

Sides = tuple[int | None, ...]
Margins = tuple[int, int, int, int]
"""Zeros above, below, left and right of an image."""
NO_MARGINS: Margins = (0, 0, 0, 0)


@dataclass(frozen=True)
class Row:
    """`shape` is (D,) or (C, H, W), with None for a side that is not known; None altogether after a layer without a counterpart.

    `margins` are zeros that a padding layer wants around the image, for the next convolution to take over. `pixel`: a vector here, where
    the source has an image of one pixel. `bare`: the source has (H, W) without channels. `positive`: no element is below 0.
    """

    shape: Sides | None = None
    margins: Margins = NO_MARGINS
    pixel: bool = False
    bare: bool = False
    positive: bool = False

    @property
    def is_image(self) -> bool:
        return self.shape is not None and len(self.shape) == 3

    @property
    def is_vector(self) -> bool:
        return self.shape is not None and len(self.shape) == 1

    @property
    def known(self) -> tuple[int, ...] | None:
        """The shape, where every side of it is known."""
        if self.shape is None:
            return None
        sides = tuple(side for side in self.shape if side is not None)
        return sides if len(sides) == len(self.shape) else None

    @property
    def channels(self) -> int | None:
        """Channels of an image, features of a vector."""
        return None if self.shape is None else self.shape[0]


def after(layer: Layer, shape: Sides | None) -> Sides | None:
    """The shape of a row behind a layer, as far as it is known. Raises Problem where the layer cannot take it."""
    known = Row(shape).known
    if known is not None:
        return layer.output_shape((prod(known),) if isinstance(layer, Affine) else known)
    facts: Mapping[str, Any] = dict(layer)
    match layer:
        case Affine():
            return (facts["width"],)
        case Flatten():
            return (None,)
        case Reshape():
            return tuple(facts["shape"])
        case Contraction():
            return (facts["filters"], None, None)
        case GlobalPool():
            return (None if shape is None else shape[0],)
        case Window() | Upsampling():
            return (None if shape is None else shape[0], None, None)
        case Pointwise() | Head():
            return shape
        case _:
            return shape
