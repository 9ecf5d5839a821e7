"""One frame of a run: what it is, how far it has come, its figures, its curves. Pure: a story in, lines of cells out."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.text import Text

from netspec.base.colour import CONTROL
from netspec.base.figure import is_drawn, shown_figure
from netspec.save.story import State, Story, number, whole
from netspec.ui.curves import smooth
from netspec.ui.live.chart import AXIS, LEAST_HEIGHT, Row, Series, chart, is_logarithmic
from netspec.ui.live.facts import Standing, best_of, metrics_of, reason_of

STYLES: dict[State, str] = {
    "training": "bold cyan", "ended": "bold green", "stopped": "bold yellow", "interrupted": "bold yellow", "diverged": "bold red",
    "gone": "bold red",
}  # fmt: skip
COLOURS = ("cyan", "yellow")
"""Of training figures, and of validation figures."""
SIDE_BY_SIDE = 72
"""Columns from which on two charts stand beside each other."""
MOST_REASON = 3
"""Lines of the reason why a run ended early."""
TALLEST = 24
MARK = "o"
ARROW = " -> "
GAP = 2


@dataclass(frozen=True)
class Frame:
    """What is drawn, and where: `dots` where the terminal has braille, else ASCII alone."""

    name: str
    story: Story
    state: State
    standing: Standing
    width: int
    height: int
    dots: bool = True


def frame(of: Frame) -> list[Text]:
    """Lines, `height` at most, each `width` wide at most."""
    head = [*_title(of), *_progress(of), *_figures(of), *_reason(of)]
    room = of.height - len(head) - 1
    charts = _charts(of, room) if room >= LEAST_HEIGHT + 1 else []
    lines = [*head, *([Text(""), *charts] if charts else [])]
    return [_fitted(line, of.width) for line in lines[: of.height]]


def waiting(name: str, why: str, width: int) -> list[Text]:
    """Before there is anything to show."""
    return [_fitted(Text(clean(name), "bold"), width), *(Text(line) for line in textwrap.wrap(why, max(width, 10)))]


def clean(text: str) -> str:
    """A text of a file, without what would move the terminal's cursor."""
    return CONTROL.sub("?", text).replace("\n", " ")


def in_time(seconds: float) -> str:
    """`0.1 s`, `0:12`, `12:05`, `3:00:12`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _fitted(line: Text, width: int) -> Text:
    line.truncate(width, overflow="crop")
    line.no_wrap = True
    return line


def _short(text: str, width: int, dots: bool) -> str:
    end = "\u2026" if dots else "..."
    return text if len(text) <= width else f"{text[: max(width - len(end), 0)]}{end}"


def shortened_net(net: str, width: int, dots: bool) -> str:
    """A chain that ends at an arrow where there is no room for all of it: `conv(16)-relu -> pool -> \u2026`."""
    end = f"{ARROW}\u2026" if dots else f"{ARROW}..."
    if len(net) <= width:
        return net
    places = [at for at in range(len(net)) if net.startswith(ARROW, at) and at + len(end) <= width]
    return net[: places[-1]] + end if places else _short(net, width, dots)


def _title(of: Frame) -> list[Text]:
    state = Text(of.state, STYLES[of.state])
    name = Text(_short(clean(of.name), of.width - len(state) - 2, of.dots), "bold")
    first = Text.assemble(name, " " * max(of.width - len(name) - len(state), 1), state)
    net = clean(str(of.story.begun.get("net", "")))
    return [first, Text(shortened_net(net, of.width, of.dots), "dim")] if net else [first]


def _progress(of: Frame) -> list[Text]:
    """Epochs with a bar, and the times."""
    at = of.standing
    over = of.state != "training"
    running = at.epoch if over or at.epoch >= at.epochs else at.epoch + 1
    left = "epoch " + (f"{running}/{at.epochs}" if at.epochs else f"{running}")
    times = [f"{at.share:4.0%}"] if at.epochs else []
    if at.seconds is not None:
        times.append(in_time(at.seconds))
    if not over and at.left is not None:
        times.append(f"{in_time(at.left)} left")
    right = "  ".join(times)
    room = of.width - len(left) - len(right) - 4
    full, empty = "━─" if of.dots else "=-"
    if room < 4:
        return [Text(left), Text(right)]
    done = round(room * at.share)
    return [Text.assemble(left, "  ", (full * done, STYLES[of.state]), (empty * (room - done), "dim"), "  ", right)]


def _figures(of: Frame) -> list[Text]:
    story, at = of.story, of.standing
    now = [f"step {at.step:,}"]
    if at.steps_per_epoch and of.state == "training":
        now.append(f"{at.in_epoch:,} of {at.steps_per_epoch:,} in this epoch")
    losses = [loss for _, loss in story.steps[-1:]]
    lr = number(story.last, "lr")
    now += [f"loss {shown_figure(loss)}" for loss in losses] + ([f"lr {lr:.4g}"] if lr is not None else [])
    lines = _flowed(now, of.width)
    best = best_of(story)
    if best is not None:
        measured = [key for key in ("val_accuracy", "val_loss") if number(best, key) is not None] or ["train_accuracy", "loss"]
        lines += _flowed([f"best epoch {whole(best, 'epoch')}", *named(best, measured)], of.width)
    metrics = metrics_of(story)
    if metrics:
        lines += _flowed([clean(str((story.end or {}).get("split", "")))[:20], *named(metrics, list(metrics))], of.width)
    return lines


def named(figures: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    told = [(key, number(figures, key)) for key in keys]
    return [f"{clean(key)[:30]} {shown_figure(value)}" for key, value in told if value is not None]


def _flowed(parts: Sequence[str], width: int) -> list[Text]:
    """The parts in lines, none of them broken."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}  {part}".strip()
        lines = [*lines[:-1], longer] if len(longer) <= width or not lines[-1] else [*lines, part]
    return [Text(line) for line in lines]


def reason_and_remedy(name: str, story: Story, state: State) -> str:
    """Why a run is over, and what can be done; nothing while it is trained."""
    again = f"netspec train --resume {shlex.quote(name)}"
    match state:
        case "gone":
            return f"its process is gone, without a word: killed, or the machine went down. {again} goes on"
        case "interrupted":
            return f"{reason_of(story)}. {again} goes on"
        case "training":
            return ""
        case _:
            return reason_of(story)


def _reason(of: Frame) -> list[Text]:
    """Why it is over, and what can be done."""
    why = reason_and_remedy(of.name, of.story, of.state)
    lines = textwrap.wrap(clean(why), max(of.width, 10))
    if len(lines) > MOST_REASON:
        lines = [*lines[: MOST_REASON - 1], _short(" ".join(lines[MOST_REASON - 1 :]), of.width, of.dots)]
    return [Text(line, STYLES[of.state]) for line in lines]


# charts


def _charts(of: Frame, room: int) -> list[Text]:
    """The loss, and beside or below it the accuracy where the run has one."""
    kinds = [("loss", True, _losses(of.story))]
    accuracies = _of_epochs(of.story, ("train_accuracy", "val_accuracy"))
    if any(one.x for one in accuracies):
        kinds.append(("accuracy", False, accuracies))
    if len(kinds) == 2 and of.width < SIDE_BY_SIDE and room < 2 * (LEAST_HEIGHT + 2):
        kinds = kinds[:1]
    if len(kinds) == 2 and of.width >= SIDE_BY_SIDE:
        half = (of.width - GAP) // 2
        left, right = (_chart(*kind, half, min(room, TALLEST), of.dots) for kind in kinds)
        if left and right:
            return [Text.assemble(one, " " * (half - len(one) + GAP), other) for one, other in zip(left, right, strict=True)]
        return left or right
    height = min(room // len(kinds), TALLEST)
    return [line for kind in kinds for line in _chart(*kind, of.width, height, of.dots)]


def _chart(title: str, logarithmic: bool, series: Sequence[Series], width: int, height: int, dots: bool) -> list[Text]:
    """A line with the title and what the marks mean, and the chart below it."""
    rows = chart(series, width, height - 1, dots=dots, logarithmic=logarithmic)
    if not rows:
        return []
    signs = [("\u2812" if dots else ".", "training"), (MARK, "validation")]
    told = Text(f"{title} (log) " if logarithmic and is_logarithmic(series) else f"{title} ", "bold")
    for number_, (sign, word) in enumerate(signs):
        if series[number_].x:
            told.append(f" {sign} {word}", COLOURS[number_])
    return [told, *map(_as_text, rows)]


def _as_text(row: Row) -> Text:
    """The cells, each run of one series in its colour."""
    line, since = Text(), 0
    for at in range(1, len(row) + 1):
        if at == len(row) or row[at][1] != row[since][1]:
            owner = row[since][1]
            line.append("".join(character for character, _ in row[since:at]), "dim" if owner == AXIS else COLOURS[owner])
            since = at
    return line


def _losses(story: Story) -> list[Series]:
    told = [(step, loss) for step, loss in story.steps if is_drawn(loss)]
    steps, losses = [step for step, _ in told], np.array([loss for _, loss in told])
    _, held_out = _of_epochs(story, ("loss", "val_loss"))
    return [Series(steps, smooth(losses).tolist() if told else []), held_out]


def _of_epochs(story: Story, keys: tuple[str, str]) -> list[Series]:
    """A figure of training and one of validation, at the steps at which their epochs ended."""
    made = []
    for key, mark in zip(keys, ("", MARK), strict=True):
        points = [(whole(row, "step"), figure) for row in story.rows if (figure := number(row, key)) is not None]
        made.append(Series([x for x, _ in points], [y for _, y in points], mark))
    return made
