"""A net and a training for what was found: sizes that suit the rows, written as a person would write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from netspec.base.errors import DataError, Problem
from netspec.base.shape import is_image
from netspec.train.split import part_sizes
from netspec.ui.start.look import Found

SMALL, LARGE = 200, 20_000
"""Rows: below the first nothing is normalised by batches, and above the second a tenth of the rows is more than is needed to measure."""
UPDATES = 3000
"""Of a whole training, about."""
LEAST_EPOCHS, MOST_EPOCHS = 10, 500
SPLITS: Sequence[tuple[float, ...]] = ((0.9, 0.05, 0.05), (0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.8, 0.2), (0.6, 0.4), (0.5, 0.5))


@dataclass(frozen=True)
class Design:
    """What stands behind `split`, `normalize`, `transforms`, `net` and `train`. `scaled` is the lr_scale of the last affine, or 1."""

    split: tuple[float, ...]
    normalize: str | None
    transforms: tuple[str, ...]
    net: str
    batch: int
    epochs: int
    patience: int
    l2: str | None
    scaled: float


def design(found: Found) -> Design:
    """The design. Raises DataError where there are too few rows for two parts."""
    split = _split(found)
    rows = int(split[0] * found.rows)
    batch = _batch(rows)
    steps = ceil(rows / batch)
    image = is_image(found.shape) and min(found.shape[1:]) >= 4
    most = MOST_EPOCHS // 10 if image else MOST_EPOCHS
    epochs = min(most, max(LEAST_EPOCHS, ceil(UPDATES / steps)))
    scaled = 1.0 if 0.1 <= found.scale <= 10 else float(f"{found.scale:.0e}")
    chain = (_images if image else _vectors)(found, rows)
    normalize, transforms = _preparation(found)
    l2 = "1e-3" if rows < 5 * SMALL and found.kind != "values" else None  # large values need large weights
    return Design(split, normalize, transforms, f"{chain} -> {_end(found, scaled)}", batch, epochs, max(5, epochs // 5), l2, scaled)


def _split(found: Found) -> tuple[float, ...]:
    if found.has_test:
        return (0.9, 0.1)
    first = 0 if found.rows >= LARGE else 1 if found.rows >= SMALL else 2
    for split in SPLITS[first:]:
        try:
            part_sizes(split, found.rows)
        except (DataError, Problem):
            continue
        return split
    raise DataError(f"{found.place.keys.get('path', 'the data')}: {found.rows} row; at least 2 are needed, to train and to validate")


def _batch(rows: int) -> int:
    for most, batch in ((SMALL, 16), (2000, 32), (LARGE, 64)):
        if rows < most:
            return batch
    return 128


def _preparation(found: Found) -> tuple[str | None, tuple[str, ...]]:
    """(normalize, transforms): bytes to 0..1, colours by channel, columns each by its own mean, after text has become numbers."""
    if is_image(found.shape):
        return ("rescale" if found.shape[0] == 1 else "per_channel"), ()
    return (None, ("one_hot", "per_feature")) if found.texts else ("per_feature", ())


def _vectors(found: Found, rows: int) -> str:
    """One or two hidden layers, wider for more rows."""
    width = next((width for most, width in ((SMALL, 16), (1000, 32), (10_000, 64), (100_000, 128)) if rows < most), 256)
    drop = "" if rows < 1000 else "-dropout(10%)"
    norm = "" if rows < SMALL else "-bn"
    hidden = f"affine({width}){norm}-relu{drop}"
    return hidden if rows < 1000 else f"[{hidden}]x2"


def _images(found: Found, rows: int) -> str:
    """A unit of convolution and pool for each halving down to about four pixels, then one hidden layer."""
    units = min(4, max(1, (min(found.shape[1:]) // 4).bit_length()))
    first = 16 if min(found.shape[1:]) > 32 else 32
    channels: Sequence[int] = [first * 2**unit for unit in range(units)]
    convs = f"[conv(c)-bn-relu-pool]x(c: {', '.join(map(str, channels))})" if units > 1 else f"conv({first})-bn-relu-pool"
    return f"{convs} -> affine({64 if rows < 2000 else 128})-bn-relu-dropout(25%)"


def _end(found: Found, scaled: float) -> str:
    if found.kind == "values":
        zeros = "init=zeros, " if scaled < 1 else ""  # weights that start at their usual size would take long to become so small
        return f"affine({zeros}lr_scale={number(scaled)}) -> linear" if scaled != 1 else "affine -> linear"
    binary = found.kind == "labels" or (found.kind == "classes" and found.count == 2)
    return "affine -> sigmoid" if binary else "affine -> softmax"


def number(value: float) -> str:
    """`200000`, `0.05`: as a spec writes it."""
    return f"{value:.0f}" if value >= 1 else f"{value:g}"
