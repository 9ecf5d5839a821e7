"""Arrays at an address, made in place. numba's own `carray` is a function that is compiled once more in each kernel, and for each kind of
count that it is called with: a quarter of the time that a net took to compile.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic
from numba.np import arrayobj


def _array(context: Any, builder: Any, kind: Any, address: Any, shape: list[Any]) -> Any:
    """The array struct, C-contiguous, of memory that nobody counts references to."""
    element = context.get_data_type(kind.dtype)
    size = context.get_constant(types.intp, context.get_abi_sizeof(element))
    steps = [size]
    for side in reversed(shape[1:]):
        steps.insert(0, builder.mul(steps[0], side))
    made = context.make_array(kind)(context, builder)
    data = builder.inttoptr(address, element.as_pointer())
    arrayobj.populate_array(made, data=data, shape=shape, strides=steps, itemsize=size, meminfo=None)
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
