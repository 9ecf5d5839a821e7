"""Contractions: affine and conv, with bias and the pointwise chain applied to each block of the result while it is hot.

A product with few results and a long depth is cut along the depth: parts are written apart and added in order by a second launch that
also finishes them. Convolutions go image by image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from netspec.base.kinds import Contraction, Product, Window2D
from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.chain import Chain
from netspec.kernels.context import ELEMENT_GRAIN, FLOP_GRAIN, MOST_IMAGE_TASKS, MOST_TASKS, Context, columns_of, tasks_for
from netspec.kernels.launch import ROWS_CUT, At, Buffer, Cut, Entry, Word
from netspec.kernels.native import BLOCK_DEPTH, BLOCK_ELEMENTS
from netspec.kernels.pointwise import backward_chain
from netspec.kernels.source import Words, indent
from netspec.kernels.update import Change

SPLIT_RESULTS, SPLIT_DEPTH = 30_000, 1_000  # below so many results and above such a depth a product is cut along its depth
MOST_PARTS = 8
TASKS_A_WORKER = 2

FINISH = """\
@njit(**INLINE)
def finish(p, control, r0, r1, j0, width, parts, stride):
    # rows r0..r1 of the block: the parts added in order, bias, chain
    columns = p[4]
{setup}    for r in range(r0, r1):
        place = r * columns + j0
        z = floats(p[1] + place * ITEMSIZE, width)
{sum}{bias_array}{y_array}        for j in range(width):
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
    x, w, z = p[6] + i0 * p[13] * ITEMSIZE, p[7] + j0 * ITEMSIZE, p[1] + (i0 * columns + j0) * ITEMSIZE
    one = np.int64(1)
    none = np.int64(0)
    sizes = (i1 - i0, j1 - j0, depth)
    call_at(p[5], (x, p[13], one, w, columns, one, z, columns, columns, *sizes, none, p[11] + worker * p[12], none, none, none, none))
{finish}"""

COMBINE = """\
@cfunc(KERNEL, **OPTIONS)
def combine(p, task, tasks, worker):
    control = words(p[0], 8)
    rows = control[ROWS]
    finish(p, control, share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1), 0, p[4], p[6], p[7])
"""

IMAGES_FORWARD = """\
@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    control = words(p[0], 8)
    g, count, blocks = words(p[8], GEOMETRY_WORDS), control[ROWS] * p[13], p[13]
    scratch = p[9] + worker * p[10] * ITEMSIZE
    first, last = share_start(count, task, tasks, 1), share_end(count, task, tasks, 1)
    if last > first:
        clear_image(g, scratch, ITEMSIZE)
    for place in range(first, last):
        n, block = place // blocks, place % blocks
        r0, r1 = share_start(g[4], block, blocks, 1), share_end(g[4], block, blocks, 1)
        call_at(p[5], (p[6] + n * p[11] * ITEMSIZE, p[7], p[1] + n * p[12] * p[4] * ITEMSIZE, p[8], scratch, r0, r1))
{finish}"""

IMAGES_GRAD_INPUT = """\
@cfunc(KERNEL, **OPTIONS)
def grad_input(p, task, tasks, worker):
    images = words(p[0], 8)[ROWS]
    scratch = p[6] + worker * p[7] * ITEMSIZE
    clear_gradient_image(words(p[5], GEOMETRY_WORDS), scratch, ITEMSIZE)
    for n in range(share_start(images, task, tasks, 1), share_end(images, task, tasks, 1)):
        call_at(p[1], (p[2] + n * p[8] * ITEMSIZE, p[3], p[4] + n * p[9] * ITEMSIZE, p[5], scratch))
"""

IMAGES_GRAD_WEIGHTS = """\
@cfunc(KERNEL, **OPTIONS)
def grad_weights(p, task, tasks, worker):
    images = words(p[0], 8)[ROWS]
    scratch = p[6] + worker * p[7] * ITEMSIZE
    clear_image(words(p[5], GEOMETRY_WORDS), scratch, ITEMSIZE)
    part = p[4] + task * p[10] * ITEMSIZE
    first, last = share_start(images, task, tasks, 1), share_end(images, task, tasks, 1)
    if last <= first:
        floats(part, p[10])[:] = F(0)
    for n in range(first, last):
        add = np.int64(1) if n > first else np.int64(0)
        call_at(p[1], (p[2] + n * p[8] * ITEMSIZE, p[3] + n * p[9] * ITEMSIZE, part, p[5], scratch, p[11] + worker * p[12] * ITEMSIZE, add))
"""


def split_product(context: Context, rows: int, columns: int, depth: int, *, weights: bool = False) -> tuple[int, int, int]:
    """How many cuts of rows, of columns, of the depth. A side that is cut is not packed twice. The bits depend on cuts of the depth, and
    on those of the batch's rows, which bn's sums follow: these are fixed by the sizes. Others follow the threads: each task packs the
    whole of the side that is not cut."""
    tasks = tasks_for(2.0 * rows * columns * depth, FLOP_GRAIN)
    if tasks == 1:
        return 1, 1, 1
    few = min(tasks, TASKS_A_WORKER << (context.workers - 1).bit_length())
    if weights:
        return min(few, -(-rows // context.simd.rows)), 1, 1
    if rows * columns <= SPLIT_RESULTS and depth > SPLIT_DEPTH:
        return 1, 1, min(tasks, MOST_PARTS)
    if columns >= 512 and rows <= 1024:
        return 1, min(few, -(-columns // context.panel)), 1
    return min(tasks, -(-rows // 14)), 1, 1


def _work_bytes(context: Context, columns: int, depth: int) -> int:
    """Scratch of one worker for library/product.py: a strip of A and a block of B, in bytes, a multiple of 64."""
    deep = min(depth, BLOCK_DEPTH)
    wide = -(-min(columns, BLOCK_ELEMENTS // max(deep, 1)) // context.panel) * context.panel
    return -(-deep * (context.strip + wide) * context.itemsize // 64) * 64 + 64


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
    With `change` C is the gradient of the parameters that lie from `c` on, which are updated."""
    m, n, k = (context.batch if count < 0 else count for count in sizes)
    cuts = cuts or split_product(context, m, n, k, weights=sizes[0] >= 0)
    work = _work_bytes(context, -(-n // cuts[1]) + context.panel, k)
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
        words += [0, 0, 0]
    else:
        place = c.buffer.start
        finish, streams, more = change.finish([*words, 0, 0, 0], place, ldc)
        words += [finish, block, streams, *more]
        changed = change.buffers(place, place + 1)
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


class _Finish:
    """The source of `finish` for one contraction, and the words that it shares with the kernels around it: p[1] z, p[2] bias, p[3] y,
    p[4] columns."""

    def __init__(self, context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
        self.chain, self.words = Chain(chain_nodes), Words()
        self.columns, self.pixels = columns_of(node.output.shape)
        self.y = context.value((chain_nodes or (node,))[-1].output)
        self.keeps = bool(chain_nodes) and context.train and self.chain.needs_input
        self.z = pre_activation(context, node) if self.keeps else self.y
        self.writes = list(dict.fromkeys((self.z, self.y)))  # the same order in every process, unlike a set's
        self.bias = "b" in node.parameters
        bias: Word = context.parameter(node, "b") if self.bias else 0
        self.reads = [bias.buffer] if isinstance(bias, At) else []
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
            chain=indent(self.chain.forward("place + j"), 3), target="y" if self.keeps else "z", last=self.chain.last,
        )  # fmt: skip


def pre_activation(context: Context, node: Node) -> Buffer:
    """The result of a contraction before its chain, kept for backward where the chain's output is not enough."""
    return context.shared(f"{node.name}.before", context.batch * size(node.output.shape))


def forward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    layer = node.layer
    assert isinstance(layer, Contraction)
    geometry = layer.geometry(node.input.shape)
    if isinstance(geometry, Product):
        _product_forward(context, node, chain_nodes, geometry)
    else:
        _images_forward(context, node, chain_nodes, Images(context, node, geometry))


def _label(node: Node, chain_nodes: tuple[Node, ...]) -> str:
    return "-".join([node.layer.name, *(other.layer.name for other in chain_nodes)])


def _product_forward(context: Context, node: Node, chain_nodes: tuple[Node, ...], geometry: Product) -> None:
    depth, columns, batch = geometry.depth, geometry.width, context.batch
    finish = _Finish(context, node, chain_nodes)
    x, weights = context.value(node.input), context.parameter(node, "W")
    stride = context.row_stride(node.input)
    names = [node.name, *(other.name for other in chain_nodes)]
    cuts = split_product(context, batch, columns, depth)
    flops = 2 * batch * columns * depth
    if cuts[2] > 1:
        parts = context.buffer("parts", cuts[2] * batch * columns)
        a, b = Side(At(x), stride, 1), Side(weights, columns, 1)
        product(
            context, f"{node.layer.name}", a, b, At(parts), columns, (-1, columns, depth), node, section="forward", parts=parts, cuts=cuts
        )
        finish.words.extend(At(parts), cuts[2], batch * columns)
        source = context.emitted(finish.chain.templates, finish.source(True) + "\n\n" + COMBINE)
        tasks = tasks_for(batch * columns * cuts[2], ELEMENT_GRAIN)
        context.launch(
            f"{_label(node, chain_nodes)} parts", "forward", Entry(source, "combine"), finish.words.values[1:], tasks,
            reads=[parts, *finish.reads], writes=finish.writes, layers=names, cut=ROWS_CUT, own=finish.writes,
        )  # fmt: skip
        return
    tasks = cuts[0] * cuts[1]
    work = _work_bytes(context, -(-columns // cuts[1]) + context.panel, depth)
    scratch = context.work("product", context.workers * work // context.itemsize)
    finish.words.extend(context.library("product", "multiply"), At(x), weights, depth, *cuts[:2], At(scratch), work, stride)
    call = "    finish(p, control, i0, i1, j0, j1 - j0, 1, 0)\n" if finish.needed else ""
    body = (finish.source(False) + "\n\n" if finish.needed else "") + PRODUCT_FORWARD.format(finish=call)
    source = context.emitted(finish.chain.templates, body)
    context.launch(
        _label(node, chain_nodes), "forward", Entry(source, "forward"), finish.words.values[1:], tasks,
        reads=[x, weights.buffer, *finish.reads], writes=[*finish.writes, scratch], flops=flops, layers=names,
        **_share(context, (-1, columns, depth), cuts, x, *finish.writes),
    )  # fmt: skip


class Images:
    """Sizes of one convolution: the geometry words of library/convolve.py, and the elements of its packed filters and scratch."""

    def __init__(self, context: Context, node: Node, window: Window2D) -> None:
        (channels, height, width), (out, out_height, out_width) = window.input, window.output
        (kernel_height, kernel_width), (down, across) = window.kernel, window.stride
        top, bottom, left, right = window.margins
        margins = any(window.margins)
        if (kernel_height, kernel_width, down, across) == (1, 1, 1, 1) and not margins:
            # a 1x1 convolution is one product an image: a single long row fills the tiles
            width, out_width, height, out_height = height * width, out_height * out_width, 1, 1
        padded_height, padded_width = height + top + bottom, width + left + right
        grad_height = max(out_height + kernel_height - 1, (top + height - 1) // down + kernel_height)
        grad_width = max(out_width + kernel_width - 1, (left + width - 1) // across + kernel_width)
        self.words: tuple[int, ...] = (
            channels, height, width, out, out_height, out_width, kernel_height, kernel_width, down, across, top, left,
            padded_height, padded_width, int(margins), grad_height, grad_width,
        )  # fmt: skip
        self.input_size, self.output_size, self.pixels = size(window.input), size(window.output), out_height * out_width
        self.scratch = padded_height * padded_width * channels if margins else 1
        self.grad_scratch = grad_height * grad_width * out
        panels = -(-out // context.panel)
        self.packed = panels * context.panel * channels * kernel_height * kernel_width
        self.flipped = -(-channels // context.panel) * context.panel * kernel_height * kernel_width * out
        self.dy_panel = self.pixels * context.panel if out % context.lanes else 1
        self.flops = context.batch * 2 * size(window.output) * channels * kernel_height * kernel_width
        self.tasks = context.row_tasks(window.input, self.flops, FLOP_GRAIN)
        # of an image's output rows, where there are few images
        most = min(MOST_IMAGE_TASKS // max(context.batch, self.tasks), out_height)
        self.blocks = tasks_for(self.flops / context.batch, FLOP_GRAIN, max(1, most))
        self.parts = min(self.tasks, MOST_PARTS)
        self.pack_tasks = min(panels, tasks_for(self.packed, ELEMENT_GRAIN))
        self.constants = context.constants(node.name + ".geometry", self.words)


def _images_forward(context: Context, node: Node, chain_nodes: tuple[Node, ...], images: Images) -> None:
    finish = _Finish(context, node, chain_nodes)
    x, weights = context.value(node.input), context.parameter(node, "W")
    names = [node.name, *(other.name for other in chain_nodes)]
    packed = context.shared(f"{node.name}.packed", images.packed)
    scratch = context.work("image", context.workers * images.scratch)
    context.launch(
        f"{node.layer.name} filters", "forward", context.library("convolve", "pack_filters"),
        (weights, At(packed), At(images.constants)), images.pack_tasks, reads=[weights.buffer], writes=[packed],
        layers=[node.name], first=True,
    )  # fmt: skip
    run = context.library("convolve", "image_forward")
    finish.words.extend(run, At(x), At(packed), At(images.constants), At(scratch), images.scratch, images.input_size, images.pixels)
    # of the test form: in training the next layers go on image by image
    blocks = 1 if context.train else images.blocks
    finish.words.extend(blocks)
    call = "        finish(p, control, n * p[12] + r0 * g[5], n * p[12] + r1 * g[5], 0, p[4], 1, 0)\n" if finish.needed else ""
    body = (finish.source(False) + "\n\n" if finish.needed else "") + IMAGES_FORWARD.format(finish=call)
    source = context.emitted(finish.chain.templates, body)
    context.launch(
        _label(node, chain_nodes), "forward", Entry(source, "forward"), finish.words.values[1:], images.tasks * blocks,
        reads=[x, packed, *finish.reads], writes=[*finish.writes, scratch], flops=images.flops, layers=names,
        cut=ROWS_CUT if blocks == 1 else None, own=[x, *finish.writes],
    )  # fmt: skip


def column_sums(context: Context, node: Node, dz: Buffer, target: At) -> None:
    """The bias's gradient: sums over rows and pixels, by parts in order where there are many."""
    columns, pixels = columns_of(node.output.shape)
    tasks = tasks_for(context.batch * pixels * columns, 2 * ELEMENT_GRAIN)
    label = f"{node.layer.name} bias gradient"
    sums = context.library("rows", "column_sums")
    if tasks == 1:
        context.launch(
            label, "backward", sums, (At(dz), columns, pixels, target), 1,
            reads=[dz], writes=[target.buffer], layers=[node.name], later=True,
        )  # fmt: skip
        return
    parts = context.buffer("parts", tasks * columns)
    words = (At(dz), columns, pixels, At(parts))
    context.launch(label, "backward", sums, words, tasks, reads=[dz], writes=[parts], layers=[node.name], later=True)
    context.launch(
        f"{label} parts", "backward", context.library("rows", "add_parts"), (At(parts), columns, tasks, target), 1,
        reads=[parts], writes=[target.buffer], layers=[node.name], later=True,
    )  # fmt: skip


def backward(context: Context, node: Node, chain_nodes: tuple[Node, ...]) -> None:
    """Gradients of weights, bias and input; a bias that a bn cancels keeps its gradient of exactly 0, which nothing ever writes. That of
    the input comes first and those of the parameters are put off: the layer before can go on at once from its share of dx."""
    layer = node.layer
    assert isinstance(layer, Contraction)
    dz = context.value_gradient(node.output)
    if chain_nodes:
        chain = Chain(chain_nodes)
        dy = context.value_gradient(chain_nodes[-1].output)
        seen = pre_activation(context, node) if chain.needs_input else context.value(chain_nodes[-1].output)
        backward_chain(context, chain_nodes, seen, dy, dz)
    geometry = layer.geometry(node.input.shape)
    if isinstance(geometry, Product):
        _product_grad_input(context, node, geometry, dz)
    else:
        images = Images(context, node, geometry)
        _images_grad_input(context, node, images, dz)
    context.catch_up()
    if "b" in node.parameters and not context.graph.bias_is_cancelled(node):
        column_sums(context, node, dz, context.gradient(node, "b"))
    if isinstance(geometry, Product):
        _product_grad_weights(context, node, geometry, dz)
    else:
        _images_grad_weights(context, node, images, dz)


def _product_grad_input(context: Context, node: Node, geometry: Product, dz: Buffer) -> None:
    if not context.wants_gradient(node.input):
        return
    depth, columns = geometry.depth, geometry.width
    weights, dx = Side(context.parameter(node, "W"), 1, columns), context.value_gradient(node.input)
    label = f"{node.layer.name} input gradient"
    product(context, label, Side(At(dz), columns, 1), weights, At(dx), depth, (-1, depth, columns), node)


def _product_grad_weights(context: Context, node: Node, geometry: Product, dz: Buffer) -> None:
    depth, columns = geometry.depth, geometry.width
    x, name = context.value(node.input), node.layer.name
    change = Change(context, context.update) if context.update and context.update.straight else None
    label = f"{name} weight gradient" + (f"-{change.kind.name}" if change else "")
    target = context.parameter(node, "W") if change else context.gradient(node, "W")
    product(
        context,
        label,
        Side(At(x), 1, context.row_stride(node.input)),
        Side(At(dz), columns, 1),
        target,
        columns,
        (depth, columns, -1),
        node,
        change=change,
    )


def _images_grad_weights(context: Context, node: Node, images: Images, dz: Buffer) -> None:
    x, name, constants = context.value(node.input), node.layer.name, images.constants
    parts = context.buffer("parts", images.parts * images.packed)
    scratch, panels = context.work("image", context.workers * images.scratch), context.work("panels", context.workers * images.dy_panel)
    words: list[Word] = [context.library("convolve_weights", "image_grad_weights"), At(x), At(dz), At(parts), At(constants), At(scratch)]
    words += [images.scratch, images.input_size, images.output_size, images.packed, At(panels), images.dy_panel]
    context.launch(
        f"{name} weight gradient", "backward", Entry(context.emitted([], IMAGES_GRAD_WEIGHTS), "grad_weights"), words, images.parts,
        reads=[x, dz], writes=[parts, scratch, panels], flops=images.flops, layers=[node.name], later=True,
    )  # fmt: skip
    gradient = context.gradient(node, "W")
    context.launch(
        f"{name} weight gradient parts", "backward", context.library("convolve_weights", "collect_filters"),
        (At(parts), gradient, At(constants), images.parts), min(MOST_TASKS, tasks_for(images.packed * images.parts, ELEMENT_GRAIN)),
        reads=[parts], writes=[parts, gradient.buffer], layers=[node.name], later=True,
    )  # fmt: skip


def _images_grad_input(context: Context, node: Node, images: Images, dz: Buffer) -> None:
    if not context.wants_gradient(node.input):
        return
    name, constants = node.layer.name, images.constants
    dx, flipped = context.value_gradient(node.input), context.shared(f"{node.name}.flipped", images.flipped)
    pack, weights = context.library("convolve_input", "pack_flipped"), context.parameter(node, "W")
    context.launch(
        f"{name} filters flipped", "backward", pack, (weights, At(flipped), At(constants)), 1,
        reads=[weights.buffer], writes=[flipped], layers=[node.name], first=True,
    )  # fmt: skip
    scratch = context.work("image", context.workers * images.grad_scratch)
    words: list[Word] = [context.library("convolve_input", "image_grad_input"), At(dz), At(flipped), At(dx), At(constants), At(scratch)]
    words += [images.grad_scratch, images.output_size, images.input_size]
    context.launch(
        f"{name} input gradient", "backward", Entry(context.emitted([], IMAGES_GRAD_INPUT), "grad_input"), words, images.tasks,
        reads=[dz, flipped], writes=[dx, scratch], flops=images.flops, layers=[node.name], cut=ROWS_CUT, own=[dz, dx],
    )  # fmt: skip
