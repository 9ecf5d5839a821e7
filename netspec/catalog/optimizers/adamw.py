"""Adam, with weights that shrink by a share of their own instead of an l2 term in the gradient."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.optimizer import Optimizer


class AdamW(Optimizer):
    """m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w = w - lr weight_decay w - lr mhat / (sqrt(vhat) + eps).

    mhat = m / (1 - beta1^t), vhat = v / (1 - beta2^t), t counted from 1. Slots m, v. The decay is of weights W alone: never of b, gamma,
    beta. Source: Loshchilov and Hutter, Decoupled weight decay regularization, 2019, algorithm 2.
    """

    name: ClassVar[str] = "adamw"
    lr: Annotated[float, Field(gt=0, description="learning rate")] = 1e-3
    beta1: Annotated[float, Field(ge=0, lt=1, description="share of the mean gradient that a step keeps")] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1, description="share of the mean of squares that a step keeps")] = 0.999
    eps: Annotated[float, Field(gt=0, description="added to the root, so that nothing is divided by 0")] = 1e-8
    weight_decay: Annotated[float, Field(ge=0, description="share of a weight, times lr, that a step takes away")] = 1e-2
    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    of_weights: ClassVar[tuple[str, ...]] = ("weight_decay",)

    def constants(self) -> dict[str, float]:
        # 1 - beta2 in float32 would keep only four digits of 0.001
        return {
            "beta1": self.beta1, "fresh1": 1 - self.beta1, "beta2": self.beta2, "fresh2": 1 - self.beta2, "eps": self.eps,
            "weight_decay": self.weight_decay,
        }  # fmt: skip

    def scalars(self, t: int) -> dict[str, float]:
        return {"unbias1": 1 / (1 - self.beta1**t), "unbias2": 1 / (1 - self.beta2**t)}

    @staticmethod
    def update(
        w: Any, g: Any, m: Any, v: Any, lr: Any, beta1: Any, fresh1: Any, beta2: Any, fresh2: Any, eps: Any, weight_decay: Any,
        unbias1: Any, unbias2: Any,
    ) -> Any:  # fmt: skip
        m = beta1 * m + fresh1 * g
        v = beta2 * v + fresh2 * g * g
        return w - (lr * weight_decay) * w - (lr * unbias1) * m / (np.sqrt(v * unbias2) + eps), m, v
