"""Pools: a fold over each window, channel by channel; channels are the inner, vectorised loop."""

from __future__ import annotations

from netspec.base.kinds import Window
from netspec.base.shape import size
from netspec.graph.graph import Node
from netspec.kernels.context import Context
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Entry
from netspec.kernels.templates import Template, template

# geometry words: 0 C, 1 H, 2 W, 3 OH, 4 OW, 5 KH, 6 KW, 7 SH, 8 SW, 9 top, 10 left
OVER_WINDOWS = """\
        for oh in range(g[3]):
            h0 = oh * g[7] - g[9]
            h1 = min(h0 + g[5], g[1])
            h0 = max(h0, 0)
            for ow in range(g[4]):
                w0 = ow * g[8] - g[10]
                w1 = min(w0 + g[6], g[2])
                w0 = max(w0, 0)
                count = F((h1 - h0) * (w1 - w0))
                place = (oh * g[4] + ow) * channels
"""

FORWARD = """\
@cfunc(KERNEL, **OPTIONS)
def forward(p, task, tasks, worker):
    images = words(p[0], 8)[ROWS]
    g = words(p[3], 11)
    channels, size, out_size = g[0], g[0] * g[1] * g[2], g[0] * g[3] * g[4]
    for n in range(share_start(images, task, tasks, 1), share_end(images, task, tasks, 1)):
{windows}                y = floats(p[2] + (n * out_size + place) * ITEMSIZE, channels)
                for c in range(channels):
                    y[c] = {begin}
                for h in range(h0, h1):
                    for w in range(w0, w1):
                        x = floats(p[1] + (n * size + (h * g[2] + w) * channels) * ITEMSIZE, channels)
                        for c in range(channels):
                            y[c] = {fold}
                for c in range(channels):
                    y[c] = {finish}
"""

BACKWARD = """\
@cfunc(KERNEL, **OPTIONS)
def backward(p, task, tasks, worker):
    images = words(p[0], 8)[ROWS]
    g = words(p[3], 11)
    channels, size, out_size = g[0], g[0] * g[1] * g[2], g[0] * g[3] * g[4]
    left = floats(p[6] + worker * channels * ITEMSIZE, channels)
    for n in range(share_start(images, task, tasks, 1), share_end(images, task, tasks, 1)):
        clear_bytes(p[5] + n * size * ITEMSIZE, size * ITEMSIZE)
{windows}                y = floats(p[2] + (n * out_size + place) * ITEMSIZE, channels)
                dy = floats(p[4] + (n * out_size + place) * ITEMSIZE, channels)
                for c in range(channels):
                    left[c] = {share}
                for h in range(h0, h1):
                    for w in range(w0, w1):
                        at = (n * size + (h * g[2] + w) * channels) * ITEMSIZE
                        x, dx = floats(p[1] + at, channels), floats(p[5] + at, channels)
                        for c in range(channels):
{give}"""

GIVE_FIRST = """\
                            hit = x[c] == y[c]
                            dx[c] += left[c] if hit else F(0)
                            left[c] = F(0) if hit else left[c]
"""
GIVE_ALL = """\
                            dx[c] += left[c]
"""


def _template(layer: Window, part: str) -> Template:
    return template(getattr(type(layer), part), f"{layer.name}_{part}")


def _geometry(context: Context, node: Node) -> tuple[Window, At, int]:
    layer = node.layer
    assert isinstance(layer, Window)
    window = layer.geometry(node.input.shape)
    words = (*window.input, *window.output[1:], *window.kernel, *window.stride, window.margins[0], window.margins[2])
    work = context.batch * size(window.output) * size(window.kernel)
    return layer, At(context.constants(f"{node.name}.geometry", words)), context.row_tasks(node.input.shape, work, ELEMENT_GRAIN)


def forward(context: Context, node: Node) -> None:
    layer, geometry, tasks = _geometry(context, node)
    begin, fold, finish = (_template(layer, part) for part in ("begin", "fold", "finish"))
    body = FORWARD.format(
        windows=OVER_WINDOWS, begin=begin.call({}), fold=fold.call({"total": "y[c]", "x": "x[c]"}),
        finish=finish.call({"total": "y[c]", "count": "count"}),
    )  # fmt: skip
    x, y = context.value(node.input), context.value(node.output)
    context.launch(
        layer.name, "forward", Entry(context.emitted([begin, fold, finish], body), "forward"), (At(x), At(y), geometry), tasks,
        reads=[x], writes=[y], flops=context.batch * node.flops, layers=[node.name], cut=ROWS_CUT, own=[x, y],
    )  # fmt: skip


def backward(context: Context, node: Node) -> None:
    if not context.wants_gradient(node.input):
        return
    layer, geometry, tasks = _geometry(context, node)
    share = _template(layer, "backward")
    body = BACKWARD.format(
        windows=OVER_WINDOWS, share=share.call({"dy": "dy[c]", "count": "count"}), give=GIVE_FIRST if layer.first_only else GIVE_ALL
    )
    x, y = context.value(node.input), context.value(node.output)
    dy, dx = context.gradients.whole(node.output), context.gradients.new(node.input)
    left = context.work("left", context.workers * node.input.shape[0])
    context.launch(
        f"{layer.name} gradient", "backward", Entry(context.emitted([share], body), "backward"),
        (At(x), At(y), geometry, At(dy), At(dx), At(left)), tasks,
        reads=[x, y, dy], writes=[dx, left], flops=context.batch * node.flops, layers=[node.name], cut=ROWS_CUT, own=[x, y, dy, dx],
    )  # fmt: skip
