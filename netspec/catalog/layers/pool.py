"""The largest element of each window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.entry import Padding, Pair
from netspec.base.kinds import Window, Window2D, pooling_geometry
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.reference import patches
from netspec.base.shape import Shape, size


class Pool(Window):
    """y = max over the window, channel by channel; the margins never win. The gradient goes to the first largest element in row order.

    Shapes: x (N, C, H, W), y (N, C, OH, OW); OH = 1 + (H + 2 pad - KH) // stride.
    Source: Riesenhuber and Poggio, Hierarchical models of object recognition in cortex, 1999.
    """

    name: ClassVar[str] = "pool"
    window: Annotated[Pair, Field(description="sides of the window, height x width")] = (2, 2)
    stride: Annotated[Pair | None, Field(description="step of the window, height x width; default: the window's sides")] = None
    pad: Annotated[Padding, Field(description="margin around the image, height x width; smaller than the window")] = (0, 0)
    follows: ClassVar[Mapping[str, str]] = {"stride": "window"}

    def output_shape(self, shape: Shape) -> Shape:
        return self.geometry(shape).output

    def geometry(self, shape: Shape) -> Window2D:
        return pooling_geometry(self.name, shape, self.window, self.stride or self.window, self.pad)

    first_only: ClassVar[bool] = True

    @staticmethod
    def begin() -> float:
        return -np.inf

    @staticmethod
    def fold(total: float, x: float) -> float:
        return total if total > x else x

    @staticmethod
    def finish(total: float, count: float) -> float:
        return total

    @staticmethod
    def backward(dy: float, count: float) -> float:
        return dy

    def flops(self, shape: Shape) -> int:
        return size(self.window) * size(self.output_shape(shape))

    def onnx(self, shape: Shape) -> OnnxForm:
        top, bottom, left, right = self.geometry(shape).margins
        attributes = {"kernel_shape": self.window, "strides": self.stride or self.window, "pads": (top, left, bottom, right)}
        return OnnxForm((OnnxNode("MaxPool", ("x",), ("y",), attributes),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.asarray(patches(x, self.geometry(x.shape[1:]), -np.inf).max(axis=(4, 5)))

    samples = (
        Sample("pool", (3, 6, 5)),
        Sample("pool(3, stride=2)", (2, 7, 9)),
        Sample("pool(3x2, stride=1x2, pad=1)", (1, 5, 4)),
        Sample("pool(5x4, stride=1x2, pad=3x1)", (3, 6, 7)),
        Sample("pool(2, stride=3)", (2, 7, 6)),
        Sample("pool(1)", (2, 1, 1)),
    )
    bad_samples = (
        BadSample("pool", (5,), "NS401", "pool needs an image"),
        BadSample("pool(3)", (2, 2, 5), "NS402", "a window of 3x3 is larger than the image 2x5"),
        BadSample("pool(2, pad=2)", (2, 5, 5), "NS403", "pad 2x2 is not smaller than the window 2x2"),
        BadSample("pool(0)", (2, 5, 5), "NS302", "`window` of pool must be a whole number, or two as 3x5; this is 0"),
    )
