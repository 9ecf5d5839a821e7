"""Whole channels of an image set to zero at random while training."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Annotated, ClassVar

from pydantic import Field

from netspec.base.kinds import Pointwise, require_image
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class Dropout2d(Pointwise):
    """y = x / (1 - p) with probability 1 - p, else 0, channel by channel of each row; in the test form y = x.

    A channel is dropped when its random 32-bit word is below p 2^32, so the dropped share is p to 2^-32.
    Shapes: x, y (N, C, H, W).
    Source: Tompson et al., Efficient object localization using convolutional networks, 2015, section 3.2; scaled as dropout is.
    """

    name: ClassVar[str] = "dropout2d"
    p: Annotated[float, Field(ge=0, lt=1, description="probability to drop a channel")] = 0.5
    random: ClassVar[bool] = True
    by_channel: ClassVar[bool] = True
    identity_in_test: ClassVar[bool] = True
    operations: ClassVar[int] = 2

    def constants(self) -> dict[str, float | int]:
        # a word has 32 bits, so the largest p below 1 drops all words but one
        return {"limit": min(ceil(self.p * 2**32), 2**32 - 1), "scale": 1 / (1 - self.p)}

    def output_shape(self, shape: Shape) -> Shape:
        require_image(self.name, shape)
        return shape

    @staticmethod
    def forward(x: float, bits: int, limit: int, scale: float) -> float:
        return x * scale if bits >= limit else 0.0

    @staticmethod
    def backward(dy: float, bits: int, limit: int, scale: float) -> float:
        return dy * scale if bits >= limit else 0.0

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Identity", ("x",), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        if not context.train or context.bits is None:
            return x
        kept = context.bits[:, :, :1, :1] / 2**32 >= self.p
        return x * kept / (1 - self.p)

    samples = (Sample("dropout2d", (17, 3, 5)), Sample("dropout2d(25%)", (3, 5, 7)), Sample("dropout2d(p=0)", (2, 1, 1)))
    bad_samples = (
        BadSample("dropout2d", (5,), "NS401", "dropout2d needs an image"),
        BadSample("dropout2d(1)", (3, 5, 5), "NS302", "`p` of dropout2d must be a number, at least 0 and below 1; this is 1"),
    )
