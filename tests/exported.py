"""Exported nets, run: what stands in a subject, what the written files compute."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from graphs import drawn, graph_of_text
from numpy.typing import NDArray

from netspec.base.shape import Shape
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.graph import Graph
from netspec.save.export.numpy_source import numpy_source
from netspec.save.export.onnx_file import onnx_bytes
from netspec.save.export.subject import Subject
from netspec.save.export.torch_source import torch_files

Array = NDArray[Any]


def subject_of_text(text: str, shape: Shape, seed: int = 0, **more: Any) -> Subject:
    """A net with drawn arrays in float64, and no kernels."""
    counts = {"classes": 3} if text.rsplit("\n", maxsplit=1)[-1].endswith(("softmax", "svm")) else {}
    graph = graph_of_text(text, shape, **counts)
    program = load(Source(text), Overrides(shape, **counts))
    return Subject("net", "0", program, graph, drawn(graph, seed), "float64", shape, **more)


def rows_for(graph: Graph, rows: int = 4, seed: int = 1) -> Array:
    """Rows that float32 holds exactly."""
    return np.random.default_rng(seed).normal(size=(rows, *graph.input.shape)).astype(np.float32).astype(np.float64)


def ran(source: str, name: str) -> types.ModuleType:
    """A source as a module, as importing it from a file would make it."""
    module = types.ModuleType(name)
    module.__file__ = str(Path(name).with_suffix(".py"))
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def torch_net(torch: Any, subject: Subject, source: str | None = None) -> tuple[types.ModuleType, Any]:
    """The written module, and its net with the arrays, in float64 and in the form for testing."""
    text, tensors = torch_files(subject, "net.safetensors")
    module = ran(source or text, "net_torch")
    net = module.Net().double()
    net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}, strict=True)
    return module, net.eval()


def torch_scores(torch: Any, subject: Subject, x: Array, source: str | None = None) -> Array:
    _, net = torch_net(torch, subject, source)
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(x)).numpy())


def numpy_scores(subject: Subject, x: Array, source: str | None = None) -> Array:
    return np.asarray(ran(source or numpy_source(subject, "net_numpy.py"), "net_numpy").all_scores(x))


def onnx_results(content: bytes, x: Array) -> dict[str, Array]:
    """Every output by its name."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x.astype(np.float32)}), strict=True))


def onnx_scores(subject: Subject, x: Array) -> Array:
    return onnx_results(onnx_bytes(subject), x)["scores"]
