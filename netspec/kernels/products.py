"""Matrix products: affine forward, and the gradients of its input and of its weights, which go straight into their update.

A product with few results and a long depth is cut along the depth: parts are written apart and added in order by a second launch that
also finishes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from netspec.base.kinds import Product
from netspec.graph.graph import Node
from netspec.kernels.context import FLOP_GRAIN, MOST_PARTS, Context, tasks_for
from netspec.kernels.finish import Finish, label_of
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Cut, Entry, Word
from netspec.kernels.native import BLOCK_DEPTH, BLOCK_ELEMENTS
from netspec.kernels.tail import longest_tail
from netspec.kernels.update import Change

SPLIT_RESULTS, SPLIT_DEPTH = 30_000, 1_000  # below so many results and above such a depth a product is cut along its depth
LEAST_ROWS = 14  # of the batch in a task: a tile of the tallest unit, so that the cuts are the same on all
TASKS_A_WORKER = 2

PRODUCT_FORWARD = """\
@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control = words(p[0], 8)
    rows, columns, depth = control[ROWS], p[4], p[8]
    row_task, column_task = task // p[10], task % p[10]
    i0, i1 = share_start(rows, row_task, p[9], 1), share_end(rows, row_task, p[9], 1)
    j0, j1 = share_start(columns, column_task, p[10], PANEL), share_end(columns, column_task, p[10], PANEL)
    if i1 <= i0 or j1 <= j0:
        return
    x, w, z = p[6] + i0 * p[13] * ITEMSIZE, p[7] + j0 * p[15] * ITEMSIZE, p[1] + (i0 * columns + j0) * ITEMSIZE
    one = np.int64(1)
    none = np.int64(0)
    sizes = (i1 - i0, j1 - j0, depth)
    call_at(p[5], (x, p[13], one, w, p[14], p[15], z, columns, columns, *sizes, none, p[11] + worker * p[12], none, none, none, none))
{finish}"""

COMBINE = """\
@cfunc(KERNEL, **OPTIONS)
def combine(p, task, tasks, worker):
    control = words(p[0], 8)
    rows = control[ROWS]
    finish(p, control, share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1), 0, p[4], p[6], p[7])
"""


def split_product(
    context: Context, rows: int, columns: int, depth: int, *, weights: bool = False, may_split_depth: bool = False
) -> tuple[int, int, int]:
    """How many cuts of rows, of columns, of the depth (whose parts somebody has to add). A side that is cut is not packed twice. The bits
    depend on cuts of the depth, and on those of the batch's rows, which bn's sums follow: these are fixed by the sizes. Others follow the
    threads: each task packs the whole of the side that is not cut."""
    tasks = tasks_for(2.0 * rows * columns * depth, FLOP_GRAIN)
    if tasks == 1:
        return 1, 1, 1
    few = min(tasks, TASKS_A_WORKER << (context.workers - 1).bit_length())
    if weights:
        return min(few, -(-rows // context.simd.rows)), 1, 1
    if may_split_depth and rows * columns <= SPLIT_RESULTS and depth > SPLIT_DEPTH:
        return 1, 1, min(tasks, MOST_PARTS)
    if columns >= 512 and rows <= 1024:
        return 1, min(few, -(-columns // context.panel)), 1
    return min(tasks, -(-rows // LEAST_ROWS)), 1, 1


def work_bytes(context: Context, columns: int, depth: int) -> int:
    """Scratch of one worker for library/product.py: a strip of A, the tail's columns and a block of B, in bytes, a multiple of 64."""
    deep = min(depth, BLOCK_DEPTH)
    tail = -(-deep // context.lanes) * context.lanes * longest_tail(context.lanes)
    wide = -(-min(columns, BLOCK_ELEMENTS // max(deep, 1)) // context.panel) * context.panel
    return -(-(deep * (context.strip + wide) + tail) * context.itemsize // 64) * 64 + 64


@dataclass(frozen=True)
class Side:
    """One operand of a product: where it starts, its strides, and the buffer it lies in."""

    at: At
    step: int
    other: int

    @property
    def buffer(self) -> Buffer:
        return self.at.buffer


def product(
    context: Context, label: str, a: Side, b: Side, c: At, ldc: int, sizes: tuple[int, int, int], node: Node, *,
    section: str = "backward", parts: Buffer | None = None, cuts: tuple[int, int, int] | None = None, change: Change | None = None,
) -> None:  # fmt: skip
    """C = A B as a launch of library/product.py. A: (row, depth) strides; B: (depth, column) strides; a size of -1 is the batch's rows.
    With `change` C is the gradient of the weight at `c`, which is updated."""
    m, n, k = (context.batch if count < 0 else count for count in sizes)
    cuts = cuts or split_product(context, m, n, k, weights=sizes[0] >= 0)
    assert cuts[2] == 1 or parts is not None, "parts of the depth that nobody adds"
    work = work_bytes(context, -(-n // cuts[1]) + context.panel, k)
    tasks = cuts[0] * cuts[1] * cuts[2]
    scratch = context.work("product", context.workers * work // context.itemsize)
    words: list[Word] = [context.library("product", "multiply"), a.at, a.step, a.other, b.at, b.step, b.other]
    reads, writes = [a.buffer, b.buffer], [scratch]
    if change is None:
        target, block = At(parts) if parts else c, 0
    else:  # the gradient of a block of rows, or where its sums come in several parts of the depth all of it
        block = -(-context.simd.rows * ldc // 16) * 16 if k <= BLOCK_DEPTH else 0
        target = At(context.work("gradient", context.workers * block if block else m * n))
    words += [target, ldc, *sizes, *cuts, m * n, At(scratch), work]
    if change is None:
        words += [0, 0, 0]  # no finish, C kept, no streams
    else:
        name = node.array("W")
        finish, streams, more = change.finish([*words, 0, 0, 0], name, ldc)
        words += [finish, block, streams, *more]
        changed = change.buffers([name])
        reads, writes = [*reads, *changed], [*writes, *changed]
    context.launch(
        label, section, context.library("product", "product"), words, tasks,  # type: ignore[arg-type]
        reads=reads, writes=[target.buffer, *writes], flops=2 * m * n * k, layers=[node.name], later=sizes[0] >= 0,
        **_share(context, sizes, cuts, a.buffer, target.buffer),
    )  # fmt: skip


class _Share(TypedDict):
    cut: Cut | None
    own: list[Buffer]


def _share(context: Context, sizes: tuple[int, int, int], cuts: tuple[int, int, int], a: Buffer, *results: Buffer) -> _Share:
    """How the tasks of a product of the batch share A and the results: both by rows, A by its columns, or the results by theirs."""
    if sizes[0] >= 0:
        return {"cut": None, "own": []}
    if cuts[1:] == (1, 1):
        return {"cut": ROWS_CUT, "own": [a, *results]}
    if cuts[:2] == (1, 1):
        return {"cut": ("columns", sizes[2], context.lanes), "own": [a]}
    if cuts[0] == 1:
        return {"cut": ("columns", sizes[1], context.panel), "own": [*results]}
    return {"cut": None, "own": []}


def forward(context: Context, node: Node, chain_nodes: tuple[Node, ...], geometry: Product) -> None:
    depth, columns, batch = geometry.depth, geometry.width, context.batch
    finish = Finish(context, node, chain_nodes)
    x, weights = context.value(node.input), context.parameter(node, "W")
    down, across = (1, depth) if node.turned else (columns, 1)  # from one element of W to the next
    stride = context.row_stride(node.input)
    names = [node.name, *(other.name for other in chain_nodes)]
    cuts = split_product(context, batch, columns, depth, may_split_depth=True)
    flops = 2 * batch * columns * depth
    if cuts[2] > 1:
        parts = context.buffer("parts", cuts[2] * batch * columns)
        a, b = Side(At(x), stride, 1), Side(weights, down, across)
        product(context, node.layer.name, a, b, At(parts), columns, (-1, columns, depth), node, section="forward", parts=parts, cuts=cuts)
        finish.words.extend(At(parts), cuts[2], batch * columns)
        source = context.emitted(finish.chain.forward_templates, finish.source(True) + "\n\n" + COMBINE)
        tasks = tasks_for(batch * columns * cuts[2], ELEMENT_GRAIN)
        context.launch(
            f"{label_of(node, chain_nodes)} parts", "forward", Entry(source, "combine"), finish.words.values[1:], tasks,
            reads=[parts, *finish.reads], writes=finish.writes, layers=names, cut=ROWS_CUT, own=finish.spread,
        )  # fmt: skip
        return
    tasks = cuts[0] * cuts[1]
    work = work_bytes(context, -(-columns // cuts[1]) + context.panel, depth)
    scratch = context.work("product", context.workers * work // context.itemsize)
    finish.words.extend(context.library("product", "multiply"), At(x), weights, depth, *cuts[:2], At(scratch), work, stride, down, across)
    call = "    finish(p, control, i0, i1, j0, j1 - j0, 1, 0)\n" if finish.needed else ""
    body = (finish.source(False) + "\n\n" if finish.needed else "") + PRODUCT_FORWARD.format(finish=call)
    source = context.emitted(finish.chain.forward_templates, body)
    context.launch(
        label_of(node, chain_nodes), "forward", Entry(source, "forward"), finish.words.values[1:], tasks,
        reads=[x, weights.buffer, *finish.reads], writes=[*finish.writes, scratch], flops=flops, layers=names,
        **_share(context, (-1, columns, depth), cuts, x, *finish.spread),
    )  # fmt: skip


def grad_input(context: Context, node: Node, geometry: Product, dz: Buffer) -> None:
    if not context.wants_gradient(node.input):
        return
    depth, columns = geometry.depth, geometry.width
    steps = (depth, 1) if node.turned else (1, columns)
    weights, dx = Side(context.parameter(node, "W"), *steps), context.gradients.new(node.input)
    label = f"{node.layer.name} input gradient"
    product(context, label, Side(At(dz), columns, 1), weights, At(dx), depth, (-1, depth, columns), node)


def grad_weights(context: Context, node: Node, geometry: Product, dz: Buffer) -> None:
    """dW = x' dz; of weights that are the transpose of another layer's, dz' x."""
    depth, columns = geometry.depth, geometry.width
    x, name = context.value(node.input), node.layer.name
    change = Change(context, context.update) if context.update and context.is_straight(node) else None
    label = f"{name} weight gradient" + (f"-{change.kind.name}" if change else "")
    target = context.parameter(node, "W") if change else context.gradient(node, "W")
    a, b = Side(At(x), 1, context.row_stride(node.input)), Side(At(dz), columns, 1)
    if node.turned:
        a, b, depth, columns = Side(At(dz), 1, columns), Side(At(x), context.row_stride(node.input), 1), columns, depth
    product(context, label, a, b, target, columns, (depth, columns, -1), node, change=change)
