"""Normalization by statistics of columns, with the pointwise chain behind it.

The value is a matrix of rows x columns: features, or pixels x channels. Where one pass over all rows fits a core's cache, a task owns a
strip of columns and does everything for it: two-pass mean and variance, running averages, apply. Else the rows are cut: each task takes
mean and sum of squared deviations of its rows by blocks, which are merged (Chan, Golub and LeVeque, Updating formulae and a pairwise
algorithm for computing sample variances, 1979): those of images by one task before a third launch applies, those of vectors, which are
few, by every task for itself. Backward has the same forms. A frozen layer takes its running values in the train form too, which one
small launch makes ready; its backward form in a training step is one pass without sums.
"""

from __future__ import annotations

from netspec.base.kinds import Normalization
from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.chain import Chain
from netspec.kernels.context import Context, columns_of, tasks_for
from netspec.kernels.finish import label_of
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Cut, Entry
from netspec.kernels.normalization_kernels import (
    APPLY,
    BACKWARD,
    BACKWARD_FROZEN,
    BACKWARD_IMAGES,
    BACKWARD_ROWS,
    BACKWARD_SHARED,
    BACKWARD_STRIP,
    BACKWARD_VECTORS,
    FORWARD_IMAGES,
    FORWARD_ROWS,
    FORWARD_SHARED,
    FORWARD_STRIP,
    FORWARD_VECTORS,
    MOMENTS,
    RUNNING,
    SPREAD_OUT,
    TEST,
)
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import Template, template

BLOCK_ROWS = 64
STRIP_ROWS = 4096  # rows that the strip form takes at most
IN_COLUMN = {name: f"{name}[j]" for name in ("x", "mean", "inverse", "gamma", "beta")}


class _Shape:
    """How one normalization is cut: as the launch is that wrote what it reads, where it can be."""

    def __init__(self, context: Context, node: Node, read: Buffer) -> None:
        self.columns, self.pixels = columns_of(node.input.shape)
        self.flops = context.batch * node.flops
        self.columns_cut: Cut = ("columns", self.columns, context.panel)
        rows, before = context.batch * self.pixels, context.writer(read)
        share = context.update.share if context.update else None
        self.share = share if share and share.statistics and not node.frozen else None
        self.tasks = context.row_tasks(node.input.shape, rows * self.columns, ELEMENT_GRAIN // 2)
        self.merged = self.pixels == 1 and before is not None and before.cut == ROWS_CUT and before.tasks > 1 and not self.share
        self.by_strips = not self.merged and not self.share and rows <= STRIP_ROWS and (self.pixels == 1 or context.batch == 1)
        if self.merged and before:
            self.tasks = before.tasks
        elif self.by_strips:
            alike = before is not None and before.cut == self.columns_cut
            strips = -(-self.columns // context.panel)
            self.tasks = before.tasks if alike and before else min(tasks_for(rows * self.columns, ELEMENT_GRAIN // 2), strips)
        self.by_strips = self.by_strips or (self.tasks == 1 and not self.share)


def _templates(node: Node) -> tuple[Template, Template]:
    layer, name = type(node.layer), node.layer.name
    return template(layer.forward, f"{name}_forward"), template(layer.backward, f"{name}_backward")  # type: ignore[attr-defined]


def forward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    x, y = context.value(node.input), context.value((chain_nodes or (node,))[-1].output)
    chain, words, shape = Chain(context, chain_nodes, node.output), Words(), _Shape(context, node, x)
    layer = node.layer
    assert isinstance(layer, Normalization)
    normalize = _templates(node)[0]
    names, label = [node.name, *(other.name for other in chain_nodes)], label_of(node, chain_nodes)
    parts = context.work("parts", 1 if context.train and shape.by_strips else max(shape.tasks, context.workers) * 4 * shape.columns)
    own = context.work("merged", context.workers * 2 * shape.columns if shape.merged else 1)
    mean, inverse = (_statistic(context, node, which) for which in ("mean", "inverse"))
    words.extend(
        At(context.control), shape.pixels, shape.columns, At(x), At(y), At(mean), At(inverse if context.train else parts),
        context.parameter(node, "gamma"), context.parameter(node, "beta"), context.state(node, "mean"), context.state(node, "var"),
        float(layer.eps), float(layer.momentum), At(parts), BLOCK_ROWS, shape.tasks, At(own),
    )  # fmt: skip
    exchanged = _exchanged(context, node, "statistics", shape)
    if exchanged and shape.share:
        words.extend(At(exchanged), shape.share.ranks, shape.share.rank)
    setup = indent(chain.declare(words), 1)
    fill = {
        "setup": setup,
        "row": indent(chain.spans("r * columns + j0" if context.train else "r * columns", "width"), 2),
        "chain": indent(chain.forward("r * columns + j0 + j"), 3),
        "last": chain.last,
    }
    fill["normalize"] = normalize.call(IN_COLUMN)
    templates = [normalize, *chain.forward_templates]
    values = words.values[1:]
    trained = [*(context.parameter(node, key).buffer for key in ("gamma", "beta")), *chain.reads, *chain.others]
    running = [context.state(node, key).buffer for key in ("mean", "var")]

    own_elements = [x, y, *chain.others]

    def launch(
        entry: str, source: str, tasks: int, reads: list[Buffer], writes: list[Buffer], flops: int = 0, cut: Cut | None = ROWS_CUT,
        exchanged: Buffer | None = None,
    ) -> None:  # fmt: skip
        what = label if entry in ("strip", "spread_out", "merged", "test") else f"{label} {entry}"
        context.launch(
            what, "forward", Entry(source, entry), values, tasks, reads=reads, writes=writes, flops=flops, layers=names, cut=cut,
            own=own_elements, exchanged=exchanged,
        )  # fmt: skip

    flops = shape.flops + context.batch * sum(other.flops for other in chain_nodes)
    if not context.train:
        source = context.emitted(templates, TEST.format(**fill))
        launch("test", source, min(context.batch, shape.tasks), [x, *trained, *running], [y, parts], flops)
        return
    if node.frozen:
        source = context.emitted(templates, "\n\n".join([APPLY.format(**fill), RUNNING, SPREAD_OUT]))
        launch("running", source, 1, running, [mean, inverse], cut=None)
        launch("spread_out", source, min(context.batch, shape.tasks), [x, mean, inverse, *trained], [y], flops)
        return
    by_rows = [FORWARD_VECTORS] if shape.merged else [FORWARD_SHARED if exchanged else FORWARD_IMAGES, SPREAD_OUT]
    rest = [FORWARD_STRIP] if shape.by_strips else [FORWARD_ROWS, *by_rows]
    source = context.emitted(templates, "\n\n".join([MOMENTS, APPLY.format(**fill), *rest]))
    if shape.by_strips:
        launch("strip", source, shape.tasks, [x, *trained, *running], [y, mean, inverse, *running], flops, shape.columns_cut)
        return
    launch("statistics", source, shape.tasks, [x], [parts])
    if shape.merged:
        launch("merged", source, shape.tasks, [x, parts, *trained, *running], [y, own, mean, inverse, *running], flops)
    else:
        if exchanged:
            launch("part_of_batch", source, 1, [parts], [exchanged], cut=None, exchanged=exchanged)
            launch("whole_batch", source, 1, [exchanged, *running], [mean, inverse, *running], cut=None)
        else:
            launch("combine", source, 1, [parts, *running], [mean, inverse, *running], cut=None)
        launch("spread_out", source, shape.tasks, [x, mean, inverse, *trained], [y], flops)


def _exchanged(context: Context, node: Node, what: str, shape: _Shape) -> Buffer | None:
    """Where processes that share a batch put what each has of two sums by column, (ranks, 2, columns); None where none do."""
    if shape.share is None:
        return None
    return context.buffer(f"{node.name}.{what} of ranks", shape.share.ranks * 2 * shape.columns, kind="result")


def _statistic(context: Context, node: Node, which: str) -> Buffer:
    """mean or inverse deviation of the batch, kept from forward to backward."""
    return context.shared(f"{node.name}.batch_{which}", node.input.shape[0])


def backward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    chain, words = Chain(context, chain_nodes, node.output), Words()
    x, dy = context.value(node.input), chain.receive(None)
    shape = _Shape(context, node, dy)
    wanted = context.wants_gradient(node.input)
    dx = context.gradients.new(node.input) if wanted else context.work("dx", context.batch * size(node.input.shape))
    forward_template, backward_template = _templates(node)
    names, label = [node.name, *(other.name for other in chain_nodes)], label_of(node, chain_nodes)
    parts = context.work("parts", 1 if shape.by_strips else shape.tasks * 2 * shape.columns)
    own = context.work("merged", context.workers * 2 * shape.columns if shape.merged else 1)
    mean, inverse = (_statistic(context, node, which) for which in ("mean", "inverse"))
    gamma, beta = (context.parameter(node, key).buffer for key in ("gamma", "beta"))
    trained, frozen = [gamma, beta, *chain.reads_backward(True)], context.update is not None and node.frozen
    words.extend(
        At(context.control), shape.pixels, shape.columns, At(x), At(dy), At(dx), At(mean), At(inverse), context.parameter(node, "gamma"),
        context.parameter(node, "beta"), context.gradient(node, "gamma"), context.gradient(node, "beta"), int(wanted),
        At(parts), shape.tasks, At(own), 0.0 if node.frozen else 1.0,
    )  # fmt: skip
    exchanged, sums = _exchanged(context, node, "gradients", shape), context.work("sums", 2 * shape.columns if shape.share else 1)
    if exchanged and shape.share:
        words.extend(At(exchanged), shape.share.ranks, shape.share.rank, At(sums))
    fill = {"setup": indent(chain.declare(words), 1), "last": chain.last, "normalize": forward_template.call(IN_COLUMN)}
    by_task = min(context.batch, shape.tasks) if frozen else 1 if shape.by_strips else shape.tasks
    chain.declare_gradients(words)
    fill["sums"] = indent(chain.declare_sums(words, by_task), 1)
    fill["row"], fill["incoming"] = indent(chain.spans("place", "width"), 2), chain.incoming()
    fill["values"] = indent(chain.forward("r * columns + j0 + j"), 3)
    fill["chain"] = indent(chain.backward(), 3)
    inputs = {**IN_COLUMN, "dy": "dx[j]", "mean_dy": "sum_dy[j] * share", "mean_dy_xhat": "sum_dy_xhat[j] * share"}
    fill["gradient"] = backward_template.call(inputs)
    templates = [forward_template, backward_template, *chain.templates]
    own_elements = [x, dy, dx, *chain.others, *chain.spread]
    if frozen:
        fill["gradient"] = backward_template.call({**IN_COLUMN, "dy": "d0", "mean_dy": "F(0)", "mean_dy_xhat": "F(0)"})
        context.launch(
            f"{label} gradient", "backward", Entry(context.emitted(templates, BACKWARD_FROZEN.format(**fill)), "frozen"), words.values[1:],
            by_task, reads=[x, dy, mean, inverse, *trained], writes=[dx, *chain.writes], flops=shape.flops, layers=names,
            cut=ROWS_CUT, own=own_elements,
        )  # fmt: skip
        chain.add_parts(by_task)
        return
    by_rows = BACKWARD_VECTORS if shape.merged else BACKWARD_SHARED if exchanged else BACKWARD_IMAGES
    rest = [BACKWARD_STRIP] if shape.by_strips else [BACKWARD_ROWS, by_rows]
    body = "\n\n".join([BACKWARD.format(**fill), *rest])
    source = context.emitted(templates, body)
    values, flops = words.values[1:], 2 * shape.flops
    gradients = [context.gradient(node, key).buffer for key in ("gamma", "beta")]

    def launch(
        entry: str, tasks: int, reads: list[Buffer], writes: list[Buffer], work: int = 0, cut: Cut | None = ROWS_CUT,
        exchanged: Buffer | None = None,
    ) -> None:  # fmt: skip
        what = f"{label} gradient" + ("" if entry in ("strip", "finish_rows", "finish_merged") else f" {entry}")
        context.launch(
            what, "backward", Entry(source, entry), values, tasks, reads=reads, writes=writes, flops=work, layers=names, cut=cut,
            own=own_elements, exchanged=exchanged,
        )  # fmt: skip

    if shape.by_strips:
        launch("strip", shape.tasks, [x, dy, mean, inverse, *trained], [dx, *gradients, *chain.writes], flops, shape.columns_cut)
        return
    launch("reduce_rows", shape.tasks, [x, dy, mean, inverse, *trained], [dx, parts, *chain.writes], flops)
    context.catch_up()
    chain.add_parts(shape.tasks)
    if shape.merged:
        launch("finish_merged", shape.tasks, [x, dx, parts, mean, inverse, gamma], [dx, own, *gradients])
        return
    if exchanged:
        launch("part_of_batch", 1, [parts], [exchanged, *gradients], cut=None, exchanged=exchanged)
        launch("whole_batch", 1, [exchanged], [sums], cut=None)
    else:
        launch("combine", 1, [parts], gradients, cut=None)
    if wanted:
        launch("finish_rows", shape.tasks, [x, dx, mean, inverse, gamma, *([sums] if exchanged else gradients)], [dx])
