"""The rows with the largest loss: what they are, what the net takes them for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.figure import shown_figure
from netspec.base.loss import Loss
from netspec.base.shape import Shape, is_image, size
from netspec.train.columns import Columns
from netspec.train.data import Part
from netspec.ui.class_report import shortened_label
from netspec.ui.report.images import pictures
from netspec.ui.report.measured import Measured

if TYPE_CHECKING:
    from netspec.model import Model

LOOKED_AT = 10_000
"""Rows, and elements of their inputs, that are looked at for what is usual."""
LOOKED_AT_ELEMENTS = 1 << 22
MOST_PICTURES, MOST_ROWS = 24, 12
FEATURES = 4
"""Of a row that are shown: those farthest from what is usual."""
LISTED = 4
"""Of several values of a row that are shown."""


@dataclass(frozen=True)
class Mistake:
    """A row of a split. `row` counts from 0 in the data, `confidence` is the probability of the prediction, `share` that of the label;
    `picture` is a data URI, `features` the numbers of a vector in words."""

    row: int
    loss: float
    label: str
    predicted: str
    right: bool
    confidence: float | None = None
    share: float | None = None
    picture: str = ""
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mistakes:
    """The worst of `looked_at` rows, the largest loss first; `sides` (H, W) where they are images."""

    rows: tuple[Mistake, ...]
    looked_at: int
    sides: tuple[int, int] | None = None

    @property
    def wrong(self) -> int:
        return sum(not one.right for one in self.rows)


def worst(model: Model, measured: Measured) -> Mistakes:
    """Of the first rows of the split, at most LOOKED_AT."""
    graph, scored, part = model.graph, measured.scored, measured.part
    count = min(len(scored.y), LOOKED_AT)
    losses = row_losses(graph.loss, scored.scores[:count], scored.y[:count])
    image = image_shape(graph.input.shape, model.origin.row if model.origin is not None else None)
    order = np.argsort(-np.nan_to_num(losses, nan=np.inf), kind="stable")[: MOST_PICTURES if image else MOST_ROWS]
    numbers = order if part.index is None else part.index[order]
    told = _told(model, scored.scores[order], scored.y[order])
    x = part.rows.x[numbers]
    shown = pictures(x.reshape(len(x), *image)) if image and len(x) else [""] * len(x)
    features = [()] * len(x) if image else _features(x, _usual(part, count), model.columns)
    rows = tuple(
        Mistake(int(row), float(losses[at]), *words, picture, tuple(vector))
        for row, at, words, picture, vector in zip(numbers, order, told, shown, features, strict=True)
    )
    return Mistakes(rows, count, (image[1], image[2]) if image else None)


def row_losses(loss: Loss, scores: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """The loss (N,) of each row, from scores (N, ...) and encoded labels."""
    exact = scores.astype(np.float64)
    with np.errstate(all="ignore"):
        return np.array([loss.reference(exact[at : at + 1], y[at : at + 1]) for at in range(len(y))], np.float64)


def image_shape(shape: Shape, origin: Sequence[int] | None) -> tuple[int, int, int] | None:
    """(C, H, W) of rows that are images, or were before they became vectors."""
    for found in (tuple(shape), tuple(origin or ())):
        if is_image(found) and size(found) == size(shape):
            return found[0], found[1], found[2]
    return None


def _told(model: Model, scores: NDArray[Any], y: NDArray[Any]) -> list[tuple[str, str, bool, float | None, float | None]]:
    """(label, prediction, whether they are the same, their probabilities) of each row."""
    head = model.graph.head
    predicted = head.predict(scores)
    if head.target == "value":
        return [(_listed(a), _listed(b), False, None, None) for a, b in zip(y, predicted, strict=True)]
    wanted = y.reshape(predicted.shape).astype(np.int64)
    if predicted.ndim == 2:
        return [_several(a, b) for a, b in zip(wanted, predicted, strict=True)]
    labels = model.classes_
    assert labels is not None, "a head for classes"
    names = [shortened_label(labels[k]) for k in range(len(labels))]
    p = head.predict_proba(scores) if head.has_probabilities else None
    pairs: list[tuple[int, int]] = np.stack([wanted, predicted.astype(np.int64)], axis=1).tolist()
    if p is None:
        return [(names[a], names[b], a == b, None, None) for a, b in pairs]
    return [(names[a], names[b], a == b, float(p[at, b]), float(p[at, a])) for at, (a, b) in enumerate(pairs)]


def _several(wanted: NDArray[Any], predicted: NDArray[Any]) -> tuple[str, str, bool, None, None]:
    wrong = int((wanted != predicted).sum())
    return f"{int(wanted.sum()):,} of {len(wanted):,} are 1", f"{wrong:,} answers wrong", wrong == 0, None, None


def _listed(values: NDArray[Any]) -> str:
    flat = np.reshape(values, -1)
    return ", ".join(shown_figure(float(value)) for value in flat[:LISTED]) + (", ..." if len(flat) > LISTED else "")


# vectors


def _usual(part: Part, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (D,) of rows of the split."""
    few = part.first(max(2, min(count, LOOKED_AT_ELEMENTS // max(1, size(part.rows.x.shape[1:]))))).x.astype(np.float64)
    with np.errstate(all="ignore"):
        return few.mean(axis=0), few.std(axis=0)


def _features(x: NDArray[Any], usual: tuple[NDArray[np.float64], NDArray[np.float64]], columns: Columns | None) -> list[tuple[str, ...]]:
    """Of each row the columns farthest from their mean, in standard deviations: `rooms 7 (+2.5)`, `city = Oslo (+1.2)`."""
    mean, deviation = usual
    with np.errstate(all="ignore"):
        away = np.nan_to_num((x.astype(np.float64) - mean) / np.where(deviation > 0, deviation, np.inf))
    shown = features_of(columns, x.shape[1])
    found = []
    for row, far in zip(x, away, strict=True):
        places = [one.place(row) for one in shown]
        order = np.argsort(-np.abs(far[places]), kind="stable")[:FEATURES].tolist()
        found.append(tuple(f"{shown[k].told(row)} ({far[places[k]]:+.1f})" for k in order))
    return found


@dataclass(frozen=True)
class Feature:
    """A column of a table, whose numbers begin at a place of a row; of text it has one for each of its `texts`, and is one feature all the
    same."""

    name: str
    first: int
    texts: tuple[str, ...] | None = None

    def place(self, row: NDArray[Any]) -> int:
        """Where the number is that tells of this row (D,): that of its text."""
        return self.first + (0 if self.texts is None else int(np.argmax(row[self.first : self.first + len(self.texts)])))

    def told(self, row: NDArray[Any]) -> str:
        at = self.place(row)
        return (
            f"{self.name} {float(row[at]):.4g}" if self.texts is None else f"{self.name} = {shortened_label(self.texts[at - self.first])}"
        )


def features_of(columns: Columns | None, count: int) -> list[Feature]:
    """`rooms`, `city` with its texts, or `feature 3`."""
    found, at = list[Feature](), 0
    for column in columns or ():
        found.append(Feature(shortened_label(column.name), at, column.categories))
        at += 1 if column.categories is None else len(column.categories)
    return found if found and at == count else [Feature(f"feature {k}", k) for k in range(count)]
