"""What follows a contraction while a block of its result is hot: the parts of a sum, bias, the pointwise chain."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.chain import Chain
from netspec.kernels.context import Context, columns_of
from netspec.kernels.launch import At, Buffer, Word
from netspec.kernels.source import Words, indent

FINISH = """\
@njit(**INLINE)
def finish(p, control, r0, r1, j0, width, parts, stride):
    # rows r0..r1 of the block: the parts added in order, bias, chain
    columns = p[4]
{setup}    for r in range(r0, r1):
        place = r * columns + j0
        z = floats(p[1] + place * ITEMSIZE, width)
{sum}{bias_array}{y_array}{row}        for j in range(width):
            v0 = z[j]{bias}
{store}{chain}            {target}[j] = v{last}
"""

SUM_OF_PARTS = """\
        first = floats(p[5] + place * ITEMSIZE, width)
        for j in range(width):
            z[j] = first[j]
        for part in range(1, parts):
            more = floats(p[5] + (part * stride + place) * ITEMSIZE, width)
            for j in range(width):
                z[j] += more[j]
"""


class Finish:
    """The source of `finish` for one contraction, and the words that it shares with the kernels around it: p[1] z, p[2] bias, p[3] y,
    p[4] columns."""

    def __init__(self, context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
        self.chain, self.words = Chain(context, chain_nodes, node.output), Words()
        self.columns, _ = columns_of(node.output.shape)
        self.y = context.value((chain_nodes or (node,))[-1].output)
        self.keeps = bool(chain_nodes) and context.train and self.chain.needs_input
        self.z = pre_activation(context, node) if self.keeps else self.y
        self.writes = list(dict.fromkeys((self.z, self.y)))  # the same order in every process, unlike a set's
        self.bias = "b" in node.parameters
        bias: Word = context.parameter(node, "b") if self.bias else 0
        self.spread = [*self.writes, *self.chain.others]
        """What is touched element by element."""
        self.reads = [*([bias.buffer] if isinstance(bias, At) else []), *self.chain.reads, *self.chain.others]
        self.words.extend(At(context.control), At(self.z), bias, At(self.y), self.columns)
        self.needed = self.bias or bool(chain_nodes)

    def source(self, parts: bool) -> str:
        """`finish` itself; `declare` is called last, so the words of the kernel come before the chain's."""
        setup = indent(self.chain.declare(self.words), 1)
        return FINISH.format(
            setup=setup, sum=SUM_OF_PARTS if parts else "",
            bias_array="        bias = floats(p[2] + j0 * ITEMSIZE, width)\n" if self.bias else "",
            y_array="        y = floats(p[3] + place * ITEMSIZE, width)\n" if self.keeps else "",
            bias=" + bias[j]" if self.bias else "", store="            z[j] = v0\n" if self.keeps else "",
            row=indent(self.chain.spans("place", "width"), 2), chain=indent(self.chain.forward("place + j"), 3), last=self.chain.last,
            target="y" if self.keeps else "z",
        )  # fmt: skip


def pre_activation(context: Context, node: Node) -> Buffer:
    """The result of a contraction before its chain, kept for backward where the chain's output is not enough."""
    return context.shared(f"{node.name}.before", context.batch * size(node.output.shape))


def label_of(node: Node, chain_nodes: tuple[Node, ...]) -> str:
    return "-".join([node.layer.name, *(other.layer.name for other in chain_nodes)])
