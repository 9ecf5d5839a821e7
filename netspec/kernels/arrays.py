"""Arrays at an address, made in place. numba's own `carray` is a function that is compiled once more in each kernel, and for each kind of
count that it is called with: a quarter of the time that a net took to compile.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _array(context: Any, b: Any, kind: Any, address: Any, shape: list[Any]) -> Any:
    """The array struct, C-contiguous, of memory that nobody counts references to: its owners stay null."""
    element = context.get_data_type(kind.dtype)
    size = context.get_constant(types.intp, context.get_abi_sizeof(element))
    steps, count = [size], shape[0]
    for side in shape[1:]:
        count = b.mul(count, side)
    for side in reversed(shape[1:]):
        steps.insert(0, b.mul(steps[0], side))
    made = context.make_array(kind)(context, b)
    made.meminfo, made.parent = cgutils.get_null_value(made.meminfo.type), cgutils.get_null_value(made.parent.type)
    made.nitems, made.itemsize = count, size
    made.data = b.inttoptr(address, element.as_pointer())
    made.shape, made.strides = cgutils.pack_array(b, shape), cgutils.pack_array(b, steps)
    return made._getvalue()


def array_of(element: Any) -> Any:
    """The intrinsic `array(address, count)`: `count` elements at an address, as an array."""
    kind = types.Array(element, 1, "C")

    @intrinsic
    def array(_context: Any, address: Any, count: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _array(context, builder, kind, arguments[0], [arguments[1]])

        return kind(types.int64, types.int64), codegen

    return array


def matrix_of(element: Any) -> Any:
    """The intrinsic `matrix(address, rows, columns)`: rows x columns elements at an address, as an array."""
    kind = types.Array(element, 2, "C")

    @intrinsic
    def matrix(_context: Any, address: Any, rows: Any, columns: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _array(context, builder, kind, arguments[0], [arguments[1], arguments[2]])

        return kind(types.int64, types.int64, types.int64), codegen

    return matrix
