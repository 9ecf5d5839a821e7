"""The driver: runs a table of launches, and many training steps in one native call.

A row of the table is (kernel's address, address of its words, tasks). A launch of one task, or on one thread, is a plain call: starting
the threads costs about two microseconds. Tasks are fixed by the plan, so the bits do not depend on how many threads share them.

Every function has one declared signature: where numba's cache holds several for one function, two processes that fill it at the same
time can leave one's code under the other's signature, and calling that is a crash.
"""

import numpy as np
from numba import njit, prange, types

from netspec.kernels.native import (
    INLINE,
    OPTIONS,
    ROWS,
    SCALARS,
    START,
    STEP,
    call_kernel,
    doubles,
    random_bits,
    stream_key,
)

WORD, WORDS, TABLE = types.int64, types.int64[::1], types.int64[:, ::1]


@njit(types.void(WORD, WORD, WORD), parallel=True, nogil=True, **OPTIONS)
def launch(function, parameters, tasks):
    for task in prange(tasks):
        call_kernel(function, parameters, task, tasks)


@njit(types.void(TABLE, WORD, WORD, WORD), nogil=True, **OPTIONS)
def run(table, first, last, threads):
    """Launches first..last of the table."""
    for i in range(first, last):
        function, parameters, tasks = table[i, 0], table[i, 1], table[i, 2]
        if tasks == 1 or threads == 1:
            for task in range(tasks):
                call_kernel(function, parameters, task, tasks)
        else:
            launch(function, parameters, tasks)


@njit(**INLINE)
def shuffle(order, rows, seed, epoch):
    """order becomes a permutation of rows that depends on (rows, seed, epoch) alone: Durstenfeld's form of the Fisher-Yates shuffle, with
    the multiply-shift reduction of a 32-bit word (Lemire, Fast random integer generation in an interval, 2019; bias below n / 2**32)."""
    key = stream_key(seed, -1, epoch)
    for i in range(order.size):
        order[i] = rows[i]
    for i in range(order.size - 1, 0, -1):
        j = np.int64((np.uint64(random_bits(key, i)) * np.uint64(i + 1)) >> np.uint64(32))
        order[i], order[j] = order[j], order[i]


@njit(WORD(TABLE, WORD, WORDS, WORD, WORD, WORD, WORDS, WORDS, WORDS, WORDS, TABLE, types.float64[:, ::1], WORD), nogil=True, **OPTIONS)
def train(table, before_update, control, loss_at, seed, epoch, order, rows, starts, counts, scalars, losses, threads):
    """As many steps as `starts` has. Step s takes `counts[s]` rows from `order[starts[s]]` on, and the scalars[s] of the optimiser (bits
    of float64). At the start of an epoch the order becomes a shuffle of `rows`, unless the epoch is negative. A loss that is not finite
    stops before its backward pass, which updates. Returns the number of steps done; losses[s] = (total, data part)."""
    loss = doubles(loss_at, 2)
    for s in range(starts.size):
        if starts[s] == 0 and epoch >= 0:
            shuffle(order, rows, seed, epoch)
        control[ROWS] = counts[s]
        control[START] = starts[s]
        for k in range(scalars.shape[1]):
            control[SCALARS + k] = scalars[s, k]
        run(table, 0, before_update, threads)
        losses[s, 0] = loss[0]
        losses[s, 1] = loss[1]
        if not np.isfinite(loss[0]):
            return s
        run(table, before_update, table.shape[0], threads)
        control[STEP] += 1
    return starts.size
