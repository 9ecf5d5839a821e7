"""An image enlarged by repeating its pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.entry import Pair
from netspec.base.kinds import Upsampling
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Upsample(Upsampling):
    """y[n, c, i, j] = x[n, c, i // factor, j // factor]: the nearest pixel.

    Shapes: x (N, C, H, W), y (N, C, H factor, W factor).
    Source: nearest-neighbour interpolation; in nets, Odena, Dumoulin and Olah, Deconvolution and checkerboard artifacts, 2016.
    """

    name: ClassVar[str] = "upsample"
    factor: Annotated[Pair, Field(description="copies of a pixel, down x across")] = (2, 2)

    def onnx(self, shape: Shape) -> OnnxForm:
        attributes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        scales = np.array([1, 1, *self.factor], dtype=np.float32)
        return OnnxForm((OnnxNode("Resize", ("x", "", "scales"), ("y",), attributes),), {"scales": scales})

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.asarray(np.kron(x, np.ones(self.factor)), np.float64)

    samples = (
        Sample("upsample", (3, 5, 7)),
        Sample("upsample(2x3)", (17, 3, 2)),
        Sample("upsample(factor=1x4)", (1, 4, 1)),
        Sample("upsample(1)", (2, 3, 3)),
    )
    bad_samples = (
        BadSample("upsample", (5,), "NS401", "upsample needs an image"),
        BadSample("upsample(0)", (2, 5, 5), "NS302", "`factor` of upsample must be a whole number, or two as 3x5; this is 0"),
        BadSample("upsample(1.5)", (2, 5, 5), "NS301", "`factor` of upsample must be a whole number, or two as 3x5; this is 1.5"),
    )
