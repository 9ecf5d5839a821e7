"""Nets drawn at random: as a text, with the shape of an input row."""

from __future__ import annotations

import numpy as np

ACTIVATIONS = ("relu", "tanh", "leaky_relu", "sigmoid", "elu", "gelu", "silu", "softplus", "prelu", "prelu", "", "relu")
NORMALIZATIONS = ("", "bn", "bn", "layernorm", "groupnorm(1)")
HEADS = ("softmax", "svm", "sigmoid", "linear")


def _unit(draw: np.random.Generator, first: str) -> str:
    """A run: `first`, perhaps a normalization, perhaps an activation, perhaps dropout."""
    drop = "dropout2d(30%)" if first.startswith("conv") and draw.random() < 0.5 else "dropout(30%)"
    parts = [first, str(draw.choice(NORMALIZATIONS)), str(draw.choice(ACTIVATIONS)), str(draw.choice(["", "", drop]))]
    return "-".join(part for part in parts if part)


def random_spec(seed: int) -> tuple[str, tuple[int, ...]]:
    """A chain of one to three units that ends in a head, and the shape that it takes."""
    draw = np.random.default_rng([seed, 9])
    units = [str(draw.choice(["", "bn", "tanh", "id", "prelu"]))]
    shape: tuple[int, ...] = (int(draw.integers(1, 40)),)
    if draw.random() < 0.5:
        shape = (int(draw.choice([1, 3, 5, 16])), int(draw.integers(6, 13)), int(draw.integers(6, 13)))
        for _ in range(draw.integers(1, 3)):
            kernel, stride = draw.integers(1, 4, 2), draw.integers(1, 3)
            units.append(_unit(draw, f"conv({draw.integers(1, 20)}, kernel={kernel[0]}x{kernel[1]}, stride={stride})"))
            units.append(str(draw.choice(["", "pool(3, stride=2, pad=1)", "avgpool(3, stride=1, pad=1)", "pool(1)", "upsample(1x2)"])))
        units.append(str(draw.choice(["", "globalpool", "flatten"])))
    if draw.random() < 0.3:
        units.append("affine(30)-reshape(2x3x5)-upsample(1x2)-reshape(5x4x3)-prelu-dropout2d(30%)")
    units += [_unit(draw, f"affine({draw.integers(1, 40)})") for _ in range(draw.integers(0, 3))]
    units += ["affine", str(draw.choice(HEADS))]
    return " -> ".join(unit for unit in units if unit), shape


def random_labels(draw: np.random.Generator, text: str, rows: int, classes: int) -> np.ndarray:
    """Labels for the head of a text."""
    head = text.rsplit(" ", 1)[1]
    if head in ("softmax", "svm"):
        return draw.integers(0, classes, rows)
    return draw.integers(0, 2, (rows, classes)) if head == "sigmoid" else draw.normal(size=(rows, classes))
