"""A net as an ONNX file: what rows go through before the net, the net, and what its head makes of the scores. Opset 17, IR 8."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.base.layer import OnnxNode
from netspec.base.shape import Shape, show
from netspec.save.export.subject import Subject
from netspec.save.onnx_graph import INPUT, IR, OPSET, SCORES, joined

BATCH = "N"
"""The axis of rows, of any number."""


@dataclass(frozen=True)
class Output:
    """A result by name: its shape after the axis of rows, the dtype, and what it is."""

    name: str
    shape: Shape
    dtype: str
    told: str


@dataclass
class Ends:
    """What stands around the net. Names here have no dot; those of layers all have one."""

    nodes: list[OnnxNode] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)

    def add(self, operator: str, inputs: tuple[str, ...], output: str, **attributes: Any) -> str:
        self.nodes.append(OnnxNode(operator, inputs, (output,), attributes))
        return output


def onnx_bytes(subject: Subject) -> bytes:
    """The file, checked by ONNX's own checker and shape inference.

    Its input `x` (N, ...) is raw rows in float32, as `predict` takes them. Outputs: `scores`; `probabilities` where the head has them;
    `label`, what `predict` gives, and `class` (int64) where labels are words. Raises UsageError without the extra `onnx`, and where a
    layer's ONNX form is none that ONNX takes.
    """
    onnx = library("onnx", "onnx")
    before, rows = _prepared(subject)
    form = joined(subject.graph, subject.arrays, rows)
    after = _answered(subject)
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    try:
        nodes = [
            helper.make_node(one.operator, one.inputs, one.outputs, name=one.outputs[0], **one.attributes)
            for one in (*before.nodes, *form.nodes, *after.nodes)
        ]
        arrays = {**before.constants, **form.constants, **after.constants}
        graph = helper.make_graph(
            nodes,
            "net",
            [_value(onnx, INPUT, "float32", subject.row, _told_rows(subject))],
            [_value(onnx, one.name, one.dtype, one.shape, one.told) for one in after.outputs],
            [numpy_helper.from_array(array, name) for name, array in arrays.items()],
            doc_string=str(subject.graph),
        )
        whole = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="netspec",
            producer_version=subject.version, doc_string=_described(subject),
        )  # fmt: skip
        helper.set_model_props(whole, metadata(subject))
        onnx.checker.check_model(whole, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, TypeError) as error:
        told = " ".join(str(error).split())
        raise UsageError(f"--onnx: what the layers declare makes no ONNX model: {told}") from None
    return bytes(whole.SerializeToString())


def _prepared(subject: Subject) -> tuple[Ends, str]:
    """What makes rows of the net of raw ones, and the name of these rows.

    Statistics are in float64, and ONNX computes in float32: what float32 leaves of the shift is subtracted after it, so that far from zero
    no digits are lost, whatever runs the file.
    """
    ends, name = Ends(), INPUT
    if subject.flattens:
        name = ends.add("Flatten", (name,), "flat_rows", axis=1)
    if subject.shift is None or subject.scale is None:
        return ends, name
    coarse = subject.shift.astype(np.float32)
    fine = (subject.shift - coarse).astype(np.float32)
    ends.constants["shift"] = coarse
    name = ends.add("Sub", (name, "shift"), "shifted_rows")
    if fine.any():
        ends.constants["rest_of_shift"] = fine
        name = ends.add("Sub", (name, "rest_of_shift"), "centred_rows")
    ends.constants["scale"] = subject.scale.astype(np.float32)
    return ends, ends.add("Div", (name, "scale"), "normal_rows")


def _answered(subject: Subject) -> Ends:
    """What the head makes of the scores: probabilities and labels."""
    graph, head = subject.graph, subject.graph.head
    shape, ends = graph.output.shape, Ends()
    ends.outputs.append(Output(SCORES, shape, "float32", "what the net gives" if subject.has_answers else "the predicted values"))
    if not subject.has_answers:
        return ends
    number = "label" if subject.labels is None else "class"
    if head.target == "class":
        if head.has_probabilities:
            ends.add("Softmax", (SCORES,), "probabilities", axis=1)
            ends.outputs.append(Output("probabilities", shape, "float32", "of each class"))
        ends.add("ArgMax", (SCORES,), number, axis=1, keepdims=0)
    else:
        ends.constants |= {"threshold": np.zeros((), np.float32)}
        ends.add("Greater", (SCORES, "threshold"), "is_one")
        if subject.several_answers:
            ends.add("Sigmoid", (SCORES,), "probabilities")
            ends.add("Cast", ("is_one",), number, to=_kind("int64"))
            ends.outputs.append(Output("probabilities", shape, "float32", "of a 1, for each answer"))
        else:
            ends.add("Neg", (SCORES,), "against")
            ends.add("Concat", ("against", SCORES), "both", axis=1)
            ends.add("Sigmoid", ("both",), "probabilities")
            ends.outputs.append(Output("probabilities", (2,), "float32", "of class 0 and of class 1"))
            ends.constants |= {"answers": np.array([-1], np.int64)}
            ends.add("Reshape", ("is_one", "answers"), "is_one_of_row")
            ends.add("Cast", ("is_one_of_row",), number, to=_kind("int64"))
    answers = shape if subject.several_answers else ()
    if subject.labels is not None:
        words = np.asarray(subject.labels)
        ends.constants["words"] = words.astype(object) if words.dtype.kind == "U" else words
        ends.add("Gather", ("words", "class"), "label", axis=0)
        ends.outputs.append(Output("label", answers, "str" if words.dtype.kind == "U" else words.dtype.name, "the predicted label"))
    ends.outputs.append(Output(number, answers, "int64", "the predicted class, from 0" if head.target == "class" else "0 or 1"))
    return ends


def _kind(dtype: str) -> int:
    """ONNX's number of a dtype: `TensorProto.DataType`."""
    return {"float32": 1, "int64": 7, "str": 8, "bool": 9, "float64": 11}[dtype]


def _value(onnx: Any, name: str, dtype: str, shape: Shape, told: str) -> Any:
    return onnx.helper.make_tensor_value_info(name, _kind(dtype), [BATCH, *shape], doc_string=told)


def _told_rows(subject: Subject) -> str:
    what = f"raw rows (N, {', '.join(map(str, subject.row))}) in float32"
    if subject.category_texts:
        return f"{what}: the columns of the table, those of text spread out as `features` in the metadata lists them"
    return f"{what}, the columns in the order of `features` in the metadata" if subject.features else what


def _described(subject: Subject) -> str:
    parts = [f"{subject.title}, trained by netspec {subject.version}: rows of {show(subject.row)} to {subject.graph.head.name}."]
    parts += ["Raw rows go in; they are normalised inside."] if subject.shift is not None else []
    return " ".join([*parts, "The metadata holds the spec."])


def metadata(subject: Subject) -> dict[str, str]:
    """Texts by name: the spec, head and loss; as JSON the labels in the order of the classes, the names of a row's numbers, and the columns
    of the table with the texts that they may hold."""
    return dict(_metadata(subject))


def _metadata(subject: Subject) -> Iterator[tuple[str, str]]:
    yield "spec", subject.program.resolved
    yield "head", subject.graph.head.name
    yield "loss", subject.graph.loss.name
    if subject.has_answers:
        yield "classes", _json(list(range(subject.graph.classes)) if subject.labels is None else list(subject.labels))
    if subject.features is not None:
        yield "features", _json(subject.features)
    if subject.columns is not None:
        columns: list[Mapping[str, Any]] = [
            {"name": one.name, **({} if one.categories is None else {"categories": list(one.categories)})} for one in subject.columns
        ]
        yield "columns", _json(columns)


def _json(value: Any) -> str:
    return json.dumps(value, default=lambda odd: odd.item())
