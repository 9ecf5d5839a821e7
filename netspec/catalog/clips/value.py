"""A bound on each element of the gradient."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.clip import Clip


class ByValue(Clip):
    """g = min(max(g, -bound), bound), element by element.

    Source: Mikolov, Statistical language models based on neural networks, 2012, section 3.2.2.
    """

    name: ClassVar[str] = "value"
    bound: Annotated[float, Field(gt=0, description="largest absolute value of an element of data plus l2 gradient")] = 1.0

    @staticmethod
    def clip(g: Any, bound: Any) -> Any:
        return -bound if g < -bound else (bound if g > bound else g)
