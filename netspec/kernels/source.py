"""The text of a kernel module, put together: imports for the element type, the template functions, the words, the kernel functions."""

from __future__ import annotations

from netspec.kernels.launch import Word
from netspec.kernels.templates import Template

HEADER = """\
import math

import numpy as np
from numba import cfunc, njit

from netspec.kernels.{module} import F, ITEMSIZE, LANES, PANEL, erf, exp, expm1, floats, log, log1p, tanh
from netspec.kernels.native import (
    AUGMENT, CONTROL_WORDS, FINISH, FIRST, GEOMETRY_WORDS, INLINE, KERNEL, OPTIONS, OTHERS, ROWS, SCALARS, SEED, START, STEP,
    UPDATE_STATE,
    as_double, call_at, clear, clear_bytes, clear_image, copy, doubles, random_bits, share_end, share_start,
    stream_key, words,
)

# a loop with a call in it does not vectorise, and LLVM's own measure leaves log1p and erf calls
ELEMENT = {{**INLINE, "forceinline": True}}
# sums over a row by lanes, so that its loop vectorises; a call with its arrays would cost 30 ns a row
ROW = {{**ELEMENT, "fastmath": {{"contract", "reassoc"}}}}
"""

MODULES = {4: "f32", 8: "f64"}


class Words:
    """The words of a launch, by name: what a kernel reads as `p[3]` is filled in by its launch under the name it was declared with."""

    def __init__(self) -> None:
        self.values: list[Word] = []

    def add(self, value: Word) -> str:
        """Appends a word and returns the expression that reads it."""
        self.values.append(value)
        return f"p[{len(self.values) - 1}]"

    def extend(self, *values: Word) -> None:
        """Appends words that are read by their number."""
        self.values += values

    def add_float(self, value: float) -> str:
        """Appends the bits of a float64 and returns the expression that gives it in the element type."""
        self.values.append(float(value))
        return f"F(as_double(p[{len(self.values) - 1}]))"


def module_text(itemsize: int, templates: list[Template], body: str) -> str:
    """A whole module; each template once."""
    functions = {template.name: template.source for template in templates}
    return "\n\n".join([HEADER.format(module=MODULES[itemsize]), *functions.values(), body])


def indent(text: str, levels: int) -> str:
    """Every line deeper by `levels` of four spaces."""
    return "".join(f"{'    ' * levels}{line}\n" if line else "\n" for line in text.splitlines())
