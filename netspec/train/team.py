"""Processes that train one net together, over MPI: started by `mpiexec -n N netspec train FILE` or `netspec launch`.

Every process, a rank, has all rows and all parameters, computes its part of each batch, and makes the same update. A rank that fails ends
all of them: what it did not answer to, the others would wait for.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.cell_error import DEBUG
from netspec.base.errors import DivergedError, Interrupted, NetspecError, UsageError
from netspec.base.extras import library
from netspec.base.outcome import outcome
from netspec.kernels.context import Share

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where the starters of MPI processes say how many there are."""
DEADLINE = "NETSPEC_DEADLINE"
SECONDS = 60.0
"""That a rank waits for the others in a step."""
PATIENT = 10
"""Times as long it waits while data are read, kernels compiled, or rank 0 saves and calls callbacks at an epoch's end."""
SPINS = 200
"""Looks at an answer between two looks at the clock, after which a waiting rank gives its core away."""
HEARD_SECONDS = 0.5
"""That what a rank has said takes at most to the one who started it, who drops what comes after an abort."""
LOST = 7
"""Exit code where a rank was lost."""
ALIVE = 99
"""Tag of the messages by which ranks that wait tell each other so."""

Result = TypeVar("Result")


class LostError(NetspecError):
    """Another rank did not answer in time."""

    exit_code = LOST


class PeerError(NetspecError):
    """Another rank has failed, and says why itself; with its exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


def team_of_world(*, statistics: bool = True) -> Team | None:
    """The processes that this one was started with; None where it is alone. `statistics`: bn takes those of the whole batch. Raises
    UsageError where the library of the extra `mpi` is missing or does not belong to the program that started the processes."""
    started = max((_count(os.environ.get(name)) for name in SIZES), default=0)
    if started <= 1:
        return None
    with _ended_after(PATIENT * deadline_of_environment()):
        comm = library("mpi4py.MPI", "mpi").COMM_WORLD
    if comm.Get_size() != started:
        raise UsageError(
            f"{started} processes were started, and the MPI library of mpi4py finds {comm.Get_size()}: start them with the mpiexec that "
            "belongs to it, or by `netspec launch`"
        )
    return Team(comm, statistics=statistics)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """While the processes find each other, inside the library, where nothing of Python's is heard: this one is ended, and so all, where
    some process never comes, and at once by a Ctrl-C, which another may have followed before it came."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = [signal.SIGALRM, *([signal.SIGINT] if signal.getsignal(signal.SIGINT) != signal.SIG_IGN else [])]
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ends}
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def deadline_of_environment() -> float:
    """Seconds that a rank waits for the others in a step, SECONDS unless the environment says otherwise. Raises UsageError."""
    told = os.environ.get(DEADLINE, "")
    try:
        seconds = float(told or SECONDS)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{DEADLINE}={told}: give the seconds that a process waits for the others, such as 60")
    return seconds


class Team:
    """The ranks as this one sees them. Every method is a collective call: it ends when all have made it, or with LostError."""

    def __init__(self, comm: Any, *, statistics: bool, deadline: float | None = None) -> None:
        self._mpi, self._comm = library("mpi4py.MPI", "mpi"), comm
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.share = Share(self.rank, self.size, statistics)
        self.deadline = deadline_of_environment() if deadline is None else deadline
        self._patience = 1.0
        self.host = str(self._mpi.Get_processor_name())
        local = comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        self._is_first_here = local.Get_rank() == 0
        self.threads = _threads(self._mpi, local)

    @property
    def leads(self) -> bool:
        """Whether this rank is the one that writes and speaks."""
        return self.rank == 0

    # what ranks do together

    def add(self, values: NDArray[Any]) -> None:
        """Each rank's array (contiguous) becomes the sum of all."""
        self._wait(self._comm.Iallreduce(self._mpi.IN_PLACE, values))

    def gather(self, parts: NDArray[Any]) -> None:
        """Row r of (ranks, n), contiguous, becomes that of rank r."""
        self._wait(self._comm.Iallgather(self._mpi.IN_PLACE, parts))

    def take_from_first(self, values: NDArray[Any]) -> None:
        """Each rank's array (contiguous) becomes that of rank 0."""
        self._wait(self._comm.Ibcast(values, 0))

    def texts(self, text: str) -> list[str]:
        """Every rank's text, in their order; of the longest bytes at most 64 KiB."""
        own = text.encode()[: 1 << 16]
        counts = np.zeros((self.size, 1), np.int64)
        counts[self.rank] = len(own)
        self.gather(counts)
        letters = np.zeros((self.size, max(1, int(counts.max()))), np.uint8)
        letters[self.rank, : len(own)] = np.frombuffer(own, np.uint8)
        self.gather(letters)
        return [row[:count].tobytes().decode(errors="replace") for row, count in zip(letters, counts[:, 0].tolist(), strict=True)]

    def everywhere(self, work: Callable[[], Result], *, in_turn: bool = False) -> Result:
        """What `work` gives on this rank, once it has ended well on all. Where it raises on some, these raise the same (of those with the
        same text the first), and the others PeerError. `in_turn`: the first rank of each machine before the others, which then find what it
        has compiled. While it goes on a rank waits PATIENT times as long for the others."""
        with self.patient():
            result, failure = None, None
            for first in (True, False) if in_turn else (self._is_first_here,):
                if self._is_first_here == first:
                    try:
                        result = work()
                    except Exception as error:
                        failure = error
                if in_turn:
                    self.add(np.zeros(1))
            self._agree(failure)
        return result  # type: ignore[return-value]  # nobody has failed

    @contextmanager
    def patient(self) -> Iterator[None]:
        """While one waits for what takes some ranks longer than others, PATIENT times as long."""
        self._patience = PATIENT
        try:
            yield
        finally:
            self._patience = 1.0

    def _agree(self, failure: Exception | None) -> None:
        """Raises where any rank has failed."""
        told = "" if failure is None else f"{outcome(failure)[0]:3d}{type(failure).__name__}: {failure}"
        texts = self.texts(told)
        failed = [rank for rank, text in enumerate(texts) if text]
        if not failed:
            return
        if failure is None or texts.index(told) != self.rank:
            error: Exception = PeerError(int(texts[failed[0]][:3]))
        else:
            error = failure
            if self.rank:
                error.add_note(f"on rank {self.rank} of {self.size}, {self.host}")
        setattr(error, SHARED, True)
        raise error from None

    def require_same(self, what: str, text: str, error: type[NetspecError]) -> None:
        """Raises where a rank's text is not that of rank 0."""
        hosts = self.texts(self.host)
        digests = self.texts(hashlib.sha256(text.encode()).hexdigest())
        others = [f"rank {rank} ({hosts[rank]})" for rank in range(self.size) if digests[rank] != digests[0]]
        if not others:
            return
        found: NetspecError = PeerError(error.exit_code)
        if self.leads:
            found = error(f"the ranks have not the same {what}: {', '.join(others)} differ from rank 0 ({hosts[0]})")
        setattr(found, SHARED, True)
        raise found

    def _wait(self, request: Any) -> None:
        """Until the answer is there."""
        waited = 0
        until = 0.0
        while not request.Test():
            waited += 1
            if waited % SPINS == 0:
                now = time.monotonic()
                until = until or now + self.deadline * self._patience
                if now > until:
                    raise LostError(self._lost())
                os.sched_yield()

    def _lost(self) -> str:
        """Who does not answer: those who wait tell each other."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        word, until = np.zeros(1), time.monotonic() + 1.0
        sent = [self._comm.Isend(word, rank, ALIVE) for rank in others]
        heard: set[int] = set()
        while time.monotonic() < until and len(heard) < len(others):
            status = self._mpi.Status()
            if self._comm.Iprobe(self._mpi.ANY_SOURCE, ALIVE, status):
                self._comm.Recv(np.zeros(1), status.Get_source(), ALIVE)
                heard.add(status.Get_source())
            time.sleep(0.01)
        del sent
        silent = [f"rank {rank}" for rank in others if rank not in heard]
        waited = self.deadline * self._patience
        return f"no answer of {', '.join(silent) or 'another rank'} for {waited:g} s ({DEADLINE} sets how long to wait); all ranks end"

    # failures

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """What goes wrong on this rank alone ends all of them, with its exit code."""
        try:
            yield
        except (DivergedError, Interrupted) as error:  # which all find at the same step
            if self.leads:
                raise
            raise PeerError(error.exit_code) from None
        except BaseException as error:
            if not getattr(error, SHARED, False):
                self._end_all(error)
            raise

    def _end_all(self, error: BaseException) -> None:
        """Says why, and ends every rank, this one too."""
        code, told = outcome(error)
        if os.environ.get(DEBUG):
            told = "".join(traceback.format_exception(error))
        print(f"rank {self.rank} of {self.size}, {self.host}: error: {told}", file=sys.stderr, flush=True)
        time.sleep(HEARD_SECONDS)
        self._comm.Abort(code)
        os._exit(code)  # it may come back before it has ended this one


SHARED = "_netspec_shared"
"""Attribute of errors that every rank raises."""


def _threads(mpi: Any, local: Any) -> int:
    """Cores for each of a machine's ranks: those of them that may use the same cores share these alike."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    own = np.zeros(1 << 12, np.uint8)
    own[cores] = 1
    masks = np.zeros((local.Get_size(), len(own)), np.uint8)
    masks[local.Get_rank()] = own
    local.Allgather(mpi.IN_PLACE, masks)
    alike = int((masks == own).all(axis=1).sum())
    return max(1, len(cores) // alike)
