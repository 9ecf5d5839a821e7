"""A smooth form of the rectifier, always positive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Softplus(Pointwise):
    """y = log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.

    Shapes: any, kept.
    Source: Dugas et al., Incorporating second-order functional knowledge for better option pricing, 2001.
    """

    name: ClassVar[str] = "softplus"
    operations: ClassVar[int] = 4

    @staticmethod
    def forward(x: Any) -> Any:
        return (x if x > 0.0 else 0.0) + np.log1p(np.exp(-np.abs(x)))

    @staticmethod
    def backward(dy: Any, y: Any) -> Any:
        return -dy * np.expm1(-y)  # the logistic function of x is 1 - exp(-y)

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Softplus", ("x",), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.logaddexp(0, x)

    samples = (Sample("softplus", (7,)), Sample("softplus", (3, 5, 7)))
    bad_samples = (BadSample("softplus(3)", (5,), "NS304", "softplus takes no arguments"),)
