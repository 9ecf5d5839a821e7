"""`netspec train FILE`: trains into a run folder, with a bar on a terminal and the results on stdout."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.shape import show
from netspec.base.units import bytes_in_words
from netspec.base.waiting import tell_waiting
from netspec.frontend.program import Overrides
from netspec.model import Model
from netspec.pipeline import Run, only, read, train
from netspec.save.run_folder import open_run_folder
from netspec.train.cautions import went_wrong
from netspec.train.history import best_row
from netspec.train.loop import Monitor, batches
from netspec.train.lr_find import LrFind
from netspec.train.team import end_with_launch, is_first
from netspec.ui.given import run_path, spec_file
from netspec.ui.lr_picture import draw
from netspec.ui.progress import Bar, JsonLines, WhileHeard
from netspec.ui.results import HEADLINE, rows_in_words
from netspec.ui.screen import figures_in_words, print_diagnostic, print_json, say
from netspec.ui.tools import told_in_a_line, trackers_of


def file_of(file: Path | None, resume: Path | None, only_looks: bool) -> Path:
    """The file to train: the one given, else the resolved spec of the run that goes on. Raises UsageError where neither is there."""
    if resume is not None and only_looks:
        raise UsageError("--resume trains: leave out --lr-find and --dry-run")
    if file is not None:
        return file
    if resume is None:
        raise UsageError("give a .net file, or --resume RUN to go on with a run")
    return open_run_folder(run_path(resume)).resolved


def run(
    file: Path, overrides: Overrides, *, run_dir: Path | None, allow: Sequence[Path], overfit: int | None, resume: Path | None,
    quiet: bool, json: bool, log: Sequence[str] = (), local_bn: bool = False,
) -> int:  # fmt: skip
    """Trains, then prints the results; `quiet` prints the run folder alone; `log` names tools that hear of it. Raises what training
    raises."""
    end_with_launch()
    if quiet:
        tell_waiting()
    monitor: Monitor | None = JsonLines() if json else None
    if not json and not quiet and sys.stderr.isatty():
        program = read(file, overrides)
        for warning in program.warnings:
            print_diagnostic(warning, sys.stderr)
        if program.search:
            say(f"note: the search section is left aside; netspec sweep {shlex.quote(str(file))} tries its values", sys.stderr)
        monitor = Bar(sys.stderr)
    monitor = WhileHeard(monitor) if monitor is not None else None
    with told_in_a_line():
        done = train(
            file, overrides=overrides, run_dir=run_dir, monitor=monitor, allow=allow, overfit=overfit, resume=resume, keep_losses=False,
            callbacks=trackers_of(log), local_bn=local_bn,
        )  # fmt: skip
    if done.rank != 0:
        return 0
    wrong = None if quiet else went_wrong(done.model.program, done.history, done.metrics.get("r2"))
    if wrong is not None:
        print(f"warning: {wrong}", file=sys.stderr)
    if json:
        print_json(as_json(done), one_line=True)
    else:
        say(done.path if quiet else in_words(done, overfit))
    return 0


def dry_run(file: Path, overrides: Overrides, *, allow: Sequence[Path], overfit: int | None, json: bool) -> int:
    """Reads the data and makes the plan, and says what training would do. Of processes that were started together the first alone does."""
    if not is_first():
        return 0
    model = Model(read(spec_file(file), overrides))
    splits = model.splits_of_data(allow)
    section = model.program.train
    if overfit is not None:
        splits = only(splits, overfit)
    rows = splits.counts()
    steps = len(batches(rows["train"], section.batch, section.drop_last, model.graph.normalizes_vectors)[0])
    facts = {
        "rows": rows, "input": list(model.graph.input.shape), "epochs": section.epochs, "steps_per_epoch": steps, "batch": section.batch,
        "parameters": model.graph.parameter_count, "peak_bytes": model.plan.peak_bytes, "flops": model.plan.flops,
    }  # fmt: skip
    if json:
        print_json(facts)
        return 0
    print(
        _lines(
            ("rows", rows_in_words(rows) if overfit is None else f"{rows['train']:,}, to train on and to measure on"),
            ("of", f"{show(model.graph.input.shape)} numbers each"),
            ("training", f"{_count(section.epochs, 'epoch')} of {_count(steps, 'step')}, {section.batch} rows each"),
            ("net", f"{model.graph.parameter_count:,} parameters"),
            ("memory", f"{bytes_in_words(model.plan.peak_bytes)} at most"),
            ("", "a dry run: nothing was trained, nothing was written"),
        )
    )
    return 0


def lr_find(file: Path, overrides: Overrides, *, folder: Path | None, allow: Sequence[Path], overfit: int | None, json: bool) -> int:
    """Tries learning rates on the training rows, prints the curve and the suggestion, and draws them where matplotlib is there. Of
    processes that were started together the first alone does."""
    if not is_first():
        return 0
    model = Model(read(spec_file(file), overrides))
    splits = model.splits_of_data(allow)
    found = model.lr_find_on(splits if overfit is None else only(splits, overfit))
    picture = _picture(found, folder, f"{file.stem}: {model.program.train.optimizer.name}, batch {model.program.train.batch}")
    if json:
        curve = {"rates": found.rates.tolist(), "losses": found.losses.tolist(), "smoothed": found.smoothed.tolist()}
        print_json({"lr": found.lr, "exploded": found.exploded, "picture": picture and str(picture), **curve}, one_line=True)
    else:
        say(found if picture is None else f"{found}\n{picture}")
    return 0


def _picture(found: LrFind, folder: Path | None, title: str) -> Path | None:
    """Where the curve was drawn; None where matplotlib is missing, which stderr is told."""
    path = (folder or Path()) / "lr_find.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(found, path, title)
    except UsageError as missing:
        say(f"no picture: {missing}", sys.stderr)
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path


def as_json(done: Run) -> dict[str, Any]:
    """The last JSON line of a run."""
    return {
        "event": "end", "run": str(done.path), "epochs": len(done.history.epochs), "best_epoch": best_row(done.history.epochs)["epoch"],
        "seconds": done.history.epochs[-1]["seconds"], "rows": done.rows, "split": done.split, "metrics": done.metrics,
        "stopped": done.history.stopped,
    }  # fmt: skip


def in_words(done: Run, overfit: int | None) -> str:
    """The results as a table of two columns."""
    best, last = best_row(done.history.epochs), done.history.epochs[-1]
    rows = rows_in_words(done.rows) if overfit is None else f"{done.rows['train']:,}, to train on and to measure on"
    lines = [("rows", rows), ("best epoch", f"{best['epoch']} of {last['epoch']}")]
    if done.history.stopped:
        lines.append(("stopped", done.history.stopped))
    kept = {"loss": best["val_loss"], "accuracy": best["val_accuracy"]}
    if best["val_loss"] is not None and done.split == "test":
        lines.append(("validation", figures_in_words(kept)))
    measured = done.split if overfit is None else "same rows"
    lines.append((measured, figures_in_words({name: done.metrics[name] for name in HEADLINE if name in done.metrics})))
    lines += [("time", f"{last['seconds']:.2f} s for {last['step']:,} steps"), ("run folder", str(done.path))]
    return _lines(*lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _lines(*pairs: tuple[str, str]) -> str:
    return "\n".join(f"{name:<12} {text}".rstrip() for name, text in pairs)
