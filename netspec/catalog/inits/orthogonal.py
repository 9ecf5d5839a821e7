"""Weights whose rows, or columns, are orthonormal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.initializer import Initializer
from netspec.base.shape import Shape


class Orthogonal(Initializer):
    """W as a matrix, W (D, M) of affine or (F, C KH KW) of conv, has orthonormal rows, or columns where it has more rows than columns.

    Drawn evenly from all such matrices: Q of the QR decomposition of a standard normal matrix, with the diagonal of R made positive.
    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, 2014; the
    signs: Mezzadri, How to generate random matrices from the classical compact groups, 2007, section 5.
    """

    name: ClassVar[str] = "orthogonal"

    def draw(self, generator: np.random.Generator, shape: Shape, fan_in: int, fan_out: int) -> NDArray[np.float64]:
        matrix = generator.standard_normal((shape[0], int(np.prod(shape[1:]))))
        wide = matrix.shape[0] < matrix.shape[1]
        q, r = np.linalg.qr(matrix.T if wide else matrix)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return (q.T if wide else q).reshape(shape)
