"""The contract of an initial-weight rule."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from netspec.base.entry import Entry
from netspec.base.shape import Shape


class Initializer(Entry, ABC):
    """Draws one parameter array. A file in catalog/inits declares its formula in the docstring and implements `draw`."""

    @abstractmethod
    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        """A float64 array of `shape`; `fan_in` and `fan_out` include the kernel of a convolution."""
