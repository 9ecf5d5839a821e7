"""Images shifted at random."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.entry import Count
from netspec.base.transform import Augmentation


class Crop(Augmentation):
    """The image with `pad` zeros on each side, cut to its size again at a random place: shifts by up to `pad` pixels, each as likely.

    Zeros are those of the rows at this point: after per_channel they are the channel's mean.
    Source: Lee et al., Deeply-supervised nets, 2015, section 4; He et al., Deep residual learning, 2016, section 4.2.
    """

    name: ClassVar[str] = "crop"
    pad: Annotated[Count, Field(description="zeros on each side, the most that an image is shifted by")] = 4

    @staticmethod
    def place(h: int, w: int, height: int, width: int, bits: int, pad: int) -> Any:
        down, across = bits // 65536 * (2 * pad + 1) // 65536, bits % 65536 * (2 * pad + 1) // 65536
        return h + down - pad, w + across - pad
