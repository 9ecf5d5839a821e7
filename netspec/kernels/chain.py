"""A chain of pointwise layers as lines of kernel source, forward and backward, on one element.

Backward computes the values inside the chain again from its input instead of storing them: LLVM drops what no gradient needs. Masks
are computed again from the counter generator too.
"""

from __future__ import annotations

from netspec.base.kinds import Pointwise
from netspec.graph.graph import Node
from netspec.kernels.source import Words
from netspec.kernels.templates import Template, template


def _pointwise(node: Node) -> Pointwise:
    assert isinstance(node.layer, Pointwise)
    return node.layer


class Chain:
    """The pointwise layers `nodes` of one kernel; `declare` adds their constants to the words of a launch."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self._values: list[dict[str, str]] = []
        self.random = any(_pointwise(node).random for node in nodes)

    @property
    def templates(self) -> list[Template]:
        return [part for node in self.nodes for part in (self._forward(node), self._backward(node))]

    @property
    def needs_input(self) -> bool:
        """Whether backward reads the chain's input; else its output is enough."""
        return len(self.nodes) != 1 or "x" in self._backward(self.nodes[0]).parameters

    @staticmethod
    def _forward(node: Node) -> Template:
        return template(type(node.layer).forward, f"{node.layer.name}_forward")  # type: ignore[attr-defined]

    @staticmethod
    def _backward(node: Node) -> Template:
        return template(type(node.layer).backward, f"{node.layer.name}_backward")  # type: ignore[attr-defined]

    def declare(self, words: Words) -> str:
        """Lines that read the constants and the stream keys, once a call. Needs `control` in scope."""
        lines = []
        self._values = []
        for number, node in enumerate(self.nodes):
            layer, values = _pointwise(node), {}
            for name, constant in layer.constants().items():
                word = f"np.uint32({words.add(constant)})" if isinstance(constant, int) else words.add_float(constant)
                lines.append(f"{name}{number} = {word}")
                values[name] = f"{name}{number}"
            if layer.random:
                lines.append(f"key{number} = stream_key(control[SEED], {words.add(node.place)}, control[STEP])")
                values["bits"] = f"bits{number}"
            self._values.append(values)
        return "\n".join(lines)

    def forward(self, counter: str) -> str:
        """Lines from `v0` to `v<n>`; `counter` is the element's number in the batch."""
        lines = []
        for number, node in enumerate(self.nodes):
            if _pointwise(node).random:
                lines.append(f"bits{number} = random_bits(key{number}, {counter})")
            values = {**self._values[number], "x": f"v{number}"}
            lines.append(f"v{number + 1} = {self._forward(node).call(values)}")
        return "\n".join(lines)

    def backward(self) -> str:
        """Lines from `d<n>` (gradient of the output) to `d0`; `v0`, ..., `v<n>` are in scope."""
        lines = []
        for number in range(len(self.nodes) - 1, -1, -1):
            values = {**self._values[number], "dy": f"d{number + 1}", "x": f"v{number}", "y": f"v{number + 1}"}
            lines.append(f"d{number} = {self._backward(self.nodes[number]).call(values)}")
        return "\n".join(lines)

    @property
    def last(self) -> int:
        return len(self.nodes)
