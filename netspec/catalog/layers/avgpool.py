"""The mean of each window."""

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


class AvgPool(Window):
    """y = mean over the elements of the window that lie inside the image, channel by channel.

    Shapes: x (N, C, H, W), y (N, C, OH, OW); OH = 1 + (H + 2 pad - KH) // stride.
    Source: the subsampling of LeCun et al., Gradient-based learning applied to document recognition, 1998, without its weights.
    """

    name: ClassVar[str] = "avgpool"
    window: Annotated[Pair, Field(description="sides of the window, height x width")] = (2, 2)
    stride: Annotated[Pair | None, Field(description="step of the window, height x width; default: the window's sides")] = None
    pad: Annotated[Padding, Field(description="margin around the image, height x width; smaller than the window")] = (0, 0)
    follows: ClassVar[Mapping[str, str]] = {"stride": "window"}

    def output_shape(self, shape: Shape) -> Shape:
        return self.geometry(shape).output

    def geometry(self, shape: Shape) -> Window2D:
        return pooling_geometry(self.name, shape, self.window, self.stride or self.window, self.pad)

    @staticmethod
    def begin() -> float:
        return 0.0

    @staticmethod
    def fold(total: float, x: float) -> float:
        return total + x

    @staticmethod
    def finish(total: float, count: float) -> float:
        return total / count

    @staticmethod
    def backward(dy: float, count: float) -> float:
        return dy / count

    def flops(self, shape: Shape) -> int:
        return (size(self.window) + 1) * size(self.output_shape(shape))

    def onnx(self, shape: Shape) -> OnnxForm:
        top, bottom, left, right = self.geometry(shape).margins
        attributes = {"kernel_shape": self.window, "strides": self.stride or self.window, "pads": (top, left, bottom, right)}
        return OnnxForm((OnnxNode("AveragePool", ("x",), ("y",), {**attributes, "count_include_pad": 0}),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.asarray(np.nanmean(patches(x, self.geometry(x.shape[1:]), np.nan), axis=(4, 5)))

    samples = (
        Sample("avgpool", (3, 6, 5)),
        Sample("avgpool(3, stride=2)", (2, 7, 9)),
        Sample("avgpool(3x2, stride=1x2, pad=1)", (1, 5, 4)),
        Sample("avgpool(5x4, stride=1x2, pad=2x1)", (3, 6, 7)),
        Sample("avgpool(2, stride=3)", (2, 7, 6)),
        Sample("avgpool(2, pad=1)", (2, 1, 1)),
    )
    bad_samples = (
        BadSample("avgpool", (5,), "NS401", "avgpool needs an image"),
        BadSample("avgpool(3)", (2, 2, 5), "NS402", "a window of 3x3 is larger than the image 2x5"),
        BadSample("avgpool(2, pad=0x2)", (2, 5, 5), "NS403", "pad 0x2 is not smaller than the window 2x2"),
        BadSample("avgpool(stride=2x0)", (2, 5, 5), "NS302", "`stride` of avgpool must be a whole number, or two as 3x5; this is 2x0"),
    )
