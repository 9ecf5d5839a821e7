"""Predictions measured by class: a table, and the confusion matrix where it fits."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from netspec.base import html
from netspec.base.html import Markup
from netspec.train.evaluate import Scored
from netspec.train.metrics import TOP, ByClass, by_class, confusion_matrix, figures
from netspec.ui.screen import figures_in_words
from netspec.ui.tables import WIDTH, Justify, as_text, table

MOST_CLASSES = 40
"""Classes that the table lists; of more, the worst ones."""
WORST = 20
CONFUSIONS = 10
LONGEST = 28
"""Letters of a label that are shown: its beginning and its end."""
LEAST_SHADE = 0.25
"""Of a confusion, as a share of the strongest."""
FIGURES = ("precision", "recall", "f1", "roc_auc")


@dataclass(frozen=True)
class ClassReport(ByClass):
    """Figures of `rows` rows as `model.evaluate` gives them, and by class, in the order of `labels`; prints as a table of 80 columns.

    `confusion` (C, C) counts rows by label and prediction; `precision`, `recall`, `f1`, `roc_auc`, `support` and `chosen` are (C,). Where a
    row has several answers these are by answer, (K,), and `confusion` is (K, 2, 2).
    """

    rows: int
    figures: dict[str, float]
    labels: NDArray[Any]
    confusion: NDArray[np.int64]

    def as_json(self) -> dict[str, Any]:
        """`by_class`, an object for each, and `confusion`."""
        names = ("support", *FIGURES)
        objects = [
            {"label": label, **{name: getattr(self, name)[k] for name in names}} for k, label in enumerate(self.labels.tolist())
        ]  # fmt: skip
        return {"by_class": objects, "macro": self.macro(), "confusion": self.confusion}

    def shown(self) -> list[int]:
        """The classes of the table: all, or of very many those with the lowest F1."""
        if len(self.labels) <= MOST_CLASSES:
            return list(range(len(self.labels)))
        found: list[int] = np.sort(np.argsort(np.where(self.counted, self.f1, np.inf), kind="stable")[:WORST]).tolist()
        return found

    def table(self) -> Table:
        """The figures by class, and their plain mean; of very many classes those with the lowest F1."""
        lines = [[self.name(k), *(_share(getattr(self, name)[k]) for name in FIGURES), f"{self.support[k]:,}"] for k in self.shown()]
        means = self.macro()
        lines.append(["mean", *(_share(means[name]) for name in FIGURES), f"{self.support.sum():,}" if self.exclusive else ""])
        columns: list[tuple[str, Justify]] = [("class", "left"), *((name, "right") for name in (*FIGURES, "rows"))]
        title = f"the {WORST} of {len(self.labels)} classes with the lowest f1" if len(self.labels) > MOST_CLASSES else None
        return table(columns, lines, title, wrap=("class",))

    def matrix(self, width: int = WIDTH) -> Table | None:
        """The confusion matrix; None where a row has several answers, or its columns do not fit."""
        if not self.exclusive or 3 * len(self.labels) > width:
            return None
        names = [self.name(k) for k in range(len(self.labels))]
        counts = [[f"{count:,}" for count in row] for row in self.confusion.tolist()]
        for heads in (names, [str(k) for k in range(len(names))]):  # long names give way to the numbers of the classes
            beside = names if heads == names else [f"{k} {name}" for k, name in enumerate(names)]
            columns = [max(len(head), *(len(row[k]) for row in counts)) + 2 for k, head in enumerate(heads)]
            if max(map(len, beside)) + 2 + sum(columns) - 2 <= width:
                lines = [[name, *row] for name, row in zip(beside, counts, strict=True)]
                return table([("", "left"), *((head, "right") for head in heads)], lines)
        return None

    def confusions(self) -> Table | None:
        """The most frequent confusions of two classes, with their share of the rows of the class; None where there is none."""
        if not self.exclusive:
            return None
        lines = [[self.name(i), self.name(j), f"{count:,}", f"{count / self.support[i]:.1%}"] for i, j, count in self.pairs()]
        columns: list[tuple[str, Justify]] = [("label", "left"), ("taken for", "left"), ("rows", "right"), ("share", "right")]
        return table(columns, lines, wrap=("label", "taken for")) if lines else None

    def pairs(self) -> list[tuple[int, int, int]]:
        """(label, prediction, rows) of the most frequent confusions."""
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong.reshape(-1), kind="stable")[:CONFUSIONS]
        places = (divmod(int(at), len(wrong)) for at in order)
        return [(i, j, int(wrong[i, j])) for i, j in places if wrong[i, j]]

    def parts(self, width: int = WIDTH) -> list[Table | Text]:
        """What is printed, from top to bottom."""
        found: list[Table | Text] = [Text(figures_in_words(self.figures, width)), Text(), self.table()]
        matrix, confusions = self.matrix(width), self.confusions()
        if matrix is not None:
            found += [Text(), Text("confusion matrix: a line for each label, a column for each prediction"), matrix]
        elif confusions is not None:
            found += [Text(), Text("most frequent confusions"), confusions]
        return found

    def name(self, k: int) -> str:
        """The label of class k, cut where it is long."""
        return shortened_label(self.labels[k])

    def __str__(self) -> str:
        return as_text(*self.parts())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows: the same figures; in the confusion matrix a cell is the stronger the more of its label's rows it has, blue
        where the prediction is right, orange and bold where it is wrong."""
        means = self.macro()
        shown = self.shown()
        lines = [[str(self.labels[k]), *(_share(getattr(self, name)[k]) for name in FIGURES), f"{self.support[k]:,}"] for k in shown]
        mean = ["mean", *(_share(means[name]) for name in FIGURES), f"{self.support.sum():,}" if self.exclusive else ""]
        columns: list[tuple[str, Justify]] = [("class", "left"), *((name, "right") for name in (*FIGURES, "rows"))]
        few = html.faint(f"the {WORST} of {len(self.labels)} classes with the lowest f1") if len(shown) < len(self.labels) else ""
        told = html.table(columns, [*lines, [html.bold(cell) for cell in mean]])
        return html.page(html.line(html.figures(figures_in_words(self.figures))), html.line(few), told, self._matrix_page())

    def _matrix_page(self) -> Markup:
        if not self.exclusive:
            return Markup()
        if len(self.labels) > MOST_CLASSES:
            pairs = [(self.labels[i], self.labels[j], f"{count:,}", f"{count / self.support[i]:.1%}") for i, j, count in self.pairs()]
            columns: list[tuple[str, Justify]] = [("label", "left"), ("taken for", "left"), ("rows", "right"), ("share", "right")]
            return html.joined(html.line(html.faint("most frequent confusions")), html.table(columns, pairs)) if pairs else Markup()
        names = [self.name(k) for k in range(len(self.labels))]
        rows = (
            [html.bold(name), *(_counted(count, count / max(1, sum(counts)), i == j) for j, count in enumerate(counts))]
            for i, (name, counts) in enumerate(zip(names, self.confusion.tolist(), strict=True))
        )
        words = html.faint("confusion matrix: a line for each label, a column for each prediction; wrong ones are orange and bold")
        return html.joined(html.line(words), html.table([("", "left"), *((name, "right") for name in names)], rows))


def report_of(scored: Scored, labels: NDArray[Any], threshold: float | NDArray[Any] = 0.5, top: int = TOP) -> ClassReport:
    """The report of scores of a head for classes; `labels` are the words of the classes."""
    head, scores, y = scored.head, scored.scores, scored.y
    confidence = head.confidence(scores)
    found = by_class(head, scores, confidence, y, threshold)
    numbers = {**scored.headline(threshold), **figures(head, scores, confidence, y, found, top)}
    return ClassReport(
        **vars(found), rows=len(y), figures=numbers, labels=labels, confusion=confusion_matrix(head, scores, y, threshold)
    )  # fmt: skip


def shortened_label(label: Any) -> str:
    """Its words, cut in the middle where they are long."""
    name = str(label)
    return name if len(name) <= LONGEST else f"{name[:14]}...{name[14 + 3 - LONGEST :]}"


def _counted(count: int, share: float, right: bool) -> Markup:
    """A cell of the confusion matrix. The shade of a confusion begins stronger and grows faster, so that few are seen too."""
    if right or not count:
        return html.shaded(f"{count:,}" if count else html.faint("0"), share)
    return html.shaded(html.bold(f"{count:,}"), LEAST_SHADE + (1 - LEAST_SHADE) * sqrt(share), html.ORANGE)


def _share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4f}"
