"""`netspec sweep FILE`: trains with the values that its search section names, in parallel, and writes out the best."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspec.base.errors import DataError, DivergedError, Interrupted, LimitError, SpecError, UsageError
from netspec.base.figure import shown_figure
from netspec.frontend.program import Overrides
from netspec.save.atomic import save_error
from netspec.save.run_files import RUNS
from netspec.save.run_folder import RunFolder
from netspec.ui.curves import draw_run
from netspec.ui.given import spec_file
from netspec.ui.guard import tell
from netspec.ui.report.write import REPORT, is_installed
from netspec.ui.screen import print_json, say
from netspec.ui.sweep.begin import Looked, enter, look, most_epochs
from netspec.ui.sweep.best import write_best
from netspec.ui.sweep.crew import Crew
from netspec.ui.sweep.drive import Drive, LostWorkersError
from netspec.ui.sweep.order import Order, own_storage
from netspec.ui.sweep.outcome import Outcome, as_json, as_table, best, outcomes, shown, write_rows
from netspec.ui.sweep.pictures import caution, draw_history, draw_importances, importances, is_older
from netspec.ui.sweep.storage import require_extra, told_of_storage
from netspec.ui.sweep.watch import JsonLines, Lines, Screen, Watch
from netspec.ui.tables import as_text, print_table
from netspec.ui.verbs.report import write_one

CODES = {
    "invalid": SpecError.exit_code,
    "limit": LimitError.exit_code,
    "diverged": DivergedError.exit_code,
    "lost": LostWorkersError.exit_code,
}
"""Exit codes by how all trials ended, where none came to its end."""

SHOWN = 20
"""Trials that the table lists; results.csv has all."""
WIDEST = 200
"""Columns of the table where there is no terminal."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says of a sweep."""

    workers: int | None
    trials: int | None
    storage: str | None
    study: str | None
    sampler: str
    pruner: str
    metric: str | None
    timeout: float | None
    folder: Path | None
    heartbeat: int


def run(file: Path, overrides: Overrides, wanted: Wanted, *, allow: Sequence[Path], quiet: bool, json: bool) -> int:
    """Begins a study, joins it, or goes on with it; prints the trials by rank. Raises what reading the file and its data raises, and
    Interrupted, after all workers have saved; SaveError where folder or database cannot be written."""
    require_extra()  # before anything is read
    looked = look(spec_file(file), overrides, allow)
    order = order_of(file, overrides, wanted, looked, allow)
    try:
        order.trials.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(order.trials, error) from None
    with told_of_storage(order):
        return _swept(order, file, wanted, looked, quiet=quiet, json=json)


def _swept(order: Order, file: Path, wanted: Wanted, looked: Looked, *, quiet: bool, json: bool) -> int:
    study, storage = enter(order, looked, wanted.trials)
    crew = Crew(order, wanted.workers or 1)
    goes_on = again(file, wanted)
    try:
        with watch_of(order, study, quiet=quiet, json=json) as watch:
            if json:
                told = outcomes(study, order)
                open_ones = sum(one.is_open for one in told)
                print_json(
                    {"event": "begin", "study": order.study, "sweep": order.folder, "trials": len(told), "open": open_ones}, one_line=True
                )
            if not any(one.is_open for one in watch.found) and not quiet and not json:
                count = len(watch.found)
                more = "" if order.sampler == "grid" else f"; --trials {2 * count} adds as many"
                print(f"all {count} trials of {order.study} have ended{more}", file=sys.stderr)
            is_over = Drive(order, study, storage, crew, watch).run(wanted.timeout)
    except Interrupted as error:
        done = End(order, looked, study).write(pictures=False)  # which take their time
        left = sum(one.is_open for one in done.found)
        so_far = f"; the best so far is {shortest(done.spec)}" if done.spec is not None else ""
        raise Interrupted(error.signal_number, f"{error}: {left} of {len(done.found)} trials left{so_far}; go on with {goes_on}") from None
    done = End(order, looked, study).write()
    done.show(json=json, quiet=quiet)
    if not is_over:
        print(
            f"time is up: {sum(one.is_open for one in done.found)} of {len(done.found)} trials left; go on with {goes_on}", file=sys.stderr
        )
    return done.code()


def order_of(file: Path, overrides: Overrides, wanted: Wanted, looked: Looked, allow: Sequence[Path]) -> Order:
    """What workers are told. Raises UsageError for a figure that nets like this one do not have."""
    if wanted.metric is not None and wanted.metric not in looked.metrics:
        raise UsageError(f"--metric {wanted.metric}: trials of this net are compared by {' or '.join(looked.metrics)}")
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", wanted.study or file.stem).strip(".") or "sweep"
    folder = (wanted.folder or RUNS / "sweeps" / name).absolute()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; --dir names the folder of the sweep")
    workers = wanted.workers or 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Order(
        file=str(file), overrides=overrides, resolved=looked.program.resolved, folder=str(folder),
        storage=wanted.storage or own_storage(folder), study=wanted.study or os.fsencode(file.stem).decode(errors="backslashreplace"),
        metric=wanted.metric or looked.metrics[0], sampler=wanted.sampler, pruner=wanted.pruner, seed=looked.program.seed,
        epochs=most_epochs(looked.program), heartbeat=wanted.heartbeat, threads=max(cores // workers, 1), allow=tuple(map(str, allow)),
    )  # fmt: skip


def again(file: Path, wanted: Wanted) -> str:
    """How the sweep goes on."""
    words = ["the same command", f"(netspec sweep {file}"]
    words += [f"--study {wanted.study}"] if wanted.study else []
    words += [f"--dir {wanted.folder}"] if wanted.folder else []
    return " ".join(words) + " ...)"


def watch_of(order: Order, study: Any, *, quiet: bool, json: bool) -> Watch:
    """Who hears of it."""
    if json:
        return JsonLines(order, study)
    if quiet:
        return Watch(order, study)
    return Screen(order, study, sys.stderr) if sys.stderr.isatty() else Lines(order, study)


@dataclass
class End:
    """What is left of a sweep: its outcomes, the files that are written of them."""

    order: Order
    looked: Looked
    study: Any
    found: Sequence[Outcome] = ()
    shares: dict[str, float] | None = None
    spec: Path | None = None

    @property
    def keys(self) -> list[str]:
        return list(self.looked.program.search)

    def write(self, *, pictures: bool = True) -> End:
        """results.csv, and where trials came to their end best.net and the pictures. Raises SaveError."""
        order, folder = self.order, self.order.trials
        self.found = outcomes(self.study, order)
        write_rows(self.found, order, self.keys, folder / "results.csv")
        top = best(self.found)
        if top is None:
            return self
        self.spec = write_best(order, top, len(self.found), self.looked.counts)
        if not pictures:
            return self
        self.shares = importances(self.study, self.keys)
        run = RunFolder(folder / str(top.folder))
        _make(folder / "history.svg", folder / "results.csv", self._draw)
        _make(run.path / "curves.png", run.results, lambda: draw_run(run))
        _make(run.path / REPORT, run.results, lambda: is_installed() and write_one(run.path, None, [Path(one) for one in order.allow]))
        return self

    def _draw(self) -> None:
        """The pictures of the sweep."""
        order, folder = self.order, self.order.trials
        draw_history(self.found, order, folder / "history.svg")
        if self.shares:
            draw_importances(self.shares, self.found, order, folder / "importances.svg")

    def show(self, *, json: bool, quiet: bool) -> None:
        """The trials by rank, and the best; `quiet` the path of its spec alone."""
        top, order = best(self.found), self.order
        if json:
            more = {"best": as_json(top) if top else None, "spec": self.spec and str(self.spec), "importances": self.shares or {}}
            facts = {"study": order.study, "sweep": order.folder, "metric": order.metric, **more}
            print_json({"event": "end", **facts, "trials": [as_json(one) for one in self.found]}, one_line=True)
            return
        if quiet:
            say(shortest(self.spec) if self.spec is not None else shortest(order.trials))
            return
        folder = shortest(order.trials)
        begun = [one for one in self.found if one.is_begun]
        if begun:
            made = as_table(begun[:SHOWN], order, self.keys)
            if sys.stdout.isatty():
                print_table(made)
            else:
                print(as_text(made, width=WIDEST))
            print()
        lines = [("", f"... and {len(begun) - SHOWN} more, in {folder / 'results.csv'}")] if len(begun) > SHOWN else []
        counts = {state: sum(one.state == state for one in self.found) for state in dict.fromkeys(one.state for one in self.found)}
        lines.append(("trials", ", ".join(f"{count} {state}" for state, count in counts.items())))
        for reason, numbers in self._reasons().items():
            lines.append((f"trial{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:6]))}{', ...' * (len(numbers) > 6)}", reason))
        if top is not None and self.spec is not None:
            values = ", ".join(f"{key} = {shown(value)}" for key, value in top.values.items())
            lines.append(("best", f"trial {top.number}: {order.metric} {shown_figure(top.metric or 0.0)}; {values}"))
            lines.append(("best spec", f"{shortest(self.spec)}"))
            is_here = bool(top.folder) and (order.trials / str(top.folder)).is_dir()
            lines.append(("its run", str(folder / str(top.folder)) if is_here else f"{top.folder}, on another machine"))
        if self.shares:
            lines.append(("importance", ", ".join(f"{key} {100 * share:.0f} %" for key, share in self.shares.items())))
            lines.append(("", caution(self.found, ", for what is compared with the rest is their best tenth")))
        lines.append(("sweep", str(folder)))
        say("\n".join(f"{name:<12} {text}".rstrip() for name, text in lines))

    def _reasons(self) -> dict[str, list[int]]:
        """Trials that failed by why, those that were pruned aside."""
        found: dict[str, list[int]] = {}
        for one in sorted(self.found, key=lambda one: one.number):
            if one.reason and one.state not in ("pruned", "complete"):
                found.setdefault(one.reason, []).append(one.number)
        return found

    def code(self) -> int:
        """7 where a trial was given up with its workers; where none came to its end, the code of what is wrong with them all."""
        states = {one.state for one in self.found if not one.is_open}
        if "lost" in states:
            numbers = [str(one.number) for one in self.found if one.state == "lost"]
            print(f"error: trial {', '.join(numbers)}: the worker was lost each time, and the trial given up", file=sys.stderr)
            return LostWorkersError.exit_code
        if "complete" in states or not states:
            return 0
        told = next(iter(self._reasons()), "all were pruned")
        print(f"error: no trial came to its end: {told}", file=sys.stderr)
        return CODES.get(states.pop(), 1) if len(states) == 1 else 1


def _make(file: Path, shown: Path, make: Callable[[], object]) -> None:
    """Writes a file where it is not there, or older than the one that it shows. The results of a sweep are told without it too."""
    if not shown.is_file() or not is_older(file, shown):
        return
    try:
        make()
    except (UsageError, DataError) as error:
        tell(f"no {file.name}: {error}")


def shortest(path: Path) -> Path:
    """The path from the working folder, where it lies in it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
