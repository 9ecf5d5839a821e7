"""A bound on the length of the whole gradient."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.clip import Clip


class Norm(Clip):
    """g = g bound / (norm + 1e-6) where norm > bound - 1e-6; norm is the root of the sum of squares over all trained parameters.

    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013, algorithm 1, with the 1e-6 that
    PyTorch adds against a division by 0.
    """

    name: ClassVar[str] = "norm"
    bound: Annotated[float, Field(gt=0, description="largest norm of data plus l2 gradient, over all trained parameters")] = 1.0

    @staticmethod
    def clip(g: Any, bound: Any, norm: Any) -> Any:
        return g * min(1.0, bound / (norm + 1e-6))
