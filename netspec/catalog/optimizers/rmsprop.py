"""Steps divided by a running root mean square of the gradient."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.optimizer import Optimizer


class Rmsprop(Optimizer):
    """c = decay c + (1 - decay) g^2; w = w - lr g / (sqrt(c) + eps).

    Slot c, the running mean of squares. Source: Tieleman and Hinton, Neural networks for machine learning, lecture 6.5, 2012.
    """

    name: ClassVar[str] = "rmsprop"
    lr: Annotated[float, Field(gt=0, description="learning rate")] = 1e-3
    decay: Annotated[float, Field(ge=0, lt=1, description="share of the mean of squares that a step keeps")] = 0.99
    eps: Annotated[float, Field(gt=0, description="added to the root, so that nothing is divided by 0")] = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("c",)

    def constants(self) -> dict[str, float]:
        # 1 - decay in float32 would keep only four digits of a decay near 1
        return {"decay": self.decay, "fresh": 1 - self.decay, "eps": self.eps}

    @staticmethod
    def update(w: Any, g: Any, c: Any, lr: Any, decay: Any, fresh: Any, eps: Any) -> Any:
        c = decay * c + fresh * g * g
        return w - lr * g / (np.sqrt(c) + eps), c
