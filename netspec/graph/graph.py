"""The graph: layers with names and shapes, joined by values. Value 0 is the input row; every other value has one producer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netspec.base.kinds import Contraction, Head, Merge, Normalization, Rearrangement
from netspec.base.layer import Layer, Parameter, State, Trained
from netspec.base.loss import Loss
from netspec.base.shape import Shape, show, size
from netspec.frontend.program import Call


@dataclass(frozen=True)
class Value:
    """One row's worth of numbers at a point of the net."""

    index: int
    shape: Shape


@dataclass(frozen=True)
class Node:
    """A layer in its place. `place` counts in reading order from 0 and keys the layer's random stream; layers that compute nothing (`id`,
    `flatten` of a vector) do not count, so that masks stay what they are where one is put in or left out.

    Parameters and states are keyed by their names inside the layer; `name.key` is their name outside, or what `shared` says for those
    that belong to another node: of a tied copy, or the W of a tied affine, which is `turned` where it is the transpose. `call` is None for
    the flatten that an image going into affine implies. `next_relu_like` tells what the initial weights are for.
    """

    name: str
    layer: Layer
    place: int
    inputs: tuple[Value, ...]
    output: Value
    parameters: Mapping[str, Parameter]
    state: Mapping[str, State]
    call: Call | None
    next_relu_like: bool = False
    shared: Mapping[str, str] = field(default_factory=dict)
    turned: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether it gives what it takes: id, flatten of a vector, reshape to the shape that is there."""
        return isinstance(self.layer, Rearrangement) and self.input.shape == self.output.shape

    def array(self, key: str) -> str:
        """The full name of a parameter or a state."""
        return self.shared.get(key, f"{self.name}.{key}")

    @property
    def own_parameters(self) -> dict[str, Parameter]:
        """Those that belong to no other node."""
        return {key: parameter for key, parameter in self.parameters.items() if key not in self.shared}

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Of its inputs."""
        return tuple(value.shape for value in self.inputs)

    @property
    def input(self) -> Value:
        return self.inputs[0]

    @property
    def frozen(self) -> bool:
        """Whether training leaves its parameters and averages as they are."""
        return isinstance(self.layer, Trained) and self.layer.frozen

    @property
    def lr_scale(self) -> float:
        """The factor on the learning rate of its parameters."""
        return self.layer.lr_scale if isinstance(self.layer, Trained) else 1.0

    @property
    def flops(self) -> int:
        """Forward FLOPs of one row."""
        return self.layer.merged_flops(self.shapes) if isinstance(self.layer, Merge) else self.layer.flops(self.input.shape)


def output_shape(layer: Layer, shapes: Sequence[Shape]) -> Shape:
    """The shape that a layer gives of its inputs'; raises Problem where it cannot take them."""
    return layer.merged_shape(shapes) if isinstance(layer, Merge) else layer.output_shape(shapes[0])


@dataclass(frozen=True)
class Graph:
    """A net with every shape known. `head` and `loss` give the scores their meaning; `classes` counts classes or outputs."""

    nodes: tuple[Node, ...]
    values: tuple[Value, ...]
    head: Head
    loss: Loss
    classes: int

    @property
    def input(self) -> Value:
        return self.values[0]

    @property
    def output(self) -> Value:
        """The scores."""
        return self.nodes[-1].output if self.nodes else self.values[0]

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Every trained array by its full name, in reading order."""
        return {node.array(key): parameter for node in self.nodes for key, parameter in node.own_parameters.items()}

    @property
    def state(self) -> dict[str, State]:
        return {node.array(key): state for node in self.nodes for key, state in node.state.items() if key not in node.shared}

    @property
    def parameter_count(self) -> int:
        return sum(size(parameter.shape) for parameter in self.parameters.values())

    def consumers(self, value: Value) -> list[Node]:
        return [node for node in self.nodes if value in node.inputs]

    @property
    def normalizes_vectors(self) -> bool:
        """Whether a batch of one row would have no variance: some bn sees vectors."""
        return any(isinstance(node.layer, Normalization) and len(node.input.shape) == 1 for node in self.nodes)

    def bias_is_cancelled(self, node: Node) -> bool:
        """Whether a bn right behind the layer subtracts its bias again, so that the bias's gradient is exactly 0. A frozen one
        subtracts its running mean, which knows nothing of it."""
        if not isinstance(node.layer, Contraction):
            return False
        readers = self.consumers(node.output)
        while len(readers) == 1 and readers[0].is_nothing:
            readers = self.consumers(readers[0].output)
        return len(readers) == 1 and isinstance(readers[0].layer, Normalization) and not readers[0].frozen

    def verify(self) -> None:
        """Checks what every later stage takes for granted; raises AssertionError."""
        known = {self.values[0].index}
        for node in self.nodes:
            assert all(value.index in known for value in node.inputs), f"{node.name} reads a value that comes later"
            assert node.output.index not in known, f"{node.name} writes a value twice"
            assert output_shape(node.layer, node.shapes) == node.output.shape, f"{node.name} has another shape than its rule"
            known.add(node.output.index)
        assert len({node.name for node in self.nodes}) == len(self.nodes), "two layers share a name"
        owned = {*self.parameters, *self.state}
        for node in self.nodes:
            for key in node.shared:
                assert node.shared[key] in owned, f"{node.name}.{key} shares an array that nothing owns"

    def __str__(self) -> str:
        lines = [f"input {show(self.input.shape)}"]
        for node in self.nodes:
            arrays = "".join(f"  {key} {show(parameter.shape)}{_owner(node, key)}" for key, parameter in node.parameters.items())
            implied = "  (implied)" if node.call is None else ""
            ends = f"%{','.join(str(value.index) for value in node.inputs)} -> %{node.output.index}"
            taken = " | ".join(map(show, node.shapes))
            lines.append(f"{node.name:<14} {ends:<12} {taken} -> {show(node.output.shape)}{arrays}{implied}")
        counted = "outputs" if self.head.target == "value" else "classes"
        lines.append(f"head {self.head.name}, loss {self.loss.name}, {self.classes} {counted}")
        return "\n".join(lines)


def _owner(node: Node, key: str) -> str:
    """` of enc.W, transposed`, where the array is another node's."""
    return f" of {node.shared[key]}{', transposed' if node.turned and key == 'W' else ''}" if key in node.shared else ""
