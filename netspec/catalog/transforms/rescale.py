"""All numbers to [0, 1]."""

from __future__ import annotations

from typing import ClassVar

from netspec.base.transform import Scaling


class Rescale(Scaling):
    """x' = (x - smallest) / (largest - smallest), of all numbers of the training part.

    Source: min-max scaling, over the whole array and not by feature, so that images keep their look.
    """

    name: ClassVar[str] = "rescale"
    statistics = "rescale"
