"""Uniform weights of a given bound."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netspec.base.initializer import Initializer
from netspec.base.shape import Shape


class Uniform(Initializer):
    """Uniform between -a and a, whatever the fans.

    Source: the common start before Glorot and Bengio, 2010, which their equation 1 bounds by 1 / sqrt(fan_in).
    """

    name: ClassVar[str] = "uniform"
    a: Annotated[float, Field(ge=0, description="bound on both sides of 0")] = 0.05

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        return generator.uniform(-self.a, self.a, shape)
