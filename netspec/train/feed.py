"""What the training loop reads its batches from: all rows in memory, or of a set that is larger than memory one window after the other.

A mapped set (source = npy, or a mapped array given to fit) that would take more than MOST_BYTES in memory is read window by window. The
shuffle by blocks: in each epoch the training rows, in the order of the file, are cut into blocks of neighbouring rows; the blocks are put
in random order, the first of them fill the first window, and so on; the rows of a window are shuffled among themselves. So each epoch
passes over every training row once; a batch mixes rows of as many random places of the file as a window holds blocks (1,024 where rows
are stored in the net's dtype, 256 where they are bytes that become float32); and the order depends on rows, batch, seed and epoch alone.
A set that fits into one window is shuffled fully. In memory are one window, converted and normalised, and the labels and row numbers of the
whole set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from netspec.base.mapped import RowReader, mapping_of
from netspec.base.shape import size
from netspec.plan.plan import shuffle
from netspec.train.normalize import Normalization, as_input

MOST_BYTES = 1 << 30
"""Of rows in the net's dtype that are held in memory, whatever the machine has: what is trained must not depend on it."""
WINDOW_BYTES = 128 << 20
BLOCK_BYTES = 128 << 10
"""Stored bytes of a block: one read of a disk."""
STREAM = 0xB10C_0000
"""Keeps the draws of the shuffle apart from everything else that is seeded by the same number."""


@dataclass(frozen=True)
class MappedRows:
    """Rows that stay in their file: `x` as stored, `normalization` still to be applied."""

    x: NDArray[Any]
    normalization: Normalization | None
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.x)

    def read(self, index: NDArray[np.int64], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The rows of those numbers, as the network takes them, into the first rows of `out` where it is given. Raises as `as_input`."""
        return as_input(self.x, self.normalization, self.dtype, index, out)


def network_rows(x: NDArray[Any], normalization: Normalization | None, dtype: DTypeLike) -> NDArray[Any] | MappedRows:
    """Rows as a network takes them: in memory, unless they are mapped and too many."""
    wanted = np.dtype(dtype)
    if mapping_of(x) is not None and x.size * wanted.itemsize > MOST_BYTES:
        return MappedRows(x, normalization, wanted)
    return as_input(x, normalization, wanted)


@dataclass(frozen=True)
class Material:
    """The rows that `index` lists, of arrays that may hold more: x as the network takes it, y encoded, weights by row of x or None."""

    x: NDArray[Any] | RowReader
    y: NDArray[Any]
    index: NDArray[np.int64]
    weights: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Window:
    """Arrays in memory that the steps `first` to `last` of an epoch are trained on; `offset` is the place of their first row in it. They
    serve until the next window is asked for.

    `rows` are shuffled into `order` by the driver at the start of the epoch, or not at all where `epoch` is negative.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[Any] | None
    order: NDArray[np.int64]
    rows: NDArray[np.int64]
    epoch: int
    first: int
    last: int
    offset: int
    numbers: NDArray[np.int64] | None = None
    """Of the rows of x in the whole set; None where x is that."""


class Whole:
    """All rows in memory: one window, shuffled by the driver."""

    def __init__(self, x: NDArray[Any], material: Material, labels: NDArray[Any], steps: int, seed: int) -> None:
        self.x, self.material, self.labels, self.steps, self.seed = x, material, labels, steps, seed
        self.order = np.arange(len(material), dtype=np.int64)
        self._epoch = 0

    def window(self, epoch: int, step: int) -> Window:
        """The window that holds a step (from 0) of an epoch. Its order is that of the epoch where an epoch is begun in its middle."""
        if step > 0 and epoch != self._epoch:
            shuffle(self.order, self.material.index, self.seed, epoch)
        self._epoch = epoch
        return Window(self.x, self.labels, self.material.weights, self.order, self.material.index, epoch, 0, self.steps, 0)


class Blocks:
    """Rows of a file, shuffled by blocks; one window is held at a time. `starts` and `counts` are the batches of an epoch."""

    def __init__(
        self, x: MappedRows, material: Material, labels: NDArray[Any], starts: NDArray[np.int64], counts: NDArray[np.int64], seed: int
    ) -> None:
        self.x, self.material, self.labels, self.starts, self.counts, self.seed = x, material, labels, starts, counts, seed
        self.in_file_order = np.sort(material.index)
        elements = max(1, size(x.x.shape[1:]))
        self.block_rows = max(1, BLOCK_BYTES // (elements * x.x.dtype.itemsize))
        self.window_steps = min(len(starts), max(1, WINDOW_BYTES // (elements * x.dtype.itemsize * int(counts[0]))))
        self._epoch = 0
        self._rows = self.in_file_order
        self._held: Window | None = None
        self._buffer = np.empty((self.window_steps * int(counts[0]) + 1, *x.x.shape[1:]), x.dtype)

    def window(self, epoch: int, step: int) -> Window:
        """The window that holds a step (from 0) of an epoch; it is read where it is not the one held."""
        held = self._held
        if held is not None and self._epoch == epoch and held.first <= step < held.last:
            return held
        if self._epoch != epoch:
            self._epoch, self._rows = epoch, self._by_blocks(epoch)
        self._held = self._read(step // self.window_steps)
        return self._held

    def _by_blocks(self, epoch: int) -> NDArray[np.int64]:
        """The training rows, their blocks in random order."""
        cuts = np.arange(self.block_rows, len(self.in_file_order), self.block_rows)
        blocks = np.split(self.in_file_order, cuts)
        order = self._generator(epoch, 0).permutation(len(blocks))
        return np.concatenate([blocks[place] for place in order])

    def _read(self, number: int) -> Window:
        first = number * self.window_steps
        last = min(first + self.window_steps, len(self.starts))
        offset = int(self.starts[first])
        rows = np.sort(self._rows[offset : int(self.starts[last - 1] + self.counts[last - 1])])
        x, y = self.x.read(rows, self._buffer), np.ascontiguousarray(self.labels[rows])
        weights = None if self.material.weights is None else np.ascontiguousarray(self.material.weights[rows])
        order = self._generator(self._epoch, 1 + number).permutation(len(rows))
        return Window(x, y, weights, order, order, -1, first, last, offset, rows)

    def _generator(self, epoch: int, number: int) -> np.random.Generator:
        return np.random.default_rng([STREAM, self.seed & 0xFFFF_FFFF_FFFF_FFFF, epoch, number])


def feed_of(material: Material, labels: NDArray[Any], starts: NDArray[np.int64], counts: NDArray[np.int64], seed: int) -> Whole | Blocks:
    """The feed of a material, its labels in the layout of the loss."""
    if isinstance(material.x, MappedRows):
        return Blocks(material.x, material, labels, starts, counts, seed)
    assert isinstance(material.x, np.ndarray), "in memory, or mapped"
    return Whole(material.x, material, labels, len(starts), seed)
