"""Pixels repeated, and the sums of their gradients; channels are the inner loop."""

from __future__ import annotations

from netspec.base.kinds import Upsampling
from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.context import Context
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Section


def _launch(context: Context, node: Node, section: Section, x: Buffer, y: Buffer) -> None:
    """`x` and `y` are the values, or the gradients: what is read is the other one in backward."""
    layer = node.layer
    assert isinstance(layer, Upsampling)
    name, reads, writes = ("upsample", x, y) if section == "forward" else ("upsample_gradient", y, x)
    outputs = context.batch * size(node.output.shape)
    context.launch(
        layer.name if section == "forward" else f"{layer.name} gradient", section, context.library("upsample", name),
        (At(x), At(y), *node.input.shape, *layer.factor), context.row_tasks(node.input.shape, outputs, ELEMENT_GRAIN),
        reads=[reads], writes=[writes], flops=0 if section == "forward" else outputs, layers=[node.name], cut=ROWS_CUT, own=[x, y],
    )  # fmt: skip


def forward(context: Context, node: Node) -> None:
    _launch(context, node, "forward", context.value(node.input), context.value(node.output))


def backward(context: Context, node: Node) -> None:
    if context.wants_gradient(node.input):
        dy = context.gradients.whole(node.output)
        _launch(context, node, "backward", context.gradients.new(node.input), dy)
