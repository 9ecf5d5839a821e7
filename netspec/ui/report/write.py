"""report.html of a run folder, and the page of several runs."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.base.extras import installed
from netspec.save.atomic import SaveError, write_atomic
from netspec.save.run_folder import RunFolder
from netspec.ui.report.gather import gather
from netspec.ui.report.measured import Measured
from netspec.ui.report.page import page

if TYPE_CHECKING:
    from netspec.model import Model

REPORT = "report.html"


def is_installed() -> bool:
    """Whether the extra is there."""
    return installed("jinja2") and installed("matplotlib")


def report_run(folder: RunFolder, model: Model, measured: Measured | None = None) -> None:
    """Puts report.html into a run's folder where the extra is installed. A page is no reason to lose a result: what goes wrong is a
    warning."""
    if not is_installed():
        return
    try:
        write_report(folder.path / REPORT, folder, model, measured)
    except (SaveError, OSError):
        pass  # as curves.png
    except Exception as error:
        warnings.warn(f"{folder.path}: no {REPORT}: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)


def write_report(path: Path, folder: RunFolder, model: Model, measured: Measured | None, note: str = "") -> None:
    """The report of one run. Raises UsageError without the extra, DataError for a damaged folder, SaveError."""
    write_atomic(path, page("run.html.j2", report=gather(folder, model, measured, note)))
