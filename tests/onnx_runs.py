"""Runs the ONNX form of a layer with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from netspec.base.layer import Array, OnnxForm
from netspec.base.shape import Shape


def evaluate(form: OnnxForm, arrays: Mapping[str, Array], x: Array, output: Shape) -> Array:
    """y (N, *output) of the form for x (N, ...), in float32 at opset 17."""
    nodes = [helper.make_node(node.operator, node.inputs, node.outputs, **node.attributes) for node in form.nodes]
    used = {name for node in form.nodes for name in node.inputs}
    kept = {**{name: array.astype(np.float32) for name, array in arrays.items() if name in used}, **form.constants}
    initial = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in kept.items()]
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *x.shape[1:]])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *output])
    graph = helper.make_graph(nodes, "layer", [source], [result], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"x": x.astype(np.float32)})
    return np.asarray(y, dtype=np.float64)
