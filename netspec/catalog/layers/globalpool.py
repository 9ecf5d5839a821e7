"""One number from each channel of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from netspec.base.kinds import Window, Window2D, window_geometry
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape, size


class GlobalPool(Window):
    """y[n, c] = mean of x[n, c] over height and width.

    Shapes: x (N, C, H, W), y (N, C).
    Source: Lin, Chen and Yan, Network in network, 2013, section 3.2.
    """

    name: ClassVar[str] = "globalpool"

    def output_shape(self, shape: Shape) -> Shape:
        return self.geometry(shape).output[:1]

    def geometry(self, shape: Shape) -> Window2D:
        """The window is the whole image; its output (C, 1, 1) has the same elements as the vector (C,)."""
        whole = (shape[-2], shape[-1]) if len(shape) == 3 else (1, 1)
        return window_geometry(self.name, shape, shape[0], whole, whole, (0, 0))

    @staticmethod
    def begin() -> float:
        return 0.0

    @staticmethod
    def fold(total: float, x: float) -> float:
        return total + x

    @staticmethod
    def finish(total: float, count: float) -> float:
        return total / count

    @staticmethod
    def backward(dy: float, count: float) -> float:
        return dy / count

    def flops(self, shape: Shape) -> int:
        return size(shape) + shape[0]

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("GlobalAveragePool", ("x",), ("means",)), OnnxNode("Flatten", ("means",), ("y",), {"axis": 1})))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return np.asarray(x.mean(axis=(2, 3)))

    samples = (Sample("globalpool", (3, 5, 7)), Sample("globalpool", (17, 1, 1)))
    bad_samples = (
        BadSample("globalpool", (5,), "NS401", "globalpool needs an image"),
        BadSample("globalpool(2)", (3, 5, 5), "NS304", "globalpool takes no arguments"),
    )
