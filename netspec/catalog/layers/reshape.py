"""The same elements in another shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.entry import Row
from netspec.base.kinds import Rearrangement, describe
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample, problem
from netspec.base.shape import Shape, show, size


class Reshape(Rearrangement):
    """The same elements in C order, in rows of the given shape.

    Shapes: x (N, C, H, W) or (N, D), y (N, *shape).
    Source: the convention of NumPy's reshape.
    """

    name: ClassVar[str] = "reshape"
    shape: Annotated[Row, Field(description="shape of an output row: features, or channels x height x width")]

    def output_shape(self, shape: Shape) -> Shape:
        if size(self.shape) != size(shape):
            message = f"reshape: {show(self.shape)} has {size(self.shape)} elements, and here it gets {size(shape)}: {describe(shape)}"
            raise problem("NS407", message, help=f"write a shape of {size(shape)} elements", argument="shape")
        return self.shape

    def onnx(self, shape: Shape) -> OnnxForm:
        rows = np.array([-1, *self.shape], dtype=np.int64)
        return OnnxForm((OnnxNode("Reshape", ("x", "rows"), ("y",)),), {"rows": rows})

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return x.reshape(len(x), *self.shape)

    samples = (
        Sample("reshape(3x4x5)", (60,)),
        Sample("reshape(60)", (3, 4, 5)),
        Sample("reshape(6x5x2)", (3, 4, 5)),
        Sample("reshape(1x5x9)", (3, 5, 3)),
        Sample("reshape(17x2x3)", (2, 17, 3)),
        Sample("reshape(45x1x1)", (3, 5, 3)),
        Sample("reshape(5)", (5,)),
    )
    bad_samples = (
        BadSample("reshape", (5,), "NS306", "reshape needs `shape`"),
        BadSample("reshape(3x4x5)", (61,), "NS407", "reshape: 3x4x5 has 60 elements, and here it gets 61: a vector of 61"),
        BadSample("reshape(7)", (2, 2, 2), "NS407", "reshape: 7 has 7 elements, and here it gets 8: an image 2x2x2"),
        BadSample(
            "reshape(4x5)", (20,), "NS301", "`shape` of reshape must be a whole number of at least 1 for a vector, or three as 3x4x5"
        ),
        BadSample("reshape(0)", (5,), "NS302", "`shape` of reshape must be a whole number of at least 1 for a vector"),
    )
