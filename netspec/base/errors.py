"""The errors that callers see, and the bare fact that inner code raises before a stage adds where it happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from netspec.base.cell_error import cell_lines
from netspec.base.diagnostic import Diagnostic


class NetspecError(Exception):
    """Base of every error that netspec raises on purpose."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What IPython shows; Python's own traceback is as ever."""
        return cell_lines(self)


class SpecError(NetspecError, ValueError):
    """The spec is invalid; `diagnostics` lists every finding. `str()` is the text that `netspec check` prints, without colour."""

    exit_code = 3

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n\n".join(str(diagnostic) for diagnostic in self.diagnostics))

    def _render_traceback_(self) -> list[str]:
        return cell_lines(self, self.diagnostics)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.diagnostics,)  # from a worker to the process that waits for it


class LimitError(SpecError):
    """A limit on size or memory refused the spec."""

    exit_code = 6


class DataError(NetspecError, ValueError):
    """The data is missing, unreadable or does not fit the spec."""

    exit_code = 4


class RowError(DataError):
    """What is wrong in one row, which counts from 0; who knows the file that it came from tells the place there instead."""

    def __init__(self, before: str, row: int, after: str, counting: str = " (rows count from 0)") -> None:
        super().__init__(before, row, after, counting)

    def __str__(self) -> str:
        before, row, after, counting = self.args
        return f"{before}row {row}{counting}{after}"

    def told(self, place: Callable[[int], str]) -> DataError:
        """The same with the place of the row: `line 7`."""
        before, row, after, _ = self.args
        return DataError(f"{before}{place(row)}{after}")


@contextmanager
def rows_told_by(place: Callable[[int], str] | None) -> Iterator[None]:
    """Tells faults of rows by their place in a file, where one is known."""
    try:
        yield
    except RowError as fault:
        if place is None:
            raise
        raise fault.told(place) from None


class DivergedError(NetspecError):
    """The loss became NaN or infinite during training.

    Where it is known: `step` that was about to be done and its `epoch`, both from 1; the first bad `layer`, None where that is the loss
    itself; the `rows` of the data, from 0, in which its output is not finite.
    """

    exit_code = 5

    def __init__(
        self, message: str, *, step: int | None = None, epoch: int | None = None, layer: str | None = None, rows: tuple[int, ...] = (),
        begun_well: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.step, self.epoch, self.layer, self.rows = step, epoch, layer, rows
        self.begun_well = begun_well
        """Whether a step went well after the loop was last heard of."""


class Interrupted(NetspecError):  # noqa: N818  a wish of the user's, no error
    """Training was stopped by a signal; what there was has been saved."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.signal_number, str(self))


class UsageError(NetspecError, ValueError):
    """A call or a command line that cannot be carried out as written."""

    exit_code = 2


class Problem(Exception):  # noqa: N818  a bare fact on its way to a stage boundary, never shown to a user as it is
    """What is wrong, raised where it is found; the stage that knows the place turns it into a Diagnostic.

    `argument` names the argument whose value is at fault, so that the caret can stand under it; None points at the layer. `label` is what
    stands behind the caret.
    """

    def __init__(self, code: str, message: str, *, help: str | None = None, argument: str | None = None, label: str = "") -> None:  # noqa: A002
        super().__init__(message)
        self.code, self.message, self.help, self.argument, self.label = code, message, help, argument, label
