"""Normal weights that keep the variance forward."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.initializer import Initializer
from netspec.base.shape import Shape


class LeCun(Initializer):
    """Normal with mean 0 and standard deviation sqrt(1 / fan_in).

    Source: LeCun et al., Efficient backprop, 1998, equation 16.
    """

    name: ClassVar[str] = "lecun"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        return generator.normal(0.0, np.sqrt(1 / fan_in), shape)
