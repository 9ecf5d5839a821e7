"""Batch normalisation of vectors and images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.kinds import Normalization
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Parameter, ReferenceContext, Sample, State
from netspec.base.shape import Shape, size


class BatchNorm(Normalization):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, by feature, or by channel of an image.

    In training mean and var (biased) are those of the batch (and pixels), and `running = momentum running + (1 - momentum) batch`; in the
    test form they are the running values. A frozen layer is in the test form always. Shapes: x, y (N, D) or (N, C, H, W); gamma, beta,
    mean, var (D,) or (C,).
    Source: Ioffe and Szegedy, Batch normalization, 2015, algorithms 1 and 2, with the biased variance in both forms.
    """

    name: ClassVar[str] = "bn"
    eps: Annotated[float, Field(gt=0, description="added to the variance under the root")] = 1e-5
    momentum: Annotated[float, Field(ge=0, lt=1, description="share of the running averages that a step keeps")] = 0.9

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {"gamma": Parameter(shape[:1], "scale"), "beta": Parameter(shape[:1], "shift")}

    def state(self, shape: Shape) -> dict[str, State]:
        return {"mean": State(shape[:1], 0.0), "var": State(shape[:1], 1.0, least=0.0)}

    @staticmethod
    def forward(x: float, mean: float, inverse: float, gamma: float, beta: float) -> float:
        return (x - mean) * (inverse * gamma) + beta

    @staticmethod
    def backward(dy: float, x: float, mean: float, inverse: float, gamma: float, mean_dy: float, mean_dy_xhat: float) -> float:
        return inverse * gamma * (dy - mean_dy - (x - mean) * inverse * mean_dy_xhat)

    def flops(self, shape: Shape) -> int:
        """Of the training form: 1 an element for the mean, 3 for the variance, 3 for the result."""
        return 7 * size(shape)

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("BatchNormalization", ("x", "gamma", "beta", "mean", "var"), ("y",), {"epsilon": self.eps}),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        columns = np.moveaxis(x, 1, -1)
        over = tuple(range(columns.ndim - 1))
        mean, var = (
            (columns.mean(axis=over), columns.var(axis=over)) if context.train and not self.frozen else (state["mean"], state["var"])
        )
        y = parameters["gamma"] * ((columns - mean) / np.sqrt(var + self.eps)) + parameters["beta"]
        return np.moveaxis(y, -1, 1)

    samples = (
        Sample("bn", (7,)),
        Sample("bn(eps=1e-3, momentum=0.5)", (33,)),
        Sample("bn", (3, 5, 7)),
        Sample("bn(momentum=0)", (17, 1, 3)),
        Sample("bn(frozen=true)", (7,)),
        Sample("bn(frozen=true)", (3, 5, 7)),
    )
    bad_samples = (
        BadSample("bn(0)", (5,), "NS302", "`eps` of bn must be a number above 0; this is 0"),
        BadSample("bn(momentum=1)", (5,), "NS302", "`momentum` of bn must be a number, at least 0 and below 1; this is 1"),
    )
