"""Convolutions, image by image: forward, and the gradients of the input and of the filters."""

from __future__ import annotations

from netspec.base.kinds import Window2D
from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.context import ELEMENT_GRAIN, FLOP_GRAIN, MOST_IMAGE_TASKS, MOST_PARTS, MOST_TASKS, Context, tasks_for
from netspec.kernels.finish import Finish, label_of
from netspec.kernels.launch import ROWS_CUT, At, Buffer, Entry, Word

FORWARD = """\
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

GRAD_INPUT = """\
@cfunc(KERNEL, **OPTIONS)
def grad_input(p, task, tasks, worker):
    images = words(p[0], 8)[ROWS]
    scratch = p[6] + worker * p[7] * ITEMSIZE
    clear_gradient_image(words(p[5], GEOMETRY_WORDS), scratch, ITEMSIZE)
    for n in range(share_start(images, task, tasks, 1), share_end(images, task, tasks, 1)):
        call_at(p[1], (p[2] + n * p[8] * ITEMSIZE, p[3], p[4] + n * p[9] * ITEMSIZE, p[5], scratch))
"""

GRAD_WEIGHTS = """\
@cfunc(KERNEL, **OPTIONS)
def grad_weights(p, task, tasks, worker):
    images = words(p[0], 8)[ROWS]
    scratch = p[6] + worker * p[7] * ITEMSIZE
    clear_image(words(p[5], GEOMETRY_WORDS), scratch, ITEMSIZE)
    part = p[4] + task * p[10] * ITEMSIZE
    first, last = share_start(images, task, tasks, 1), share_end(images, task, tasks, 1)
    if last <= first:
        clear_bytes(part, p[10] * ITEMSIZE)
    for n in range(first, last):
        add = np.int64(1) if n > first else np.int64(0)
        call_at(p[1], (p[2] + n * p[8] * ITEMSIZE, p[3] + n * p[9] * ITEMSIZE, part, p[5], scratch, p[11] + worker * p[12] * ITEMSIZE, add))
"""


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


def forward(context: Context, node: Node, chain_nodes: tuple[Node, ...], images: Images) -> None:
    finish = Finish(context, node, chain_nodes)
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
    body = (finish.source(False) + "\n\n" if finish.needed else "") + FORWARD.format(finish=call)
    source = context.emitted(finish.chain.templates, body)
    context.launch(
        label_of(node, chain_nodes), "forward", Entry(source, "forward"), finish.words.values[1:], images.tasks * blocks,
        reads=[x, packed, *finish.reads], writes=[*finish.writes, scratch], flops=images.flops, layers=names,
        cut=ROWS_CUT if blocks == 1 else None, own=[x, *finish.writes],
    )  # fmt: skip


def grad_weights(context: Context, node: Node, images: Images, dz: Buffer) -> None:
    x, name, constants = context.value(node.input), node.layer.name, images.constants
    parts = context.buffer("parts", images.parts * images.packed)
    scratch, panels = context.work("image", context.workers * images.scratch), context.work("panels", context.workers * images.dy_panel)
    words: list[Word] = [context.library("convolve_weights", "image_grad_weights"), At(x), At(dz), At(parts), At(constants), At(scratch)]
    words += [images.scratch, images.input_size, images.output_size, images.packed, At(panels), images.dy_panel]
    context.launch(
        f"{name} weight gradient", "backward", Entry(context.emitted([], GRAD_WEIGHTS), "grad_weights"), words, images.parts,
        reads=[x, dz], writes=[parts, scratch, panels], flops=images.flops, layers=[node.name], later=True,
    )  # fmt: skip
    gradient = context.gradient(node, "W")
    context.launch(
        f"{name} weight gradient parts", "backward", context.library("convolve_weights", "collect_filters"),
        (At(parts), gradient, At(constants), images.parts), min(MOST_TASKS, tasks_for(images.packed * images.parts, ELEMENT_GRAIN)),
        reads=[parts], writes=[parts, gradient.buffer], layers=[node.name], later=True,
    )  # fmt: skip


def grad_input(context: Context, node: Node, images: Images, dz: Buffer) -> None:
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
        f"{name} input gradient", "backward", Entry(context.emitted([], GRAD_INPUT), "grad_input"), words, images.tasks,
        reads=[dz, flipped], writes=[dx, scratch], flops=images.flops, layers=[node.name], cut=ROWS_CUT, own=[dz, dx],
    )  # fmt: skip
