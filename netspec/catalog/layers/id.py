"""The identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from netspec.base.kinds import Rearrangement
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Identity(Rearrangement):
    """y = x.

    Shapes: any, kept.
    Source: the shortcut of He et al., Identity mappings in deep residual networks, 2016.
    """

    name: ClassVar[str] = "id"
    keeps_shape: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Identity", ("x",), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return x

    samples = (Sample("id", (3, 5, 7)), Sample("id", (4,)))
    bad_samples = (BadSample("id(3)", (5,), "NS304", "id takes no arguments"),)
