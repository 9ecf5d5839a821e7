"""What chains are expanded to before copies are written out: layers, units that repeat, merges of branches, points that are read again."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.text import Source, Span
from netspec.frontend.program import Call
from netspec.frontend.syntax import Word


@dataclass(frozen=True)
class Unit:
    """Layers that belong together: one body for each value of a list, all of them `times` times over."""

    text: str
    bodies: tuple[Pieces, ...]
    layers: int
    times: int = 1
    note: str = ""
    """How one copy is named: `of [...]x3 (line 7)`; empty where nothing repeats."""
    inside: str = ""
    """`inside def rb(c=64) (line 3)`: the names in the body are its own."""
    repeat: Span | None = None
    """The words `x3` of a repeat."""
    tied: bool = False
    """Whether all copies share one set of arrays."""
    source: Source | None = None
    """The text that `repeat` is in."""
    titles: tuple[str, ...] = ()
    """Of each body: the text with the values that its names stand for, `rb(c=64)`."""
    label: str = ""
    """The name of the point behind it."""


@dataclass(frozen=True)
class Named:
    """Layers whose end has a name: `a-b @stem`."""

    pieces: Pieces
    word: Word
    source: Source


@dataclass(frozen=True)
class Recall:
    """`@stem`: goes on from a point that was named before."""

    word: Word
    source: Source


@dataclass(frozen=True)
class Merge:
    """Branches from one point, and the layer `call` that makes one value of them. The last branch of a `res` is its skip: empty, or the
    one call that projects."""

    text: str
    call: Call
    branches: tuple[Pieces, ...]
    texts: tuple[str, ...]
    """Of each branch."""
    layers: int
    is_res: bool = False
    label: str = ""
    """The name of the point behind it."""


@dataclass(frozen=True)
class Gap:
    """The place of something that is wrong and was reported: what stands behind it has no known shape."""


Piece = Call | Unit | Named | Recall | Merge | Gap
Pieces = tuple[Piece, ...]


def count_layers(pieces: Pieces) -> int:
    """How many layers the pieces stand for, by arithmetic; a name and what reads it count as one, so that no loop over them is free."""
    total = 0
    for piece in pieces:
        match piece:
            case Unit() | Merge():
                total += piece.layers
            case Named():
                total += max(1, count_layers(piece.pieces))
            case _:
                total += 1
    return total


def unit(
    text: str, bodies: tuple[Pieces, ...], times: int = 1, *, note: str = "", inside: str = "", repeat: Span | None = None,
    tied: bool = False, source: Source | None = None, titles: tuple[str, ...] = (), label: str = "",
) -> Pieces:  # fmt: skip
    """One unit, or nothing where it holds no layer: what repeats nothing costs nothing."""
    layers = times * sum(map(count_layers, bodies))
    return (Unit(text, bodies, layers, times, note, inside, repeat, tied, source, titles, label),) if layers else ()


def merge(text: str, call: Call, branches: tuple[Pieces, ...], texts: tuple[str, ...], *, is_res: bool = False) -> Pieces:
    return (Merge(text, call, branches, texts, 1 + sum(map(count_layers, branches)), is_res),)
