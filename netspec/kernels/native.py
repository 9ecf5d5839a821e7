"""What numba lacks for kernels: arrays at an address, calls through an address, and the counter generator on one lane.

A kernel is a C function `(parameters, task, tasks, worker)`: `parameters` points at 64-bit words (addresses, sizes, bits of floats), the
first of them the address of the control block that all kernels of a plan share; `task` of `tasks` is this call's share of the work;
`worker` numbers the thread, for scratch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from netspec.kernels.arrays import array_of

KERNEL = types.void(types.CPointer(types.int64), types.int64, types.int64, types.int64)
FINISH = types.void(*[types.int64] * 7)  # see library/product.py
# `contract` alone: it allows multiply-adds, and nothing that would remove a NaN test or the rounding constant of `exp`
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}
INLINE: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # Python does not call these

# words of the control block; floats stand in it as float64 bits
ROWS, STEP, START, SEED, UPDATE_STATE, AUGMENT = 0, 1, 2, 3, 4, 5
OTHERS, FIRST = 6, 7  # of a batch that several processes share: the rows that are not here, and the place of the first that is
SCALARS = 8  # first of the optimiser's scalars: lr, then what depends on the update's number
MOST_SCALARS = 24
CONTROL_WORDS = SCALARS + MOST_SCALARS
GEOMETRY_WORDS = 18  # of a convolution: see library/convolve.py
PLANES = 16  # of 4x4 tiles
TILED_WORDS = 21  # of one by tiles: see library/winograd.py
TEAM_WORDS = 64  # by which the threads of a call meet: see library/driver.py
CACHE_LINE = 64
SET_STRIDE = 1024  # bytes: rows that a multiple of it lies between share a few of a cache's sets
BLOCK_DEPTH, BLOCK_ELEMENTS = 384, 1 << 18  # a packed block of B in library/product.py: what a launch's scratch is sized by

_WORD = ir.IntType(64)
_HALF = ir.IntType(32)

words = array_of(types.int64)
doubles = array_of(types.float64)


@intrinsic
def copy_bytes(_context: Any, source: Any, target: Any, count: Any) -> Any:
    """memcpy: an assignment between byte arrays becomes a loop of its own, measured at 4 GB/s."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bytes_at = ir.IntType(8).as_pointer()
        source, target, count = arguments
        cgutils.raw_memcpy(builder, builder.inttoptr(target, bytes_at), builder.inttoptr(source, bytes_at), count, 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def clear_bytes(_context: Any, target: Any, count: Any) -> Any:
    """memset to zero."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, count = arguments
        cgutils.memset(builder, builder.inttoptr(target, ir.IntType(8).as_pointer()), count, 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def prefetch(_context: Any, address: Any) -> Any:
    """Asks for the cache line at an address, for L2. One that is not ours is no error."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, _HALF, _HALF, _HALF])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.inttoptr(arguments[0], pointer), _HALF(0), _HALF(2), _HALF(1)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@njit(**INLINE)
def fetch(address, count):
    """Asks for `count` bytes, line by line."""
    for at in range(0, count, CACHE_LINE):
        prefetch(address + at)


@njit(**INLINE)
def clear(array):
    """Zeros. An assignment to a slice does the same: eight of them took 1.7 of the 2.9 s that bn of vectors took to compile."""
    for i in range(array.size):
        array[i] = 0


@njit(**INLINE)
def copy(source, target):
    """An array as long as the other one takes over its numbers."""
    for i in range(target.size):
        target[i] = source[i]


@njit(**INLINE)
def copy_rows(source, source_step, target, target_step, rows, count):
    """`rows` runs of `count` bytes; steps in bytes."""
    for r in range(rows):
        copy_bytes(source + r * source_step, target + r * target_step, count)


@njit(**INLINE)
def clear_margins(scratch, rows, columns, top, left, inner_rows, inner_columns, pixel):
    """Zeros around the inner part of an image of rows x columns pixels of `pixel` bytes."""
    clear_bytes(scratch, (top * columns + left) * pixel)
    gap = (columns - inner_columns) * pixel
    for r in range(inner_rows - 1):
        clear_bytes(scratch + ((top + r) * columns + left + inner_columns) * pixel, gap)
    last = (top + inner_rows - 1) * columns + left + inner_columns
    clear_bytes(scratch + last * pixel, (rows * columns - last) * pixel)


@njit(**INLINE)
def clear_image(g, scratch, itemsize):
    """Zero margins of the scratch that `padded_image` fills; geometry words of library/convolve.py."""
    if g[14] != 0:
        clear_margins(scratch, g[12], g[13], g[10], g[11], g[1], g[2], g[0] * itemsize)


@njit(**INLINE)
def padded_rows(x, g, scratch, itemsize, first, last):
    """The image with its margins (geometry words of library/convolve.py): x where there are none, else the scratch, whose margins are zero
    and into which rows first..last of the padded image are copied."""
    if g[14] == 0:
        return x
    row, padded_row = g[2] * g[0] * itemsize, g[13] * g[0] * itemsize
    top, bottom = max(first - g[10], 0), min(last - g[10], g[1])
    copy_rows(x + top * row, row, scratch + (g[10] + top) * padded_row + g[11] * g[0] * itemsize, padded_row, max(bottom - top, 0), row)
    return scratch


@njit(**INLINE)
def padded_image(x, g, scratch, itemsize):
    """All rows of the padded image."""
    return padded_rows(x, g, scratch, itemsize, 0, g[12])


@intrinsic
def address_of(_context: Any, pointer: Any) -> Any:
    """The address that a pointer to words holds."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(arguments[0], _WORD)

    return types.int64(types.CPointer(types.int64)), codegen


@intrinsic
def read_shared(_context: Any, address: Any) -> Any:
    """A word that other threads write; what they wrote before it is seen too."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(arguments[0], _WORD.as_pointer()), "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def write_shared(_context: Any, address: Any, value: Any) -> Any:
    """Writes a word that other threads read, after all that was written before."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], builder.inttoptr(arguments[0], _WORD.as_pointer()), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@intrinsic
def add_and_get_old(_context: Any, address: Any, value: Any) -> Any:
    """Adds to a word that threads share; returns what it was before."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], _WORD.as_pointer()), arguments[1], "acq_rel")

    return types.int64(types.int64, types.int64), codegen


sched_yield = types.ExternalFunction("sched_yield", types.int32())
"""POSIX: lets another thread have this core."""


@intrinsic
def as_double(_context: Any, word: Any) -> Any:
    """The float64 whose bits a word holds."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def call_kernel(_context: Any, function: Any, parameters: Any, task: Any, tasks: Any, worker: Any) -> Any:
    """Calls the kernel at an address."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [_WORD.as_pointer(), _WORD, _WORD, _WORD])
        function, parameters, *numbers = arguments
        builder.call(builder.inttoptr(function, kind.as_pointer()), [builder.inttoptr(parameters, _WORD.as_pointer()), *numbers])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64, types.int64), codegen


@intrinsic
def call_at(_context: Any, function: Any, arguments: Any) -> Any:
    """Calls the C function at an address with a tuple of int64: LLVM does not compile the callee again inside every caller."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        count = len(signature.args[1])
        kind = ir.FunctionType(ir.VoidType(), [_WORD] * count)
        members = [builder.extract_value(values[1], place) for place in range(count)]
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), members)
        return context.get_dummy_value()

    return types.void(types.int64, types.UniTuple(types.int64, arguments.count)), codegen


@intrinsic
def random_bits(_context: Any, key: Any, counter: Any) -> Any:
    """The uniform 32-bit word of (key, counter), as netspec.base.random.bits defines it; plain 32-bit lane arithmetic, so it vectorises."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        key, counter = arguments
        low, high = builder.trunc(key, _HALF), builder.trunc(builder.lshr(key, _WORD(32)), _HALF)
        x = builder.add(builder.trunc(counter, _HALF), low)
        x = builder.mul(builder.xor(x, builder.lshr(x, _HALF(16))), _HALF(0x7FEB352D))
        x = builder.xor(x, high)
        x = builder.mul(builder.xor(x, builder.lshr(x, _HALF(15))), _HALF(0x846CA68B))
        return builder.xor(x, builder.lshr(x, _HALF(16)))

    return types.uint32(types.int64, types.int64), codegen


@njit(**INLINE)
def mix64(value):
    """SplitMix64's output function, as netspec.base.random.mix64."""
    value = np.uint64(value) + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64(value ^ (value >> np.uint64(31)))


@njit(**INLINE)
def stream_key(seed, place, step):
    """Key of one random layer in one step, as netspec.base.random.stream_key."""
    return mix64(mix64(mix64(seed) ^ place) ^ step)


@njit(**INLINE)
def share_start(count, task, tasks, unit):
    """First index of a task's share when `count` is cut into `tasks` equal parts whose borders are multiples of `unit`."""
    return min(count, (count * task // tasks + unit - 1) // unit * unit) if task > 0 else 0


@njit(**INLINE)
def share_end(count, task, tasks, unit):
    """One past the last index of a task's share."""
    return share_start(count, task + 1, tasks, unit) if task + 1 < tasks else count
