"""The product of branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from netspec.base.kinds import Elementwise
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Sample
from netspec.base.shape import Shape


class Mul(Elementwise):
    """y = a b ..., element by element.

    Shapes: all branches alike, kept; nothing is broadcast.
    Source: the gates of Srivastava et al., Highway networks, 2015.
    """

    name: ClassVar[str] = "mul"

    @staticmethod
    def forward(x: float, other: float) -> float:
        return x * other

    @staticmethod
    def backward(dy: float, other: float) -> float:
        return dy * other

    @staticmethod
    def other_backward(dy: float, x: float) -> float:
        return dy * x

    def merged_onnx(self, shapes: Sequence[Shape]) -> OnnxForm:
        """ONNX multiplies two at a time."""
        names = ["x0", *(f"product{place}" for place in range(1, len(shapes) - 1)), "y"]
        if len(shapes) == 1:
            return OnnxForm((OnnxNode("Identity", ("x0",), ("y",)),))
        return OnnxForm(tuple(OnnxNode("Mul", (names[place - 1], f"x{place}"), (names[place],)) for place in range(1, len(shapes))))

    def merged_reference(self, xs: Sequence[Array]) -> Array:
        product = xs[0]
        for x in xs[1:]:
            product = product * x
        return product

    samples = (
        Sample("mul(tanh | id)", (5,)),
        Sample("mul(affine(6)-sigmoid | affine(6) | affine(6)-tanh)", (4,)),
        Sample("mul(conv(2)-sigmoid | id)", (2, 4, 5)),
        Sample("mul(id | id)", (7,)),
    )
    bad_samples = (BadSample("mul(affine(3) | id)", (5,), "NS412", "mul: the branches have different shapes: 3 and 5"),)
