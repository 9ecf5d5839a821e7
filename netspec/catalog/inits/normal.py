"""Normal weights of a given spread."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netspec.base.initializer import Initializer
from netspec.base.shape import Shape


class Normal(Initializer):
    """Normal with mean 0 and standard deviation std, whatever the fans.

    Source: the Gaussian start of Krizhevsky, Sutskever and Hinton, 2012, with the same default.
    """

    name: ClassVar[str] = "normal"
    std: Annotated[float, Field(ge=0, description="standard deviation")] = 0.01

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        return generator.normal(0.0, self.std, shape)
