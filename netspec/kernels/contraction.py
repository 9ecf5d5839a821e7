"""Contractions: affine and conv, with bias and the pointwise chain applied to each block of the result while it is hot."""

from __future__ import annotations

from netspec.base.kinds import Contraction, Product
from netspec.graph.graph import Node
from netspec.kernels import convolution, pointwise, products
from netspec.kernels.chain import add_parts
from netspec.kernels.context import Context, columns_of, tasks_for
from netspec.kernels.finish import pre_activation
from netspec.kernels.launch import ELEMENT_GRAIN, At, Buffer


def forward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    layer = node.layer
    assert isinstance(layer, Contraction)
    geometry = layer.geometry(node.input.shape)
    if isinstance(geometry, Product):
        products.forward(context, node, chain_nodes, geometry)
    else:
        convolution.forward(context, node, chain_nodes, convolution.Images(context, node, geometry))


def column_sums(context: Context, node: Node, dz: Buffer, target: At) -> None:
    """The bias's gradient: sums over rows and pixels, by parts in order where there are many."""
    columns, pixels = columns_of(node.output.shape)
    tasks = tasks_for(context.batch * pixels * columns, 2 * ELEMENT_GRAIN)
    label = f"{node.layer.name} bias gradient"
    sums = context.library("rows", "column_sums")
    if tasks == 1:
        context.launch(
            label, "backward", sums, (At(dz), columns, pixels, target), 1,
            reads=[dz], writes=[target.buffer], layers=[node.name], later=True,
        )  # fmt: skip
        return
    parts = context.buffer("parts", tasks * columns)
    words = (At(dz), columns, pixels, At(parts))
    context.launch(label, "backward", sums, words, tasks, reads=[dz], writes=[parts], layers=[node.name], later=True)
    add_parts(context, node, "bias", At(parts), tasks, columns, target)


def backward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    """Gradients of weights, bias and input; a bias that a bn cancels keeps its gradient of exactly 0, which nothing ever writes. That of
    the input comes first and those of the parameters are put off: the layer before can go on at once from its share of dx."""
    layer = node.layer
    assert isinstance(layer, Contraction)
    if chain_nodes:
        pointwise.backward(context, chain_nodes, node.output, pre_activation(context, node))
    if not context.wants_gradient(node.output):
        return
    dz = context.gradients.whole(node.output)
    geometry = layer.geometry(node.input.shape)
    if isinstance(geometry, Product):
        products.grad_input(context, node, geometry, dz)
    else:
        images = convolution.Images(context, node, geometry)
        convolution.grad_input(context, node, images, dz)
    context.catch_up()
    if not context.is_trained(node):
        return
    if "b" in node.parameters and not context.graph.bias_is_cancelled(node):
        column_sums(context, node, dz, context.gradient(node, "b"))
    if isinstance(geometry, Product):
        products.grad_weights(context, node, geometry, dz)
    else:
        convolution.grad_weights(context, node, images, dz)
