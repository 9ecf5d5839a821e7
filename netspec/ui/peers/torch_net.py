"""A graph as PyTorch modules, with the same loss, optimizer and step: what `netspec bench --compare torch` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.base.kinds import Window2D
from netspec.base.optimizer import Optimizer
from netspec.base.shape import is_image
from netspec.frontend.program import TrainSection
from netspec.graph.graph import Graph, Node

Step = Callable[[], float]


def _affine(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    return [torch.nn.Linear(node.input.shape[0], layer.width, bias=layer.bias)]


def _conv(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(torch, window, 0.0, within=(1 << 30, 1 << 30))
    channels = node.input.shape[0]
    more = {"stride": layer.stride, "padding": inside, "groups": layer.groups, "bias": layer.bias}
    return [*before, torch.nn.Conv2d(channels, layer.filters, layer.kernel, **more)]


def _pool(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(torch, window, float("-inf"), within=_half(window))
    return [*before, torch.nn.MaxPool2d(window.kernel, stride=window.stride, padding=inside)]


def _avgpool(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    window: Window2D = layer.geometry(node.input.shape)
    before, inside = _margins(torch, window, 0.0, within=_half(window))
    if before:
        raise UsageError(f"--compare torch: {node.name}: PyTorch's mean pooling takes a pad of at most half the window")
    return [torch.nn.AvgPool2d(window.kernel, stride=window.stride, padding=inside, count_include_pad=False)]


def _half(window: Window2D) -> tuple[int, int]:
    """The largest pad that PyTorch's pools take."""
    return window.kernel[0] // 2, window.kernel[1] // 2


def _margins(torch: Any, window: Window2D, fill: float, within: tuple[int, int]) -> tuple[list[Any], tuple[int, int]]:
    """A module that pads before, where the margins differ or are larger than `within`, and what is left for the layer's own padding."""
    top, bottom, left, right = window.margins
    if top == bottom and left == right and top <= within[0] and left <= within[1]:
        return [], (top, left)
    return [torch.nn.ConstantPad2d((left, right, top, bottom), fill)], (0, 0)


def _bn(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    kind = torch.nn.BatchNorm2d if is_image(node.input.shape) else torch.nn.BatchNorm1d
    return [kind(node.input.shape[0], eps=layer.eps, momentum=1 - layer.momentum)]


def _layernorm(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    if is_image(node.input.shape):
        return [torch.nn.GroupNorm(1, node.input.shape[0], eps=layer.eps)]
    return [torch.nn.LayerNorm(node.input.shape[0], eps=layer.eps)]


def _groupnorm(torch: Any, node: Node) -> list[Any]:
    layer: Any = node.layer
    return [torch.nn.GroupNorm(layer.groups, node.input.shape[0], eps=layer.eps)]


MODULES: Mapping[str, Callable[[Any, Node], list[Any]]] = {
    "affine": _affine,
    "conv": _conv,
    "pool": _pool,
    "avgpool": _avgpool,
    "bn": _bn,
    "layernorm": _layernorm,
    "groupnorm": _groupnorm,
    "globalpool": lambda torch, node: [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()],
    "flatten": lambda torch, node: [torch.nn.Flatten()],
    "reshape": lambda torch, node: [torch.nn.Flatten(), torch.nn.Unflatten(1, node.output.shape)],
    "upsample": lambda torch, node: [torch.nn.Upsample(scale_factor=node.layer.factor)],  # type: ignore[attr-defined]
    "relu": lambda torch, node: [torch.nn.ReLU()],
    "leaky_relu": lambda torch, node: [torch.nn.LeakyReLU(node.layer.slope)],  # type: ignore[attr-defined]
    "elu": lambda torch, node: [torch.nn.ELU(node.layer.alpha)],  # type: ignore[attr-defined]
    "gelu": lambda torch, node: [torch.nn.GELU()],
    "silu": lambda torch, node: [torch.nn.SiLU()],
    "softplus": lambda torch, node: [torch.nn.Softplus()],
    "sigmoid": lambda torch, node: [torch.nn.Sigmoid()],
    "tanh": lambda torch, node: [torch.nn.Tanh()],
    "prelu": lambda torch, node: [torch.nn.PReLU(node.input.shape[0])],
    "dropout": lambda torch, node: [torch.nn.Dropout(node.layer.p)],  # type: ignore[attr-defined]
    "dropout2d": lambda torch, node: [torch.nn.Dropout2d(node.layer.p)],  # type: ignore[attr-defined]
    "id": lambda torch, node: [],
}
"""The modules of a layer by its name."""

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


class Mirror:
    """The layers of a graph as one `Sequential`, and which module stands for which layer."""

    def __init__(self, graph: Graph, dtype: str = "float32") -> None:
        self.torch = torch = library("torch", "bench")
        self.graph = graph
        self._by_layer = {node.name: MODULES[node.layer.name](torch, node) for node in graph.nodes}
        modules = [module for made in self._by_layer.values() for module in made]
        self.module = torch.nn.Sequential(*modules).to(getattr(torch, dtype))

    def load(self, parameters: Mapping[str, NDArray[Any]], state: Mapping[str, NDArray[Any]]) -> None:
        """Takes over netspec's arrays, by their names there."""
        names = {
            "gamma": "weight", "beta": "bias", "W": "weight", "b": "bias", "slope": "weight", "mean": "running_mean", "var": "running_var",
        }  # fmt: skip
        for name, array in {**parameters, **state}.items():
            layer, _, key = name.rpartition(".")
            holder = next(module for module in self._by_layer[layer] if getattr(module, names[key], None) is not None)
            turned = array.T if key == "W" and array.ndim == 2 else array
            with self.torch.no_grad():
                getattr(holder, names[key]).copy_(self.torch.from_numpy(np.array(turned)))

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
