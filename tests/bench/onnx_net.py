"""A whole net in ONNX, from the forms that its layers declare, with a model's own weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import netspec
from netspec.graph.graph import Node


def onnx_bytes(model: netspec.Model) -> bytes:
    """The test form of the net from `x` (N, ...) to the scores `scores` (N, ...), in float32 at opset 17."""
    graph = model.graph
    nodes: list[Any] = []
    arrays: list[Any] = []
    before = "x"
    for node in graph.nodes:
        own, kept, before = _layer(node, model, before)
        nodes += own
        arrays += kept
    nodes.append(helper.make_node("Identity", [before], ["scores"]))
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *graph.input.shape])
    result = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", *graph.output.shape])
    made = helper.make_graph(nodes, "net", [source], [result], arrays)
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(whole, full_check=True)
    return whole.SerializeToString()


def _layer(node: Node, model: netspec.Model, before: str) -> tuple[list[Any], list[Any], str]:
    """A layer's operators and arrays, every name behind the layer's own; and the name of its output."""
    form = node.layer.onnx(node.input.shape)
    held = {**{key: model.params[f"{node.name}.{key}"] for key in node.parameters}, **form.constants}
    held |= {key: model.state[f"{node.name}.{key}"] for key in node.state}

    def renamed(name: str) -> str:
        return before if name == "x" else f"{node.name}.{name}"

    nodes = [
        helper.make_node(one.operator, [renamed(name) for name in one.inputs], [renamed(name) for name in one.outputs], **one.attributes)
        for one in form.nodes
    ]
    used = {name for one in form.nodes for name in one.inputs}
    arrays = [
        numpy_helper.from_array(np.ascontiguousarray(array, np.float32 if np.asarray(array).dtype.kind == "f" else None), renamed(name))
        for name, array in held.items()
        if name in used
    ]
    return nodes, arrays, renamed("y")
