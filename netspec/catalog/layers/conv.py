"""A convolution over images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.entry import Count, Pair, SamePadding
from netspec.base.initializer import Initializer
from netspec.base.kinds import Contraction, Window2D, require_image, window_geometry
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Parameter, ReferenceContext, Sample, problem
from netspec.base.reference import patches
from netspec.base.shape import Shape, size


class Conv(Contraction):
    """y[n, f, i, j] = b[f] + sum over c, k, l of W[f, c, k, l] x[n, c, i s + k - top, j s + l - left], zeros outside the image.

    Shapes: x (N, C, H, W), W (filters, C / groups, KH, KW), b (filters,), y (N, filters, OH, OW); OH = 1 + (H + margins - KH) // stride,
    and with `same` OH = ceil(H / stride). A cross-correlation: the kernel is not mirrored. With groups, filters and channels fall into
    so many equal runs, and the sum goes over the channels of the filter's run; as many groups as channels is a depthwise convolution.
    Source: LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """

    name: ClassVar[str] = "conv"
    filters: Annotated[Count, Field(description="number of output channels")] = 32
    kernel: Annotated[Pair, Field(description="sides of the window, height x width")] = (3, 3)
    stride: Annotated[Pair, Field(description="step of the window, height x width")] = (1, 1)
    pad: Annotated[
        SamePadding, Field(description="zeros around the image, height x width; same: output side = side / stride, rounded up")
    ] = "same"
    groups: Annotated[Count, Field(description="equal runs of channels and of filters; a filter sees the channels of its run")] = 1
    bias: Annotated[bool, Field(description="whether b is added")] = True
    init: Annotated[
        Initializer | None, Field(description="initial values of W; default: he before a relu-like activation, else xavier")
    ] = None

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        area = size(self.kernel)
        channels = self.geometry(shape).input[0] // self.groups
        weight = Parameter((self.filters, channels, *self.kernel), "weight", channels * area, self.filters // self.groups * area, self.init)
        return {"W": weight, "b": Parameter((self.filters,), "bias")} if self.bias else {"W": weight}

    def output_shape(self, shape: Shape) -> Shape:
        return self.geometry(shape).output

    def geometry(self, shape: Shape) -> Window2D:
        require_image(self.name, shape)
        for count, what in ((shape[0], "channels"), (self.filters, "filters")):
            if count % self.groups:
                message = f"conv: {count} {what} do not fall into {self.groups} equal groups"
                help = f"groups has to divide {shape[0]} channels and {self.filters} filters; {gcd(shape[0], self.filters)} is the most"  # noqa: A001
                raise problem("NS411", message, argument="groups", help=help)
        return replace(window_geometry(self.name, shape, self.filters, self.kernel, self.stride, self.pad), groups=self.groups)

    def flops(self, shape: Shape) -> int:
        return (2 * (shape[0] // self.groups) * size(self.kernel) + self.bias) * size(self.output_shape(shape))

    def onnx(self, shape: Shape) -> OnnxForm:
        top, bottom, left, right = self.geometry(shape).margins
        attributes = {"kernel_shape": self.kernel, "strides": self.stride, "pads": (top, left, bottom, right), "group": self.groups}
        return OnnxForm((OnnxNode("Conv", ("x", *self.parameters(shape)), ("y",), attributes),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        windows, weights = patches(x, self.geometry(x.shape[1:]), 0.0), parameters["W"]
        own, wide = weights.shape[1], self.filters // self.groups
        runs = [slice(g * own, (g + 1) * own) for g in range(self.groups)], [slice(g * wide, (g + 1) * wide) for g in range(self.groups)]
        parts = [np.einsum("ncijkl,fckl->nfij", windows[:, c], weights[f], optimize=True) for c, f in zip(*runs, strict=True)]
        y: Array = np.concatenate(parts, axis=1)
        return y + parameters["b"][:, None, None] if self.bias else y

    samples = (
        Sample("conv(4)", (3, 7, 5)),
        Sample("conv(3, kernel=4, stride=2, pad=1, bias=false)", (3, 5, 9)),
        Sample("conv(5, kernel=2x3, stride=3x2)", (2, 8, 7)),
        Sample("conv(2, kernel=1, pad=2x0)", (5, 1, 3)),
        Sample("conv(12, pad=0x2)", (13, 6, 3)),
        Sample("conv(6, kernel=2x3, groups=2, stride=2x1)", (4, 5, 6)),
        Sample("conv(6, groups=3, kernel=1)", (9, 4, 3)),
        Sample("conv(5, groups=5)", (5, 6, 7)),
        Sample("conv(17, kernel=4x3, groups=17, stride=2, pad=1)", (17, 9, 8)),
    )
    bad_samples = (
        BadSample("conv(4)", (5,), "NS401", "conv needs an image"),
        BadSample("conv(4, kernel=5x3, pad=0x1)", (3, 4, 4), "NS402", "a window of 5x3 is larger than the image 4x4 padded by 0x1"),
        BadSample("conv(kernel=0)", (3, 4, 4), "NS302", "`kernel` of conv must be a whole number, or two as 3x5; this is 0"),
        BadSample("conv(6, groups=3)", (4, 5, 5), "NS411", "conv: 4 channels do not fall into 3 equal groups"),
        BadSample("conv(6, groups=4)", (4, 5, 5), "NS411", "conv: 6 filters do not fall into 4 equal groups"),
        BadSample("conv(pad=valid)", (3, 4, 4), "NS301", "`pad` of conv must be same, a whole number, or two as 1x2; this is valid"),
    )
