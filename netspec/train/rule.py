"""An optimiser on its own: one array, one update at a time, in NumPy, by the same template that kernels are made from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.optimizer import Optimizer
from netspec.frontend.bind import entry_from_text
from netspec.frontend.builder_part import Built
from netspec.frontend.builder_value import value_in_text


class OptimizerRule:
    """`state` maps slot names to arrays (sgd `v`; rmsprop `c`; adam `m`, `v`), and for rules that count their updates `t` to how many are
    done. It is empty before the first step, and may be set."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.state: dict[str, Any] = {}

    def step(self, w: Any, dw: Any) -> NDArray[Any]:
        """The new w, in w's dtype and shape, after one update with the gradient dw; w itself is untouched. Moves `state`: each array needs
        a rule of its own. Raises UsageError for arrays of different shapes."""
        weights = np.asarray(w)
        shapes = {"w": weights.shape, "dw": np.shape(dw), **{name: np.shape(self.state[name]) for name in self.state if name != "t"}}
        if len(set(shapes.values())) > 1:
            told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise UsageError(f"{self.optimizer.name}: the shapes differ: {told}; a rule moves one array, so make one for each")
        dtype = weights.dtype if weights.dtype.kind == "f" else np.dtype(np.float64)
        kind = type(self.optimizer)
        slots = {name: np.asarray(self.state.get(name, np.zeros(weights.shape)), dtype) for name in kind.slots}
        scalars = self._scalars()
        constants = {name: dtype.type(value) for name, value in {**self.optimizer.constants(), **scalars}.items()}
        rate = dtype.type(self.optimizer.lr)
        new, *moved = kind.update(weights.astype(dtype), np.asarray(dw, dtype), **slots, lr=rate, **constants)
        self.state.update(zip(kind.slots, moved, strict=True))
        return np.asarray(new, dtype)

    def _scalars(self) -> dict[str, float]:
        scalars = self.optimizer.scalars(int(self.state.get("t", 0)) + 1)
        if scalars:
            self.state["t"] = int(self.state.get("t", 0)) + 1
        return scalars

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={getattr(self.optimizer, name)!r}" for name in type(self.optimizer).model_fields)
        return f"{self.optimizer.name}({given})"


def optimizer(text: str | Built) -> OptimizerRule:
    """The rule that a text like `adam(lr=1e-2)`, or `netspec.adam(lr=1e-2)`, stands for. Raises SpecError."""
    return OptimizerRule(entry_from_text(Optimizer, value_in_text(text)))
