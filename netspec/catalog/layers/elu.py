"""A rectifier whose negative side bends smoothly to a floor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Elu(Pointwise):
    """y = x where x > 0, else alpha (exp(x) - 1); the derivative at 0 is taken as alpha.

    Shapes: any, kept.
    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential linear units, 2016.
    """

    name: ClassVar[str] = "elu"
    alpha: Annotated[float, Field(ge=0, description="how far below 0 the negative side goes")] = 1.0
    relu_like: ClassVar[bool] = True
    operations: ClassVar[int] = 3

    @staticmethod
    def forward(x: Any, alpha: float) -> Any:
        return x if x > 0.0 else alpha * np.expm1(x)

    @staticmethod
    def backward(dy: Any, x: Any, alpha: float) -> Any:
        return dy if x > 0.0 else dy * alpha * np.exp(x)  # y + alpha is the same, but cancels far below 0

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Elu", ("x",), ("y",), {"alpha": self.alpha}),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.maximum(x, 0) + self.alpha * (np.exp(np.minimum(x, 0)) - 1)

    samples = (Sample("elu", (7,)), Sample("elu(0.3)", (3, 5, 7)), Sample("elu(alpha=0)", (1,)))
    bad_samples = (BadSample("elu(-1)", (5,), "NS302", "`alpha` of elu must be a number of at least 0; this is -1"),)
