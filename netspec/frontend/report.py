"""Collects findings, so that one run shows every independent error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError

MOST = 50
"""Errors shown of one text; more hide the first."""


LONG = 120
"""Letters of a note that is told once."""


@dataclass
class Report:
    """Errors and warnings in the order found, each once. `context` says where words come from that are read more than once."""

    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    context: list[str] = field(default_factory=list)
    _known: set[tuple[object, ...]] = field(default_factory=set)

    @property
    def full(self) -> bool:
        """Whether more errors would not be shown."""
        return len(self.errors) >= MOST

    def add(self, found: Sequence[Diagnostic]) -> None:
        """Keeps findings; one about the same words with the same message is kept once."""
        for diagnostic in found:
            if self.context and not diagnostic.notes:
                diagnostic = replace(diagnostic, notes=(", ".join(reversed(self.context)),))
            into = self.errors if diagnostic.severity == "error" else self.warnings
            key = (diagnostic.severity, diagnostic.code, diagnostic.span, diagnostic.message, diagnostic.path)
            if key not in self._known and len(into) < MOST:
                self._known.add(key)
                into.append(diagnostic)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Catches a SpecError of its block; a LimitError goes on, for what follows it would cost too much."""
        try:
            yield
        except LimitError:
            raise
        except SpecError as error:
            self.add(error.diagnostics)

    @contextmanager
    def inside(self, note: str) -> Iterator[None]:
        """Adds a note to the errors found in its block."""
        self.context.append(note)
        try:
            yield
        finally:
            self.context.pop()

    def in_order(self) -> tuple[Diagnostic, ...]:
        """The errors in the order of the text. A long note, which lists all that there is, stands at the first of those that have it."""
        told: set[str] = set()
        found = []
        for one in sorted(self.errors, key=lambda d: (d.path, d.span.start if d.span else -1)):
            notes = tuple(note for note in one.notes if len(note) < LONG or note not in told)
            told.update(notes)
            found.append(replace(one, notes=notes))
        return tuple(found)

    def stop_if_wrong(self) -> None:
        """Raises what was collected, in the order of the text; LimitError where a limit is among it."""
        if not self.errors:
            return
        found = self.in_order()
        kind = LimitError if any(d.code.startswith("NS8") for d in found) else SpecError
        raise kind(found)
