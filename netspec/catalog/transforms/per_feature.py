"""Each element of a row to mean 0 and deviation 1."""

from __future__ import annotations

from typing import ClassVar

from netspec.base.transform import Scaling


class PerFeature(Scaling):
    """x' = (x - mean) / deviation of the element, over the rows of the training part.

    Source: standardisation, z = (x - mu) / sigma with the deviation divided by N.
    """

    name: ClassVar[str] = "per_feature"
    statistics = "per_feature"
