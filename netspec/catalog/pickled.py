"""Reads a pickled dict of bytes, text, whole numbers, lists and numeric arrays, and refuses everything else.

Nothing is unpickled: the operations of the file are listed by `pickletools`, and only those that build the values above are carried out
here. No module is imported for a file and no object of a class is made, so that reading one runs no code of its author's. Format:
Python's `pickle`, protocols 2 to 5, and how NumPy writes arrays with it.
"""

from __future__ import annotations

import pickletools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError
from netspec.catalog.arrays import MOST_AXES, first_line

MOST_OPERATIONS = 1_000_000
"""Of a file: a batch of 10,000 images takes 60,000."""
DEEPEST = 8
"""Of lists, dicts and tuples in each other: a batch has them two deep."""
ALLOWED = "dict, list, tuple, bytes, text, whole numbers and arrays of numbers"
ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
BUFFERS = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
NAMES = (*ARRAYS, *BUFFERS, "numpy.ndarray", "numpy.dtype", "_codecs.encode", "__builtin__.bytes")
"""What a pickled array names. None of it is called: what it would make is made here."""


@dataclass
class _Array:
    """An array, whose contents come after it was begun."""

    values: NDArray[Any] | None = None


@dataclass
class _Dtype:
    code: str
    order: str = "="

    def dtype(self) -> np.dtype[Any]:
        if not re.fullmatch("[biuf][1248]", self.code) or self.order not in "<>=|":
            raise _Refused(f"an array of dtype {(self.order + self.code)[:40]!r}")
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]  # compared with the four orders above


@dataclass(frozen=True)
class _Name:
    """A function or class of a module, as a word."""

    text: str


class _Refused(Exception):  # noqa: N818  a bare fact on its way to the message
    """Something that such a file has no need of."""


def load_pickled(content: bytes, name: str) -> dict[bytes, Any]:
    """The dict that a file holds, its keys as bytes. Raises DataError, opened by `name`, where it is damaged or holds anything else."""
    try:
        with warnings.catch_warnings(action="ignore"):  # pickletools decodes escapes in the names of a damaged file
            found = _interpret(content)
            _require_shallow(found)
    except _Refused as refused:
        raise DataError(f"{name}: holds {refused}; such a file holds {ALLOWED} only, so it is not read") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{name}: cut off or damaged: {first_line(error)}") from None
    if not isinstance(found, dict):
        raise DataError(f"{name}: holds a {type(found).__name__}, where a dict is needed")
    return {key.encode() if isinstance(key, str) else key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    return value.values if isinstance(value, _Array) else value


def _require_shallow(found: Any) -> None:
    """Level by level, each list, dict or tuple of a level once, however many hold it: what holds itself has no last level."""
    level: list[Any] = [[found]]
    for _ in range(DEEPEST + 1):
        inside = (inner for value in level for inner in (value.values() if isinstance(value, dict) else value))
        level = list({id(inner): inner for inner in inside if isinstance(inner, (dict, list, tuple))}.values())
    if level:
        raise _Refused(f"lists, dicts or tuples more than {DEEPEST} deep in each other")


def _interpret(content: bytes) -> Any:
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    operations: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]] = pickletools.genops(content)
    for number, (operation, argument, _) in enumerate(operations):
        if number == MOST_OPERATIONS:
            raise _Refused(f"more than {MOST_OPERATIONS:,} operations")
        match operation.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[operation.name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(argument)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                argument.encode()  # half a surrogate pair is no text, and raises
                stack.append(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                stack.append(bytes(argument))
            case "BINSTRING" | "SHORT_BINSTRING":
                stack.append(argument.encode("latin-1"))  # a string of Python 2 is bytes
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                start = marks.pop() if operation.name == "TUPLE" else len(stack) - int(operation.name[-1])
                stack[start:] = [tuple(_taken(stack, start))]
            case "APPEND" | "APPENDS":
                start = marks.pop() if operation.name == "APPENDS" else len(stack) - 1
                _require(stack[start - 1], list).extend(_taken(stack, start))
                del stack[start:]
            case "SETITEM" | "SETITEMS":
                start = marks.pop() if operation.name == "SETITEMS" else len(stack) - 2
                items = _taken(stack, start)
                _require_keys(items[::2])
                _require(stack[start - 1], dict).update(zip(items[::2], items[1::2], strict=True))
                del stack[start:]
            case "GLOBAL":
                stack.append(_name(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                stack[-2:] = [_name(".".join(stack[-2:]))]
            case "REDUCE":
                stack[-2:] = [_made(*stack[-2:])]
            case "BUILD":
                state = stack.pop()
                _fill(stack[-1], state)
            case other:
                raise _Refused(f"the operation {other}")
    raise ValueError("it ends before its last operation")


def _taken(stack: list[Any], start: int) -> list[Any]:
    if start < 0:
        raise IndexError("an operation without its operands")
    return stack[start:]


def _require(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a {type(value).__name__}, where a {kind.__name__} is needed")
    return value


def _require_keys(keys: list[Any]) -> None:
    """Text and bytes, which Python hashes with a secret: tuples overflow its stack where they are deep, and chosen numbers collide."""
    for key in keys:
        if type(key) not in (str, bytes):
            raise _Refused(f"a key of type {type(key).__name__.strip('_').lower()}")


def _name(text: str) -> _Name:
    if text not in NAMES:
        raise _Refused(f"a call of {text[:80]!r}")
    return _Name(text)


def _made(name: Any, given: Any) -> Any:
    """What a call in the file stands for."""
    match _require(name, _Name).text, _require(given, tuple):
        case text, (_Name("numpy.ndarray"), *_) if text in ARRAYS:
            return _Array()
        case text, (bytes() as data, _Dtype() as dtype, tuple() as shape, order) if text in BUFFERS:
            return _Array(_array(data, shape, dtype, order == "F"))
        case "numpy.dtype", (str() | bytes() as code, *_):
            return _Dtype(code.decode("ascii") if isinstance(code, bytes) else code)
        case "_codecs.encode", (str() as text, "latin1"):
            return text.encode("latin-1")
        case "__builtin__.bytes", ():
            return b""
        case text, _:
            raise _Refused(f"a call of {text!r} with unknown arguments")


def _fill(value: Any, state: Any) -> None:
    """What was begun gets its contents."""
    match value, state:
        case _Array(), (int(), tuple() as shape, _Dtype() as dtype, fortran, bytes() as data):
            value.values = _array(data, shape, dtype, bool(fortran))
        case _Dtype(), (int(), str() | bytes() as order, *_):
            value.order = order.decode("ascii") if isinstance(order, bytes) else order
        case _:
            raise _Refused(f"a state of {type(value).__name__.strip('_').lower()} in an unknown form")


def _array(data: bytes, shape: tuple[Any, ...], dtype: _Dtype, fortran: bool) -> NDArray[Any]:
    kind = dtype.dtype()
    if len(shape) > MOST_AXES or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array whose shape is no tuple of sizes")
    if prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"an array declares the shape {str(shape)[:80]} of {kind}, and has {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")
