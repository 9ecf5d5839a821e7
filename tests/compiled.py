"""A Runner by the compiled network: one layer behind an `id`, or between neighbours that it may be fused with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from calls import layer_of
from numpy.typing import NDArray
from runners import Arrays

from netspec.base.kinds import Head
from netspec.base.layer import Array, Layer, ReferenceContext
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.shape import Shape, size
from netspec.catalog.registry import entries
from netspec.graph.graph import Graph, Node, Value
from netspec.groups.groups import group
from netspec.plan.network import Network, Settings


def graph_of(layers: Sequence[Layer], shape: Shape, loss: Loss | None = None, tested: int = 0) -> Graph:
    """A chain of layers, named by their places. The layer number `tested` has the place 0, so that its random words are known."""
    nodes: list[Node] = []
    values = [Value(0, shape)]
    for number, layer in enumerate(layers):
        before = values[-1]
        values.append(Value(number + 1, layer.output_shape(before.shape)))
        place = 0 if number == tested else number + 1
        arrays = layer.parameters(before.shape), layer.state(before.shape)
        nodes.append(Node(f"n{number}", layer, place, (before,), values[-1], *arrays, call=None))
    head = layer_of("linear", Head)
    assert isinstance(head, Head)
    loss = loss or entries(Loss)["squared_error"]()
    graph = Graph(tuple(nodes), tuple(values), head, loss, size(values[-1].shape))
    graph.verify()
    return graph


def network_of(graph: Graph, dtype: str = "float64", batch: int = 7, fuse: bool = True) -> Network:
    """Its memory and kernels; parameters are drawn at random, running variances around 1."""
    network = Network(group(graph, fuse), Settings(entries(Optimizer)["sgd"](), batch, dtype=dtype, fuse=fuse, threads=1))
    draw = np.random.default_rng(0)
    for name, parameter in graph.parameters.items():
        network.store.parameters[name] = draw.normal(parameter.constant, 0.5, parameter.shape)
    for name, state in graph.state.items():
        network.store.state[name] = np.abs(draw.normal(state.initial, 0.3, state.shape)) + 0.1
    return network


def rows_of(network: Network, x: Array) -> NDArray[Any]:
    """Rows as a network takes them."""
    return np.ascontiguousarray(x, network.dtype)


class Compiled:
    """A Runner by kernels. It has no backward pass of the test form."""

    backward_forms = (True,)

    def __init__(self, dtype: str = "float64", fuse: bool = True) -> None:
        self.dtype, self.fuse = dtype, fuse

    def network(self, layer: Layer, shape: Shape, rows: int) -> Network:
        layers = [layer_of("id"), *([] if isinstance(layer, Head) else [layer])]
        return network_of(graph_of(layers, shape, tested=1), self.dtype, rows, self.fuse)

    def _set(self, layer: Layer, x: Array, parameters: Arrays, state: Arrays) -> Network:
        network = self.network(layer, x.shape[1:], len(x))
        for name, array in parameters.items():
            network.store.parameters[f"n1.{name}"] = array
        for name, array in state.items():
            network.store.state[f"n1.{name}"] = array
        network.store.update_state(False)
        return network

    def forward(self, layer: Layer, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext) -> Array:
        network = self._set(layer, x, parameters, state)
        return network.values(rows_of(network, x), None, context.train)

    def backward(
        self, layer: Layer, dy: Array, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext
    ) -> tuple[Array, dict[str, Array]]:
        assert context.train
        network = self._set(layer, x, parameters, state)
        network.values(rows_of(network, x), None, True)
        dx = network.backward(dy.astype(self.dtype))
        return dx, {name.removeprefix("n1."): gradient for name, gradient in network.store.gradients.copy().items()}

    def averages(self, layer: Layer, x: Array, state: Arrays) -> dict[str, Array]:
        """The running averages after one train form."""
        network = self._set(layer, x, {}, state)
        network.store.update_state(True)
        network.values(rows_of(network, x), None, True)
        return {name.removeprefix("n1."): array for name, array in network.store.state.copy().items()}

    def loss(self, loss: Loss, scores: Array, labels: NDArray[Any]) -> tuple[float, Array]:
        network = network_of(graph_of([layer_of("id")], scores.shape[1:], loss), self.dtype, len(scores), self.fuse)
        value, plan = network.loss(rows_of(network, scores), network.labels_to_layout(labels), input_gradient=True)
        return value, plan.array("dscores")[: scores.size].reshape(scores.shape).copy()


class Forgetful(Compiled):
    """It never moves the running averages."""

    def averages(self, layer: Layer, x: Array, state: Arrays) -> dict[str, Array]:
        return dict(state)


def neighbours(layer: Layer, shape: Shape, normalized: bool) -> list[Layer]:
    """The layer in a run that fuses: a contraction that keeps the shape, perhaps bn, the layer, two pointwise layers."""
    first = layer_of(f"affine({shape[0]})" if len(shape) == 1 else f"conv({shape[0]}, kernel=1)")
    middle = [layer_of("bn")] if normalized else []
    return [first, *middle, *([] if isinstance(layer, Head) else [layer]), layer_of("leaky_relu"), layer_of("dropout(25%)")]


def everything(layers: Sequence[Layer], shape: Shape, rows: int, fuse: bool, dtype: str = "float64") -> dict[str, Array]:
    """All that a net computes on random rows: test form, train form, gradients of input and parameters."""
    network = network_of(graph_of(layers, shape), dtype, rows, fuse)
    network.store.update_state(True)
    x = rows_of(network, np.random.default_rng(1).normal(0, 1.5, (rows, *shape)))
    found = {"test": network.values(x, None, False), "train": network.values(x, None, True)}
    found["x"] = network.backward(np.random.default_rng(2).normal(size=found["train"].shape).astype(dtype))
    return found | network.store.gradients.copy() | network.store.state.copy()
