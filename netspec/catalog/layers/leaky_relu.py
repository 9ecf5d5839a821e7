"""A rectifier that lets a little of the negative side through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class LeakyRelu(Pointwise):
    """y = x where x > 0, else slope x; the derivative at 0 is taken as slope.

    Shapes: any, kept.
    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.
    """

    name: ClassVar[str] = "leaky_relu"
    slope: Annotated[float, Field(ge=0, description="slope of the negative side")] = 0.01
    relu_like: ClassVar[bool] = True
    operations: ClassVar[int] = 2

    @staticmethod
    def forward(x: float, slope: float) -> float:
        return x if x > 0.0 else slope * x

    @staticmethod
    def backward(dy: float, y: float, slope: float) -> float:
        return dy if y > 0.0 else slope * dy

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("LeakyRelu", ("x",), ("y",), {"alpha": self.slope}),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.maximum(x, 0) + self.slope * np.minimum(x, 0)

    samples = (Sample("leaky_relu", (7,)), Sample("leaky_relu(0.3)", (3, 5, 7)), Sample("leaky_relu(slope=0)", (1,)))
    bad_samples = (BadSample("leaky_relu(-1)", (5,), "NS302", "`slope` of leaky_relu must be a number of at least 0; this is -1"),)
