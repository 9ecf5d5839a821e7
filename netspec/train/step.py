"""One update outside the training loop: for a caller who has loops of his own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DivergedError
from netspec.plan.network import Network


def update(network: Network, x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None, scalars: NDArray[np.float64]) -> float:
    """Exactly one update on all rows of x, taken as one batch, with the optimiser's scalars (1, names); returns the loss before it, data
    loss plus l2. x and y in the network's layout. Raises DivergedError where the loss is no number; then no update was made."""
    losses, order = np.empty((1, 2)), np.arange(len(x), dtype=np.int64)
    with network.lock:
        plan = network.plan(len(x))
        plan.bind(x=x, y=y, order=order)
        plan.bind_weights(weights)
        network.store.update_state(True)
        network.store.augment(False)
        # a negative epoch: the rows stay in their order
        done = plan.train(-1, np.arange(len(x)), np.zeros(1, np.int64), np.array([len(x)], np.int64), scalars, losses)
    if not done:
        raise DivergedError(f"the loss of these rows is {losses[0, 0]}; no update was made")
    return float(losses[0, 0])
