"""A square of each image blanked at random."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.entry import Count
from netspec.base.transform import Augmentation


class Cutout(Augmentation):
    """Zeros in a square whose middle is any pixel of the image, each as likely; the part outside the image is lost.

    Source: DeVries and Taylor, Improved regularization of convolutional neural networks with cutout, 2017, section 3.
    """

    name: ClassVar[str] = "cutout"
    side: Annotated[Count, Field(description="side of the square, in pixels")] = 8

    @staticmethod
    def place(h: int, w: int, height: int, width: int, bits: int, side: int) -> Any:
        top, left = bits // 65536 * height // 65536 - side // 2, bits % 65536 * width // 65536 - side // 2
        blank = h >= top and h < top + side and w >= left and w < left + side
        return -1 if blank else h, w
