"""Nets with branches, shared and transposed weights against PyTorch and JAX in float64: loss, gradients, running averages, steps."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graphs import INCEPTION, RESNET, moved_at_random
from laws import close
from numpy.typing import NDArray

import netspec
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.graph.graph import Graph, Node
from netspec.train.bench import drawn_rows
from netspec.ui.peers import compare, jax_net, torch_net

HAS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
HAS_OPTAX = pytest.mark.skipif(importlib.util.find_spec("optax") is None, reason="optax is not installed")
HAS_JAX = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
PEERS = [pytest.param("torch", marks=HAS_TORCH), pytest.param("jax", marks=HAS_JAX)]
Arrays = dict[str, NDArray[Any]]
Shape = tuple[int, ...]
ROWS, STEPS, L2 = 6, 5, 1e-2
NETS: dict[str, tuple[str, Shape]] = {
    "residual": (RESNET, (3, 8, 8)),
    "inception": (INCEPTION, (3, 6, 6)),
    "gates": ("mul(affine(9)-sigmoid | affine(9) | affine(9)-tanh) -> res[affine(5)-bn](proj) -> affine -> svm", (5,)),
    "names": ("affine(8)-relu @stem -> affine(8)-tanh @next -> add(id | @stem) -> concat(@next | id | @stem) -> affine -> softmax", (6,)),
    "no layer": ("add(id | id) -> mul(id | id | id)", (4,)),
    "tied": ("affine(6) -> [affine(6)-bn-tanh]x3 tied -> affine -> softmax", (5,)),
    "tied images": ("conv(4) -> [res[conv(4)-bn-prelu]-pool]x2 tied -> affine -> softmax", (2, 8, 9)),
    "tie": ("affine(6) @enc -> tanh -> affine(8) @wide -> relu -> affine(6) -> affine(tie = wide, bias = false) -> affine", (6,)),
    "autoencoder": ("affine(5) @enc -> tanh -> affine(tie = enc.T)", (7,)),
    "square autoencoder": ("affine(6) @enc -> tanh -> affine(tie = enc.T)", (6,)),
    "tie, three times": ("affine(5) @enc -> tanh -> affine(tie = enc.T) @dec -> elu -> affine(tie = enc) -> affine(tie = dec)", (7,)),
    "tie, in tied copies": ("affine(5) @enc -> [tanh -> affine(tie = enc.T) -> relu -> affine(5)]x2 tied", (7,)),
    "depthwise": ("conv(6) -> [res[conv(6, groups=6)-bn-relu-conv(6, kernel=1)]]x2 -> globalpool -> affine -> softmax", (3, 7, 6)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def libraries_as_they_were() -> Iterator[None]:
    """JAX computes in float64 from when it is told to. PyTorch's threads wait for one another, on a busy machine for milliseconds."""
    torch, jax = (importlib.import_module(name) if importlib.util.find_spec(name) else None for name in ("torch", "jax"))
    threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
        torch.manual_seed(0)
    yield
    if torch:
        torch.set_num_threads(threads)
    if jax:
        jax.config.update("jax_enable_x64", False)


def compiled(name: str, train: str = "") -> netspec.Model:
    """In float64, with all its arrays at random."""
    text, shape = NETS[name]
    classes = 3 if text.endswith(("softmax", "svm")) else None
    model = netspec.compile(text, input=shape, classes=classes, dtype="float64", train=train, threads=1)
    moved_at_random(model)
    return model


def spread(model: netspec.Model) -> Arrays:
    """All arrays, those that layers share also under the names that they would have if they did not."""
    arrays: Arrays = {**model.params, **model.state}
    for node in model.graph.nodes:
        for key, full in node.shared.items():
            arrays[f"{node.name}.{key}"] = arrays[full].T if node.turned and key == "W" else arrays[full]
    return arrays


def batch(graph: Graph, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    x, y = drawn_rows(graph, ROWS, seed)
    return x.astype(np.float64), y


def in_own_layout(graph: Graph, tensors: Mapping[str, Any]) -> Arrays:
    """The trained arrays of PyTorch, or their gradients."""
    found = {name: np.asarray(tensors[name].detach()) for name in graph.parameters}
    return {name: array.T if name.endswith(".W") and array.ndim == 2 else array for name, array in found.items()}


def loss_in_torch(graph: Graph, arrays: Arrays, x: NDArray[Any], y: NDArray[Any]) -> tuple[float, Arrays]:
    mirror = loaded(graph, arrays)
    torch = mirror.torch
    for name in graph.parameters:
        mirror.tensors[name].grad = torch.zeros_like(mirror.tensors[name])  # PyTorch has none of what the loss does not depend on
    scores = mirror.module.train()(torch.from_numpy(x).requires_grad_())
    value = torch_net.LOSSES[graph.loss.name](torch, graph.loss, scores, torch.from_numpy(y))
    value.backward()
    return value.item(), in_own_layout(graph, {name: mirror.tensors[name].grad for name in graph.parameters})


def loaded(graph: Graph, arrays: Arrays) -> torch_net.Mirror:
    mirror = torch_net.Mirror(graph, "float64")
    mirror.load({name: arrays[name] for name in graph.parameters}, {name: arrays[name] for name in graph.state})
    return mirror


def loss_in_jax(graph: Graph, arrays: Arrays, x: NDArray[Any], y: NDArray[Any]) -> tuple[float, Arrays]:
    mirror = jax_net.Mirror(graph, "float64")
    jax = mirror.jax
    state = {name: arrays[name] for name in graph.state}

    def mean_loss(parameters: Any) -> Any:
        scores, _ = mirror.apply({**parameters, **state}, x, True, jax.random.PRNGKey(0))
        return jax_net.LOSSES[graph.loss.name](jax, graph.loss, scores, y)

    value, gradients = jax.jit(jax.value_and_grad(mean_loss))({name: jax.numpy.asarray(arrays[name]) for name in graph.parameters})
    return float(value), {name: np.asarray(gradient) for name, gradient in gradients.items()}


LOSS = {"torch": loss_in_torch, "jax": loss_in_jax}


def agrees(model: netspec.Model, peer: str, graph: Graph | None = None) -> None:
    """The law: the loss and all its gradients are those of a peer, to 1e-12 and 1e-10. `graph` is what the peer takes the net for."""
    x, y = batch(model.graph)
    loss, gradients = model.loss(x, y)
    wanted, wanted_gradients = LOSS[peer](graph or model.graph, spread(model), x, y)
    close(loss, wanted, 1e-12)
    assert set(gradients) <= set(wanted_gradients)
    for name, gradient in gradients.items():
        close(gradient, wanted_gradients[name], 1e-10)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("name", NETS)
def test_loss_and_gradients_are_those_of_a_peer(name: str, peer: str) -> None:
    agrees(compiled(name), peer)


@HAS_TORCH
@pytest.mark.parametrize("name", NETS)
def test_the_gradient_of_the_rows_is_that_of_torch(name: str) -> None:
    model = compiled(name)
    x, _ = batch(model.graph)
    mirror = loaded(model.graph, {**model.params, **model.state})
    rows = mirror.torch.from_numpy(x).requires_grad_()
    scores = mirror.module.train()(rows)
    upward = np.random.default_rng(1).normal(size=scores.shape)
    scores.backward(mirror.torch.from_numpy(upward))
    close(model.forward(x, train=True), scores.detach(), 1e-12)
    close(model.backward(upward)[0], rows.grad, 1e-10)
    with pytest.raises(AssertionError, match="off by"):
        close(model.backward(1.01 * upward)[0], rows.grad, 1e-10)


def changed(graph: Graph, name: str, change: Callable[[Node], Node]) -> Graph:
    """With one node changed."""
    made = replace(graph, nodes=tuple(change(node) if node.name == name else node for node in graph.nodes))
    made.verify()
    return made


def reading(*places: int) -> Callable[[Graph, Node], Node]:
    """A node that reads the values behind other nodes, counted back from its own."""
    return lambda graph, node: replace(node, inputs=tuple(graph.values[node.output.index - back] for back in places))


WRONG: dict[str, tuple[str, str, Callable[[Graph, Node], Node]]] = {
    "a skip from behind the wrong layer": ("residual", "add2", reading(1, 7)),
    "a body without its bn": ("residual", "add1", reading(2, 6)),
    "two branches that read each other's place": ("inception", "concat2", reading(1, 3, 6)),
    "a point that is another": ("names", "concat1", reading(2, 1, 2)),
    "a W that is not transposed": ("square autoencoder", "affine2", lambda graph, node: replace(node, turned=False)),
    "a copy with arrays of its own": ("tied", "affine2#2", lambda graph, node: replace(node, shared={})),
    "a tied W that is its own": ("tie", "affine4", lambda graph, node: replace(node, shared={})),
    "a transposed W that is its own": ("autoencoder", "affine2", lambda graph, node: replace(node, shared={}, turned=False)),
}


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_mirror_with_something_wrong_is_caught(wrong: str, peer: str) -> None:
    name, at, change = WRONG[wrong]
    model = compiled(name)
    other = changed(model.graph, at, lambda node: change(model.graph, node))
    with pytest.raises(AssertionError, match="off by"):
        agrees(model, peer, other)


@HAS_JAX
@pytest.mark.parametrize("name", ["residual", "tied", "tied images"])
def test_running_averages_are_moved_once_by_each_copy(name: str) -> None:
    model = compiled(name)
    x, _ = batch(model.graph)
    mirror = jax_net.Mirror(model.graph, "float64")
    arrays = {key: array.copy() for key, array in {**model.params, **model.state}.items()}
    _, moved = mirror.apply(arrays, x, True, mirror.jax.random.PRNGKey(0))
    model.forward(x, train=True)
    assert set(moved) == set(model.state)
    for key, array in model.state.items():
        close(array, moved[key], 1e-12)
        assert np.abs(array - arrays[key]).max() > 1e-3


def steps_like_torch(name: str, tied: Callable[[Graph], Graph] = lambda graph: graph) -> None:
    """The law: steps with momentum and l2 move every array as PyTorch does, shared ones once. `tied` is what it takes the net for."""
    model = compiled(name, f"optimizer = sgd(lr=0.05, momentum=0.9); l2 = {L2}; batch = {ROWS}")
    mirror = loaded(tied(model.graph), spread(model))
    torch, net = mirror.torch, mirror.module.train()
    held = list(net.parameters())
    weights, others = [one for one in held if one.ndim > 1], [one for one in held if one.ndim == 1]
    rule = torch.optim.SGD([{"params": weights, "weight_decay": L2}, {"params": others}], lr=0.05, momentum=0.9)
    for step in range(STEPS):
        x, y = batch(model.graph, step)
        rule.zero_grad()
        torch_net.LOSSES[model.graph.loss.name](torch, model.graph.loss, net(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        rule.step()
        model.step(x, y)
    for key, array in in_own_layout(model.graph, mirror.tensors).items():
        close(model.params[key], array, 1e-9)


@HAS_TORCH
@pytest.mark.parametrize("name", [name for name in NETS if name != "no layer"])
def test_steps_are_those_of_torch(name: str) -> None:
    steps_like_torch(name)


@HAS_TORCH
@pytest.mark.parametrize("name", ["tie", "square autoencoder"])
def test_steps_of_weights_that_are_not_shared_are_others(name: str) -> None:
    def apart(graph: Graph) -> Graph:
        shared = next(node.name for node in graph.nodes if node.shared)
        return changed(graph, shared, lambda node: replace(node, shared={}, turned=False))

    with pytest.raises(AssertionError, match="off by"):
        steps_like_torch(name, apart)


@HAS_TORCH
def test_a_chain_is_plain_and_shared_arrays_are_one() -> None:
    """What a PyTorch user would write, so that the comparison is fair."""
    torch = importlib.import_module("torch")
    chain = to_graph(load(Source("affine(8)-bn-relu -> affine -> softmax"), Overrides((5,), 3)))
    module = torch_net.Mirror(chain).module
    assert type(module) is torch.nn.Sequential
    assert [type(one).__name__ for one in module] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    residual = to_graph(load(Source(RESNET), Overrides((3, 8, 8), 3)))
    assert [len(one) for one in torch_net.Mirror(residual).module] == [3, 5, 1, 5, 1, 6, 1, 4]  # 6: a pad that PyTorch's conv does not have
    tied = to_graph(load(Source("affine(6) -> [affine(6)-bn-tanh]x3 tied -> affine -> softmax"), Overrides((5,), 3)))
    for graph in (residual, tied):
        assert sum(one.numel() for one in torch_net.Mirror(graph).module.parameters()) == graph.parameter_count


WAYS = [pytest.param("torch, channels last", marks=HAS_TORCH), pytest.param("jax", marks=[HAS_JAX, HAS_OPTAX])]


@pytest.mark.parametrize("peer", WAYS)
@pytest.mark.parametrize("name", ["residual", "inception", "tied images"])
def test_a_step_of_a_peer_runs(name: str, peer: str) -> None:
    text, shape = NETS[name]
    program = load(Source(f"netspec 1 classes 3 net {text} train {{ batch = 4 }}"), Overrides(shape))
    step = compare.step_of(peer, to_graph(program), program.train)
    losses = [step() for _ in range(30)]
    assert np.isfinite(losses).all()
    assert losses[0] != losses[-1]
