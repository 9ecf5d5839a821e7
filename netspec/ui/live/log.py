"""A run in lines, for a file or a pipe: what it is, an epoch each, how it ended. Pure: a story in, texts out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.save.story import State, Story, number, whole
from netspec.ui.live.facts import best_of, metrics_of
from netspec.ui.live.view import clean, in_time, named, reason_and_remedy

FIGURES = ("loss", "train_accuracy", "val_loss", "val_accuracy")


def begin_lines(name: str, story: Story) -> list[str]:
    """`runs/digits: affine(10) -> softmax`."""
    net = clean(str(story.begun.get("net", "")))
    return [f"{clean(name)}: {net}" if net else clean(name)]


def epoch_line(row: Mapping[str, Any], story: Story) -> str:
    """`epoch 3/30  step 69  loss 0.1234  val_accuracy 0.9721  0:12`."""
    of, seconds = whole(story.begun, "epochs"), number(row, "seconds")
    counted = f"epoch {whole(row, 'epoch'):,}{f'/{of:,}' if of else ''}"
    return "  ".join([counted, f"step {whole(row, 'step'):,}", *named(row, FIGURES), *([] if seconds is None else [in_time(seconds)])])


def end_lines(name: str, story: Story, state: State) -> list[str]:
    """The best epoch, the figures that were measured, and what became of the run."""
    best, metrics = best_of(story), metrics_of(story)
    kept = [] if best is None else ["  ".join([f"best epoch {whole(best, 'epoch'):,}", *named(best, ("val_accuracy", "val_loss"))])]
    split = clean(str((story.end or {}).get("split", "")))[:20]
    measured = ["  ".join([split, *named(metrics, list(metrics))])] if metrics else []
    why = clean(reason_and_remedy(name, story, state))
    return [*kept, *measured, f"{state}: {why}" if why else state]
