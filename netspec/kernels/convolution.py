"""Convolutions, image by image: forward, and the gradients of the input and of the filters; directly, or by tiles (see winograd.py)."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.kinds import Window2D
from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.context import FLOP_GRAIN, MOST_IMAGE_TASKS, MOST_PARTS, MOST_TASKS, Context, tasks_for
from netspec.kernels.finish import Finish, label_of
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Entry, Word
from netspec.kernels.winograd import Tiled, pays

# of y as of dx; p[1] to p[4] are those of finish.py
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
        r0, r1 = share_start(g[4], block, blocks, 2), share_end(g[4], block, blocks, 2)
        call_at(p[5], (p[6] + n * p[11] * ITEMSIZE, p[7], p[1] + n * p[12] * p[4] * ITEMSIZE, p[8], scratch, r0, r1))
{finish}"""

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


@dataclass(frozen=True)
class Form:
    """One way to convolve an image: a kernel of the library for it, its geometry words, and the elements of a worker's scratch; the kernel
    that packs the filters, their elements, and its tasks."""

    run: Entry
    geometry: Buffer
    scratch: int
    pack: Entry
    packed: int
    pack_tasks: int


@dataclass(frozen=True)
class WeightForm:
    """One way to the gradient of the filters: a kernel of the library for one image, its geometry words, and the elements of a worker's
    scratch for x and of that for dy; the kernel that adds the tasks' parts, and the elements of a part."""

    run: Entry
    geometry: Buffer
    scratch: int
    panels: int
    collect: Entry
    part: int


class Images:
    """Sizes of one convolution of the batch, and the forms that suit it: directly, with the geometry words of library/convolve.py, or by
    tiles."""

    def __init__(self, context: Context, node: Node, window: Window2D) -> None:
        self.context, self.node, self.window = context, node, window
        self.input_size, self.output_size = size(window.input), size(window.output)
        self.flops = context.batch * 2 * self.output_size * window.input[0] // window.groups * size(window.kernel)
        self.tasks = context.row_tasks(window.input, self.flops, FLOP_GRAIN)
        # of an image's output rows, two by two, where there are few images
        most = min(MOST_IMAGE_TASKS // max(context.batch, self.tasks), -(-window.output[1] // 2))
        self.blocks = tasks_for(self.flops / context.batch, FLOP_GRAIN, max(1, most))
        self.parts = min(self.tasks, MOST_PARTS)
        self.depthwise = window.groups == window.input[0] == window.output[0] > 1
        self.words = _geometry(window)
        self.geometry = context.constants(node.name + ".geometry", self.words)

    def _tiled(self) -> Tiled | None:
        window, (top, _, left, _) = self.window, self.window.margins
        if not pays(window):
            return None
        return Tiled(self.context, f"{self.node.name}.tiles", window.input, window.output, top, left)

    def _depthwise_form(self, run: str, pack: str, geometry: Buffer, scratch: int) -> Form:
        library, packed = self.context.library, self.window.input[0] * size(self.window.kernel)
        return Form(library("depthwise", run), geometry, scratch, library("depthwise", pack), packed, 1)

    def _packed(self, out: int, channels: int) -> int:
        groups, panel = self.window.groups, self.context.panel
        return -(-(out // groups) // panel) * panel * channels * size(self.window.kernel)

    def forward(self) -> Form:
        library, tiled = self.context.library, self._tiled()
        if tiled is not None:
            return _tiled_form(self.context, tiled, "pack_filters")
        if self.depthwise:
            return self._depthwise_form("image_forward", "pack_filters", self.geometry, _scratch(self.words))
        packed = self._packed(self.window.output[0], self.window.input[0])
        tasks = min(self.window.output[0], tasks_for(packed, ELEMENT_GRAIN))
        run, pack = library("convolve", "image_forward"), library("convolve", "pack_filters")
        return Form(run, self.geometry, _scratch(self.words), pack, packed, tasks)

    def grad_input(self) -> Form:
        """By tiles it is a convolution of dz with the filters turned, as far from the border as they reach beyond the input's."""
        library, window, (top, _, left, _) = self.context.library, self.window, self.window.margins
        if pays(window):
            tiled = Tiled(self.context, f"{self.node.name}.gradient_tiles", window.output, window.input, 2 - top, 2 - left)
            return _tiled_form(self.context, tiled, "pack_flipped")
        words = _gradient_geometry(self.words, self.depthwise)
        geometry = self.context.constants(f"{self.node.name}.gradient_geometry", words)
        if self.depthwise:
            return self._depthwise_form("image_grad_input", "pack_flipped", geometry, _scratch(words))
        run, pack = library("convolve_input", "image_grad_input"), library("convolve_input", "pack_flipped")
        return Form(run, geometry, _scratch(words), pack, self._packed(window.input[0], window.output[0]), 1)

    def grad_weights(self) -> WeightForm:
        library, tiled = self.context.library, self._tiled()
        if tiled is not None:
            run, collect = library("winograd_weights", "image_grad_weights"), library("winograd_weights", "collect_filters")
            return WeightForm(run, tiled.geometry, tiled.image, tiled.result, collect, tiled.packed)
        if self.depthwise:
            run, collect = library("depthwise", "image_grad_weights"), library("depthwise", "collect_filters")
            return WeightForm(run, self.geometry, _scratch(self.words), 1, collect, self.window.input[0] * size(self.window.kernel))
        run, collect = library("convolve_weights", "image_grad_weights"), library("convolve_weights", "collect_filters")
        out, height, width = self.window.output
        panels = height * width * self.context.panel if out // self.window.groups % self.context.lanes else 1
        return WeightForm(run, self.geometry, _scratch(self.words), panels, collect, self._packed(out, self.window.input[0]))


def _geometry(window: Window2D) -> tuple[int, ...]:
    """The words of library/convolve.py."""
    (channels, height, width), (out, out_height, out_width) = window.input, window.output
    top, bottom, left, right = window.margins
    if (*window.kernel, *window.stride) == (1, 1, 1, 1) and not any(window.margins):
        # a 1x1 convolution is one product an image: a single long row fills the tiles
        width, out_width, height, out_height = height * width, out_height * out_width, 1, 1
    return (
        channels, height, width, out, out_height, out_width, *window.kernel, *window.stride, top, left,
        height + top + bottom, width + left + right, int(any(window.margins)), 0, 0, window.groups,
    )  # fmt: skip


def _gradient_geometry(forward: tuple[int, ...], spread: bool) -> tuple[int, ...]:
    """The words of library/convolve_input.py for the convolution of these words; `spread` where dy's pixels lie a stride apart."""
    channels, height, width, out, out_height, out_width, kernel_height, kernel_width, down, across, top, left = forward[:12]
    groups = forward[17]
    if spread:
        padded_height = kernel_height - 1 + max((out_height - 1) * down + 1, top + height)
        padded_width = kernel_width - 1 + max((out_width - 1) * across + 1, left + width)
    else:
        padded_height = max(out_height + kernel_height - 1, (top + height - 1) // down + kernel_height)
        padded_width = max(out_width + kernel_width - 1, (left + width - 1) // across + kernel_width)
    margins = (padded_height, padded_width) != (out_height, out_width)
    return (
        out, out_height, out_width, channels, height, width, kernel_height, kernel_width, down, across, kernel_height - 1,
        kernel_width - 1, padded_height, padded_width, int(margins), top, left, groups,
    )  # fmt: skip


def _scratch(geometry: tuple[int, ...]) -> int:
    """Elements of the padded image."""
    return geometry[12] * geometry[13] * geometry[0] if geometry[14] else 1


def _tiled_form(context: Context, tiled: Tiled, pack: str) -> Form:
    run, tasks = context.library("winograd", "image_forward"), min(tiled.channels, tasks_for(tiled.packed, ELEMENT_GRAIN // 4))
    return Form(run, tiled.geometry, tiled.image + tiled.result, context.library("winograd", pack), tiled.packed, tasks)


def forward(context: Context, node: Node, chain_nodes: tuple[Node, ...], images: Images) -> None:
    finish, form = Finish(context, node, chain_nodes), images.forward()
    x, weights = context.value(node.input), context.parameter(node, "W")
    names = [node.name, *(other.name for other in chain_nodes)]
    packed = context.shared(f"{node.name}.packed", form.packed)
    scratch = context.work("image", context.workers * form.scratch)
    context.launch(
        f"{node.layer.name} filters", "forward", form.pack, (weights, At(packed), At(form.geometry)), form.pack_tasks,
        reads=[weights.buffer], writes=[packed], layers=[node.name], first=True,
    )  # fmt: skip
    # of the test form: in training the next layers go on image by image
    blocks = 1 if context.train else images.blocks
    pixels = size(node.output.shape[1:])
    finish.words.extend(form.run, At(x), At(packed), At(form.geometry), At(scratch), form.scratch, images.input_size, pixels, blocks)
    call = "        finish(p, control, n * p[12] + r0 * g[5], n * p[12] + r1 * g[5], 0, p[4], 1, 0)\n" if finish.needed else ""
    body = (finish.source(False) + "\n\n" if finish.needed else "") + FORWARD.format(finish=call)
    source = context.emitted(finish.chain.forward_templates, body)
    context.launch(
        label_of(node, chain_nodes), "forward", Entry(source, "forward"), finish.words.values[1:], images.tasks * blocks,
        reads=[x, packed, *finish.reads], writes=[*finish.writes, scratch], flops=images.flops, layers=names,
        cut=ROWS_CUT if blocks == 1 else None, own=[x, *finish.spread],
    )  # fmt: skip


def grad_weights(context: Context, node: Node, images: Images, dz: Buffer) -> None:
    x, name, form = context.value(node.input), node.layer.name, images.grad_weights()
    parts = context.buffer("parts", images.parts * form.part)
    scratch, panels = context.work("image", context.workers * form.scratch), context.work("panels", context.workers * form.panels)
    words: list[Word] = [form.run, At(x), At(dz), At(parts), At(form.geometry), At(scratch)]
    words += [form.scratch, images.input_size, images.output_size, form.part, At(panels), form.panels]
    context.launch(
        f"{name} weight gradient", "backward", Entry(context.emitted([], GRAD_WEIGHTS), "grad_weights"), words, images.parts,
        reads=[x, dz], writes=[parts, scratch, panels], flops=images.flops, layers=[node.name], later=True,
    )  # fmt: skip
    gradient = context.gradient(node, "W")
    context.launch(
        f"{name} weight gradient parts", "backward", form.collect, (At(parts), gradient, At(form.geometry), images.parts),
        min(MOST_TASKS, tasks_for(form.part * images.parts, ELEMENT_GRAIN)),
        reads=[parts], writes=[parts, gradient.buffer], layers=[node.name], later=True,
    )  # fmt: skip


def grad_input(context: Context, node: Node, images: Images, dz: Buffer) -> None:
    if not context.wants_gradient(node.input):
        return
    name, dx, form, weights = node.layer.name, context.gradients.new(node.input), images.grad_input(), context.parameter(node, "W")
    flipped = context.shared(f"{node.name}.flipped", form.packed)
    context.launch(
        f"{name} filters flipped", "backward", form.pack, (weights, At(flipped), At(form.geometry)), form.pack_tasks,
        reads=[weights.buffer], writes=[flipped], layers=[node.name], first=True,
    )  # fmt: skip
    scratch = context.work("image", context.workers * form.scratch)
    columns, pixels = node.input.shape[0], size(node.input.shape[1:])
    words: list[Word] = [At(dx), 0, 0, columns, form.run, At(dz), At(flipped), At(form.geometry), At(scratch)]
    words += [form.scratch, images.output_size, pixels, 1]
    context.launch(
        f"{name} input gradient", "backward", Entry(context.emitted([], FORWARD.format(finish="")), "forward"), words, images.tasks,
        reads=[dz, flipped], writes=[dx, scratch], flops=images.flops, layers=[node.name], cut=ROWS_CUT, own=[dz, dx],
    )  # fmt: skip
