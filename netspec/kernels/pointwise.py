"""A chain of pointwise layers on its own: one pass forward, one backward."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.chain import Chain
from netspec.kernels.context import ELEMENT_GRAIN, Context, tasks_for
from netspec.kernels.launch import ROWS_CUT, At, Buffer, Cut, Entry
from netspec.kernels.source import Words, indent

FORWARD = """\
@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control = words(p[0], 8)
    first = {start}
    count = {end} - first
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
    first = {start}
    count = {end} - first
    seen = floats(p[2] + first * ITEMSIZE, count)
    dy = floats(p[3] + first * ITEMSIZE, count)
    dx = floats(p[4] + first * ITEMSIZE, count)
{setup}    for i in range(count):
        d{last} = dy[i]
{values}{chain}        dx[i] = d0
"""


def _share(context: Context, node: Node) -> tuple[int, Cut | None, dict[str, str]]:
    """(tasks, cut, bounds of a share): by rows where there are enough of them, else by elements."""
    tasks = tasks_for(context.batch * size(node.input.shape), ELEMENT_GRAIN)
    by_rows = context.row_tasks(node.input.shape, context.batch * size(node.input.shape), ELEMENT_GRAIN)
    if by_rows >= tasks:
        return by_rows, ROWS_CUT, {name: f"share_{name}(control[ROWS], task, tasks, 1) * p[1]" for name in ("start", "end")}
    return tasks, None, {name: f"share_{name}(control[ROWS] * p[1], task, tasks, LANES)" for name in ("start", "end")}


def forward(context: Context, nodes: tuple[Node, ...]) -> None:
    chain, words = Chain(nodes), Words()
    per_row = size(nodes[0].input.shape)
    x, y = context.value(nodes[0].input), context.value(nodes[-1].output)
    words.extend(At(context.control), per_row, At(x), At(y))
    setup = indent(chain.declare(words), 1)
    tasks, cut, bounds = _share(context, nodes[0])
    body = FORWARD.format(setup=setup, chain=indent(chain.forward("first + i"), 2), last=chain.last, **bounds)
    source = context.emitted([part for part in chain.templates if part.name.endswith("_forward")], body)
    context.launch(
        "-".join(node.layer.name for node in nodes), "forward", Entry(source, "forward"), words.values[1:], tasks,
        reads=[x], writes=[y], flops=context.batch * sum(node.flops for node in nodes), layers=[node.name for node in nodes],
        cut=cut, own=[x, y],
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
    tasks, cut, bounds = _share(context, nodes[0])
    body = BACKWARD.format(setup=setup, values=indent(values, 2), chain=indent(chain.backward(), 2), last=chain.last, **bounds)
    context.launch(
        "-".join(node.layer.name for node in nodes) + " gradient", "backward", Entry(context.emitted(chain.templates, body), "backward"),
        words.values[1:], tasks,
        reads=[seen, dy], writes=[dx], flops=context.batch * sum(node.flops for node in nodes), layers=[node.name for node in nodes],
        cut=cut, own=[seen, dy, dx],
    )  # fmt: skip


def backward(context: Context, nodes: tuple[Node, ...]) -> None:
    if not context.wants_gradient(nodes[0].input):
        return
    seen = context.value(nodes[0].input if Chain(nodes).needs_input else nodes[-1].output)
    backward_chain(context, nodes, seen, context.value_gradient(nodes[-1].output), context.value_gradient(nodes[0].input))
