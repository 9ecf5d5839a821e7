"""Whole nets by the references of their layers: NumPy in float64, node by node, as a graph says and in no other way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import netspec
from netspec.base.kinds import Merge
from netspec.base.layer import Array, Layer, ReferenceContext
from netspec.base.shape import Shape
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.graph.graph import Graph

RESNET = (
    "conv(8)-bn-relu -> [res[conv(8)-bn-relu-conv(8)-bn]-relu]x2 -> res[conv(16, stride=2)-bn-relu-conv(16)-bn](proj)-relu "
    "-> globalpool -> affine -> softmax"
)
INCEPTION = (
    "conv(6)-relu -> [concat(conv(4, kernel=1) | conv(3, kernel=1)-relu-conv(5) | pool(3, stride=1, pad=1)-conv(2, kernel=1))-bn-relu]x2 "
    "-> globalpool -> affine -> softmax"
)


def moved_at_random(model: netspec.Model) -> None:
    """Puts every parameter a little off its initial value, biases too."""
    draw = np.random.default_rng(4)
    for array in model.params.values():
        array[...] += draw.normal(0, 0.3 if array.ndim == 1 else 0.05, array.shape)


def graph_of_text(text: str, shape: Shape, swapped: Mapping[type[Layer], type[Layer]] | None = None, **counts: int) -> Graph:
    """The graph of a text; layers of some classes become those of others."""
    graph = to_graph(load(Source(text), Overrides(shape, **counts)))
    kinds = swapped or {}
    nodes = []
    for node in graph.nodes:
        kind = kinds.get(type(node.layer))
        nodes.append(node if kind is None else dataclasses.replace(node, layer=kind(**dict(node.layer))))
    return dataclasses.replace(graph, nodes=tuple(nodes))


def forward(graph: Graph, arrays: Mapping[str, NDArray[Any]], x: Array, *, train: bool) -> Array:
    """The scores (N, ...) of rows in the interface's layout. `arrays` are parameters and states by their full names."""
    values = {graph.input.index: x}
    for node in graph.nodes:
        taken = [values[value.index] for value in node.inputs]
        if isinstance(node.layer, Merge):
            values[node.output.index] = node.layer.merged_reference(taken)
            continue
        own = {key: arrays[node.array(key)] for key in (*node.parameters, *node.state)}
        if node.turned:
            own["W"] = own["W"].T
        parameters, state = ({key: own[key] for key in named} for named in (node.parameters, node.state))
        values[node.output.index] = node.layer.reference(taken[0], parameters, state, ReferenceContext(train))
    return values[graph.output.index]


def drawn(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Parameters and states at random; scales and variances around 1."""
    draw = np.random.default_rng(seed)
    arrays = {name: draw.normal(parameter.constant, 0.5, parameter.shape) for name, parameter in graph.parameters.items()}
    return arrays | {name: np.abs(draw.normal(state.initial, 0.3, state.shape)) + 0.1 for name, state in graph.state.items()}
