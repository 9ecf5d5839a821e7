"""The driver: runs waves of launches, and many training steps in one native call, by a team of threads.

A launch is (kernel's address, address of its words), a chain (first and last launch, tasks), a wave (first and last chain, tasks of all):
see plan/waves.py. One parallel region lasts for the whole call. Its threads go through the waves together and meet between them; a wave
of one task is the first thread's. Each thread takes one run of a chain's tasks, so that it finds in its cache what it left there. Tasks are
fixed by the plan, so the bits do not depend on how many threads share them.

The team is whoever arrives in time: a runtime that gives fewer threads than were asked for costs nothing but speed. A thread whose core
another program holds is left out of the work; the call still ends only when it has passed by (plan/pace.py tries one thread then).
Waiting is plain reading, and who waits long gives its core away. Measured on two cores: mlp4's step 0.48 to 0.455 ms against a parallel
region a wave.
"""

import numpy as np
from numba import cfunc, njit, prange, types

from netspec.kernels.arrays import matrix_of
from netspec.kernels.native import (
    CONTROL_WORDS,
    INLINE,
    OPTIONS,
    ROWS,
    SCALARS,
    START,
    STEP,
    TEAM_WORDS,
    add_and_get_old,
    call_kernel,
    clear_bytes,
    doubles,
    random_bits,
    read_shared,
    sched_yield,
    stream_key,
    words,
    write_shared,
)

WORD = types.int64
LAUNCH, CHAIN, WAVE = 2, 3, 3  # words of each
JOINED, SIZE, WAITING, MEETINGS = 0, 128, 256, 384  # bytes in the team's words: each on lines of its own
CLOSED = 1 << 20  # added to JOINED when the team is complete
PATIENT_SPINS = 1 << 15
integers, reals = matrix_of(types.int64), matrix_of(types.float64)


@njit(**INLINE)
def wait(address, value):
    """Returns when a shared word is no longer `value`."""
    spins = 0
    while read_shared(address) == value:
        spins += 1
        if spins > PATIENT_SPINS:
            sched_yield()


@njit(**INLINE)
def join(team, worker, workers, patience):
    """(place, size) in the team; place -1 for a thread that comes too late. The first to come waits `patience` reads for the others."""
    ticket = add_and_get_old(team + JOINED, 1)
    if ticket >= CLOSED:
        return np.int64(-1), np.int64(0)
    if ticket == 0:
        spins = 0
        while read_shared(team + JOINED) < workers and spins < patience:
            spins += 1
        write_shared(team + SIZE, add_and_get_old(team + JOINED, CLOSED))
    elif read_shared(team + SIZE) == 0:
        wait(team + SIZE, 0)
    size = read_shared(team + SIZE)
    return (worker if size == workers else ticket), size  # whole, it has the same places in each call


@njit(**INLINE)
def meet(team, size):
    """Returns when all of the team are here."""
    if size == 1:
        return
    meeting = read_shared(team + MEETINGS)
    if add_and_get_old(team + WAITING, 1) == size - 1:
        write_shared(team + WAITING, 0)
        write_shared(team + MEETINGS, meeting + 1)
        return
    wait(team + MEETINGS, meeting)


@njit(**INLINE)
def share(launches, chains, first, last, place, size):
    """One thread's part of chains first..last: a run of each chain's tasks, the chains dealt round so that single tasks spread out."""
    for c in range(first, last):
        chain = words(chains + c * CHAIN * 8, CHAIN)
        tasks, turn = chain[2], (place + c - first) % size
        for task in range(tasks * turn // size, tasks * (turn + 1) // size):
            for i in range(chain[0], chain[1]):
                launch = words(launches + i * LAUNCH * 8, LAUNCH)
                call_kernel(launch[0], launch[1], task, tasks, place)


@njit(types.boolean(*[WORD] * 6), **INLINE)
def go(tables, first, last, team, place, size):
    """One thread's part of waves first..last, before which the first thread alone was at work. Tables: the addresses of the launches, the
    chains, and the waves. Returns whether the others may still be at work."""
    table = words(tables, 3)
    together = False
    for i in range(first, last):
        wave = words(table[2] + i * WAVE * 8, WAVE)
        several = wave[2] > 1
        if several or together:
            meet(team, size)
        if several:
            share(table[0], table[1], wave[0], wave[1], place, size)
        elif place == 0:
            share(table[0], table[1], wave[0], wave[1], np.int64(0), np.int64(1))
        together = several
    return together


@njit(types.void(*[WORD] * 6), parallel=True, nogil=True, **OPTIONS)
def go_together(tables, first, last, team, workers, patience):
    for worker in prange(workers):
        place, size = join(team, worker, workers, patience)
        if place >= 0:
            go(tables, first, last, team, place, size)


@cfunc(types.void(*[WORD] * 6), **OPTIONS)
def run(tables, first, last, threads, team, patience):
    """Waves first..last; `team` are the address of TEAM_WORDS words, `patience` reads that the first thread waits for the others."""
    if threads == 1:
        go(tables, first, last, team, np.int64(0), np.int64(1))
    else:
        clear_bytes(team, np.int64(8 * TEAM_WORDS))
        go_together(tables, first, last, team, threads, patience)


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


@cfunc(types.void(*[WORD] * 5), **OPTIONS)
def order_of_epoch(order, rows, count, seed, epoch):
    """The shuffle that `train` makes at the start of an epoch, for steps from its middle on. Addresses of `count` words each."""
    shuffle(words(order, count), words(rows, count), seed, epoch)


@njit(types.void(*[WORD] * 3), **INLINE)
def steps(given, place, size):
    """One thread's part of `train`."""
    p = words(given, 21)
    tables, before_backward, waves, control, loss, team = p[0], p[1], p[2], words(p[3], CONTROL_WORDS), doubles(p[4], 2), p[18]
    count, each = p[16], p[14]
    starts, counts, scalars, losses = words(p[11], count), words(p[12], count), integers(p[13], count, each), reals(p[15], count, 2)
    for s in range(count):
        if place == 0:
            if starts[s] == 0 and p[6] >= 0:
                shuffle(words(p[7], p[8]), words(p[9], p[10]), p[5], p[6])
            control[ROWS] = counts[s]
            control[START] = starts[s]
            for k in range(each):
                control[SCALARS + k] = scalars[s, k]
        go(tables, np.int64(0), before_backward, team, place, size)
        # Here all read the loss, which the last wave before has written. The next step writes it again, and by then they have met once
        # more: there is a team only where some wave of a step has several tasks.
        meet(team, size)
        if not np.isfinite(loss[0]):
            if place == 0:
                losses[s, 0], losses[s, 1], p[20] = loss[0], loss[1], s
            return
        if place == 0:
            losses[s, 0], losses[s, 1] = loss[0], loss[1]
        if go(tables, before_backward, waves, team, place, size):
            meet(team, size)
        if place == 0:
            control[STEP] += 1
    if place == 0:
        p[20] = count


@njit(types.void(*[WORD] * 4), parallel=True, nogil=True, **OPTIONS)
def steps_together(given, team, workers, patience):
    for worker in prange(workers):
        place, size = join(team, worker, workers, patience)
        if place >= 0:
            steps(given, place, size)


@cfunc(WORD(WORD), **OPTIONS)
def train(given):
    """As many steps as `starts` has. Step s takes `counts[s]` rows from `order[starts[s]]` on, and the scalars[s] of the optimiser (bits
    of float64). At the start of an epoch the order becomes a shuffle of `rows`, unless the epoch is negative. A loss that is not finite
    stops before its backward pass, which updates. Returns the number of steps done; losses[s] = (total, data part).

    Words: tables, before_backward, waves, control, loss, seed, epoch, order, its size, rows, their number, starts, counts, scalars, their
    number a step, losses, steps, threads (1 where no wave has several tasks), team, patience, and the steps done.
    """
    p = words(given, 21)
    if p[17] == 1:
        steps(given, np.int64(0), np.int64(1))
    else:
        clear_bytes(p[18], np.int64(8 * TEAM_WORDS))
        steps_together(given, p[18], p[17], p[19])
    return p[20]
