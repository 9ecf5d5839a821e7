"""A chain of pointwise layers on its own: one pass forward, one backward."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.chain import Chain
from netspec.kernels.context import ELEMENT_GRAIN, Context, tasks_for
from netspec.kernels.launch import At, Buffer, Entry
from netspec.kernels.source import Words, indent

FORWARD = """\
@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control = words(p[0], 8)
    total = control[ROWS] * p[1]
    first = share_start(total, task, tasks, LANES)
    count = share_end(total, task, tasks, LANES) - first
    x = floats(p[2] + first * ITEMSIZE, count)
    y = floats(p[3] + first * ITEMSIZE, count)
{setup}    for i in range(count):
        v0 = x[i]
{chain}        y[i] = v{last}
"""

BACKWARD = """\
@cfunc(KERNEL, **OPTIONS)
def backward(p, task, tasks, worker):
    control = words(p[0], 8)
    total = control[ROWS] * p[1]
    first = share_start(total, task, tasks, LANES)
    count = share_end(total, task, tasks, LANES) - first
    seen = floats(p[2] + first * ITEMSIZE, count)
    dy = floats(p[3] + first * ITEMSIZE, count)
    dx = floats(p[4] + first * ITEMSIZE, count)
{setup}    for i in range(count):
        d{last} = dy[i]
{values}{chain}        dx[i] = d0
"""


def forward(context: Context, nodes: tuple[Node, ...]) -> None:
    chain, words = Chain(nodes), Words()
    per_row = size(nodes[0].input.shape)
    x, y = context.value(nodes[0].input), context.value(nodes[-1].output)
    words.extend(At(context.control), per_row, At(x), At(y))
    setup = indent(chain.declare(words), 1)
    body = FORWARD.format(setup=setup, chain=indent(chain.forward("first + i"), 2), last=chain.last)
    source = context.emitted([part for part in chain.templates if part.name.endswith("_forward")], body)
    tasks = tasks_for(context.batch * per_row, ELEMENT_GRAIN)
    context.launch(
        "-".join(node.layer.name for node in nodes), "forward", Entry(source, "forward"), words.values[1:], tasks,
        reads=[x], writes=[y], flops=context.batch * sum(node.flops for node in nodes), layers=[node.name for node in nodes],
    )  # fmt: skip


def backward_chain(context: Context, nodes: tuple[Node, ...], seen: Buffer, dy: Buffer, dx: Buffer) -> None:
    """dx from dy through the chain. `seen` is the chain's input, or its output where that is enough (Chain.needs_input)."""
    chain, words = Chain(nodes), Words()
    per_row = size(nodes[0].input.shape)
    words.extend(At(context.control), per_row, At(seen), At(dy), At(dx))
    setup = indent(chain.declare(words), 1)
    if chain.needs_input:
        values = "v0 = seen[i]\n" + chain.forward("first + i")
    else:
        values = f"v{chain.last} = seen[i]"
        if chain.random:
            values += "\n" + chain.forward("first + i").splitlines()[0]
    body = BACKWARD.format(setup=setup, values=indent(values, 2), chain=indent(chain.backward(), 2), last=chain.last)
    context.launch(
        "-".join(node.layer.name for node in nodes) + " gradient", "backward", Entry(context.emitted(chain.templates, body), "backward"),
        words.values[1:], tasks_for(context.batch * per_row, ELEMENT_GRAIN),
        reads=[seen, dy], writes=[dx], flops=context.batch * sum(node.flops for node in nodes), layers=[node.name for node in nodes],
    )  # fmt: skip


def backward(context: Context, nodes: tuple[Node, ...]) -> None:
    if not context.wants_gradient(nodes[0].input):
        return
    seen = context.value(nodes[0].input if Chain(nodes).needs_input else nodes[-1].output)
    backward_chain(context, nodes, seen, context.value_gradient(nodes[-1].output), context.value_gradient(nodes[0].input))
