"""`netspec eval RUN`: loss and metrics of a trained net."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.model import Model
from netspec.pipeline import restore_file
from netspec.save.run_folder import RunFolder, find
from netspec.train.data import Part, Splits
from netspec.train.metrics import TOP
from netspec.ui.given import run_path
from netspec.ui.guard import tell
from netspec.ui.rows import read_part
from netspec.ui.screen import figures_in_words, print_json
from netspec.ui.tables import print_parts


def run(
    run: Path,
    *,
    split: str | None,
    data: Path | None,
    last: bool,
    allow: Sequence[Path],
    json: bool,
    threshold: float | None = None,
    top: int = TOP,
) -> int:
    """Prints the figures, for classes also by class. Raises UsageError for a split that the run has not, DataError."""
    if data is not None and split is not None:
        raise UsageError("--split and --data exclude each other: --data gives the rows")
    found = find(run_path(run), last)
    model = restore_file(found.weights)
    if data is not None:
        name, part = "data", read_part(model, data)
    else:
        name, part = own_rows(model, found.folder, split, allow)
    facts = {"split": name, "rows": len(part), **({} if threshold is None else {"threshold": threshold})}
    if model.graph.head.target == "value":
        metrics = model.evaluate_rows(part, threshold)
        if json:
            print_json({**facts, **metrics})
        else:
            print(f"{name}: {len(part):,} rows\n{figures_in_words(metrics)}")
        return 0
    report = model.report_rows(part, threshold, top)
    if json:
        print_json({**facts, **report.figures, **report.as_json()})
    else:
        print(f"{name}: {len(part):,} rows")
        print_parts(report.parts)
    return 0


def own_rows(model: Model, folder: RunFolder | None, split: str | None, allow: Sequence[Path]) -> tuple[str, Part]:
    """(name, rows) of a split of the data that the net was trained on."""
    splits = own_splits(model, folder, allow)
    names = [split] if split is not None else ["test", "validation"]
    for name in names:
        rows: Part | None = getattr(splits, name)
        if rows is not None:
            return name, rows
    there = " and ".join(f"--split {name}" for name in splits.counts() if name != "unused")
    raise UsageError(f"the run has no {' and no '.join(names)} part; its rows are {there}")


def own_splits(model: Model, folder: RunFolder | None, allow: Sequence[Path]) -> Splits:
    """The splits of the data that the net was trained on; says where the data is another by now."""
    learnt = model.learned
    splits = model.splits_of_data(allow)
    model.learn(learnt)  # what it was trained with, should the data have changed since
    if folder is not None and _fingerprint(folder) not in (None, splits.fingerprint):
        tell("warning: the data is not the same as when this net was trained")
    return splits


def _fingerprint(folder: RunFolder) -> str | None:
    found = folder.read_environment().get("data")
    return str(found) if found is not None else None
