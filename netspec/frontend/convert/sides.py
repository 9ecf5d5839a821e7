"""The sides of a square image, where a model does not say them, from the features that its fully connected layers take."""

from __future__ import annotations

from netspec.frontend.convert.mapping import map_steps
from netspec.frontend.convert.rows import Sides
from netspec.frontend.convert.sketch import Sketch

MOST = 512
MOST_STEPS = 100
"""Beyond these trying every side would take long."""


def square_side(sketch: Sketch) -> tuple[Sides | None, list[str]]:
    """The shape of a row with the sides that fit, and what to say of it; the shape as it is where nothing tells, or nothing fits.

    Of several sides that fit, the one that halves most often: pools and strides then leave no pixel out.
    """
    shape = sketch.input
    if shape is None or len(sketch.steps) > MOST_STEPS or not _tells(sketch, shape):
        return shape, []
    fits: list[int] = []
    for side in range(1, MOST + 1):
        if map_steps(sketch, (shape[0], side, side)).misfits == 0:
            fits.append(side)
        elif fits:  # features grow with the sides, so those that fit stand together
            break
    if not fits:
        return shape, []
    side = max(fits, key=lambda side: (side & -side, -side))
    others = "" if len(fits) == 1 else f" ({fits[0]} to {fits[-1]} fit)"
    note = f"its images are read as {shape[0]}x{side}x{side}, square ones that its weights fit{others}; --input gives other sides"
    return (shape[0], side, side), [note]


def _tells(sketch: Sketch, shape: Sides) -> bool:
    """Whether images larger than any are refused: then some layer says what has to arrive."""
    return map_steps(sketch, (shape[0], MOST + 1, MOST + 1)).misfits > 0
