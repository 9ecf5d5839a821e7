"""The sigmoid linear unit, also called swish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Silu(Pointwise):
    """y = x / (1 + exp(-x)).

    Shapes: any, kept.
    Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function approximation, 2018.
    """

    name: ClassVar[str] = "silu"
    relu_like: ClassVar[bool] = True
    operations: ClassVar[int] = 5

    @staticmethod
    def forward(x: Any) -> Any:
        small = np.exp(-np.abs(x))
        return x * (1.0 if x >= 0.0 else small) / (1.0 + small)

    @staticmethod
    def backward(dy: Any, x: Any) -> Any:
        small = np.exp(-np.abs(x))
        gate = (1.0 if x >= 0.0 else small) / (1.0 + small)
        return dy * gate * (1.0 + x * (1.0 - gate))

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Sigmoid", ("x",), ("gate",)), OnnxNode("Mul", ("x", "gate"), ("y",))))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return x * np.exp(-np.logaddexp(0, -x))

    samples = (Sample("silu", (7,)), Sample("silu", (3, 5, 7)))
    bad_samples = (BadSample("silu(3)", (5,), "NS304", "silu takes no arguments"),)
