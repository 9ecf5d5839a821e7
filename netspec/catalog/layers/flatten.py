"""An image as a vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from netspec.base.kinds import Rearrangement
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape, size


class Flatten(Rearrangement):
    """The same elements in C order, one row a vector.

    Shapes: x (N, C, H, W) or (N, D), y (N, C H W) or (N, D).
    Source: the convention of NumPy's reshape.
    """

    name: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (size(shape),)

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Flatten", ("x",), ("y",), {"axis": 1}),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return x.reshape(len(x), -1)

    samples = (Sample("flatten", (3, 5, 7)), Sample("flatten", (4,)))
    bad_samples = (BadSample("flatten(3)", (5,), "NS304", "flatten takes no arguments"),)
