"""A whole net in ONNX as plain data: the forms of its layers joined into one. It takes the library `onnx` to make a file of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Merge
from netspec.base.layer import OnnxForm, OnnxNode
from netspec.graph.graph import Graph, Node

OPSET, IR = 17, 8
INPUT, SCORES = "x", "scores"


def joined(graph: Graph, arrays: Mapping[str, NDArray[Any]], rows: str = INPUT) -> OnnxForm:
    """The test form of a net in float32, from the value `rows` (N, ...) to `scores` (N, ...).

    `arrays` are the parameters and the state by their full names. Those are their names here too, and an array of several layers is here
    once, perhaps in the memory that it is given in; a layer that has the transpose of another one's W reads it through a Transpose. All
    other names stand behind their layer's.
    """
    values = {graph.input.index: rows}
    nodes: list[OnnxNode] = []
    constants: dict[str, NDArray[Any]] = {}
    for node in graph.nodes:
        form = node.layer.merged_onnx(node.shapes) if isinstance(node.layer, Merge) else node.layer.onnx(node.input.shape)
        names = _names(node, form, values)
        nodes += _transposed(node)
        nodes += [_renamed(one, names) for one in form.nodes]
        read = {name for one in form.nodes for name in one.inputs}
        held = {node.array(key): arrays[node.array(key)] for key in (*node.parameters, *node.state) if key in read}
        constants |= held | {names[key]: array for key, array in form.constants.items()}
        values[node.output.index] = names["y"]
    nodes.append(OnnxNode("Identity", (values[graph.output.index],), (SCORES,)))
    return OnnxForm(tuple(nodes), {name: _single(array) for name, array in constants.items()})


def _names(node: Node, form: OnnxForm, values: Mapping[int, str]) -> dict[str, str]:
    """What the names of a layer's form are called in the whole; an input that is left out has none."""
    inner = {name for one in form.nodes for name in (*one.inputs, *one.outputs)} | set(form.constants)
    names = {name: f"{node.name}.{name}" for name in inner}
    names |= {key: node.array(key) for key in (*node.parameters, *node.state) if not (node.turned and key == "W")}
    inputs = [values[value.index] for value in node.inputs]
    return (
        names | ({f"x{place}": name for place, name in enumerate(inputs)} if isinstance(node.layer, Merge) else {"x": inputs[0]}) | {"": ""}
    )


def _transposed(node: Node) -> list[OnnxNode]:
    """What makes a layer's own view of a W that it has the transpose of."""
    return [OnnxNode("Transpose", (node.array("W"),), (f"{node.name}.W",), {"perm": (1, 0)})] if node.turned else []


def _renamed(one: OnnxNode, names: Mapping[str, str]) -> OnnxNode:
    inputs, outputs = (tuple(names[name] for name in ends) for ends in (one.inputs, one.outputs))
    return OnnxNode(one.operator, inputs, outputs, one.attributes)


def _single(array: NDArray[Any]) -> NDArray[Any]:
    """In C order; numbers in float32, counts as they are."""
    return np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None)
