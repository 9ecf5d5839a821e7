"""The logistic function as an activation; as the last layer it is the head of yes-no questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, Layer, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape
from netspec.catalog.layers.sigmoid_head import SigmoidHead


class Sigmoid(Pointwise):
    """y = 1 / (1 + exp(-x)).

    Shapes: any, kept.
    Source: Verhulst 1845; the form with exp(-|x|), which cannot overflow, is the usual one of numerical libraries.
    """

    name: ClassVar[str] = "sigmoid"
    head_form: ClassVar[type[Layer] | None] = SigmoidHead
    operations: ClassVar[int] = 4

    @staticmethod
    def forward(x: Any) -> Any:
        small = np.exp(-np.abs(x))
        return (1.0 if x >= 0.0 else small) / (1.0 + small)

    @staticmethod
    def backward(dy: float, y: float) -> float:
        return dy * y * (1.0 - y)

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Sigmoid", ("x",), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.exp(-np.logaddexp(0, -x))

    samples = (Sample("sigmoid", (7,)), Sample("sigmoid", (3, 5, 7)))
    bad_samples = (BadSample("sigmoid(3)", (5,), "NS304", "sigmoid takes no arguments"),)
