"""Each channel of an image to mean 0 and deviation 1."""

from __future__ import annotations

from typing import ClassVar

from netspec.base.transform import Scaling


class PerChannel(Scaling):
    """x' = (x - mean) / deviation of the channel, over the rows and pixels of the training part; of vectors, of each feature.

    Source: standardisation, z = (x - mu) / sigma with the deviation divided by N.
    """

    name: ClassVar[str] = "per_channel"
    statistics = "per_channel"
