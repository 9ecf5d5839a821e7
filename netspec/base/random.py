"""The counter-based generator behind dropout masks and shuffles, as NumPy arithmetic: the definition that the kernels must equal.

A draw is a function of (key, counter) alone, so nothing is saved and nothing depends on the order of evaluation. The 32-bit mixer is
the two-multiplication finaliser found by C. Wellons' hash prospector (constants 0x7feb352d, 0x846ca68b), with the second half of the
key entering between its rounds so that streams of two keys are not shifts of one another; keys come from the 64-bit finaliser of
S. Vigna's SplitMix64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD = (1 << 64) - 1


def mix64(value: int) -> int:
    """SplitMix64's output function on a Python int, modulo 2**64."""
    value = (value + 0x9E3779B97F4A7C15) & WORD
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & WORD
    return value ^ (value >> 31)


def stream_key(seed: int, place: int, step: int) -> int:
    """64-bit key of one random layer in one step: `place` is the layer's place in reading order, `step` the updates done."""
    return mix64(mix64(mix64(seed & WORD) ^ (place & WORD)) ^ (step & WORD))


def bits(key: int, counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Uniform 32-bit words, one for each counter; same shape as `counters`."""
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    with np.errstate(over="ignore"):
        x = counters.astype(np.uint32) + low
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x ^= high
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        return np.asarray(x ^ (x >> np.uint32(16)), dtype=np.uint32)
