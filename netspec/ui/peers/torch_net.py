"""A graph as PyTorch modules, with the same loss, optimizer and step: what `netspec bench --compare torch` runs.

Layers one after another are a `Sequential`; where branches part and meet, the forward pass holds their values as its local variables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add, mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.base.optimizer import Optimizer
from netspec.frontend.program import TrainSection
from netspec.graph.graph import Graph, Node
from netspec.save.export.torch_calls import NAMES, Call, calls_of

Step = Callable[[], float]

MERGES: Mapping[str, Callable[..., Any]] = {
    "add": lambda torch, *branches: reduce(add, branches),
    "concat": lambda torch, *branches: torch.cat(branches, 1),
    "mul": lambda torch, *branches: reduce(mul, branches),
}
"""What a layer of several inputs computes by its name: a function of the library and of the branches."""
LOSSES: Mapping[str, Callable[[Any, Any, Any, Any], Any]] = {
    "cross_entropy": lambda torch, loss, scores, y: torch.nn.functional.cross_entropy(
        scores, y, label_smoothing=getattr(loss, "label_smoothing", 0.0)
    ),
    # PyTorch divides by the number of classes
    "hinge": lambda torch, loss, scores, y: torch.nn.functional.multi_margin_loss(scores, y) * scores.shape[1],
    "squared_error": lambda torch, loss, scores, y: torch.nn.functional.mse_loss(scores, y),
    "l1": lambda torch, loss, scores, y: torch.nn.functional.l1_loss(scores, y),
    "huber": lambda torch, loss, scores, y: torch.nn.functional.huber_loss(scores, y, delta=loss.delta),
    "bce": lambda torch, loss, scores, y: torch.nn.functional.binary_cross_entropy_with_logits(scores, y),
}
"""Mean losses by name; of the library, the loss with its arguments, scores and labels."""


def modules_of(torch: Any, node: Node) -> list[Any]:
    """The live modules of a node of one input. Raises UsageError where PyTorch alone has none."""
    made = [_module(torch, node, call) for call in calls_of(node)]
    if node.turned:
        linear = made[0]
        linear.forward = lambda x: torch.nn.functional.linear(x, linear.weight.t(), linear.bias)
    return made


def _module(torch: Any, node: Node, call: Call) -> Any:
    if call.own:
        raise UsageError(f"--compare torch: {node.name}: PyTorch's mean pooling takes a pad of at most half the window")
    return getattr(torch.nn, call.name)(*call.args, **call.more)


def runs(graph: Graph) -> list[list[Node]]:
    """The layers in reading order, in one run those of which each has one input, and is the only reader of the layer before it."""
    readers = Counter(value.index for node in graph.nodes for value in node.inputs)
    found: list[list[Node]] = []
    for node in graph.nodes:
        before = found[-1][-1] if found else None
        follows = before is not None and node.inputs == (before.output,) and readers[before.output.index] == 1
        if before is not None and follows and not {node.layer.name, before.layer.name} & set(MERGES):
            found[-1].append(node)
        else:
            found.append([node])
    return found


@dataclass(frozen=True)
class Statement:
    """A line of the forward pass, which computes a value of others. No later line reads those of `last`."""

    compute: Callable[..., Any]
    reads: tuple[int, ...]
    writes: int
    last: tuple[int, ...]


def _statements(torch: Any, graph: Graph, made: Mapping[str, Sequence[Any]]) -> tuple[list[Statement], int]:
    """The lines in order, and the value that is the net's; a run without a module (`id`) is its input by another name."""
    same: dict[int, int] = {}
    lines: list[Statement] = []
    for run in runs(graph):
        reads = tuple(same.get(value.index, value.index) for value in run[0].inputs)
        writes = run[-1].output.index
        modules = [module for node in run for module in made.get(node.name, ())]
        if run[0].layer.name in MERGES:
            lines.append(Statement(partial(MERGES[run[0].layer.name], torch), reads, writes, ()))
        elif modules:
            lines.append(Statement(torch.nn.Sequential(*modules), reads, writes, ()))
        else:
            same[writes] = reads[0]
    result = same.get(graph.output.index, graph.output.index)
    later = {result}
    for place, line in reversed(list(enumerate(lines))):
        lines[place] = replace(line, last=tuple(set(line.reads) - later))
        later.update(line.reads)
    return lines, result


def _forward(lines: Sequence[Statement], result: int) -> Callable[[Any], Any]:
    """The forward pass: values live as long as local variables that are written again."""

    def forward(x: Any) -> Any:
        values = {0: x}
        for line in lines:
            values[line.writes] = line.compute(*[values[index] for index in line.reads])
            for index in line.last:
                del values[index]
        return values[result]

    return forward


class Mirror:
    """A graph as one module: a `Sequential` where nothing merges. `tensors` are its parameters and buffers by netspec's names for them; of
    an affine's W it is the transpose."""

    def __init__(self, graph: Graph, dtype: str = "float32") -> None:
        self.torch = torch = library("torch", "bench")
        self.tensors: dict[str, Any] = {}
        made = {node.name: modules_of(torch, node) for node in graph.nodes if node.layer.name not in MERGES}
        for modules in made.values():
            for module in modules:
                module.to(getattr(torch, dtype))  # before any is shared: a module converts buffers to others of its own
        for node in graph.nodes:
            self._share(node, made.get(node.name, []))
        lines, result = _statements(torch, graph, made)
        if any(node.layer.name in MERGES for node in graph.nodes):
            self.module = torch.nn.ModuleList(line.compute for line in lines if isinstance(line.compute, torch.nn.Module))
            self.module.forward = _forward(lines, result)
        else:
            self.module = torch.nn.Sequential(*(module for modules in made.values() for module in modules))

    def _share(self, node: Node, modules: Sequence[Any]) -> None:
        """Gives a layer's modules the arrays that belong to another layer, and keeps its own for those behind it."""
        for key in (*node.parameters, *node.state):
            holder = next(module for module in modules if getattr(module, NAMES[key], None) is not None)
            if key in node.shared:
                setattr(holder, NAMES[key], self.tensors[node.shared[key]])
            self.tensors[node.array(key)] = getattr(holder, NAMES[key])

    def load(self, parameters: Mapping[str, NDArray[Any]], state: Mapping[str, NDArray[Any]]) -> None:
        """Takes over netspec's arrays, by their names there."""
        for name, array in {**parameters, **state}.items():
            turned = array.T if name.endswith(".W") and array.ndim == 2 else array
            with self.torch.no_grad():
                self.tensors[name].copy_(self.torch.from_numpy(np.array(turned)))

    def scores(self, x: NDArray[Any], train: bool = False) -> NDArray[Any]:
        """Scores (N, ...) of rows x, in test form unless `train`."""
        self.module.train(train)
        with self.torch.no_grad():
            return np.asarray(self.module(self.torch.from_numpy(x)).numpy())


def step_of(graph: Graph, train: TrainSection, x: NDArray[Any], y: NDArray[Any], *, fused: bool, channels_last: bool) -> Step:
    """A function that does one training step on a batch drawn from x, y and returns its loss."""
    mirror = Mirror(graph, train.dtype)
    torch, net = mirror.torch, mirror.module.train()
    rows, mean_loss = torch.from_numpy(x.astype(train.dtype)), LOSSES[graph.loss.name]
    whole = graph.loss.target == "class"
    labels = torch.from_numpy(y.astype(np.int64 if whole else train.dtype))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net, rows = net.to(memory_format=layout), rows.to(memory_format=layout)
    rule = _optimizer(torch, net, train.optimizer, train.l2, fused)
    batch = train.batch

    def step() -> float:
        drawn = torch.randint(0, len(rows), (batch,))
        rule.zero_grad(set_to_none=True)
        value = mean_loss(torch, graph.loss, net(rows[drawn].to(memory_format=layout)), labels[drawn])
        value.backward()
        rule.step()
        return float(value.item())

    return step


def _optimizer(torch: Any, net: Any, rule: Optimizer, l2: float, fused: bool) -> Any:
    """l2, or the decay of adamw, for the weights alone, as netspec has it: arrays of more than one axis."""
    arrays = list(net.parameters())
    given: Any = rule
    groups = [
        {"params": [array for array in arrays if array.ndim > 1], "weight_decay": given.weight_decay if rule.name == "adamw" else l2},
        {"params": [array for array in arrays if array.ndim <= 1], "weight_decay": 0.0},
    ]
    kept = [group for group in groups if group["params"]]
    more = {"fused": True} if fused else {}
    if rule.name == "adam":
        return torch.optim.Adam(kept, lr=given.lr, betas=(given.beta1, given.beta2), eps=given.eps, **more)
    if rule.name == "adamw":
        return torch.optim.AdamW(kept, lr=given.lr, betas=(given.beta1, given.beta2), eps=given.eps, **more)
    if rule.name == "adagrad":
        return torch.optim.Adagrad(kept, lr=given.lr, eps=given.eps)
    if rule.name == "sgd":
        return torch.optim.SGD(kept, lr=given.lr, momentum=given.momentum, nesterov=given.nesterov, **more)
    return torch.optim.RMSprop(kept, lr=given.lr, alpha=given.decay, eps=given.eps)  # there is no fused one
