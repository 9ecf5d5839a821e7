"""A chain of pointwise layers on its own: one pass forward, one backward; over all elements alike, or column by column of each row."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.chain import Chain
from netspec.kernels.context import ELEMENT_GRAIN, Context, columns_of, tasks_for
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

FORWARD_COLUMNS = """\
@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control, columns, j0, width = words(p[0], 8), p[4], 0, p[4]
{setup}    for r in range({start}, {end}):
        x, y = floats(p[2] + r * columns * ITEMSIZE, columns), floats(p[3] + r * columns * ITEMSIZE, columns)
{row}        for j in range(columns):
            v0 = x[j]
{chain}            y[j] = v{last}
"""

BACKWARD_COLUMNS = """\
@cfunc(KERNEL, **OPTIONS)
def backward(p, task, tasks, worker):
    control, columns, j0, width, part = words(p[0], 8), p[5], 0, p[5], task
{setup}{sums}    for r in range({start}, {end}):
        place = r * columns * ITEMSIZE
        seen, dy, dx = floats(p[2] + place, columns), floats(p[3] + place, columns), floats(p[4] + place, columns)
{row}        for j in range(columns):
            d{last} = dy[j]
{values}{chain}            dx[j] = d0
"""


def _share(context: Context, node: Node, unit: str) -> tuple[int, Cut | None, dict[str, str]]:
    """(tasks, cut, bounds of a share): by rows where there are enough of them, else by what p[1] counts in a row, in `unit`s."""
    tasks = tasks_for(context.batch * size(node.input.shape), ELEMENT_GRAIN)
    by_rows = context.row_tasks(node.input.shape, context.batch * size(node.input.shape), ELEMENT_GRAIN)
    if by_rows >= tasks:
        return by_rows, ROWS_CUT, {name: f"share_{name}(control[ROWS], task, tasks, 1) * p[1]" for name in ("start", "end")}
    return tasks, None, {name: f"share_{name}(control[ROWS] * p[1], task, tasks, {unit})" for name in ("start", "end")}


def _begin(context: Context, nodes: tuple[Node, ...], *buffers: Buffer) -> tuple[Chain, Words, int, Cut | None, dict[str, str]]:
    """(chain, words, tasks, cut, text) of a kernel over these buffers: by elements p[1] are those of a row, by columns its pixels, and the
    columns follow the buffers."""
    chain, words = Chain(context, nodes), Words()
    columns, pixels = columns_of(nodes[0].input.shape)
    words.extend(At(context.control), pixels if chain.by_columns else columns * pixels, *map(At, buffers))
    if chain.by_columns:
        words.extend(columns)
    tasks, cut, text = _share(context, nodes[0], "1" if chain.by_columns else "LANES")
    text |= {"setup": indent(chain.declare(words), 1), "row": indent(chain.row(), 2), "last": str(chain.last)}
    return chain, words, tasks, cut, text


def forward(context: Context, nodes: tuple[Node, ...]) -> None:
    x, y = context.value(nodes[0].input), context.value(nodes[-1].output)
    chain, words, tasks, cut, text = _begin(context, nodes, x, y)
    form, depth, counter = (FORWARD_COLUMNS, 3, "r * columns + j") if chain.by_columns else (FORWARD, 2, "first + i")
    body = form.format(chain=indent(chain.forward(counter), depth), **text)
    source = context.emitted([part for part in chain.templates if part.name.endswith("_forward")], body)
    context.launch(
        "-".join(node.layer.name for node in nodes), "forward", Entry(source, "forward"), words.values[1:], tasks,
        reads=[x, *chain.reads], writes=[y], flops=context.batch * sum(node.flops for node in nodes), layers=[node.name for node in nodes],
        cut=cut, own=[x, y],
    )  # fmt: skip


def backward_chain(context: Context, nodes: tuple[Node, ...], seen: Buffer, dy: Buffer, dx: Buffer) -> None:
    """dx from dy through the chain, and the gradients of its parameters. `seen` is the chain's input, or its output where that is enough
    (Chain.needs_input)."""
    chain, words, tasks, cut, text = _begin(context, nodes, seen, dy, dx)
    form, depth, counter, at = (BACKWARD_COLUMNS, 3, "r * columns + j", "j") if chain.by_columns else (BACKWARD, 2, "first + i", "i")
    values = (
        f"v0 = seen[{at}]\n{chain.forward(counter)}" if chain.needs_input else f"v{chain.last} = seen[{at}]\n{chain.from_output(counter)}"
    )
    text |= {"sums": indent(chain.declare_sums(words, tasks), 1), "values": indent(values, depth)}
    body = form.format(chain=indent(chain.backward(), depth), **text)
    context.launch(
        "-".join(node.layer.name for node in nodes) + " gradient", "backward", Entry(context.emitted(chain.templates, body), "backward"),
        words.values[1:], tasks, reads=[seen, dy, *chain.reads], writes=[dx, *chain.writes],
        flops=context.batch * sum(node.flops for node in nodes), layers=[node.name for node in nodes], cut=cut, own=[seen, dy, dx],
    )  # fmt: skip
    chain.add_parts(tasks)


def backward(context: Context, nodes: tuple[Node, ...]) -> None:
    chain, wanted = Chain(context, nodes), context.wants_gradient(nodes[0].input)
    if not wanted and not chain.trained:
        return
    seen = context.value(nodes[0].input if chain.needs_input else nodes[-1].output)
    dx = context.value_gradient(nodes[0].input) if wanted else context.work("dx", context.batch * size(nodes[0].input.shape))
    backward_chain(context, nodes, seen, context.value_gradient(nodes[-1].output), dx)
