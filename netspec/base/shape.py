"""Shapes of one row, without the batch: (D,) a vector, (C, H, W) an image, () a single number."""

from __future__ import annotations

from math import prod

Shape = tuple[int, ...]


def size(shape: Shape) -> int:
    """Elements of one row, as a Python int of any size."""
    return prod(shape)


def show(shape: Shape) -> str:
    """`3x32x32`, as a spec writes it."""
    return "x".join(map(str, shape))


def is_image(shape: Shape) -> bool:
    return len(shape) == 3
