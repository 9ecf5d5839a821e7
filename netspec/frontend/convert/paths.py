"""A graph of steps as one chain: merges with their branches, and names for values that are read again later.

Every merge has a nearest step that all ways into it pass (its dominator): the chain goes there, and the branches of the merge begin there.
A branch that meets a step which an earlier branch has written reads it by its name instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netspec.base.layer import Layer
from netspec.frontend.bind import layers
from netspec.frontend.convert.sketch import INPUT, Finding, Made, NoChain, Sketch
from netspec.frontend.limits import NAME_LENGTH, NESTING


@dataclass(frozen=True)
class Piece:
    """One element of a chain: a layer, a merge of branches, a value read by its name, or a step without a counterpart."""

    layer: Layer | None = None
    merge: str | None = None
    branches: tuple[tuple[Piece, ...], ...] = ()
    reads: str | None = None
    gap: Finding | None = None
    label: str | None = None
    counted: bool = False
    """A last affine, whose width follows from the count of classes or outputs."""


Pieces = tuple[Piece, ...]


def to_chain(sketch: Sketch, made: Mapping[str, Made], gaps: Mapping[str, Finding]) -> Pieces:
    """The pieces from the input to the output. Raises NoChain where branches are nested too deep."""
    inputs = {step.name: step.inputs for step in sketch.steps}
    writer = _Writer(inputs, dominators(inputs), made, gaps)
    pieces = writer.chain(sketch.output, INPUT, 0)
    return _with_labels(pieces, writer.labels)


def dominators(inputs: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For each step the last one that every way from the input to it passes; steps come after their inputs."""
    order = {INPUT: 0, **{name: place for place, name in enumerate(inputs, 1)}}
    found: dict[str, str] = {INPUT: INPUT}
    for name, ways in inputs.items():
        one = ways[0]
        for other in ways[1:]:
            while one != other:
                if order[one] > order[other]:
                    one = found[one]
                else:
                    other = found[other]
        found[name] = one
    return found


@dataclass
class _Writer:
    inputs: Mapping[str, tuple[str, ...]]
    dominators: Mapping[str, str]
    made: Mapping[str, Made]
    gaps: Mapping[str, Finding]
    written: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)

    def chain(self, target: str, start: str, depth: int) -> Pieces:
        """What leads from the value `start` to the value `target`."""
        if depth > NESTING // 2:
            raise NoChain(f"its branches lie more than {NESTING // 2} deep in each other")
        way: list[str] = []
        pieces: list[Piece] = []
        name = target
        while name != start:
            if name in self.written:
                pieces.append(Piece(reads=self._label(name)))
                break
            way.append(name)
            name = self.dominators[name] if self.made[name].merge is not None else self.inputs[name][0]
        for name in reversed(way):
            pieces += self._pieces(name, depth)
            self.written.add(name)
        return tuple(pieces)

    def _pieces(self, name: str, depth: int) -> Pieces:
        made = self.made[name]
        if name in self.gaps:
            return (Piece(gap=self.gaps[name], label=name),)
        if made.merge is None:
            pieces = [Piece(layer=layer) for layer in made.layers]
            return (*pieces[:-1], replace(pieces[-1], label=name)) if pieces else (Piece(label=name),)
        branches = [self.chain(one, self.dominators[name], depth + 1) for one in self.inputs[name]]
        if made.merge != "concat":  # the order of equals is free, and the identity reads best behind
            branches.sort(key=lambda branch: not any(piece.layer or piece.merge or piece.reads or piece.gap for piece in branch))
        return (Piece(merge=made.merge, branches=tuple(branches), label=name),)

    def _label(self, name: str) -> str:
        if name not in self.labels:
            self.labels[name] = label_of(name, set(self.labels.values()))
        return self.labels[name]


def label_of(name: str, taken: set[str]) -> str:
    """A name of this language for a step; none that a layer has, or its parameters: `conv1` is the first conv."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_")[: NAME_LENGTH - 8] or "value"
    if not text[0].isalpha() or text.rstrip("0123456789") in {*layers(), *RESERVED} or text in taken:
        text = f"at_{text}"
    number, unique = 2, text
    while unique in taken:
        unique, number = f"{text}_{number}", number + 1
    return unique


RESERVED = (
    "netspec", "let", "def", "use", "data", "input", "classes", "outputs", "net", "train", "defaults", "search", "seed", "mod", "true",
    "false", "tied", "min", "max", "x",
)  # fmt: skip


def _with_labels(pieces: Pieces, labels: Mapping[str, str]) -> Pieces:
    """The pieces with labels where they are read, and none elsewhere; what has neither layer nor label is left out."""
    found = []
    for piece in pieces:
        label = labels.get(piece.label or "")
        inner = tuple(_with_labels(branch, labels) for branch in piece.branches)
        piece = replace(piece, label=label, branches=inner)
        if piece.layer or piece.merge or piece.reads or piece.gap or label:
            found.append(piece)
    return tuple(found)


def layers_in(pieces: Pieces) -> list[Layer]:
    """Every layer, those of branches too."""
    found: list[Layer] = []
    for piece in pieces:
        found += [piece.layer] if piece.layer is not None else []
        for branch in piece.branches:
            found += layers_in(branch)
    return found
