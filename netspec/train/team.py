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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.cell_error import DEBUG
from netspec.base.errors import DivergedError, Interrupted, NetspecError, UsageError
from netspec.base.extras import library
from netspec.base.launched import LAUNCHED, encoded
from netspec.base.outcome import outcome
from netspec.kernels.context import Share

STARTERS = (
    ("PMI_SIZE", "PMI_RANK"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    ("SLURM_STEP_NUM_TASKS", "PMIX_RANK"),
)
"""Where those who start MPI processes say how many there are, and which one this is: MPICH and what is made from it, srun by PMI too; Open
MPI; MVAPICH; srun by PMIx, which has no name for their number. srun's own words alone are of no account: it starts processes that have
nothing to do with each other as well."""
DEADLINE = "NETSPEC_DEADLINE"
SECONDS = 60.0
"""That a rank waits for the others in a step."""
PATIENT = 10
"""Times as long it waits between the pieces of training and before the first, while data are read, kernels compiled, and rank 0 saves and
calls callbacks."""
SPINS = 200
"""Looks at an answer between two looks at the clock, after which a waiting rank gives its core away."""
HEARD_SECONDS = 0.5
"""That what a rank has said takes at most to the one who started it, who drops what comes after an abort."""
LOST = 7
"""Exit code where a rank was lost."""
ALIVE = 99
"""Tag of the messages by which ranks that wait tell each other so."""
UNDECODABLE = "surrogateescape"
"""How the bytes of a path that are no text are told."""

Result = TypeVar("Result")


class LostError(NetspecError):
    """Another rank did not answer in time."""

    exit_code = LOST


class PeerError(NetspecError):
    """Another rank has failed, and says why itself; with its exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


def place_of_environment() -> tuple[int, int]:
    """(processes that were started together, which of them this is), by what their starter says: of several the first that speaks of more
    than one process, for a job may start its processes by another one."""
    told = ((os.environ.get(size, ""), os.environ.get(rank, "")) for size, rank in STARTERS)
    places = ((int(size), int(rank)) for size, rank in told if size.isdecimal() and rank.isdecimal())
    return next((place for place in places if place[0] > 1), (1, 0))


def is_first() -> bool:
    """Whether this process is alone, or the first of those that were started together."""
    return place_of_environment()[1] == 0


def team_of_world() -> Team | None:
    """The processes that this one was started with; None where it is alone. Raises UsageError where the library of the extra `mpi` is
    missing or does not belong to the program that started the processes."""
    started, _ = place_of_environment()
    if started <= 1:
        return None
    with _ended_after(PATIENT * deadline_of_environment()):
        comm = library("mpi4py.MPI", "mpi").COMM_WORLD
    if comm.Get_size() != started:
        raise UsageError(
            f"{started} processes were started, and the MPI library of mpi4py finds {comm.Get_size()}: start them with the mpiexec that "
            "belongs to it, or by `netspec launch`"
        )
    return Team(comm)


def end_with_launch() -> None:
    """Rank 0 of a launched run asks all to save and end, as a polite kill does, once `netspec launch` is gone, which holds its standard
    input open and has written into it."""
    if os.environ.get(LAUNCHED) and is_first():
        threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    is_held = False
    with suppress(OSError):
        while os.read(0, 1):  # by the descriptor: at exit Python could not take the lock of a stream that a thread reads
            is_held = True
    if is_held:
        os.kill(os.getpid(), signal.SIGTERM)


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
    """The ranks as this one sees them. What they do together are collective calls: each ends when all have made it, or with LostError."""

    def __init__(self, comm: Any, *, deadline: float | None = None) -> None:
        self._mpi, self._comm = library("mpi4py.MPI", "mpi"), comm
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.share = Share(self.rank, self.size, statistics=True)
        self.deadline = deadline_of_environment() if deadline is None else deadline
        self._patience = 1.0
        self.host = str(self._mpi.Get_processor_name())
        local = comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        self._is_first_here = local.Get_rank() == 0
        self.threads = _threads(self._mpi, local)

    def take_statistics(self, *, of_whole_batch: bool) -> None:
        """What bn takes statistics of from here on, and nothing else would do: the rows of all ranks, or of each its own."""
        self.share = replace(self.share, statistics=of_whole_batch)

    @property
    def leads(self) -> bool:
        """Whether this rank is the one that writes and speaks."""
        return self.rank == 0

    # what ranks do together

    def add(self, values: NDArray[Any]) -> None:
        """Each rank's array (contiguous) becomes the sum of all."""
        self._wait(self._comm.Iallreduce, self._mpi.IN_PLACE, values)

    def gather(self, parts: NDArray[Any]) -> None:
        """Row r of (ranks, n), contiguous, becomes that of rank r."""
        self._wait(self._comm.Iallgather, self._mpi.IN_PLACE, parts)

    def take_from_first(self, values: NDArray[Any]) -> None:
        """Each rank's array (contiguous) becomes that of rank 0."""
        self._wait(self._comm.Ibcast, values, 0)

    def texts(self, text: str) -> list[str]:
        """Every rank's text, in their order; of the longest bytes at most 64 KiB."""
        own = text.encode(errors=UNDECODABLE)[: 1 << 16]
        counts = np.zeros((self.size, 1), np.int64)
        counts[self.rank] = len(own)
        self.gather(counts)
        letters = np.zeros((self.size, max(1, int(counts.max()))), np.uint8)
        letters[self.rank, : len(own)] = np.frombuffer(own, np.uint8)
        self.gather(letters)
        return [row[:count].tobytes().decode(errors=UNDECODABLE) for row, count in zip(letters, counts[:, 0].tolist(), strict=True)]

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

    def require_same(self, told: Mapping[str, tuple[str, type[NetspecError]]]) -> None:
        """Raises where a rank's text is not that of rank 0: the error of the first such text, by what it is of."""
        digests = np.zeros((self.size, len(told), hashlib.sha256().digest_size), np.uint8)
        for place, (text, _) in enumerate(told.values()):
            digests[self.rank, place] = np.frombuffer(hashlib.sha256(text.encode(errors=UNDECODABLE)).digest(), np.uint8)
        self.gather(digests)
        differ = (digests != digests[0]).any(axis=2)
        if not differ.any():
            return
        place, hosts = int(differ.any(axis=0).argmax()), self.texts(self.host)
        what, (_, error) = list(told.items())[place]
        others = ", ".join(f"rank {rank} ({hosts[rank]})" for rank in np.flatnonzero(differ[:, place]))
        message = f"the ranks have not the same {what}: {others} differ from rank 0 ({hosts[0]})"
        found = error(message) if self.leads else PeerError(error.exit_code)
        setattr(found, SHARED, True)
        raise found

    def _wait(self, exchange: Callable[..., Any], *given: Any) -> None:
        """Until the answer is there."""
        waited = 0
        until = 0.0
        try:
            request = exchange(*given)
            while not request.Test():
                waited += 1
                if waited % SPINS == 0:
                    now = time.monotonic()
                    until = until or now + self.deadline * self._patience
                    if now > until:
                        raise LostError(self._lost())
                    os.sched_yield()
        except self._mpi.Exception as error:  # a connection has ended
            told = self._mpi.Get_error_string(error.Get_error_class())
            raise LostError(f"the ranks have lost each other ({told}); all ranks end") from None

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
        self._comm.Abort(encoded(code))
        os._exit(encoded(code))  # it may come back before it has ended this one


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
