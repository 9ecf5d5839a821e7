"""Why a loss is not finite: the first layer whose output is not, and the rows of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import LimitError
from netspec.graph.graph import Node
from netspec.plan.network import Network

SHOWN = 5
"""Rows that a message names."""
LARGE = 1e3
"""An input is told where it is so many times as large as the usual ones."""


@dataclass(frozen=True)
class Fault:
    """What is not finite: the output of `layer` in the `rows` (K,) of the batch, `array` where the parameters were not before that, or
    the `loss` by itself (`layer` is None)."""

    layer: str | None
    rows: NDArray[np.int64]
    batch: int
    array: str | None = None
    largest: tuple[float, int] | None = None
    """An input far larger than the others, and its row in the batch."""

    def in_words(self, numbers: NDArray[np.int64]) -> str:
        """One sentence or two, ending in a space; `numbers` (batch,) are those of the batch's rows in the data."""
        rows = _rows_in_words(numbers[self.rows], self.batch)
        if self.array is not None:
            found = f"The last update made {self.array} infinite or NaN, so that {self.layer} is the first bad layer, in every row. "
        elif self.layer is not None:
            found = f"The first bad layer is {self.layer}: its output is infinite or NaN in {rows}. "
        else:
            found = f"Every layer is finite; the loss itself overflows in {rows}. "
        if self.largest is None:
            return found
        value, row = self.largest
        return f"{found}Row {numbers[row]} holds {value:.4g}, far from the usual inputs. "


def find_fault(network: Network, x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> Fault:
    """Looks at one batch in train form, with the masks of the step that is about to be done: x (N, ...), labels in the loss's layout,
    weights (N,) or None.

    Layers are computed one after another by plans of their own, so that nothing of this is paid for while training goes well.
    """
    with network.lock:
        network.store.update_state(False)
        every = np.arange(len(x))
        for node in network.graph.nodes:
            bad = next((name for name in map(node.array, node.parameters) if not np.isfinite(network.store.parameters[name]).all()), None)
            if bad is not None:
                return Fault(node.name, every, len(x), bad)
        try:
            first, rows = _first_bad(network, x)
            if first is None:
                _, plan = network.loss(x, y, gradients=False, weights=weights)
                rows = np.flatnonzero(~np.isfinite(plan.array("row_losses")[: len(x)]))
        except LimitError:  # no memory is left to look
            first, rows = None, every
    return Fault(first.name if first else None, rows if len(rows) else every, len(x), largest=_largest(x))


def _first_bad(network: Network, x: NDArray[Any]) -> tuple[Node | None, NDArray[np.int64]]:
    """The first layer, all of whose inputs are finite, with an output that is not, and the rows of that; no layer where there is none."""
    producer = {node.output.index: node for node in network.graph.nodes}
    known: dict[str, NDArray[np.int64]] = {}

    def rows_of(node: Node) -> NDArray[np.int64]:
        if node.name not in known:
            values = network.values(x, node, train=True).reshape(len(x), -1)
            known[node.name] = np.flatnonzero(~np.isfinite(values).all(axis=1))
        return known[node.name]

    nodes = network.graph.nodes
    good, bad = -1, len(nodes) - 1
    if not nodes or not len(rows_of(nodes[bad])):
        return None, np.arange(0)
    while bad - good > 1:  # what is not finite stays so but for rare layers: a few looks are enough for a deep net
        middle = (good + bad) // 2
        good, bad = (good, middle) if len(rows_of(nodes[middle])) else (middle, bad)
    node = nodes[bad]
    while before := next((one for one in (producer.get(value.index) for value in node.inputs) if one and len(rows_of(one))), None):
        node = before
    return node, rows_of(node)


def _largest(x: NDArray[Any]) -> tuple[float, int] | None:
    """The largest input and its row, where that is far from the others."""
    rows = x.reshape(len(x), -1)
    sizes = np.abs(rows)
    row, column = np.unravel_index(int(sizes.argmax()), sizes.shape)
    usual = float(np.quantile(sizes, 0.75))
    return (float(rows[row, column]), int(row)) if float(sizes[row, column]) > LARGE * max(usual, 1.0) else None


def _rows_in_words(numbers: NDArray[np.int64], batch: int) -> str:
    count = len(numbers)
    if count == batch:
        return f"every row of the batch of {batch}"
    shown = ", ".join(str(number) for number in numbers[:SHOWN])
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    return f"row{'s' if count > 1 else ''} {shown}{more} of the data (from 0), of a batch of {batch}"
