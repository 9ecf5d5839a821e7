"""The driver: runs a table of launches, and many training steps in one native call.

A launch is (kernel's address, address of its words), a chain (first and last launch, tasks), a wave (first and last chain, tasks of all):
see plan/waves.py. A wave of one task, or on one thread, is plain calls: starting the threads costs about a microsecond. Each thread takes
one run of a chain's tasks, so that it finds in its cache what it left there. Tasks are fixed by the plan, so the bits do not depend on how
many threads share them.

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
    words,
)

WORD, WORDS, TABLE = types.int64, types.int64[::1], types.int64[:, ::1]
LAUNCH, CHAIN, WAVE = 2, 3, 3  # words of each


@njit(**INLINE)
def share(launches, chains, first, last, worker, workers):
    """One worker's part of chains first..last: a run of each chain's tasks, the chains dealt round so that single tasks spread out."""
    for c in range(first, last):
        chain = words(chains + c * CHAIN * 8, CHAIN)
        tasks, place = chain[2], (worker + c - first) % workers
        for task in range(tasks * place // workers, tasks * (place + 1) // workers):
            for i in range(chain[0], chain[1]):
                launch = words(launches + i * LAUNCH * 8, LAUNCH)
                call_kernel(launch[0], launch[1], task, tasks, worker)


@njit(types.void(*[WORD] * 5), parallel=True, nogil=True, **OPTIONS)
def side_by_side(launches, chains, first, last, workers):
    for worker in prange(workers):
        share(launches, chains, first, last, worker, workers)


@njit(types.void(*[WORD] * 4), nogil=True, **OPTIONS)
def run(tables, first, last, threads):
    """Waves first..last. Tables: the addresses of the launches, the chains, and the waves."""
    table = words(tables, 3)
    for i in range(first, last):
        wave = words(table[2] + i * WAVE * 8, WAVE)
        if wave[2] == 1 or threads == 1:
            share(table[0], table[1], wave[0], wave[1], np.int64(0), np.int64(1))
        else:
            side_by_side(table[0], table[1], wave[0], wave[1], min(threads, wave[2]))


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


@njit(WORD(*[WORD] * 3, WORDS, *[WORD] * 3, *[WORDS] * 4, TABLE, types.float64[:, ::1], WORD), nogil=True, **OPTIONS)
def train(tables, before_backward, waves, control, loss_at, seed, epoch, order, rows, starts, counts, scalars, losses, threads):
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
        run(tables, 0, before_backward, threads)
        losses[s, 0] = loss[0]
        losses[s, 1] = loss[1]
        if not np.isfinite(loss[0]):
            return s
        run(tables, before_backward, waves, threads)
        control[STEP] += 1
    return starts.size
