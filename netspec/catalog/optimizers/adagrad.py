"""Steps divided by the root of all squares of the gradient so far."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.optimizer import Optimizer


class Adagrad(Optimizer):
    """c = c + g^2; w = w - lr g / (sqrt(c) + eps).

    Slot c, the sum of squares. Source: Duchi, Hazan and Singer, Adaptive subgradient methods, 2011, with eps outside the root.
    """

    name: ClassVar[str] = "adagrad"
    lr: Annotated[float, Field(gt=0, description="learning rate")] = 1e-2
    eps: Annotated[float, Field(gt=0, description="added to the root, so that nothing is divided by 0")] = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("c",)

    @staticmethod
    def update(w: Any, g: Any, c: Any, lr: Any, eps: Any) -> Any:
        c = c + g * g
        return w - lr * g / (np.sqrt(c) + eps), c
