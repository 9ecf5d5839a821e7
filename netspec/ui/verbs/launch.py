"""`netspec launch -n N train FILE`: processes that train one net together, started anew where one of them is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.base.launched import LAUNCHED, SIGNALLED, decoded
from netspec.save.run_folder import RunFolder, claim_run_folder
from netspec.train.team import DEADLINE, LOST, deadline_of_environment
from netspec.ui.given import spec_file
from netspec.ui.guard import tell

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the run, and no attempt comes after."""
OPTIONS = ("--run-dir", "--resume")
LOOK_SECONDS = 0.5


def run(
    words: Sequence[str], asked: Mapping[str, Any], *, ranks: int, restarts: int, restart_ranks: int | None, deadline: float | None,
    mpi: Sequence[str],
) -> int:  # fmt: skip
    """Trains in `ranks` processes; where one is lost, all begin again from the last state, `restarts` times at most, as `restart_ranks`
    processes. `words` are `train` and what it takes, `asked` what it reads in them; `mpi` goes to mpiexec as it is. Returns the run's exit
    code, LOST where processes were lost to the last.

    Lost is a process that is gone without a word, or no longer answers. One that says what is wrong, with its spec, its data or itself,
    would say the same again: a run that goes on repeats its steps bit by bit.
    """
    program = mpiexec()
    library("mpi4py", "mpi")
    given, resumed = asked["run_dir"], asked["resume"]
    if given and resumed:
        raise UsageError("a resumed run keeps its folder: leave out --run-dir")
    only_looks = asked["lr_find"] or asked["dry_run"]
    name = _file(asked["file"]).stem if only_looks or not (given or resumed) else ""
    more = {} if deadline is None else {DEADLINE: f"{deadline:g}"}
    attempts = Attempts({**os.environ, LAUNCHED: "1", **more}, deadline or deadline_of_environment())

    def train(count: int, *train_words: str) -> tuple[int, bool]:
        return attempts.run([program, "-n", str(count), *mpi, sys.executable, "-m", "netspec", "train", *train_words])

    with closing(attempts):
        if only_looks:
            code, is_lost = train(ranks, *words[1:])
            if is_lost:
                tell(f"a process was lost ({_in_words(code)})")
            return LOST if is_lost else code
        folder = RunFolder(Path(resumed or given or claim_run_folder(name)))
        is_new = not resumed and _is_empty(folder.path)
        try:
            for attempt in range(restarts + 1):
                if attempt and is_new and not folder.state.is_file():
                    shutil.rmtree(folder.path, ignore_errors=True)  # what the attempt before left that was lost before its first save
                there = ["--resume", str(folder.path)] if resumed or folder.state.is_file() else ["--run-dir", str(folder.path)]
                count = ranks if attempt == 0 or restart_ranks is None else restart_ranks
                code, is_lost = train(count, *_without_folder(words[1:]), *there)
                if not is_lost:
                    return code
                left = restarts - attempt
                if left:
                    where = "the last state" if folder.state.is_file() else "the beginning"
                    times = "once" if left == 1 else f"{left} times"
                    tell(f"a process was lost ({_in_words(code)}); all begin again from {where}, {times} at most")
        finally:
            if is_new and not folder.events.is_file():  # it ended before it began
                shutil.rmtree(folder.path, ignore_errors=True)
    if not folder.state.is_file():
        tell(f"a process was lost ({_in_words(code)}), before anything was saved")
        return LOST
    tell(f"a process was lost ({_in_words(code)}); what was saved goes on with: netspec launch -n {ranks} train --resume {folder.path}")
    return LOST


def _in_words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def mpiexec() -> str:
    """The program that starts processes: beside this interpreter, where the extra puts it, else on the path. Raises UsageError."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.is_file() else shutil.which("mpiexec")
    if found is None:
        raise UsageError("this needs mpiexec: pip install 'netspec[mpi]'")
    return found


class Attempts:
    """Runs of mpiexec, one after the other, in a group of their own: a Ctrl-C at the terminal reaches this process alone, which hands
    every ending signal on once; what has not ended `patience` seconds later is killed. Where this process is killed, rank 0 hears it at its
    standard input. `close` gives signals back to who had them."""

    def __init__(self, environment: Mapping[str, str], patience: float) -> None:
        self._environment, self._patience = environment, patience
        self._process: subprocess.Popen[bytes] | None = None
        self._ending: int | None = None
        """The first signal that asked for the end."""
        self._before = {number: signal.signal(number, self._hand_on) for number in ENDING if signal.getsignal(number) != signal.SIG_IGN}

    def _hand_on(self, number: int, _frame: FrameType | None) -> None:
        is_first, self._ending = self._ending is None, self._ending or number
        if self._process is not None:
            self._process.send_signal(_for_mpiexec(number) if is_first else signal.SIGKILL)  # of two Ctrl-C it may make a success

    def run(self, command: Sequence[str]) -> tuple[int, bool]:
        """The exit code of one attempt, negative for the signal that has killed mpiexec, and whether a process was lost in it: whether none
        has told how all ended, or one that another is silent. Where the run was asked to end, the code is that of the signal, however
        mpiexec tells it."""
        if self._ending is None:
            how: dict[str, Any] = {"stdin": subprocess.PIPE, "bufsize": 0, "start_new_session": True}
            with subprocess.Popen(list(command), env=self._environment, **how) as self._process:
                self._hold()
                if self._ending is not None:
                    self._process.send_signal(_for_mpiexec(self._ending))  # heard while it was started
                code = self._ended(self._process)
            self._process = None
            if self._ending is None:
                told = decoded(code)
                return (code, True) if told is None else (told, told == LOST)
        return SIGNALLED + self._ending, False

    def _ended(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of mpiexec. Asked to end while it starts ranks, MPICH's can be left waiting for ever."""
        asked = 0.0
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_SECONDS)
            if self._ending is not None:
                asked = asked or time.monotonic()
                if time.monotonic() - asked > self._patience:
                    for number in [*_descendants(process.pid), process.pid]:
                        with suppress(ProcessLookupError):
                            os.kill(number, signal.SIGKILL)

    def _hold(self) -> None:
        """Writes into the standard input of rank 0, which stays open as long as this process lives."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")

    def close(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _for_mpiexec(number: int) -> int:
    """The signal that makes mpiexec let its ranks save and end: a hangup would end it at once."""
    return signal.SIGTERM if number == signal.SIGHUP else number


def _descendants(number: int) -> list[int]:
    """The processes that a process has started, and theirs, while it is there."""
    children: list[int] = []
    with suppress(OSError):  # it has just gone
        for path in Path("/proc").glob(f"{number}/task/*/children"):
            children += map(int, path.read_text().split())
    return [*children, *(one for child in children for one in _descendants(child))]


def _without_folder(words: Sequence[str]) -> Iterator[str]:
    """The words of `train` but --run-dir and --resume with their values."""
    left = iter(words)
    for word in left:
        name, joined, _ = word.partition("=")
        if name not in OPTIONS:
            yield word
        elif not joined:
            next(left)


def _file(given: str | None) -> Path:
    """The spec, if it is there, which every process would say."""
    if given is None:
        raise UsageError("give a .net file, or --resume RUN: netspec launch -n 4 train FILE")
    return spec_file(Path(given))


def _is_empty(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
