"""Elements set to zero at random while training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from netspec.base.kinds import RandomMask
from netspec.base.layer import Array, BadSample, ReferenceContext, Sample


class Dropout(RandomMask):
    """y = x / (1 - p) with probability 1 - p, else 0, element by element; in the test form y = x.

    An element is dropped when its random 32-bit word is below p 2^32, so the dropped share is p to 2^-32.
    Shapes: any, kept.
    Source: Srivastava et al., Dropout, 2014, section 10 (the scaled form, called inverted).
    """

    name: ClassVar[str] = "dropout"
    p: Annotated[float, Field(ge=0, lt=1, description="probability to drop an element")] = 0.5

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        if not context.train or context.bits is None:
            return x
        return x * (context.bits / 2**32 >= self.p) / (1 - self.p)

    samples = (Sample("dropout", (7,)), Sample("dropout(25%)", (3, 5, 7)), Sample("dropout(p=0)", (5,)), Sample("dropout(0.9)", (101,)))
    bad_samples = (
        BadSample("dropout(1)", (5,), "NS302", "`p` of dropout must be a number, at least 0 and below 1; this is 1"),
        BadSample("dropout(p=-0.1)", (5,), "NS302", "`p` of dropout must be a number, at least 0 and below 1; this is -0.1"),
        BadSample("dropout(true)", (5,), "NS301", "`p` of dropout must be a number"),
    )
