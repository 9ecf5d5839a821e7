"""A chain of pointwise layers as lines of kernel source, forward and backward, on one element.

Backward computes the values inside the chain again from its input instead of storing them: LLVM drops what no gradient needs. Masks
are computed again from the counter generator too.

A kernel around a chain that goes `by_columns` runs over rows `r` of a matrix of `columns` columns, features or channels, from column `j0`
on, `width` of them, with `j` counted from `j0`; these names are in scope. Gradients of parameters are sums over rows: each task adds its
own part of them, and the parts are added in order.
"""

from __future__ import annotations

from netspec.base.kinds import Pointwise
from netspec.graph.graph import Node
from netspec.kernels.context import Context, columns_of
from netspec.kernels.launch import At, Buffer
from netspec.kernels.source import Words
from netspec.kernels.templates import Template, template


def _pointwise(node: Node) -> Pointwise:
    assert isinstance(node.layer, Pointwise)
    return node.layer


class Chain:
    """The pointwise layers `nodes` of one kernel; `declare` adds their constants and parameters to the words of a launch."""

    def __init__(self, context: Context, nodes: tuple[Node, ...]) -> None:
        self.context, self.nodes = context, nodes
        self._values: list[dict[str, str]] = []
        self._sums: list[tuple[Node, str, Buffer]] = []
        self.random = any(_pointwise(node).random for node in nodes)
        self.by_channel = any(_pointwise(node).by_channel for node in nodes)
        self.trained = [(node, name) for node in nodes for name in node.parameters]
        self.by_columns = self.by_channel or bool(self.trained)

    @property
    def templates(self) -> list[Template]:
        gradients = [self._part(node, f"{name}_gradient") for node, name in self.trained]
        return [*(self._part(node, part) for node in self.nodes for part in ("forward", "backward")), *gradients]

    @property
    def needs_input(self) -> bool:
        """Whether backward reads the chain's input; else its output is enough."""
        return len(self.nodes) != 1 or "x" in self._part(self.nodes[0], "backward").parameters

    @property
    def reads(self) -> list[Buffer]:
        """The parameters."""
        return [self.context.parameter(node, name).buffer for node, name in self.trained]

    @property
    def writes(self) -> list[Buffer]:
        """The parts of the parameters' gradients."""
        return [parts for _, _, parts in self._sums]

    @staticmethod
    def _part(node: Node, part: str) -> Template:
        return template(getattr(type(node.layer), part), f"{node.layer.name}_{part}")

    def declare(self, words: Words) -> str:
        """Lines that read the constants, the parameters and the stream keys, once a call. Needs `control` in scope."""
        lines = []
        self._values = []
        for number, node in enumerate(self.nodes):
            layer, values = _pointwise(node), {}
            for name, constant in layer.constants().items():
                word = f"np.uint32({words.add(constant)})" if isinstance(constant, int) else words.add_float(constant)
                lines.append(f"{name}{number} = {word}")
                values[name] = f"{name}{number}"
            for name in node.parameters:
                lines.append(f"{name}{number} = floats({words.add(self.context.parameter(node, name))} + j0 * ITEMSIZE, width)")
                values[name] = f"{name}{number}[j]"
            if layer.random:
                lines.append(f"key{number} = stream_key(control[SEED], {words.add(node.place)}, control[STEP])")
                values["bits"] = f"bits{number}"
            self._values.append(values)
        if self.by_channel:
            lines.append(f"pixels = {words.add(columns_of(self.nodes[0].input.shape)[1])}")
        return "\n".join(lines)

    def declare_sums(self, words: Words, tasks: int) -> str:
        """Lines that clear part number `part`, which is in scope, of each parameter's gradient; a single part is the gradient itself."""
        lines = []
        for node, name in self.trained:
            columns = node.input.shape[0]
            parts = self.context.gradient(node, name) if tasks == 1 else At(self.context.buffer("parts", tasks * columns))
            self._sums.append((node, name, parts.buffer))
            own = f"{name}{self.nodes.index(node)}_sum"
            lines.append(f"{own} = floats({words.add(parts)} + (part * {words.add(columns)} + j0) * ITEMSIZE, width)\nclear({own})")
        return "\n".join(lines)

    def add_parts(self, tasks: int) -> None:
        """Launches that add the parts of the parameters' gradients, which nothing but the update waits for."""
        for node, name, parts in self._sums if tasks > 1 else ():
            add_parts(self.context, node, name, At(parts), tasks, node.input.shape[0], self.context.gradient(node, name))

    def row(self) -> str:
        """Lines at the start of each row: where the counters of its channels begin."""
        return "image = r // pixels * columns + j0" if self.by_channel else ""

    def forward(self, counter: str) -> str:
        """Lines from `v0` to `v<n>`; `counter` is the element's number in the batch."""
        lines = []
        for number, node in enumerate(self.nodes):
            lines += self._bits(number, counter)
            values = {**self._values[number], "x": f"v{number}"}
            lines.append(f"v{number + 1} = {self._part(node, 'forward').call(values)}")
        return "\n".join(lines)

    def from_output(self, counter: str) -> str:
        """Lines that backward needs where the chain's output, in scope, is enough: the random words of its only layer."""
        return "\n".join(self._bits(0, counter))

    def _bits(self, number: int, counter: str) -> list[str]:
        layer = _pointwise(self.nodes[number])
        return [f"bits{number} = random_bits(key{number}, {'image + j' if layer.by_channel else counter})"] if layer.random else []

    def backward(self) -> str:
        """Lines from `d<n>` (gradient of the output) to `d0`; `v0`, ..., `v<n>` are in scope."""
        lines = []
        for number in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[number]
            values = {**self._values[number], "dy": f"d{number + 1}", "x": f"v{number}", "y": f"v{number + 1}"}
            for name in node.parameters:
                lines.append(f"{name}{number}_sum[j] += {self._part(node, f'{name}_gradient').call(values)}")
            lines.append(f"d{number} = {self._part(node, 'backward').call(values)}")
        return "\n".join(lines)

    @property
    def last(self) -> int:
        return len(self.nodes)


def add_parts(context: Context, node: Node, what: str, parts: At, tasks: int, columns: int, target: At) -> None:
    """A launch that adds the tasks' parts of a gradient, each of `columns` elements, in order; nothing but the update waits for it."""
    context.launch(
        f"{node.layer.name} {what} gradient parts", "backward", context.library("rows", "add_parts"), (parts, columns, tasks, target), 1,
        reads=[parts.buffer], writes=[target.buffer], layers=[node.name], later=True,
    )  # fmt: skip
