"""The folder of one training run: its spec, plan, environment, results by epoch, events by step, weights and state.

Layout: `spec.net spec.resolved.net plan.txt env.json results.csv events.jsonl weights/{last,best}.safetensors state/last.safetensors`,
and `weights/epoch-010.safetensors`, ... with `checkpoint`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Any

from netspec.base.errors import DataError, UsageError
from netspec.frontend.limits import SPEC_BYTES
from netspec.save.atomic import append_line, save_error, sweep, sync_file, sync_folder, write_atomic
from netspec.save.events import MOST_COUNT, as_line, event_of, is_before, step_of
from netspec.save.held import held, is_held
from netspec.save.run_files import RUNS

COLUMNS = ("epoch", "step", "lr", "loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
"""Of results.csv, and the keys of `history.epochs`."""
LONGEST_LINE = 1 << 16
"""Of results.csv and events.jsonl, in bytes."""
MOST_ENVIRONMENT_BYTES = 1 << 20


@dataclass(frozen=True)
class RunFolder:
    """A run's folder. Whole files are written atomically; results and events grow by whole lines. Writing raises SaveError."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.net"

    @property
    def resolved(self) -> Path:
        return self.path / "spec.resolved.net"

    @property
    def results(self) -> Path:
        return self.path / "results.csv"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def last(self) -> Path:
        """Weights after the last saved epoch or step."""
        return self.path / "weights" / "last.safetensors"

    @property
    def best(self) -> Path:
        """Weights of the best validation epoch."""
        return self.path / "weights" / "best.safetensors"

    def checkpoint(self, epoch: int) -> Path:
        """Weights that are kept of an epoch: `weights/epoch-010.safetensors`."""
        return self.path / "weights" / f"epoch-{epoch:03d}.safetensors"

    @property
    def state(self) -> Path:
        """All that training goes on from: parameters, optimiser slots, step, epoch, seed."""
        return self.path / "state" / "last.safetensors"

    @property
    def texts(self) -> list[tuple[Path, int | None]]:
        """Files of the folder that are read, with the bytes that they have at most; the weights are checked where they are read."""
        specs = [(self.spec, SPEC_BYTES), (self.resolved, SPEC_BYTES)]
        return [*specs, (self.environment, MOST_ENVIRONMENT_BYTES), (self.results, None), (self.events, None)]

    @property
    def environment(self) -> Path:
        return self.path / "env.json"

    def write_spec(self, given: str, resolved: str) -> None:
        """The spec as it was given, and with every default and override written out."""
        write_atomic(self.spec, given.encode())
        write_atomic(self.resolved, resolved.encode())

    def write_plan(self, text: str) -> None:
        write_atomic(self.path / "plan.txt", text.encode())

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """env.json, with sorted keys."""
        write_atomic(self.environment, f"{json.dumps(environment, indent=2, sort_keys=True)}\n".encode())

    def add_epoch(self, row: Mapping[str, Any]) -> None:
        """One line of results.csv, the header before the first. Raises KeyError for a missing column; None is an empty cell."""
        if not self.results.exists() or self.results.stat().st_size == 0:
            append_line(self.results, ",".join(COLUMNS))
        append_line(self.results, _csv_line([row[column] for column in COLUMNS]))

    def add_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Lines of events.jsonl (events.py), written at once."""
        append_line(self.events, "\n".join(map(as_line, events)))

    def sync_results(self) -> None:
        """Forces results.csv to the disk, so that no state is newer than it."""
        if self.results.exists():
            sync_file(self.results)

    def keep_epochs(self, last_epoch: int, last_step: int) -> None:
        """Before a resume: drops the results and events that come after the state that training continues from, and a last line that was
        cut off."""
        if self.results.exists():
            kept = len(list(takewhile(lambda row: row["epoch"] <= last_epoch, self.read_epochs())))
            write_atomic(self.results, _joined(islice(_whole_lines(self.results), 1 + kept)))
        if self.events.exists():
            told = ((line, event_of(line, self._line(number))) for number, line in enumerate(_whole_lines(self.events), 1))
            write_atomic(self.events, _joined(line for line, event in told if is_before(event, last_epoch, last_step)))

    def _line(self, number: int) -> str:
        """How a line of events.jsonl that is not as it should be is called."""
        return f"{self.events}: damaged: line {number}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """While a process trains into the folder: a second one raises UsageError. The system lets go of it however the process ends."""
        with ExitStack() as stack:
            try:
                stack.enter_context(held(self.path))
            except BlockingIOError:
                raise UsageError(f"{self.path}: another process trains in this run folder at the moment") from None
            yield

    @property
    def is_held(self) -> bool:
        """Whether a process trains into the folder."""
        return bool(is_held(self.path))

    def read_epochs(self) -> list[dict[str, Any]]:
        """The rows of results.csv: epoch and step whole numbers, the others floats, None for an empty cell. Raises DataError."""
        if not self.results.exists():
            return []
        rows = csv.reader(_whole_lines(self.results))
        names = next(rows, None)
        if names is None:
            return []
        missing = [column for column in COLUMNS if column not in names]
        if missing:
            raise DataError(f"{self.results}: damaged: its first line names no column {', '.join(missing)}")
        return [_epoch(cells, names, f"{self.results}: damaged: line {line}") for line, cells in enumerate(rows, 2)]

    def read_environment(self) -> dict[str, Any]:
        """What env.json says; nothing where there is none, or a damaged one."""
        try:
            _require_plain(self.environment, MOST_ENVIRONMENT_BYTES)
            _require_own(self.environment)
            found = json.loads(self.environment.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def is_over(self) -> bool:
        """Whether the run came to its end, with everything written, and was not begun again."""
        if not self.events.exists():
            return False
        events = (event_of(line, self._line(number)) for number, line in enumerate(_whole_lines(self.events), 1))
        ends = deque((event.get("event") for event in events if event.get("event") in ("end", "resumed")), 1)
        return "end" in ends

    def read_text(self, path: Path, most_bytes: int) -> str:
        """The beginning of a text of the folder, at most so many bytes; nothing where it is not there. Raises DataError."""
        _require_plain(path, None)
        _require_own(path)
        if not path.exists():
            return ""
        try:
            with path.open("rb") as stream:
                return stream.read(most_bytes).decode("utf-8", errors="replace")
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None

    def read_steps(self) -> list[tuple[int, float]]:
        """(step, loss) of the steps that events.jsonl holds; NaN where the loss was not finite. Raises DataError."""
        if not self.events.exists():
            return []
        places = ((text, self._line(number)) for number, text in enumerate(_whole_lines(self.events), 1))
        told = (step_of(event_of(text, place), place) for text, place in places)
        return [one for one in told if one is not None]


@dataclass(frozen=True)
class Located:
    """What a RUN argument leads to: a weights file, and the run folder that it lies in, if it does."""

    weights: Path
    folder: RunFolder | None


def create_run_folder(name: str, run_dir: Path | None = None, runs: Path = RUNS) -> RunFolder:
    """A new folder: `run_dir` itself, or `runs/<name>`, `runs/<name>-2`, ... whichever is free. Nothing is ever overwritten.

    Raises UsageError where `run_dir` is a file or holds anything, SaveError where no folder can be made.
    """
    path: Path | None = None
    try:
        path = _claim_given(run_dir) if run_dir is not None else _claim_numbered(name, runs)
        for part in ("weights", "state"):
            (path / part).mkdir(exist_ok=True)
        sync_folder(path)
    except OSError as error:
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)
        raise save_error(run_dir or runs, error) from None
    return RunFolder(path)


def claim_run_folder(name: str, runs: Path = RUNS) -> Path:
    """An empty folder `runs/<name>`, `runs/<name>-2`, ... for a process that is yet to be started. Raises SaveError."""
    try:
        return _claim_numbered(name, runs)
    except OSError as error:
        raise save_error(runs, error) from None


def open_run_folder(path: Path) -> RunFolder:
    """An existing run folder, swept of what a crash left. Raises UsageError where it is none, DataError for one that no run has left."""
    if not (path / "spec.net").is_file() and not (path / "spec.resolved.net").is_file():
        raise UsageError(f"{path}: not a run folder: it holds no spec.net")
    found = RunFolder(path)
    for file, most_bytes in found.texts:
        _require_plain(file, most_bytes)
    for folder in (path, path / "weights", path / "state"):
        if folder.is_dir() and not folder.is_symlink():
            sweep(folder)
    return found


def _require_own(path: Path) -> None:
    """Raises DataError for a link that leads out of the folder: what is shown of a run would be another file of whoever looks at it."""
    if path.is_symlink() and path.resolve().parent != path.parent.resolve():
        raise DataError(f"{path}: is a link to another folder; a run holds files of its own")


def _require_plain(path: Path, most_bytes: int | None) -> None:
    """Raises DataError for what no run writes at that place: reading a pipe or a device may never end."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is no file, as it is in a run folder")
    if most_bytes is not None and path.exists() and path.stat().st_size > most_bytes:
        raise DataError(f"{path}: is longer than {most_bytes >> 10} KiB, more than a run writes there")


def find(run: Path, last: bool = False) -> Located:
    """The weights that `run`, a run folder or a weights file, stands for: the best ones, or the last where `last` or there are no best.

    Raises UsageError where nothing is there, or the folder holds no weights.
    """
    run = Path(run)
    if run.is_file():
        inside = run.parent.name == "weights" and (run.parent.parent / "spec.net").is_file()
        return Located(run, RunFolder(run.parent.parent) if inside else None)
    if not run.exists():
        raise UsageError(f"{run}: no such run folder or weights file")
    folder = open_run_folder(run)
    for path in (folder.last,) if last else (folder.best, folder.last):
        if path.is_file():
            return Located(path, folder)
    raise UsageError(f"{run}: the run holds no weights; it was stopped before the first was saved")


def _claim_given(run_dir: Path) -> Path:
    if run_dir.exists() and not run_dir.is_dir():
        raise UsageError(f"{run_dir}: is a file; --run-dir names a folder that is new or empty")
    if run_dir.is_dir() and any(run_dir.iterdir()):
        raise UsageError(f"{run_dir}: is not empty; --run-dir names a folder that is new or empty")
    run_dir.mkdir(parents=True, exist_ok=True)
    return run_dir


def _claim_numbered(name: str, runs: Path) -> Path:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".") or "run"
    runs.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = runs / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()  # fails where another run has just taken the name
        except FileExistsError:
            continue
        return path
    raise AssertionError("count never ends")


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _whole_lines(path: Path) -> Iterator[str]:
    """The lines that end; what follows the last of them was cut off by a crash. Raises DataError for what this package never wrote."""
    _require_plain(path, None)
    try:
        with path.open("rb") as stream:
            for number in count(1):
                line = stream.readline(LONGEST_LINE)
                if not line.endswith(b"\n"):
                    if len(line) == LONGEST_LINE:
                        raise DataError(f"{path}: damaged: line {number} is longer than {LONGEST_LINE >> 10} KiB")
                    return
                try:
                    yield line.decode("utf-8").rstrip("\r\n")
                except UnicodeDecodeError:
                    raise DataError(f"{path}: damaged: line {number} is no text in UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _epoch(cells: Sequence[str], names: Sequence[str], place: str) -> dict[str, Any]:
    if len(cells) != len(names):
        raise DataError(f"{place} has {len(cells)} cells, and line 1 names {len(names)} columns")
    row: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        whole = name in ("epoch", "step")
        try:
            row[name] = None if cell == "" and not whole else int(cell) if whole else float(cell)
        except ValueError:
            raise DataError(f"{place}, column {name}: {cell[:40]!r} is no {'whole number' if whole else 'number'}") from None
        if whole and not 0 <= row[name] < MOST_COUNT:
            raise DataError(f"{place}, column {name}: {cell[:40]} counts nothing")
    return row


def _csv_line(values: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["" if value is None else repr(_plain(value)) for value in values])
    return text.getvalue()


def _plain(value: Any) -> int | float:
    number: int | float = value.item() if hasattr(value, "item") else value
    return number
