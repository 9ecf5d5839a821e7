"""A rectifier whose negative side has trained slopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Parameter, ReferenceContext, Sample, Trained
from netspec.base.shape import Shape


class Prelu(Pointwise, Trained):
    """y = x where x > 0, else slope x, with a slope for each feature, or channel of an image; the derivative at 0 is taken as slope.

    Shapes: x, y (N, D) or (N, C, H, W); slope (D,) or (C,), 0.25 at the start.
    Source: He et al., Delving deep into rectifiers, 2015, equations 1, 7 and 8.
    """

    name: ClassVar[str] = "prelu"
    relu_like: ClassVar[bool] = True
    operations: ClassVar[int] = 2
    parts: ClassVar[tuple[str, ...]] = (*Pointwise.parts, "slope_gradient")

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {"slope": Parameter(shape[:1], "slope")}

    @staticmethod
    def forward(x: float, slope: float) -> float:
        return x if x > 0.0 else slope * x

    @staticmethod
    def backward(dy: float, x: float, slope: float) -> float:
        return dy if x > 0.0 else slope * dy

    @staticmethod
    def slope_gradient(dy: float, x: float) -> float:
        return 0.0 if x > 0.0 else dy * x

    def onnx(self, shape: Shape) -> OnnxForm:
        columns = np.array([shape[0], *(1 for _ in shape[1:])], dtype=np.int64)
        nodes = (OnnxNode("Reshape", ("slope", "columns"), ("slopes",)), OnnxNode("PRelu", ("x", "slopes"), ("y",)))
        return OnnxForm(nodes, {"columns": columns})

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        columns = np.moveaxis(x, 1, -1)
        return np.moveaxis(np.maximum(columns, 0) + parameters["slope"] * np.minimum(columns, 0), -1, 1)

    samples = (Sample("prelu", (7,)), Sample("prelu", (3, 5, 7)), Sample("prelu(lr_scale=0.5)", (33,)), Sample("prelu", (17, 2, 1)))
    bad_samples = (BadSample("prelu(0.1)", (5,), "NS304", "prelu takes its arguments by their keys"),)
