"""A whole net in ONNX, from the forms that its layers declare, with a model's own weights."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import TensorProto, helper, numpy_helper

import netspec
from netspec.base.layer import OnnxForm
from netspec.base.shape import Shape
from netspec.save.onnx_graph import INPUT, IR, OPSET, SCORES, joined


def onnx_bytes(model: netspec.Model) -> bytes:
    """The test form of the net from `x` (N, ...) to the scores `scores` (N, ...), in float32 at opset 17."""
    graph = model.graph
    form = joined(graph, {**model.params, **model.state})
    return serialized(form, {INPUT: graph.input.shape}, {SCORES: graph.output.shape})


def serialized(form: OnnxForm, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> bytes:
    """A form with all its arrays as the bytes of an ONNX file; inputs and outputs by name with the shape of a row. Raises ValidationError
    or InferenceError of onnx where they do not fit together."""
    nodes = [helper.make_node(node.operator, node.inputs, node.outputs, **node.attributes) for node in form.nodes]
    arrays = [numpy_helper.from_array(array, name) for name, array in form.constants.items()]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape]) for name, shape in each.items()]
        for each in (inputs, outputs)
    ]
    made = helper.make_graph(nodes, "net", *ends, arrays)
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(whole, full_check=True)
    return bytes(whole.SerializeToString())
