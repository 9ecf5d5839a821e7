"""The batch's images, each changed at random on its way from the data: which pixel of the image stands where follows from templates."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.base.transform import Augmentation
from netspec.kernels.context import Context
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Buffer, Entry
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import template

GATHER = """\
@cfunc(KERNEL, **OPTIONS)
def gather(p, task, tasks, worker):
    control = words(p[0], 8)
    rows, channels, height, width = control[ROWS], p[3], p[4], p[5]
    order = words(p[1] + control[START] * 8, rows)
    pixels = height * width
    random = control[AUGMENT] != 0
{setup}    for r in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
        x = floats(p[2] + order[r] * channels * pixels * ITEMSIZE, channels * pixels)
        y = floats(p[6] + r * p[7] * ITEMSIZE, channels * pixels)
{draws}        for h in range(height):
            for w in range(width):
                i, j, inside = h, w, True
{moves}                place = (h * width + w) * p[9]
                for c in range(channels):
                    y[place + c * p[8]] = x[c * pixels + i * width + j] if inside else F(0)
"""

MOVE = """\
if random and inside:
    i, j = {call}
    inside = i >= 0 and i < height and j >= 0 and j < width
"""


def gather_augmented(context: Context, order: Buffer, steps: tuple[Augmentation, ...], target: Buffer) -> None:
    """The launch that copies the batch's images through the steps, in their order, where the control block asks for it, and unchanged
    where it does not; channels last, or where they are read as vectors in C order."""
    source = context.graph.input
    channels, height, width = source.shape
    words, flat = Words(), context.input_is_flat
    data = context.buffer("data.x", 1, kind="data")
    words.extend(At(context.control), At(order), At(data), channels, height, width, At(target), context.row_stride(source))
    words.extend(*((height * width, 1) if flat else (1, channels)))
    setup: list[str] = []
    draws: list[str] = []
    moves: list[str] = []
    templates = []
    for number, step in enumerate(steps):
        place = template(type(step).place, f"{step.name}_place", integers=False)
        templates.append(place)
        # layers count from 0 on: the places of these streams lie before
        setup.append(f"key{number} = stream_key(control[SEED], {words.add(-1 - number)}, control[STEP])")
        draws.append(f"bits{number} = np.int64(random_bits(key{number}, control[FIRST] + r))")
        values = {"h": "i", "w": "j", "height": "height", "width": "width", "bits": f"bits{number}"}
        for name, constant in step.constants().items():
            setup.append(f"{name}{number} = {words.add(constant)}")
            values[name] = f"{name}{number}"
        moves.insert(0, MOVE.format(call=place.call(values)))  # the last step's result is what is asked for
    body = GATHER.format(setup=indent("\n".join(setup), 1), draws=indent("\n".join(draws), 2), moves=indent("".join(moves), 4))
    tasks = context.row_tasks(source.shape, 4 * context.batch * size(source.shape), ELEMENT_GRAIN)
    label = "-".join(["gather x", *(step.name for step in steps)])
    context.launch(
        label, "forward", Entry(context.emitted(templates, body), "gather"), words.values[1:], tasks,
        reads=[data], writes=[target], cut=ROWS_CUT, own=[target],
    )  # fmt: skip
