"""Uniform weights that keep the variance forward and backward."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.initializer import Initializer
from netspec.base.shape import Shape


class Xavier(Initializer):
    """Uniform between -a and a with a = sqrt(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010, equation 16.
    """

    name: ClassVar[str] = "xavier"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        bound = np.sqrt(6 / (fan_in + fan_out))
        return generator.uniform(-bound, bound, shape)
