"""Images mirrored at random."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.transform import Augmentation


class Flip(Augmentation):
    """Left and right exchanged with probability p, image by image.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012, section 4.1.
    """

    name: ClassVar[str] = "flip"
    p: Annotated[float, Field(ge=0, le=1, description="probability to mirror an image")] = 0.5

    def constants(self) -> dict[str, int]:
        return {"limit": ceil(self.p * 2**32)}

    @staticmethod
    def place(h: int, w: int, height: int, width: int, bits: int, limit: int) -> Any:
        return h, width - 1 - w if bits < limit else w
