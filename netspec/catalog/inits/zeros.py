"""Weights that start at zero."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.initializer import Initializer
from netspec.base.shape import Shape


class Zeros(Initializer):
    """All elements 0.

    Source: the convex case, as in logistic regression, where no symmetry has to be broken.
    """

    name: ClassVar[str] = "zeros"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        return np.zeros(shape)
