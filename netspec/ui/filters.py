"""The weights of the first layer as a grid of small pictures. Drawn with matplotlib."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.base.kinds import Product
from netspec.base.shape import is_image, show, size
from netspec.graph.graph import Graph
from netspec.model import Model
from netspec.ui.picture import DPI, write_picture

SIDE, CELL = 900, 160
"""Pixels of the picture's longer side, and of a filter's, at most, unless a weight has no pixel of its own then."""
GREY, COLOUR = 1, 3
"""Channels that can be shown."""
GAP = (0.36, 0.45, 0.58)
"""The colour between filters, a blue that no grey filter has: with a white one, white weights at a border would be lost."""


@dataclass(frozen=True)
class Filters:
    """`images` (F, C, H, W), one for each filter or unit, of the parameter `name`."""

    name: str
    images: NDArray[np.float64]


def first_filters(model: Model) -> Filters:
    """The first layer with weights, as images of what it looks at. Raises UsageError where these are no pictures."""
    graph = model.graph
    node = next((node for node in graph.nodes if "W" in node.parameters), None)
    if node is None:
        raise UsageError("the net has no layer with weights")
    name = f"{node.name}.W"
    weights = np.asarray(model.params[name], np.float64)
    if isinstance(node.layer.geometry(node.input.shape), Product):  # type: ignore[attr-defined]  # a layer with W is a contraction
        weights = weights.T.reshape(-1, *_image_before(graph, graph.nodes.index(node), name))
    if weights.shape[1] not in (GREY, COLOUR):
        message = f"{name}: its filters have {weights.shape[1]} channels; only 1 (grey) and 3 (red, green, blue) can be shown"
        raise UsageError(message)
    if weights.shape[2:] == (1, 1):
        raise UsageError(f"{name}: its filters are single pixels (1x1), and no pictures")
    return Filters(name, weights)


def _image_before(graph: Graph, place: int, name: str) -> tuple[int, ...]:
    """The image (C, H, W) that an affine layer reads flattened. Raises UsageError where it reads none."""
    before = [graph.input.shape, *(node.output.shape for node in graph.nodes[:place])]
    images = [shape for shape in before if is_image(shape)]
    reads = before[-1]
    if not images or size(images[-1]) != size(reads):
        raise UsageError(f"{name}: the first layer with weights reads a vector ({show(reads)}), and a vector is no picture")
    return images[-1]


def grid(images: NDArray[np.float64], gap: int) -> NDArray[np.float64]:
    """Images (F, C, H, W) side by side in a square, `gap` pixels around each: (rows, columns, 3), from 0 to 1.

    Each is scaled by its own lowest and highest weight, over all its channels; one without any difference is grey.
    """
    count, _, height, width = images.shape
    columns = ceil(sqrt(count * height / width))
    rows = ceil(count / columns)
    low, high = images.min(axis=(1, 2, 3), keepdims=True), images.max(axis=(1, 2, 3), keepdims=True)
    scaled = np.where(high > low, (images - low) / np.where(high > low, high - low, 1.0), 0.5)
    whole = np.tile(GAP, (rows * (height + gap) + gap, columns * (width + gap) + gap, 1))
    for number, image in enumerate(scaled):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        whole[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return whole


def draw_filters(filters: Filters, title: str, path: Path) -> None:
    """Writes the grid, each weight a square of whole pixels. Raises SaveError."""
    count, channels, height, width = filters.images.shape
    whole = grid(filters.images, gap=max(1, max(height, width) // 12))
    pixels = max(1, min(CELL // max(height, width), SIDE // max(whole.shape[:2])))
    tall, wide = pixels * whole.shape[0], pixels * whole.shape[1]
    shape = show((channels, height, width))
    text = f"{title}   {filters.name}: {count} filters of {shape}, each from its lowest weight (dark) to its highest (bright)"
    figure = _sheet(wide, tall, text)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    full_wide, full_tall = (round(side * DPI) for side in figure.get_size_inches())
    axes.set_position(((full_wide - wide) // 2 / full_wide, 0.0, wide / full_wide, tall / full_tall))
    axes.imshow(whole, interpolation="nearest", aspect="auto")
    write_picture(figure, path)


def _sheet(wide: int, tall: int, text: str) -> Any:
    """A figure for a picture of so many pixels, with the title above it in lines that fit."""
    lines, letters = [""], max(40, wide // 8)
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > letters:
            lines.append("")
        lines[-1] += f"{word} "
    full_wide, head = max(wide, 40 * 8), 12 + 18 * len(lines)
    figure = library("matplotlib.figure", "plot").Figure(figsize=(full_wide / DPI, (tall + head) / DPI), facecolor="white")
    figure.text(
        0.5, 1 - 8 / (tall + head), "\n".join(line.strip() for line in lines), ha="center", va="top", fontsize=7.5, parse_math=False
    )
    return figure
