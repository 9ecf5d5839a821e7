"""The driver as C functions, for calls from Python through an address: an array is its address and its lengths."""

import numpy as np
from numba import cfunc, types

from netspec.kernels.arrays import matrix_of
from netspec.kernels.library import driver
from netspec.kernels.native import CONTROL_WORDS, OPTIONS, words

WORD = types.int64
integers, reals = matrix_of(types.int64), matrix_of(types.float64)
run_waves, train_steps = driver.run, driver.train


@cfunc(types.void(*[WORD] * 4), **OPTIONS)
def run(tables, first, last, threads):
    """Waves first..last; `tables` are three addresses: see the driver."""
    run_waves(tables, first, last, threads)


@cfunc(WORD(WORD), **OPTIONS)
def train(address):
    """The driver's `train`. Words: tables, before_backward, waves, control, loss, seed, epoch, order, its size, rows, their number,
    starts, counts, scalars, their number a step, losses, steps, threads."""
    p = words(address, 18)
    steps = p[16]
    return train_steps(
        p[0],
        p[1],
        p[2],
        words(p[3], CONTROL_WORDS),
        p[4],
        p[5],
        p[6],
        words(p[7], p[8]),
        words(p[9], p[10]),
        words(p[11], steps),
        words(p[12], steps),
        integers(p[13], steps, p[14]),
        reals(p[15], steps, np.int64(2)),
        p[17],
    )
