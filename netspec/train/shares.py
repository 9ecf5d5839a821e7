"""Whether the processes that share each batch have enough rows of it."""

from __future__ import annotations

from math import prod

from netspec.base.errors import Problem
from netspec.base.kinds import Normalization
from netspec.frontend.program import Program
from netspec.graph.counts import key_error
from netspec.graph.graph import Graph
from netspec.kernels.context import Share


class SharesWarning(UserWarning):
    """Some processes have nothing to do."""


def require_variance(program: Program, graph: Graph, share: Share, batch: int) -> None:
    """Raises SpecError where bn takes the statistics of each process's own rows, and some have, of a full batch of so many rows, one number
    of a feature alone: its variance is 0, and what bn makes of it is the same for every row."""
    least = max(1, batch // share.ranks)
    by_batch = (node for node in graph.nodes if isinstance(node.layer, Normalization) and not node.frozen)
    if share.statistics or not any(least * prod(node.input.shape[1:]) == 1 for node in by_batch):
        return
    message = f"--local-bn: of a batch of {batch}, shared by {share.ranks} processes, some have one row alone, of which bn has no variance"
    larger = f"write batch = {2 * share.ranks} or more, " if program.train.batch == batch else ""
    help_text = f"leave --local-bn out, {larger}or start at most {_counted(max(1, batch // 2))}"
    raise key_error(program, Problem("NS606", message, help=help_text, argument="train.batch"))


def _counted(processes: int) -> str:
    return f"{processes} process{'es' * (processes != 1)}"


def idle(share: Share, batch: int) -> str | None:
    """A sentence where some processes have no row of a full batch."""
    if batch >= share.ranks:
        return None
    told = f"{share.ranks} processes share batches of {batch}, and {share.ranks - batch} of them never get a row"
    return f"{told}; start at most {_counted(batch)}, or write batch = {share.ranks} or more in train"
