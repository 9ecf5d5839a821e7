"""Whole channels of an image set to zero at random while training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from netspec.base.kinds import RandomMask, require_image
from netspec.base.layer import Array, BadSample, ReferenceContext, Sample
from netspec.base.shape import Shape


class Dropout2d(RandomMask):
    """y = x / (1 - p) with probability 1 - p, else 0, channel by channel of each row; in the test form y = x.

    A channel is dropped when its random 32-bit word is below p 2^32, so the dropped share is p to 2^-32.
    Shapes: x, y (N, C, H, W).
    Source: Tompson et al., Efficient object localization using convolutional networks, 2015, section 3.2; scaled as dropout is.
    """

    name: ClassVar[str] = "dropout2d"
    p: Annotated[float, Field(ge=0, lt=1, description="probability to drop a channel")] = 0.5
    by_channel: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        require_image(self.name, shape)
        return shape

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
