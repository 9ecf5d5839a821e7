"""`netspec launch -n N train FILE`: processes that train one net together, started anew where one of them is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.save.run_folder import RunFolder, claim_run_folder
from netspec.train.team import DEADLINE, LOST
from netspec.ui.guard import tell

MEANT = (0, 2, 3, 4, 5, 6, 129, 130, 143)
"""Exit codes that a run gives itself, and would give again."""
OPTIONS = ("--run-dir", "--resume")


def run(
    words: Sequence[str], *, ranks: int, restarts: int, restart_ranks: int | None, deadline: float | None, mpi: Sequence[str]
) -> int:  # fmt: skip
    """Trains in `ranks` processes; where one is lost, or fails by itself, all begin again from the last state, `restarts` times at most, as
    `restart_ranks` processes. `words` are `train` and what it takes; `mpi` goes to mpiexec as it is. Returns the run's exit code, LOST
    where processes were lost to the last."""
    if not words or words[0] != "train":
        raise UsageError("launch starts `train`: netspec launch -n 4 train FILE")
    program = mpiexec()
    library("mpi4py", "mpi")
    given, run_dir, resumed = _without_folder(words[1:])
    folder = RunFolder(Path(resumed or run_dir or claim_run_folder(_name(given))))
    environment = dict(os.environ) if deadline is None else {**os.environ, DEADLINE: f"{deadline:g}"}
    try:
        for attempt in range(restarts + 1):
            there = ["--resume", str(folder.path)] if resumed or folder.state.is_file() else ["--run-dir", str(folder.path)]
            count = ranks if attempt == 0 or restart_ranks is None else restart_ranks
            code = _trained([program, "-n", str(count), *mpi, sys.executable, "-m", "netspec", "train", *given, *there], environment)
            if code in MEANT:
                return code
            left = restarts - attempt
            if left:
                times = "once" if left == 1 else f"{left} times"
                tell(f"a process was lost (exit code {code}); all begin again from the last state, {times} at most")
    finally:
        _remove_if_empty(folder.path)
    tell(f"a process was lost (exit code {code}); what was saved goes on with: netspec launch -n {ranks} train --resume {folder.path}")
    return LOST


def mpiexec() -> str:
    """The program that starts processes: beside this interpreter, where the extra puts it, else on the path. Raises UsageError."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise UsageError("this needs mpiexec: pip install 'netspec[mpi]'")
    return found


def _trained(command: Sequence[str], environment: dict[str, str]) -> int:
    """The exit code of one attempt. mpiexec gives a signal by which a process ended as the signal's number."""
    with _signals_passed_on() as processes, subprocess.Popen(list(command), env=environment, stdin=subprocess.DEVNULL) as process:
        processes.append(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def _signals_passed_on() -> Iterator[list[subprocess.Popen[bytes]]]:
    """A Ctrl-C reaches mpiexec from the terminal, which hands it to all; other signals are handed to it here."""
    processes: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, _frame: object) -> None:
        for process in processes:
            process.send_signal(number)

    passed = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, hand_on) for number in passed}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield processes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_folder(words: Sequence[str]) -> tuple[list[str], str | None, str | None]:
    """The words of `train` but --run-dir and --resume, and the values of these."""
    kept: list[str] = []
    values: dict[str, str | None] = dict.fromkeys(OPTIONS)
    left = iter(words)
    for word in left:
        name, joined, value = word.partition("=")
        if name in OPTIONS:
            values[name] = value if joined else next(left, None)
            if not values[name]:
                raise UsageError(f"{name} needs a folder")
        else:
            kept.append(word)
    return kept, values["--run-dir"], values["--resume"]


def _name(words: Sequence[str]) -> str:
    """Of the run: the stem of its file."""
    file = next((Path(word) for word in words if word.endswith(".net") and "=" not in word), None)
    if file is None or not file.is_file():
        raise UsageError(f"{file}: no such file" if file else "give a .net file, or --resume RUN: netspec launch -n 4 train FILE")
    return file.stem


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
