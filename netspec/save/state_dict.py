"""Arrays of a PyTorch state dict as those of a graph. The file says nothing of the net, so that modules are told by the names and shapes of
their arrays, and those of one kind and shape go to the layers in the order of the numbers in their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.shape import Shape, show
from netspec.catalog.tables import listed
from netspec.graph.graph import Graph, Node
from netspec.save.export.torch_blocks import blocks_of
from netspec.save.export.torch_calls import NAMES
from netspec.save.export.torch_scopes import module_paths

Arrays = Mapping[str, NDArray[Any]]
COUNTER = "num_batches_tracked"
"""What PyTorch counts, and no layer needs."""
STATISTICS = ("shift", "scale")
"""Of raw rows, in the state dict of a module that netspec has written."""
KINDS = {
    "affine": "Linear", "conv": "Conv2d", "bn": "BatchNorm", "layernorm": "LayerNorm or GroupNorm", "groupnorm": "LayerNorm or GroupNorm",
    "prelu": "PReLU",
}  # fmt: skip
"""What PyTorch calls a layer with arrays."""
ALONE, SLOPES = "bias on its own", "PReLU"


@dataclass(frozen=True)
class Module:
    """The arrays of one module of the file by PyTorch's names for them; `path` is what stands before these."""

    path: str
    kind: str
    arrays: Arrays

    @property
    def shape(self) -> Shape:
        """What tells it from others of its kind; slopes may be one for all channels."""
        return () if self.kind == SLOPES else self.arrays[self.first].shape

    @property
    def first(self) -> str:
        """The array by which it is known."""
        return next(name for name in ("weight", "running_mean", "bias") if name in self.arrays)

    def named(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


@dataclass
class Matched:
    """Arrays for the graph by their names there, and what does not fit, in words."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    statistics: tuple[NDArray[Any], NDArray[Any]] | None = None
    """(shift, scale) of raw rows."""


def match(graph: Graph, tensors: Arrays, order: Sequence[str] = ()) -> Matched:
    """The file's arrays for the graph's layers: W of an affine turned round, all else as it is. `order` are paths of modules in the order
    of the net, where that is known."""
    exact = _exact(graph, tensors)
    if exact is not None:
        return exact
    found = Matched()
    modules = _modules(graph, tensors, found)
    layers = [node for node in graph.nodes if node.own_parameters]
    for key in dict.fromkeys([*map(_key, layers), *((one.kind, one.shape) for one in modules)]):
        own = [node for node in layers if _key(node) == key]
        same = _ordered([one for one in modules if (one.kind, one.shape) == key], order)
        if len(own) == len(same) and (len(own) == 1 or _is_certain(same, order)):
            for node, module in zip(own, same, strict=True):
                _take(node, module, found)
        else:
            found.faults += _told(own, same, key)
    return found


def _exact(graph: Graph, tensors: Arrays) -> Matched | None:
    """The arrays of a module that netspec has written for this very graph, by their names."""
    try:
        paths = module_paths(blocks_of(graph))
    except UsageError:
        return None
    names = {name for name in tensors if not name.endswith(COUNTER)} - set(STATISTICS)
    if names != set(paths.values()):
        return None
    arrays = {name: _own_layout(name, tensors[path]) for name, path in paths.items()}
    shapes = {name: one.shape for name, one in graph.parameters.items()} | {name: one.shape for name, one in graph.state.items()}
    if any(array.shape != shapes[name] for name, array in arrays.items()):
        return None
    both = all(name in tensors for name in STATISTICS)
    return Matched(arrays, statistics=(tensors["shift"], tensors["scale"]) if both else None)


def _own_layout(name: str, array: NDArray[Any]) -> NDArray[Any]:
    return array.T if name.endswith(".W") and array.ndim == 2 else array


def _modules(graph: Graph, tensors: Arrays, found: Matched) -> list[Module]:
    """The file's modules; arrays that belong to none are told in `found`."""
    apart: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in tensors.items():
        path, _, last = name.rpartition(".")
        if last == COUNTER:
            continue
        if last in (*NAMES.values(),):
            apart.setdefault(path, {})[last] = array
        else:
            found.faults.append(f"{name} ({_shape(array)}): no layer here has an array of that name{_why(last)}")
    slopes = any(node.layer.name == "prelu" for node in graph.nodes)
    modules = []
    for path, arrays in apart.items():
        kind = _kind(arrays, slopes)
        if kind is None:
            told = ", ".join(f"{Module(path, '', arrays).named(name)} ({_shape(array)})" for name, array in arrays.items())
            found.faults.append(f"{told}: of no module that a layer here is the counterpart of")
        else:
            modules.append(Module(path, kind, arrays))
    return modules


def _why(name: str) -> str:
    if name in ("weight_g", "weight_v", "original0", "original1"):
        return "; take the weight out of its parts first (torch.nn.utils.parametrize.remove_parametrizations)"
    return "; recurrence is not in version 1 of the language" if re.match(r"(weight|bias)_[ih]h", name) else ""


def _kind(arrays: Arrays, slopes: bool) -> str | None:
    """PyTorch's class by what a module holds; one scale alone is of a PReLU, where the net has such layers."""
    if "running_mean" in arrays or "running_var" in arrays:
        return "BatchNorm" if {"running_mean", "running_var"} <= set(arrays) else None
    if "weight" not in arrays:
        return ALONE
    axes = arrays["weight"].ndim
    if axes <= 1:
        return SLOPES if "bias" not in arrays and (slopes or axes == 0) else "LayerNorm or GroupNorm"
    return {2: "Linear", 4: "Conv2d"}.get(axes)


def _key(node: Node) -> tuple[str, Shape]:
    """The kind and shape of the module that a layer is the counterpart of."""
    own = node.own_parameters
    if list(own) == ["b"]:
        return ALONE, own["b"].shape
    shape = next(iter(own.values())).shape
    if node.layer.name == "prelu":
        return SLOPES, ()
    return KINDS.get(node.layer.name, node.layer.name), shape[::-1] if node.layer.name == "affine" else shape


def _numbers(path: str) -> list[tuple[int, int, str]]:
    """Sorts by the numbers in a path, of any length."""
    parts = [part for part in re.split(r"([0-9]+)", path) if part]
    return [(0, len(digits := part.lstrip("0")), digits) if part[0] in "0123456789" else (1, 0, part) for part in parts]


def _ordered(modules: Sequence[Module], order: Sequence[str]) -> list[Module]:
    if all(one.path in order for one in modules):
        return sorted(modules, key=lambda one: order.index(one.path))
    return sorted(modules, key=lambda one: _numbers(one.path))


def _is_certain(modules: Sequence[Module], order: Sequence[str]) -> bool:
    """Whether the order is known, or the paths differ in their numbers alone."""
    return all(one.path in order for one in modules) or len({re.sub(r"[0-9]+", "#", one.path) for one in modules}) <= 1


def _take(node: Node, module: Module, found: Matched) -> None:
    constants = {"gamma": 1.0, "beta": 0.0} if node.layer.name in ("bn", "layernorm", "groupnorm") else {}
    wanted = {key: one.shape for key, one in node.own_parameters.items()} | {key: one.shape for key, one in node.state.items()}
    for key, shape in wanted.items():
        name, theirs = node.array(key), NAMES[key]
        if theirs in module.arrays:
            array = _own_layout(name, module.arrays[theirs])
            if array.shape == shape or (module.kind == SLOPES and array.size == 1):
                found.arrays[name] = np.broadcast_to(array, shape)
            else:
                found.faults.append(f"{module.named(theirs)} is {_shape(array)}, and {name} is {show(shape)}")
        elif key in constants:  # it computes as if it had these
            found.arrays[name] = np.full(shape, constants[key])
        else:
            advice = "; write bias=false" if key == "b" else ""
            found.faults.append(f"{name} ({show(shape)}): {module.path or 'the module'} has no {theirs} for {node.name}{advice}")
    unused = [theirs for theirs in module.arrays if theirs not in [NAMES[key] for key in wanted]]
    for theirs in unused:
        advice = f"; leave bias=false out of {node.name}" if theirs == "bias" and "b" not in node.parameters else ""
        found.faults.append(f"{module.named(theirs)} ({_shape(module.arrays[theirs])}): {node.name} has no such array{advice}")


def _told(own: Sequence[Node], same: Sequence[Module], key: tuple[str, Shape]) -> list[str]:
    """What is wrong with layers and modules of one kind and shape."""
    kind, shape = key
    if own and same and len(own) == len(same):
        names, paths = listed([node.name for node in own]), listed([one.path for one in same])
        return [
            f"{paths}: each is a {kind}{_of(shape)}, and nothing tells which of them is which of {names}; give them names whose numbers "
            "tell their order in the net, such as 0.weight and 1.weight"
        ]
    if own and same:
        names, paths = listed([node.name for node in own]), listed([one.path for one in same])
        return [f"the net has {len(own)} of {kind}{_of(shape)} ({names}), and the file {len(same)} ({paths})"]
    missing = []
    for node in own:
        key_, parameter = next(iter(node.own_parameters.items()))
        missing.append(f"{node.array(key_)} ({show(parameter.shape)}): the file has no {kind}{_of(shape)}")
    return missing + [f"{one.named(one.first)}: the net has no counterpart of a {kind}{_of(shape)}" for one in same]


def _of(shape: Shape) -> str:
    return f" of {show(shape)}" if shape else ""


def _shape(array: NDArray[Any]) -> str:
    return show(array.shape) if array.ndim else "one number"
