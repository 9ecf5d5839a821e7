"""`netspec runs [FOLDER]`: the runs in a folder with their figures."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from netspec.base.errors import UsageError
from netspec.base.figure import shown_figure
from netspec.base.units import short_count
from netspec.save.run_files import RUNS
from netspec.save.story import number
from netspec.ui.live.listing import Listed, in_order, runs_in
from netspec.ui.live.view import STYLES, clean, in_time, shortened_net
from netspec.ui.screen import has_dots, print_json, say
from netspec.ui.tables import as_text, print_table, table

COLUMNS = ("run", "began", "epochs", "state", "best", "measured", "time", "parameters", "net")
GIVING_WAY = ("net", "parameters", "time", "began", "measured", "epochs", "best")
"""Columns that are left out, in this order, where the terminal is too narrow; of the net so much is shown as there is room for."""
LEAST_NET = 12
WIDEST_NET = 60
GAP = 2
UNBOUNDED = 1 << 12
"""Columns where nobody looks at a screen."""
HEADLINE = ("accuracy", "r2", "loss")


def run(folder: Path | None, *, sort: str, json: bool) -> int:
    """Prints the table, or a list in JSON. Raises UsageError for what is no folder, and for a figure that no run has."""
    place = folder or RUNS
    try:
        runs = in_order(runs_in(place), sort) if folder is not None or place.is_dir() else []
    except KeyError as error:
        raise UsageError(f"--sort {sort}: no run has that; there are time, name, {', '.join(map(str, error.args))}") from None
    except FileNotFoundError:
        raise UsageError(f"{place}: no such folder") from None
    except OSError as error:
        raise UsageError(f"{place}: cannot be read: {error.strerror}") from None
    if json:
        print_json([as_json(one) for one in runs])
    elif not runs:
        say(f"{place}: no runs", sys.stderr)
    else:
        _print(runs)
    return 0


def as_json(of: Listed) -> dict[str, Any]:
    """All that is known of a run."""
    began = of.began.isoformat(timespec="seconds") if of.began else None
    return {
        "run": str(of.path), "state": of.state, "reason": of.reason or None, "began": began, "spec": of.spec, "net": of.net,
        "parameters": of.parameters, "epochs": of.epochs, "of": of.of, "seconds": of.seconds, "best": dict(of.best) or None,
        "split": of.split or None, "metrics": dict(of.metrics),
    }  # fmt: skip


def _print(runs: Sequence[Listed]) -> None:
    rows = [_cells(one) for one in runs]
    bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    columns = _fitting(rows, shutil.get_terminal_size().columns if bounded else UNBOUNDED)
    dots = has_dots()
    for row in rows:
        row["net"] = shortened_net(row["net"], columns.get("net", 0), dots)
    shown = [[_cell(one, name, row[name][: columns[name]]) for name in columns] for one, row in zip(runs, rows, strict=True)]
    right = ("epochs", "best", "measured", "time", "parameters")
    made = table([(name, "right" if name in right else "left") for name in columns], shown)
    if bounded:
        print_table(made)
    else:
        print(as_text(made, width=UNBOUNDED))


def _cell(of: Listed, name: str, text: str) -> Text:
    return Text(text, ("bold red" if of.state == "damaged" else STYLES[of.state]) if name == "state" else "")


def _fitting(rows: Sequence[dict[str, str]], width: int) -> dict[str, int]:
    """The columns that fit, with their widths."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in COLUMNS}
    widths["net"] = widths["net"] if width == UNBOUNDED else min(widths["net"], WIDEST_NET)
    for name in GIVING_WAY:
        over = sum(widths.values()) + GAP * len(widths) - width
        if over <= 0:
            break
        if name == "net" and widths["net"] - over >= LEAST_NET:
            widths["net"] -= over
        else:
            del widths[name]
    return widths


def _cells(of: Listed) -> dict[str, str]:
    """A row by the names of its columns."""
    if of.state == "damaged":
        blank: dict[str, str] = dict.fromkeys(COLUMNS, "")
        return {**blank, "run": clean(of.name), "began": _when(of), "state": of.state, "net": clean(of.reason)}
    return {
        "run": clean(of.name), "began": _when(of), "epochs": f"{of.epochs}/{of.of}" if of.of else f"{of.epochs}", "state": of.state,
        "best": _best(of), "measured": _measured(of), "time": "" if of.seconds is None else in_time(of.seconds),
        "parameters": short_count(of.parameters) if of.parameters else "", "net": clean(of.net),
    }  # fmt: skip


def _when(of: Listed) -> str:
    return of.began.astimezone().strftime("%Y-%m-%d %H:%M") if of.began else ""


def _best(of: Listed) -> str:
    """`val_accuracy 0.9944`: of the epoch whose weights are kept."""
    for key in ("val_accuracy", "val_loss", "train_accuracy", "loss"):
        value = number(of.best, key)
        if value is not None:
            return f"{key} {shown_figure(value)}"
    return ""


def _measured(of: Listed) -> str:
    """`test accuracy 0.9778`."""
    key = next((name for name in HEADLINE if name in of.metrics), None)
    return f"{clean(of.split)} {key} {shown_figure(of.metrics[key])}" if key else ""
