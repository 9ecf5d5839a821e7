"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from netspec.base.optimizer import Optimizer


class Sgd(Optimizer):
    """v = momentum v - lr g; w = w + v. With nesterov w = w + momentum v - lr g, with the new v.

    Slot v, the velocity. Source: Polyak, Some methods of speeding up the convergence of iteration methods, 1964; nesterov in the form of
    Sutskever et al., On the importance of initialization and momentum in deep learning, 2013.
    """

    name: ClassVar[str] = "sgd"
    lr: Annotated[float, Field(gt=0, description="learning rate")] = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1, description="share of the velocity that a step keeps")] = 0.0
    nesterov: Annotated[bool, Field(description="look ahead along the velocity")] = False
    slots: ClassVar[tuple[str, ...]] = ("v",)

    def stored(self) -> tuple[str, ...]:
        return self.slots if self.momentum > 0 else ()

    @staticmethod
    def update(w: Any, g: Any, v: Any, lr: Any, momentum: Any, nesterov: Any) -> Any:
        v = momentum * v - lr * g
        # nesterov is 0 or 1, and a branch would not work on arrays
        return w + (1.0 - nesterov) * v + nesterov * (momentum * v - lr * g), v
