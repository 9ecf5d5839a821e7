"""Gradients of values. Each layer that reads a value adds a term to its gradient: the only term is the gradient itself; several are added
up by the kernel that reads them next, where it can, else by a launch of their own.

A term may be a buffer that was written for something else: a sum hands its own gradient on to every branch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from netspec.base.shape import size
from netspec.graph.graph import Value
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Word

if TYPE_CHECKING:
    from netspec.kernels.context import Context


class Gradients:
    """The terms of the gradients of one lowering's values, by the first value that shares their memory."""

    def __init__(self, context: Context, first: dict[int, int], *, input_gradient: bool) -> None:
        self.context, self._first = context, first
        graph = context.graph
        taken = [first[value.index] for node in graph.nodes if first[node.output.index] != first[node.input.index] for value in node.inputs]
        self._readers = Counter([*taken, first[graph.output.index]])
        """How many terms each gradient has at most: the loss gives that of the scores."""
        ends = {"dscores": graph.output, **({"dx": graph.input} if input_gradient else {})}
        self._names = {index: [name for name, end in ends.items() if first[end.index] == index] for index in first.values()}
        self._terms: dict[int, list[Buffer]] = {}

    def new(self, value: Value) -> Buffer:
        """A buffer for one more term, which the caller's kernel fills."""
        index = self._first[value.index]
        terms = self._terms.setdefault(index, [])
        if self._readers[index] == 1 or "dscores" in self._names[index]:
            made = self._whole(value)
        else:
            made = self.context.buffer(f"d{index}.{len(terms) + 1}", self.context.batch * size(value.shape))
        terms.append(made)
        return made

    def give(self, value: Value, term: Buffer) -> None:
        """One more term, which is written already and stays as it is."""
        self._terms.setdefault(self._first[value.index], []).append(term)

    def terms(self, value: Value) -> list[Buffer]:
        """All terms, the first to be read in the place of the gradient."""
        return list(self._terms[self._first[value.index]])

    def whole(self, value: Value) -> Buffer:
        """The gradient in one buffer: its only term, or the sum of all by a launch."""
        index = self._first[value.index]
        terms = self._terms[index]
        if len(terms) > 1:
            target = self._whole(value)
            self._add(terms, target, size(value.shape), value)
            self._terms[index] = [target]
        return self._terms[index][0]

    def settle_input(self) -> None:
        """Where the input's gradient is asked for: all of it under its name."""
        value = self.context.graph.input
        target = self._whole(value)
        terms = self._terms.get(self._first[value.index], [])
        if terms != [target]:
            self._add(terms, target, size(value.shape), value)

    def _whole(self, value: Value) -> Buffer:
        """The buffer of the whole gradient: of the scores `dscores`, filled by the loss or by the caller, of the input `dx`."""
        index, count = self._first[value.index], self.context.batch * size(value.shape)
        names = self._names[index]
        if not names:
            return self.context.shared(f"d{index}", count)
        if names[0] not in self.context.named:
            made = self.context.buffer(names[0], count, kind="result")
            self.context.named.update(dict.fromkeys(names, made))
        return self.context.named[names[0]]

    def _add(self, terms: Iterable[Buffer], target: Buffer, count: int, value: Value) -> None:
        terms = list(terms)
        words: list[Word] = [count, At(target), len(terms), *map(At, terms)]
        tasks = self.context.row_tasks(value.shape, self.context.batch * count, ELEMENT_GRAIN)
        self.context.launch(
            "sum of gradients", "backward", self.context.library("branches", "add_terms"), words, tasks,
            reads=terms, writes=[target], flops=self.context.batch * count * max(0, len(terms) - 1), cut=ROWS_CUT, own=[*terms, target],
        )  # fmt: skip
