"""The sum of branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from netspec.base.kinds import Elementwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Sample
from netspec.base.shape import Shape


class Add(Elementwise):
    """y = a + b + ..., element by element.

    Shapes: all branches alike, kept; nothing is broadcast.
    Source: the shortcut of He et al., Deep residual learning for image recognition, 2016.
    """

    name: ClassVar[str] = "add"
    passes_gradient: ClassVar[bool] = True

    @staticmethod
    def forward(x: float, other: float) -> float:
        return x + other

    @staticmethod
    def backward(dy: float) -> float:
        return dy

    @staticmethod
    def other_backward(dy: float) -> float:
        return dy

    def merged_onnx(self, shapes: Sequence[Shape]) -> OnnxForm:
        return OnnxForm((OnnxNode("Sum", tuple(f"x{place}" for place in range(len(shapes))), ("y",)),))

    def merged_reference(self, xs: Sequence[Array]) -> Array:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    samples = (
        Sample("add(tanh | id)", (5,)),
        Sample("add(conv(3) | id | conv(3, kernel=1)-elu)", (3, 5, 4)),
        Sample("add(id | id)", (7,)),
    )
    bad_samples = (
        BadSample("add(affine(3) | id)", (5,), "NS412", "add: the branches have different shapes: 3 and 5"),
        BadSample("add(conv(4, stride=2) | conv(4))", (2, 6, 6), "NS412", "add: the branches have different shapes: 4x3x3 and 4x6x6"),
    )
