"""The confusion matrix as cells with a shade, or the most frequent confusions where it is too large."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isnan, sqrt

import numpy as np

from netspec.ui.class_report import CONFUSIONS, FIGURES, MOST_CLASSES, WORST, ClassReport

MOST = 20
"""Classes of a matrix that is shown whole."""
SHADES, SHORT = 9, 4  # of a colour; letters of a name


@dataclass(frozen=True)
class Cell:
    """A count, with the CSS class of its shade and what it says in words."""

    count: int
    shade: str
    told: str


@dataclass(frozen=True)
class Matrix:
    """`rows` has a line for each label, a cell for each prediction."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def has_long_names(self) -> bool:
        """Whether they are wider than a count: above the columns they then stand upright."""
        return any(len(name) > SHORT for name in self.names)


@dataclass(frozen=True)
class ByClass:
    """Figures by class as cells; `pairs` are the most frequent confusions: label, prediction, rows, share."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    means: tuple[str, ...]
    matrix: Matrix | None
    pairs: tuple[tuple[str, str, str, str], ...]


def by_class(report: ClassReport) -> ByClass:
    """All classes, or of very many those with the lowest F1."""
    count = len(report.labels)
    shown = np.arange(count)
    title = "Figures by class" if report.exclusive else "Figures by answer"
    if count > MOST_CLASSES:
        shown = np.sort(np.argsort(np.where(report.counted, report.f1, np.inf), kind="stable")[:WORST])
        title = f"The {WORST} of {count:,} classes with the lowest F1"
    rows = tuple(
        (report.name(k), *(_share(float(getattr(report, name)[k])) for name in FIGURES), f"{int(report.support[k]):,}")
        for k in shown.tolist()
    )
    means = report.macro()
    return ByClass(
        title, ("precision", "recall", "F1", "ROC AUC", "rows"), rows, tuple(_share(means[name]) for name in FIGURES),
        _matrix(report) if report.exclusive and count <= MOST else None, _pairs(report) if report.exclusive else (),
    )  # fmt: skip


def _matrix(report: ClassReport) -> Matrix:
    names = tuple(report.name(k) for k in range(len(report.labels)))
    return Matrix(
        names,
        tuple(
            tuple(
                Cell(count, _shade(count, int(report.support[i]), i == j), f"label {names[i]}, predicted {names[j]}: {count:,} rows")
                for j, count in enumerate(line)
            )
            for i, line in enumerate(report.confusion.tolist())
        ),
    )


def _shade(count: int, rows: int, right: bool) -> str:
    """By the share of the label's rows; that of a confusion grows faster, so that few are seen too."""
    if not count:
        return "none"
    share = count / rows
    return f"{'hit' if right else 'miss'} h{ceil(SHADES * (share if right else sqrt(share)))}"


def _pairs(report: ClassReport) -> tuple[tuple[str, str, str, str], ...]:
    wrong = report.confusion - np.diag(report.confusion.diagonal())
    order = np.argsort(-wrong.reshape(-1), kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(at), len(wrong)) for at in order if wrong.reshape(-1)[at]]
    return tuple((report.name(i), report.name(j), f"{int(wrong[i, j]):,}", f"{wrong[i, j] / report.support[i]:.1%}") for i, j in pairs)


def _share(value: float) -> str:
    return "-" if isnan(value) else f"{value:.4f}"
