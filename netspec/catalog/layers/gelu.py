"""The Gaussian error linear unit, in its exact form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from netspec.base.kinds import Pointwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Gelu(Pointwise):
    """y = x Phi(x), with Phi(x) = (1 + erf(x / sqrt(2))) / 2 the distribution function of the standard normal.

    Shapes: any, kept.
    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016, section 2; not the approximation by tanh.
    """

    name: ClassVar[str] = "gelu"
    relu_like: ClassVar[bool] = True
    operations: ClassVar[int] = 5

    @staticmethod
    def forward(x: float) -> float:
        return 0.5 * x * (1.0 + math.erf(x * 0.7071067811865476))

    @staticmethod
    def backward(dy: Any, x: Any) -> Any:
        share = 0.5 + 0.5 * math.erf(x * 0.7071067811865476)
        density = 0.3989422804014327 * np.exp(-0.5 * x * x)
        return dy * (share + x * density)

    def onnx(self, shape: Shape) -> OnnxForm:
        constants = {"root": np.float32(math.sqrt(0.5)), "half": np.float32(0.5), "one": np.float32(1)}
        return OnnxForm(
            (
                OnnxNode("Mul", ("x", "root"), ("scaled",)),
                OnnxNode("Erf", ("scaled",), ("erf",)),
                OnnxNode("Add", ("erf", "one"), ("twice",)),
                OnnxNode("Mul", ("x", "half"), ("halved",)),
                OnnxNode("Mul", ("halved", "twice"), ("y",)),
            ),
            {name: np.asarray(number) for name, number in constants.items()},
        )

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.asarray(x * np.vectorize(NormalDist().cdf, otypes=[np.float64])(x))

    samples = (Sample("gelu", (7,)), Sample("gelu", (3, 5, 7)))
    bad_samples = (BadSample("gelu(3)", (5,), "NS304", "gelu takes no arguments"),)
