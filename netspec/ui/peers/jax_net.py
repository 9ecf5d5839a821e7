"""A graph as a JAX function, with the same loss and step and optax's optimizer: what `netspec bench --compare jax` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add, mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.extras import library
from netspec.base.kinds import Window2D
from netspec.base.optimizer import Optimizer
from netspec.base.shape import is_image
from netspec.frontend.program import TrainSection
from netspec.graph.graph import Graph, Node

Step = Callable[[], float]
Arrays = dict[str, Any]


class Call:
    """What a layer's function gets: the libraries, the node, its inputs, of which `x` is the first, its parameters and state by key, the
    form, a random key.

    A function that moves running averages puts them in `moved`.
    """

    def __init__(self, jax: Any, node: Node, inputs: Sequence[Any], arrays: Mapping[str, Any], train: bool, key: Any) -> None:
        self.jax, self.jnp, self.node, self.inputs, self.train, self.key = jax, jax.numpy, node, inputs, train, key
        self.x = inputs[0]
        self.layer: Any = node.layer
        self.arrays = arrays
        self.moved: Arrays = {}

    @property
    def window(self) -> Window2D:
        window: Window2D = self.layer.geometry(self.node.input.shape)
        return window


def _affine(call: Call) -> Any:
    y = call.x @ call.arrays["W"]
    return y + call.arrays["b"] if "b" in call.arrays else y


def _conv(call: Call) -> Any:
    window = call.window
    y = call.jax.lax.conv_general_dilated(
        call.x, call.arrays["W"], window.stride, _margins(window), feature_group_count=window.groups
    )  # fmt: skip
    return y + call.arrays["b"][:, None, None] if "b" in call.arrays else y


def _margins(window: Window2D) -> list[tuple[int, int]]:
    top, bottom, left, right = window.margins
    return [(top, bottom), (left, right)]


def _folded(call: Call, x: Any, start: float, fold: Any) -> Any:
    window = call.window
    margins = [(0, 0), (0, 0), *_margins(window)]
    return call.jax.lax.reduce_window(x, start, fold, (1, 1, *window.kernel), (1, 1, *window.stride), margins)


def _pool(call: Call) -> Any:
    return _folded(call, call.x, -np.inf, call.jax.lax.max)


def _avgpool(call: Call) -> Any:
    ones = call.jnp.ones((1, 1, *call.x.shape[2:]), call.x.dtype)
    return _folded(call, call.x, 0.0, call.jax.lax.add) / _folded(call, ones, 0.0, call.jax.lax.add)


def _bn(call: Call) -> Any:
    image = is_image(call.node.input.shape)
    axes, turn = ((0, 2, 3), (slice(None), None, None)) if image else ((0,), (slice(None),))
    mean, var = call.arrays["mean"], call.arrays["var"]
    if call.train:
        keep = call.layer.momentum
        old_mean, old_var = mean, var
        mean, var = call.x.mean(axes), call.x.var(axes)
        call.moved = {"mean": keep * old_mean + (1 - keep) * mean, "var": keep * old_var + (1 - keep) * var}
    scale = call.jax.lax.rsqrt(var + call.layer.eps) * call.arrays["gamma"]
    return (call.x - mean[turn]) * scale[turn] + call.arrays["beta"][turn]


def _row_normalization(call: Call) -> Any:
    shape = call.node.input.shape
    grouped = call.x.reshape(len(call.x), call.layer.groups_of(shape), -1)
    mean, var = grouped.mean(2, keepdims=True), grouped.var(2, keepdims=True)
    xhat = ((grouped - mean) * call.jax.lax.rsqrt(var + call.layer.eps)).reshape(call.x.shape)
    gamma, beta = (call.arrays[key].reshape(-1, *(1 for _ in shape[1:])) for key in ("gamma", "beta"))
    return xhat * gamma + beta


def _prelu(call: Call) -> Any:
    slope = call.arrays["slope"].reshape(-1, *(1 for _ in call.x.shape[2:]))
    return call.jnp.where(call.x > 0, call.x, slope * call.x)


def _dropout(call: Call) -> Any:
    return _dropped(call, call.x.shape)


def _dropout2d(call: Call) -> Any:
    return _dropped(call, (*call.x.shape[:2], 1, 1))


def _dropped(call: Call, mask: tuple[int, ...]) -> Any:
    if not call.train:
        return call.x
    kept = 1 - call.layer.p
    return call.jnp.where(call.jax.random.bernoulli(call.key, kept, mask), call.x / kept, 0)


LAYERS: Mapping[str, Callable[[Call], Any]] = {
    "affine": _affine,
    "conv": _conv,
    "pool": _pool,
    "avgpool": _avgpool,
    "bn": _bn,
    "prelu": _prelu,
    "layernorm": _row_normalization,
    "groupnorm": _row_normalization,
    "dropout": _dropout,
    "dropout2d": _dropout2d,
    "globalpool": lambda call: call.x.mean((2, 3)),
    "flatten": lambda call: call.x.reshape(len(call.x), -1),
    "reshape": lambda call: call.x.reshape(len(call.x), *call.layer.shape),
    "upsample": lambda call: call.x.repeat(call.layer.factor[0], 2).repeat(call.layer.factor[1], 3),
    "relu": lambda call: call.jax.nn.relu(call.x),
    "leaky_relu": lambda call: call.jnp.where(call.x > 0, call.x, call.layer.slope * call.x),
    "elu": lambda call: call.jax.nn.elu(call.x, call.layer.alpha),
    "gelu": lambda call: call.jax.nn.gelu(call.x, approximate=False),
    "silu": lambda call: call.jax.nn.silu(call.x),
    "softplus": lambda call: call.jax.nn.softplus(call.x),
    "sigmoid": lambda call: call.jax.nn.sigmoid(call.x),
    "tanh": lambda call: call.jnp.tanh(call.x),
    "id": lambda call: call.x,
    "add": lambda call: reduce(add, call.inputs),
    "concat": lambda call: call.jnp.concatenate(call.inputs, 1),
    "mul": lambda call: reduce(mul, call.inputs),
}
"""A layer's function by its name."""


def _hinge(jax: Any, loss: Any, scores: Any, y: Any) -> Any:
    wanted = jax.numpy.take_along_axis(scores, y[:, None], axis=1)
    return jax.nn.relu(scores - wanted + 1).sum(axis=1).mean() - 1


def _cross_entropy(jax: Any, loss: Any, scores: Any, y: Any) -> Any:
    wanted = jax.numpy.take_along_axis(scores, y[:, None], axis=1)[:, 0]
    share = getattr(loss, "label_smoothing", 0.0)
    mixed = (1 - share) * wanted + share * scores.mean(axis=1)
    return (jax.nn.logsumexp(scores, axis=1) - mixed).mean()


def _huber(jax: Any, loss: Any, scores: Any, y: Any) -> Any:
    cut = jax.numpy.clip(scores - y, -loss.delta, loss.delta)
    return (cut * (scores - y - cut / 2)).mean()


LOSSES: Mapping[str, Callable[[Any, Any, Any, Any], Any]] = {
    "cross_entropy": _cross_entropy,
    "hinge": _hinge,
    "squared_error": lambda jax, loss, scores, y: ((scores - y) ** 2).mean(),
    "l1": lambda jax, loss, scores, y: abs(scores - y).mean(),
    "huber": _huber,
    "bce": lambda jax, loss, scores, y: (jax.nn.softplus(scores) - y * scores).mean(),
}
"""Mean losses by name; of the library, the loss with its arguments, scores and labels."""


def _held(node: Node, arrays: Mapping[str, Any]) -> Arrays:
    """A layer's arrays by their names inside it, in its own view of them."""
    held = {key: arrays[node.array(key)] for key in (*node.parameters, *node.state)}
    return {**held, "W": held["W"].T} if node.turned else held


class Mirror:
    """A graph as a pure function of its arrays."""

    def __init__(self, graph: Graph, dtype: str = "float32") -> None:
        self.jax, self.graph = library("jax", "bench"), graph
        if dtype == "float64":
            self.jax.config.update("jax_enable_x64", True)

    def apply(self, arrays: Mapping[str, Any], x: Any, train: bool, key: Any) -> tuple[Any, Arrays]:
        """Scores of rows x, and the running averages that have moved."""
        moved: Arrays = {}
        values = {self.graph.input.index: x}
        for node in self.graph.nodes:
            key, own = self.jax.random.split(key) if train else (key, key)
            inputs = [values[value.index] for value in node.inputs]
            call = Call(self.jax, node, inputs, _held(node, {**arrays, **moved}), train, own)
            values[node.output.index] = LAYERS[node.layer.name](call)
            moved |= {node.array(name): array for name, array in call.moved.items()}
        return values[self.graph.output.index], moved

    def scores(self, arrays: Mapping[str, NDArray[Any]], x: NDArray[Any], train: bool = False) -> NDArray[Any]:
        """Scores (N, ...) of rows x, in test form unless `train`."""
        return np.asarray(self.apply(arrays, x, train, self.jax.random.PRNGKey(0))[0])


def first_arrays(graph: Graph, dtype: str) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Parameters and running averages to start from: weights are normal, scaled by the root of 2 / fan_in."""
    draw = np.random.default_rng(0)
    parameters = {
        name: (draw.normal(0, np.sqrt(2 / one.fan_in), one.shape) if one.role == "weight" else np.full(one.shape, one.constant))
        for name, one in graph.parameters.items()
    }
    state = {name: np.full(one.shape, one.initial) for name, one in graph.state.items()}
    return {name: a.astype(dtype) for name, a in parameters.items()}, {name: a.astype(dtype) for name, a in state.items()}


def step_of(graph: Graph, train: TrainSection, x: NDArray[Any], y: NDArray[Any]) -> Step:
    """A function that does one training step, compiled as a whole, on a batch drawn from x, y and returns its loss."""
    mirror = Mirror(graph, train.dtype)
    jax, optax = mirror.jax, library("optax", "bench")
    rule = _optimizer(optax, train.optimizer, train.l2, graph)
    mean_loss, batch = LOSSES[graph.loss.name], train.batch
    rows = jax.numpy.asarray(x.astype(train.dtype))
    labels = jax.numpy.asarray(y.astype(np.int32 if graph.loss.target == "class" else train.dtype))

    def data_loss(parameters: Any, state: Any, x: Any, y: Any, key: Any) -> Any:
        scores, moved = mirror.apply({**parameters, **state}, x, True, key)
        return mean_loss(jax, graph.loss, scores, y), moved

    def update(held: Any, rows: Any, labels: Any) -> Any:
        parameters, state, slots, key = held
        key, draw, drop = jax.random.split(key, 3)
        drawn = jax.random.randint(draw, (batch,), 0, len(rows))
        (value, moved), gradients = jax.value_and_grad(data_loss, has_aux=True)(parameters, state, rows[drawn], labels[drawn], drop)
        change, slots = rule.update(gradients, slots, parameters)
        return (optax.apply_updates(parameters, change), {**state, **moved}, slots, key), value

    compiled = jax.jit(update, donate_argnums=0)
    parameters, state = jax.tree.map(jax.numpy.asarray, first_arrays(graph, train.dtype))
    held = (parameters, state, rule.init(parameters), jax.random.PRNGKey(0))

    def step() -> float:
        nonlocal held
        held, value = compiled(held, rows, labels)
        return float(value)

    return step


def _optimizer(optax: Any, rule: Optimizer, l2: float, graph: Graph) -> Any:
    """l2 for the weights alone, before the optimizer, as netspec has it."""
    given: Any = rule
    weights = {name: parameter.role == "weight" for name, parameter in graph.parameters.items()}
    if rule.name == "adamw":
        return optax.adamw(given.lr, b1=given.beta1, b2=given.beta2, eps=given.eps, weight_decay=given.weight_decay, mask=weights)
    if rule.name == "adam":
        made = optax.adam(given.lr, b1=given.beta1, b2=given.beta2, eps=given.eps)
    elif rule.name == "sgd":
        made = optax.sgd(given.lr, momentum=given.momentum or None, nesterov=given.nesterov)
    else:
        made = optax.rmsprop(given.lr, decay=given.decay, eps=given.eps, eps_in_sqrt=False)
    if l2 == 0:
        return made
    return optax.chain(optax.add_decayed_weights(l2, mask=weights), made)
