"""Branches side by side: their channels copied into one value, and the parts of its gradient copied back."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.context import Context, columns_of
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Section, Word


def _launch(context: Context, node: Node, section: Section, whole: Buffer, parts: list[Buffer | None]) -> None:
    channels, pixels = columns_of(node.output.shape)
    words: list[Word] = [pixels, At(whole), channels, len(parts)]
    for part, value in zip(parts, node.inputs, strict=True):
        words += [At(part) if part else 0, columns_of(value.shape)[0]]
    held = [part for part in parts if part]
    forward = section == "forward"
    context.launch(
        node.layer.name if forward else f"{node.layer.name} gradient", section,
        context.library("branches", "concatenate" if forward else "split"), words,
        context.row_tasks(node.output.shape, context.batch * size(node.output.shape), ELEMENT_GRAIN),
        reads=held if forward else [whole], writes=[whole] if forward else held, layers=[node.name], cut=ROWS_CUT, own=[whole, *held],
    )  # fmt: skip


def forward(context: Context, node: Node) -> None:
    _launch(context, node, "forward", context.value(node.output), [context.value(value) for value in node.inputs])


def backward(context: Context, node: Node) -> None:
    gradients = context.gradients
    whole = gradients.whole(node.output)
    parts = [gradients.new(value) if context.wants_gradient(value) else None for value in node.inputs]
    if any(parts):
        _launch(context, node, "backward", whole, parts)
