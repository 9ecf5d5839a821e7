"""From a version of the language to the next: what is registered here keeps texts of older versions readable.

    @migration(from_=1, to=2)
    def lr_of_optimizers(file: syntax.File) -> syntax.File:
        "`lr` of train stands in the optimizer."
        ...

A step rewrites the tree of a text. `dataclasses.replace` keeps the places of words and the comments beside them; the version line is
changed by `migrate`. The newest version is the one that the steps lead to, and the grammar reads the words of all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from netspec.frontend import syntax

FIRST = 1
Rewrite = Callable[[syntax.File], syntax.File]


@dataclass(frozen=True)
class Step:
    """A change from one version to the next; `says` is for the user."""

    from_: int
    to: int
    says: str
    rewrite: Rewrite


STEPS: dict[int, Step] = {}
"""By the version that they begin from. Version 1 is the first, and there is none yet."""


def migration(*, from_: int, to: int) -> Callable[[Rewrite], Rewrite]:
    """Registers a function as the step between two versions; the first line of its docstring says what changes.

    Raises ValueError where the step does not lead to the next version, is there already, leaves one out, or says nothing.
    """

    def register(rewrite: Rewrite) -> Rewrite:
        says = (rewrite.__doc__ or "").strip().split("\n")[0]
        if to != from_ + 1:
            raise ValueError(f"a step leads to the next version: from_={from_}, to={from_ + 1}")
        if from_ != newest():
            raise ValueError(f"the steps lead to version {newest()} so far: the next is from_={newest()}, to={newest() + 1}")
        if not says:
            raise ValueError(f"{rewrite.__name__} has no docstring that says what changes")
        STEPS[from_] = Step(from_, to, says, rewrite)
        return rewrite

    return register


def newest() -> int:
    """The newest version of the language."""
    return FIRST + len(STEPS)


def version_of(file: syntax.File) -> int | None:
    """The number of the version line; None where there is none, or no such version."""
    lines = [entry.number.text for entry in file.entries if isinstance(entry, syntax.Version)]
    known = {str(number): number for number in range(FIRST, newest() + 1)}
    return known.get(lines[0]) if lines else None


def steps_of(file: syntax.File) -> tuple[Step, ...]:
    """What lies between a text and the newest version; a text without a version line is in the newest."""
    return tuple(STEPS[number] for number in range(version_of(file) or newest(), newest()))


def migrate(file: syntax.File) -> syntax.File:
    """The program in the newest version, its version line included where it has one."""
    for step in steps_of(file):
        file = _in_version(step.rewrite(file), step.to)
    return file


def _in_version(file: syntax.File, number: int) -> syntax.File:
    entries = (
        replace(entry, number=replace(entry.number, text=str(number))) if isinstance(entry, syntax.Version) else entry
        for entry in file.entries
    )
    return replace(file, entries=tuple(entries))
