"""What came out of a training: the epoch that was kept, figures on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.base import html
from netspec.base.html import Markup
from netspec.frontend.program import Program
from netspec.train.cautions import went_wrong
from netspec.train.history import History, best_row
from netspec.ui.screen import figures_in_words

HEADLINE = ("loss", "accuracy", "r2", "mae", "rmse")
"""Of the metrics those that are printed; `netspec eval` prints all."""


def rows_in_words(rows: Mapping[str, int]) -> str:
    """`train 80, validation 10, test 10; the split leaves out 500`."""
    parts = ", ".join(f"{name} {count:,}" for name, count in rows.items() if name != "unused")
    return f"{parts}; the split leaves out {rows['unused']:,}" if "unused" in rows else parts


def results_page(program: Program, history: History, rows: Mapping[str, int], split: str, metrics: Mapping[str, float]) -> Markup:
    """What a notebook shows of it."""
    found = [("rows", rows_in_words(rows))]
    if history.epochs:
        best, last = best_row(history.epochs), history.epochs[-1]
        found.append(("best epoch", f"{best['epoch']} of {last['epoch']}"))
        if best["val_loss"] is not None and split == "test":
            found.append(("validation", figures_in_words({"loss": best["val_loss"], "accuracy": best["val_accuracy"]})))
    if history.stopped:
        found.append(("stopped", history.stopped))
    found.append((split, figures_in_words({name: metrics[name] for name in HEADLINE if name in metrics})))
    wrong = went_wrong(program, history, metrics.get("r2"))
    told = html.line(html.bold("warning", html.ORANGE), ": ", wrong) if wrong else Markup()
    return html.joined(html.table((("", "left"), ("", "left")), [(html.faint(name), html.figures(text)) for name, text in found]), told)
