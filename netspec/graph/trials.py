"""Whether a net can take what its search would try: every value of a choice, both ends of an interval, put in place one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import SpecError
from netspec.base.text import Source, Span
from netspec.frontend import syntax
from netspec.frontend.program import Overrides, Program
from netspec.frontend.space import Tried, ends
from netspec.frontend.validate import validate_partly
from netspec.graph.build import build
from netspec.graph.counts import counts_of

MOST_WORK = 12_000
"""Layers that are looked at for one text, with a share for reading it, so that a check stays quick; values beyond it a sweep meets."""
WORK_OF_TRY, LETTERS_OF_LAYER = 100, 20
"""What a try costs beside its layers, in layers: as such, and by the length of the text."""
MOST_PAIRS = 30
"""Other values that are tried beside one that the net does not take with its own values."""


def refused(file: syntax.File, source: Source, overrides: Overrides, program: Program) -> list[Diagnostic]:
    """An error for each value that the net does not take, whatever another key of the search is."""
    return list(_Tries(file, source, overrides, program).wrong())


@dataclass
class _Tries:
    """One look at a text's search. `work` is what it has cost so far."""

    file: syntax.File
    source: Source
    overrides: Overrides
    program: Program
    work: int = field(default=0)

    def wrong(self) -> Iterator[Diagnostic]:
        for key, candidates in self.program.search.items():
            for value, span in ends(candidates):
                if self.work > MOST_WORK:
                    return
                fault = self._fault({key: value})
                if fault is not None and not self._goes_with_another(key, value):
                    yield self._told(key, value, span, fault)

    def _goes_with_another(self, key: str, value: Tried) -> bool:
        """Whether the net takes a value beside some value of one other key."""
        others = [(name, other) for name, found in self.program.search.items() if name != key for other, _ in ends(found)]
        return any(self.work <= MOST_WORK and self._fault({key: value, name: other}) is None for name, other in others[:MOST_PAIRS])

    def _fault(self, values: Mapping[str, Tried]) -> Diagnostic | None:
        """The first thing that is wrong with the text with these values."""
        found: Sequence[Diagnostic]
        self.work += WORK_OF_TRY + len(self.source.text) // LETTERS_OF_LAYER
        try:
            program, found = validate_partly(self.file, self.source, self.overrides.with_values(values))
            self.work += len(program.net) if program is not None else 0
            if not found and program is not None and (counts := counts_of(program)) is not None:
                build(program, counts)
        except SpecError as error:
            found = error.diagnostics
        return found[0] if found else None

    def _told(self, key: str, value: Tried, span: Span, fault: Diagnostic) -> Diagnostic:
        shown = value if isinstance(value, str) else repr(value)
        notes = fault.notes
        if fault.span is not None and fault.path == self.source.path:
            words = self.source.words(fault.span)
            notes = (f"{fault.code} in line {fault.line}, at `{words if len(words) <= 40 else f'{words[:37]}...'}`", *notes)
        message = f"the net does not take {key} = {shown}: {fault.message}"
        return Diagnostic("NS318", message, self.source, span, notes=notes, help=fault.help)
