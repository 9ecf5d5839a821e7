"""Normal weights for layers before a rectifier."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.initializer import Initializer
from netspec.base.shape import Shape


class He(Initializer):
    """Normal with mean 0 and standard deviation sqrt(2 / fan_in).

    Source: He et al., Delving deep into rectifiers, 2015, equation 10.
    """

    name: ClassVar[str] = "he"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        return generator.normal(0.0, np.sqrt(2 / fan_in), shape)
