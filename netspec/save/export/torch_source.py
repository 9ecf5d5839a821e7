"""A net as a module of PyTorch that a person would write: source, and the arrays under PyTorch's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from netspec.base.shape import show
from netspec.save.export.subject import Subject
from netspec.save.export.table_source import columns_source, spread_source
from netspec.save.export.torch_blocks import blocks_of
from netspec.save.export.torch_calls import Call
from netspec.save.export.torch_classes import INDENT, Classes, forward
from netspec.save.export.torch_scopes import Scope, module_paths
from netspec.save.export.torch_training import training_source
from netspec.save.export.words import docstring, literal

VARIANCE = '''class BiasedVariance:
    """Keeps the biased variance of a batch in the running average, as netspec does; PyTorch's own keeps n / (n - 1) of it."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        before = self.running_var.clone()
        y = super().forward(x)
        fresh = self.running_var - (1 - self.momentum) * before
        self.running_var = self.running_var - fresh * x.shape[1] / x.numel()
        return y'''
MEAN = '''class MeanOfWindow(nn.Module):
    """The mean of each window over what of it lies inside the image, with margins wider than nn.AvgPool2d takes."""

    def __init__(self, kernel_size, stride, padding):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        both = (x, torch.ones_like(x))
        total, count = (F.avg_pool2d(F.pad(one, self.padding), self.kernel_size, self.stride) for one in both)
        return total / count'''


def torch_files(subject: Subject, weights: str) -> tuple[str, dict[str, NDArray[np.generic]]]:
    """The source of a module, and its arrays by the names of its state dict; `weights` is the name of the file that they go into, beside
    the source. Raises UsageError for what PyTorch has no counterpart of."""
    net = blocks_of(subject.graph)
    paths = module_paths(net)
    return _source(subject, net, paths, weights), tensors_of(subject, net, paths)


def tensors_of(subject: Subject, net: Scope, paths: Mapping[str, str]) -> dict[str, NDArray[np.generic]]:
    """The state dict: W of an affine as PyTorch has it, (outputs, inputs); the statistics of rows; batches counted as none."""
    found: dict[str, NDArray[np.generic]] = {}
    for name, path in paths.items():
        array = np.asarray(subject.arrays[name])
        is_affine = name.endswith(".W") and array.ndim == 2
        found[path] = np.ascontiguousarray(array.T if is_affine else array)
        if path.endswith(".running_mean"):
            found[f"{path.removesuffix('running_mean')}num_batches_tracked"] = np.zeros((), np.int64)
    if subject.shift is not None and subject.scale is not None:
        found |= {"shift": np.ascontiguousarray(subject.shift), "scale": np.ascontiguousarray(subject.scale)}
    return found


def _source(subject: Subject, net: Scope, paths: Mapping[str, str], weights: str) -> str:
    classes = Classes(net)
    body = [*_helpers(classes), *classes.source(), _net(subject, classes, paths)]
    if subject.graph.parameters:
        body.append(training_source(subject, paths))
    body += [*([spread_source("torch.tensor", "torch.float64")] if subject.category_texts else []), _load(subject)]
    text = "\n\n\n".join(body)
    functional = ["import torch.nn.functional as F"] if "F." in text else []
    imports = [
        "from pathlib import Path",
        "",
        "import torch",
        *functional,
        "from safetensors.torch import load_file",
        "from torch import nn",
    ]
    constants = [f"WEIGHTS = Path(__file__).with_name({literal(weights)})"]
    constants += [f"CLASSES = {literal(list(subject.labels))}"] if subject.labels is not None else []
    constants += [columns_source(subject).rstrip("\n")] if subject.columns is not None else []
    head = [docstring(_described(subject)), "", *imports, "", *constants]
    return "\n".join([*head, "", "", text, ""])


def _described(subject: Subject) -> str:
    graph = subject.graph
    gives = "values" if not subject.has_answers else "scores"
    ends = f"{show(subject.row)} to {gives} {show(graph.output.shape)}, for the head {graph.head.name}"
    return "\n".join(
        [
            f"{subject.title}: a net for PyTorch, from {ends}.",
            "",
            f"Written by netspec {subject.version} for this spec:",
            "",
            *(f"    {line}" if line else "" for line in subject.program.resolved.rstrip("\n").split("\n")),
            "",
            "`load()` gives the trained net. Rows go in as they are; the net prepares them itself.",
            "",
        ]
    )


def _helpers(classes: Classes) -> list[str]:
    names = {call.name for call in _calls(classes.net)}
    found = [MEAN] if "MeanOfWindow" in names else []
    norms = sorted(names & {"BatchNorm1d", "BatchNorm2d"})
    if norms:
        found += [VARIANCE, *(f"class {name}(BiasedVariance, nn.{name}):\n    pass" for name in norms)]
    return found


def _calls(scope: Scope) -> list[Call]:
    found: list[Call] = []
    for held in scope.held.values():
        if isinstance(held, Call):
            found.append(held)
        elif isinstance(held, Scope):
            found += _calls(held)
        else:
            for part in getattr(held, "parts", ()):
                found += _calls(part)
    return found


def _net(subject: Subject, classes: Classes, paths: Mapping[str, str]) -> str:
    lines = ["class Net(nn.Module):", "    def __init__(self):", *classes.held(classes.net)]
    if subject.shift is not None and subject.scale is not None:
        for name, array in (("shift", subject.shift), ("scale", subject.scale)):
            made = f"torch.{'zeros' if name == 'shift' else 'ones'}({literal(array.shape)}, dtype=torch.float64)"
            lines.append(f'{INDENT}self.register_buffer("{name}", {made})')
    frozen = [paths[node.array(key)] for node in subject.graph.nodes if node.frozen for key in node.own_parameters]
    if frozen:
        lines += [f"{INDENT}for name in {literal(frozen)}:", f"{INDENT}    self.get_parameter(name).requires_grad_(False)"]
    lines += ["", *_still_norms(subject, paths), *_prepare(subject), "", *forward(classes.net, ("x = self.prepare(x)",))]
    return "\n".join([*lines, *_predictions(subject)])


def _still_norms(subject: Subject, paths: Mapping[str, str]) -> list[str]:
    """A frozen normalisation takes its running averages, in training too."""
    names = [paths[node.array("mean")].rpartition(".")[0] for node in subject.graph.nodes if node.frozen and "mean" in node.state]
    if not names:
        return []
    return [
        "    def train(self, mode=True):", f'{INDENT}"""Frozen normalisation keeps and uses its running averages."""',
        f"{INDENT}super().train(mode)", f"{INDENT}for name in {literal(list(dict.fromkeys(names)))}:",
        f"{INDENT}    self.get_submodule(name).eval()", f"{INDENT}return self", "",
    ]  # fmt: skip


def _prepare(subject: Subject) -> list[str]:
    told = "Raw rows as the net reads them"
    steps = [f"{INDENT}x = x.flatten(1)"] if subject.flattens else []
    if subject.shift is not None:
        told += ": shifted and scaled in the precision of the statistics"
        steps.append(f"{INDENT}x = (x.to(self.shift) - self.shift) / self.scale")
    dtype = "next(self.parameters()).dtype" if subject.graph.parameters else f"torch.{subject.dtype}"
    return ["    def prepare(self, x):", f'{INDENT}"""{told}."""', *steps, f"{INDENT}return x.to({dtype})"]


def _predictions(subject: Subject) -> list[str]:
    """Methods for what the head makes of the scores."""
    head = subject.graph.head
    answer, told = {
        "class": ("self(x).argmax(1)", "Class numbers (N,) of raw rows"),
        "binary": ("(self(x) > 0).long()" + ("" if subject.several_answers else "[:, 0]"), "0 or 1 for raw rows"),
        "value": ("self(x)" + ("[:, 0]" if subject.graph.output.shape == (1,) else ""), "Values for raw rows"),
    }[head.target]
    told = told if subject.labels is None else "Class numbers (N,) of raw rows; CLASSES has their names"
    lines = ["", "    @torch.no_grad()", "    def predict(self, x):", f'{INDENT}"""{told}."""', f"{INDENT}return {answer}"]
    if not head.has_probabilities:
        return lines
    chances = "self(x).softmax(1)" if head.target == "class" else "self(x).sigmoid()"
    if head.target == "binary" and not subject.several_answers:
        chances = "torch.cat((-scores, scores), 1).sigmoid()"
        return [*lines, *_probabilities([f"{INDENT}scores = self(x)", f"{INDENT}return {chances}"])]
    return [*lines, *_probabilities([f"{INDENT}return {chances}"])]


def _probabilities(body: Sequence[str]) -> list[str]:
    return ["", "    @torch.no_grad()", "    def predict_proba(self, x):", f'{INDENT}"""Probabilities of raw rows."""', *body]


def _load(subject: Subject) -> str:
    made = "Net().double()" if subject.dtype == "float64" else "Net()"
    return "\n".join(
        [
            "def load(path=WEIGHTS):",
            '    """The trained net, in the form for testing."""',
            f"    net = {made}",
            "    net.load_state_dict(load_file(path))",
            "    return net.eval()",
        ]
    )
