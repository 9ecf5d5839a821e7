"""A chain of pointwise layers on its own: one pass forward, one backward; over all elements alike, or column by column of each row."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.graph.graph import Node, Value
from netspec.kernels.chain import Chain
from netspec.kernels.context import Context, columns_of, tasks_for
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Cut, Entry
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import Template

FORWARD = """\
@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control = words(p[0], 8)
    first = {start}
    count = {end} - first
    x = floats(p[2] + first * ITEMSIZE, count)
    y = floats(p[3] + first * ITEMSIZE, count)
{setup}{row}    for i in range(count):
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
{setup}{row}    for i in range(count):
        d{last} = {incoming}
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
            d{last} = {incoming}
{values}{chain}            dx[j] = d0
"""


def _share(context: Context, value: Value, unit: str) -> tuple[int, Cut | None, dict[str, str]]:
    """(tasks, cut, bounds of a share): by rows where there are enough of them, else by what p[1] counts in a row, in `unit`s."""
    tasks = tasks_for(context.batch * size(value.shape), ELEMENT_GRAIN)
    by_rows = context.row_tasks(value.shape, context.batch * size(value.shape), ELEMENT_GRAIN)
    if by_rows >= tasks:
        return by_rows, ROWS_CUT, {name: f"share_{name}(control[ROWS], task, tasks, 1) * p[1]" for name in ("start", "end")}
    return tasks, None, {name: f"share_{name}(control[ROWS] * p[1], task, tasks, {unit})" for name in ("start", "end")}


class _Kernel:
    """What both directions have in common: the words of a launch over buffers, by elements p[1] those of a row, by columns its pixels, and
    the columns behind the buffers."""

    def __init__(self, context: Context, chain: Chain, *buffers: Buffer) -> None:
        self.context, self.chain, self.words = context, chain, Words()
        columns, pixels = columns_of(chain.start.shape)
        self.words.extend(At(context.control), pixels if chain.by_columns else columns * pixels, *map(At, buffers))
        if chain.by_columns:
            self.words.extend(columns)
        self.tasks, self.cut, self.fill = _share(context, chain.start, "1" if chain.by_columns else "LANES")
        self.fill |= {"setup": indent(chain.declare(self.words), 1), "last": str(chain.last)}
        self.depth, self.counter, self.at = (3, "r * columns + j", "j") if chain.by_columns else (2, "first + i", "i")

    def text(self, form: str, templates: list[Template], **lines: str) -> str:
        """The module; `lines` are those inside the loop."""
        spans = self.chain.spans("r * columns", "columns") if self.chain.by_columns else self.chain.spans("first", "count")
        fill = {**self.fill, "row": indent(spans, self.depth - 1), **{name: indent(text, self.depth) for name, text in lines.items()}}
        return self.context.emitted(templates, form.format(**fill, incoming=self.chain.incoming(self.at)))

    @property
    def label(self) -> str:
        return "-".join(node.layer.name for node in self.chain.nodes)

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.chain.nodes]

    @property
    def flops(self) -> int:
        return self.context.batch * sum(node.flops for node in self.chain.nodes)


def forward(context: Context, nodes: tuple[Node, ...], start: Value) -> None:
    """The chain of `nodes` from the value `start` on."""
    chain = Chain(context, nodes, start)
    x, y = context.value(start), context.value(chain.end)
    kernel = _Kernel(context, chain, x, y)
    form = FORWARD_COLUMNS if chain.by_columns else FORWARD
    source = kernel.text(form, chain.forward_templates, chain=chain.forward(kernel.counter, kernel.at))
    context.launch(
        kernel.label, "forward", Entry(source, "forward"), kernel.words.values[1:], kernel.tasks,
        reads=[x, *chain.others, *chain.reads], writes=[y], flops=kernel.flops, layers=kernel.names, cut=kernel.cut,
        own=[x, y, *chain.others],
    )  # fmt: skip


def backward_chain(context: Context, chain: Chain, seen: Buffer, dy: Buffer, dx: Buffer) -> None:
    """dx from dy, which the chain has received, and the gradients of its parameters and of other branches. `seen` is the chain's input, or
    its output where that is enough (Chain.needs_input)."""
    kernel = _Kernel(context, chain, seen, dy, dx)
    chain.declare_gradients(kernel.words)
    sums = chain.declare_sums(kernel.words, kernel.tasks)
    if chain.needs_input:
        values = f"v0 = seen[{kernel.at}]\n{chain.forward(kernel.counter, kernel.at)}"
    else:
        values = f"v{chain.last} = seen[{kernel.at}]\n{chain.from_output(kernel.counter)}"
    kernel.fill["sums"] = indent(sums, 1)
    form = BACKWARD_COLUMNS if chain.by_columns else BACKWARD
    source = kernel.text(form, chain.templates, values=values, chain=chain.backward(kernel.at))
    reads = chain.reads_backward(chain.needs_input)
    context.launch(
        f"{kernel.label} gradient", "backward", Entry(source, "backward"), kernel.words.values[1:], kernel.tasks,
        reads=[seen, dy, *reads], writes=[dx, *chain.writes], flops=kernel.flops, layers=kernel.names, cut=kernel.cut,
        own=[seen, dy, dx, *chain.others, *chain.spread],
    )  # fmt: skip
    chain.add_parts(kernel.tasks)


def backward(context: Context, nodes: tuple[Node, ...], start: Value, kept: Buffer | None = None) -> None:
    """The gradient of `start`, where it is wanted, and those of parameters and other branches. `kept` holds the numbers of `start`, where
    that is not its own buffer."""
    chain, wanted = Chain(context, nodes, start), context.wants_gradient(start)
    if wanted and chain.is_free:
        context.gradients.whole(chain.end)
        context.gradients.give(start, chain.receive(None))
        return
    if not wanted and not chain.trained and not chain.wants_others:
        return
    dx = context.gradients.new(start) if wanted else context.work("dx", context.batch * size(start.shape))
    dy = chain.receive(dx if wanted else None)
    seen = (kept or context.value(start)) if chain.needs_input else context.value(chain.end)
    backward_chain(context, chain, seen, dy, dx)
