"""Rearrangements that move data: an image's pixels x channels to the interface's channels x pixels, and back."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.graph.graph import Node, Value
from netspec.kernels.context import ELEMENT_GRAIN, Context
from netspec.kernels.launch import ROWS_CUT, At, Buffer


def _turn(context: Context, node: Node, section: str, source: Buffer, target: Buffer, rows: int, columns: int) -> None:
    tasks = context.row_tasks((1, rows, columns), context.batch * rows * columns, ELEMENT_GRAIN)
    label = node.layer.name if section == "forward" else f"{node.layer.name} gradient"
    context.launch(
        label, section, context.library("images", "rearrange"), (At(source), At(target), rows, columns), tasks,  # type: ignore[arg-type]
        reads=[source], writes=[target], layers=[node.name], cut=ROWS_CUT, own=[source, target],
    )  # fmt: skip


def _image(node: Node) -> tuple[Value, int, int]:
    """The side that is an image, its pixels, its channels."""
    value = node.input if len(node.input.shape) == 3 else node.output
    return value, size(value.shape[1:]), value.shape[0]


def forward(context: Context, node: Node) -> None:
    image, pixels, channels = _image(node)
    rows, columns = (pixels, channels) if image == node.input else (channels, pixels)
    _turn(context, node, "forward", context.value(node.input), context.value(node.output), rows, columns)


def backward(context: Context, node: Node) -> None:
    if not context.wants_gradient(node.input):
        return
    image, pixels, channels = _image(node)
    rows, columns = (channels, pixels) if image == node.input else (pixels, channels)
    _turn(context, node, "backward", context.value_gradient(node.output), context.value_gradient(node.input), rows, columns)
