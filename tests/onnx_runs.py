"""Runs ONNX forms with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime
from onnx_net import serialized

from netspec.base.layer import Array, OnnxForm
from netspec.base.shape import Shape


def evaluate(form: OnnxForm, arrays: Mapping[str, Array], x: Array, output: Shape) -> Array:
    """y (N, *output) of the form for x (N, ...), in float32 at opset 17."""
    used = {name for node in form.nodes for name in node.inputs}
    kept = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items() if name in used}
    return run(OnnxForm(form.nodes, {**kept, **form.constants}), {"x": x}, "y", output)


def run(form: OnnxForm, inputs: Mapping[str, Array], result: str, output: Shape) -> Array:
    """`result` (N, *output) of a form that has all its arrays, for inputs (N, ...) by name, in float32."""
    model = serialized(form, {name: x.shape[1:] for name, x in inputs.items()}, {result: output})
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (y,) = session.run([result], {name: x.astype(np.float32) for name, x in inputs.items()})
    return np.asarray(y, dtype=np.float64)
