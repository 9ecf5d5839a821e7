"""`netspec report RUN...`: the report of one run, made anew, or a page that compares several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netspec.base.errors import DataError, UsageError
from netspec.base.extras import library
from netspec.model import Model
from netspec.pipeline import held_out, only, restore_file
from netspec.save.run_folder import RunFolder, find, open_run_folder
from netspec.ui.curves import names_of
from netspec.ui.given import run_path
from netspec.ui.guard import tell
from netspec.ui.report.facts import facts_of
from netspec.ui.report.measured import Measured
from netspec.ui.report.several import Compared, write_comparison
from netspec.ui.report.write import REPORT, write_report
from netspec.ui.screen import print_json, say
from netspec.ui.verbs.diff import meaning_of_run
from netspec.ui.verbs.evaluate import own_splits


def run(runs: Sequence[Path], *, output: Path | None, allow: Sequence[Path], json: bool) -> int:
    """Writes the page and prints where it is. Raises UsageError, DataError, SaveError."""
    library("jinja2", "report")
    library("matplotlib", "report")
    paths = [run_path(one) for one in runs]
    if output is not None and (output.suffix.lower() not in (".html", ".htm") or output.is_dir() or not output.parent.is_dir()):
        wrong = "is a folder" if output.is_dir() else f"there is no folder {output.parent}"
        ending = output.suffix.lower() in (".html", ".htm")
        raise UsageError(f"{output}: {wrong if ending else 'a report is a page: give a name that ends in .html to -o'}")
    path = write_one(paths[0], output, allow) if len(paths) == 1 else _several(paths, output or Path(REPORT))
    if json:
        print_json({"path": str(path), "runs": [str(one) for one in paths]})
    else:
        say(path)
    return 0


def write_one(path: Path, output: Path | None, allow: Sequence[Path]) -> Path:
    """The report of one run, in its folder where `output` names no other place; the net is measured again. Raises as `run`."""
    found = find(path)
    if found.folder is None:
        raise UsageError(f"{path}: a weights file outside a run folder has no report; give the run folder")
    model = restore_file(found.weights)
    measured, note = _measured(model, found.folder, allow)
    if note:
        tell(f"note: {note}")
    place = output or found.folder.path / REPORT
    write_report(place, found.folder, model, measured, note)
    return place


def _measured(model: Model, folder: RunFolder, allow: Sequence[Path]) -> tuple[Measured | None, str]:
    """The net on its held-out rows; or None, and why they are not there."""
    section = model.program.data
    if section is None or section.source is None:
        return None, "The rows came from Python, and are not kept in the run: figures of rows are left out."
    try:
        splits = own_splits(model, folder, allow)
    except DataError as error:
        return None, f"The data cannot be read, so that figures of rows are left out: {error}"
    overfit = facts_of(folder).story.overfit
    if overfit:
        return model.measured(*held_out(only(splits, overfit), overfit)), ""
    return model.measured(*held_out(splits)), ""


def _several(paths: Sequence[Path], output: Path) -> Path:
    folders = []
    for path in paths:
        inside = path.is_file() and path.parent.name == "weights"
        if not path.exists():
            raise UsageError(f"{path}: no such run folder")
        folders.append(open_run_folder(path.parent.parent if inside else path))
    names = names_of([folder.path for folder in folders])
    write_comparison(
        output, [Compared(name, folder, meaning_of_run(folder.path)) for name, folder in zip(names, folders, strict=True)]
    )  # fmt: skip
    return output
