"""The rectified linear unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Relu(Pointwise):
    """y = max(x, 0); the derivative at 0 is taken as 0.

    Shapes: any, kept.
    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.
    """

    name: ClassVar[str] = "relu"
    relu_like: ClassVar[bool] = True

    @staticmethod
    def forward(x: float) -> float:
        return 0.0 if x < 0.0 else x  # this way round, a NaN goes through and the loss shows it

    @staticmethod
    def backward(dy: float, y: float) -> float:
        return dy if y > 0.0 else 0.0

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Relu", ("x",), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.maximum(x, 0)

    samples = (Sample("relu", (7,)), Sample("relu", (3, 5, 7)))
    bad_samples = (BadSample("relu(3)", (5,), "NS304", "relu takes no arguments"),)
