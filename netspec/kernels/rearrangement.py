"""Rearrangements that move data: an image's pixels x channels to the interface's channels x pixels, and back; or both, one by one."""

from __future__ import annotations

from netspec.base.shape import Shape, size
from netspec.graph.graph import Node
from netspec.kernels.context import Context, columns_of, is_turned
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Section, Word


def _rearrange(context: Context, node: Node, section: Section, source: Buffer, target: Buffer, before: Shape, after: Shape) -> None:
    words: list[Word] = [At(source), At(target)]
    writes = [target]
    if is_turned(before) and is_turned(after):
        middle = context.work("image", context.workers * size(before))
        name, words = "reshape", [*words, *columns_of(before), *columns_of(after), At(middle)]
        writes.append(middle)
    else:
        (channels, pixels), back = columns_of(before if is_turned(before) else after), is_turned(after)
        name, words = "rearrange", [*words, *((channels, pixels) if back else (pixels, channels))]
    context.launch(
        node.layer.name if section == "forward" else f"{node.layer.name} gradient", section, context.library("images", name), words,
        context.row_tasks((1, 1, size(before)), context.batch * size(before), ELEMENT_GRAIN),
        reads=[source], writes=writes, layers=[node.name], cut=ROWS_CUT, own=[source, target],
    )  # fmt: skip


def forward(context: Context, node: Node) -> None:
    _rearrange(context, node, "forward", context.value(node.input), context.value(node.output), node.input.shape, node.output.shape)


def backward(context: Context, node: Node) -> None:
    if context.wants_gradient(node.input):
        dy, dx = context.gradients.whole(node.output), context.gradients.new(node.input)
        _rearrange(context, node, "backward", dy, dx, node.output.shape, node.input.shape)
