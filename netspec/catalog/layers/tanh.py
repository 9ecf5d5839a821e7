"""The hyperbolic tangent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Tanh(Pointwise):
    """y = tanh(x).

    Shapes: any, kept.
    Source: LeCun et al., Efficient backprop, 1998, section 4.4.
    """

    name: ClassVar[str] = "tanh"

    @staticmethod
    def forward(x: Any) -> Any:
        return np.tanh(x)

    @staticmethod
    def backward(dy: float, y: float) -> float:
        return dy * (1.0 - y * y)

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Tanh", ("x",), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.sinh(x) / np.cosh(x)

    samples = (Sample("tanh", (7,)), Sample("tanh", (3, 5, 7)))
    bad_samples = (BadSample("tanh(3)", (5,), "NS304", "tanh takes no arguments"),)
