"""A convolution over images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.entry import Count, Pair, SamePadding
from netspec.base.initializer import Initializer
from netspec.base.kinds import Contraction, Window2D, window_geometry
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Parameter, ReferenceContext, Sample
from netspec.base.reference import patches
from netspec.base.shape import Shape, size


class Conv(Contraction):
    """y[n, f, i, j] = b[f] + sum over c, k, l of W[f, c, k, l] x[n, c, i s + k - top, j s + l - left], zeros outside the image.

    Shapes: x (N, C, H, W), W (filters, C, KH, KW), b (filters,), y (N, filters, OH, OW); OH = 1 + (H + margins - KH) // stride, and
    with `same` OH = ceil(H / stride). A cross-correlation: the kernel is not mirrored.
    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """

    name: ClassVar[str] = "conv"
    filters: Annotated[Count, Field(description="number of output channels")] = 32
    kernel: Annotated[Pair, Field(description="sides of the window, height x width")] = (3, 3)
    stride: Annotated[Pair, Field(description="step of the window, height x width")] = (1, 1)
    pad: Annotated[
        SamePadding, Field(description="zeros around the image, height x width; same: output side = side / stride, rounded up")
    ] = "same"
    bias: Annotated[bool, Field(description="whether b is added")] = True
    init: Annotated[
        Initializer | None, Field(description="initial values of W; default: he before a relu-like activation, else xavier")
    ] = None

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        area = size(self.kernel)
        channels = self.geometry(shape).input[0]
        weight = Parameter((self.filters, channels, *self.kernel), "weight", channels * area, self.filters * area, self.init)
        return {"W": weight, "b": Parameter((self.filters,), "bias")} if self.bias else {"W": weight}

    def output_shape(self, shape: Shape) -> Shape:
        return self.geometry(shape).output

    def geometry(self, shape: Shape) -> Window2D:
        return window_geometry(self.name, shape, self.filters, self.kernel, self.stride, self.pad)

    def flops(self, shape: Shape) -> int:
        return (2 * shape[0] * size(self.kernel) + self.bias) * size(self.output_shape(shape))

    def onnx(self, shape: Shape) -> OnnxForm:
        top, bottom, left, right = self.geometry(shape).margins
        attributes = {"kernel_shape": self.kernel, "strides": self.stride, "pads": (top, left, bottom, right)}
        return OnnxForm((OnnxNode("Conv", ("x", *self.parameters(shape)), ("y",), attributes),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        windows = patches(x, self.geometry(x.shape[1:]), 0.0)
        y: Array = np.einsum("ncijkl,fckl->nfij", windows, parameters["W"], optimize=True)
        return y + parameters["b"][:, None, None] if self.bias else y

    samples = (
        Sample("conv(4)", (3, 7, 5)),
        Sample("conv(3, kernel=4, stride=2, pad=1, bias=false)", (3, 5, 9)),
        Sample("conv(5, kernel=2x3, stride=3x2)", (2, 8, 7)),
        Sample("conv(2, kernel=1, pad=2x0)", (5, 1, 3)),
        Sample("conv(12, pad=0x2)", (13, 6, 3)),
    )
    bad_samples = (
        BadSample("conv(4)", (5,), "NS401", "conv needs an image"),
        BadSample("conv(4, kernel=5x3, pad=0x1)", (3, 4, 4), "NS402", "a window of 5x3 is larger than the image 4x4 padded by 0x1"),
        BadSample("conv(kernel=0)", (3, 4, 4), "NS302", "`kernel` of conv must be a whole number, or two as 3x5; this is 0"),
        BadSample("conv(pad=valid)", (3, 4, 4), "NS301", "`pad` of conv must be same, a whole number, or two as 1x2; this is valid"),
    )
