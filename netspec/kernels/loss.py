"""The loss: each row's loss and the gradient of its scores in one pass, then the total; the l2 term of gradients."""

from __future__ import annotations

from netspec.base.shape import size
from netspec.kernels.context import Context, tasks_for
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, At, Entry, Word
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import template

ROWS_OF_LOSS = """\
@cfunc(KERNEL, **OPTIONS)
def loss(p, task, tasks, worker):
    control = words(p[0], 8)
    rows, columns = control[ROWS], p[4]
    losses = floats(p[5], rows)
    mean = F(as_double(p[6])) / F(max(rows + control[OTHERS], 1))
{setup}    for r in range(share_start(rows, task, tasks, 1), share_end(rows, task, tasks, 1)):
        scores, gradient = floats(p[1] + r * columns * ITEMSIZE, columns), floats(p[3] + r * columns * ITEMSIZE, columns)
        label = {label}
        scale = mean
        if p[7] != 0:
            scale = mean * floats(p[7] + r * ITEMSIZE, 1)[0]
        value = {row}
        if p[7] != 0:
            value = value * floats(p[7] + r * ITEMSIZE, 1)[0]
        losses[r] = value
"""


def lower_loss(context: Context, weighted: bool) -> None:
    """The section `loss`: labels (`y`) are gathered beside the rows; `dscores` is filled, `row_losses` too."""
    graph, loss = context.graph, context.graph.loss
    columns = size(graph.output.shape)
    classes = loss.target == "class"
    labels = context.buffer("y", context.batch * (1 if classes else columns), 8 if classes else None, "result")
    weights = context.buffer("row_weights", context.batch, kind="result") if weighted else None
    losses = context.buffer("row_losses", context.batch, kind="result")
    scores = context.value(graph.output)
    gradient = context.gradients.new(graph.output) if context.train else context.work("dscores", context.batch * columns)
    row = template(type(loss).row, f"{loss.name}_row", integers=False)
    words, values = Words(), {"scores": "scores", "label": "label", "gradient": "gradient", "scale": "scale"}
    factor = 1.0 / columns if loss.per_element else 1.0
    words.extend(At(context.control), At(scores), At(labels), At(gradient), columns, At(losses), factor, At(weights) if weights else 0)
    setup = []
    for name, constant in loss.constants().items():
        setup.append(f"{name} = {words.add_float(float(constant))}")
        values[name] = name
    label = "words(p[2] + r * 8, 1)[0]" if classes else "floats(p[2] + r * columns * ITEMSIZE, columns)"
    body = ROWS_OF_LOSS.format(setup=indent("\n".join(setup), 1), label=label, row=row.call(values))
    context.launch(
        loss.name, "loss", Entry(context.emitted([row], body), "loss"), words.values[1:],
        min(context.batch, tasks_for(context.batch * columns * 16, ELEMENT_GRAIN)),
        reads=[scores, labels, *([weights] if weights else [])], writes=[gradient, losses], cut=ROWS_CUT, own=[scores, gradient],
    )  # fmt: skip


def lower_total(context: Context, l2: float) -> None:
    """The end of the section `loss`: the total, with the l2 term in the train form, as float64 in `loss` (total, data part)."""
    columns = size(context.graph.output.shape)
    factor = 1.0 / columns if context.graph.loss.per_element else 1.0
    result = context.buffer("loss", 2, 8, "result")
    losses = context.named["row_losses"]
    squares: list[Word] = [0, 0]
    reads = [losses]
    if l2 > 0 and context.train and context.weight_elements:
        tasks = tasks_for(context.weight_elements, ELEMENT_GRAIN)
        parts = context.buffer("squares", tasks, 8)
        context.launch(
            "l2 of weights", "loss", context.library("rows", "squares"), (At(context.flat_parameters), context.weight_elements, At(parts)),
            tasks, reads=context.parts(context.flat_parameters, 0, context.weight_elements), writes=[parts],
            flops=2 * context.weight_elements,
        )  # fmt: skip
        squares = [At(parts), tasks]
        reads.append(parts)
    context.launch(
        "mean loss", "loss", context.library("rows", "total_loss"), (At(losses), At(result), factor, *squares, 0.5 * l2), 1,
        reads=reads, writes=[result],
    )  # fmt: skip


def lower_l2(context: Context, l2: float) -> None:
    """The section `regularize`: the l2 term on gradients that are kept; an update adds it by itself."""
    if l2 > 0 and context.weight_elements:
        gradients = context.parts(context.flat_gradients, 0, context.weight_elements)
        context.launch(
            "l2", "regularize", context.library("rows", "regularize"),
            (At(context.flat_parameters), At(context.flat_gradients), context.weight_elements, float(l2)),
            tasks_for(context.weight_elements, ELEMENT_GRAIN),
            reads=[*context.parts(context.flat_parameters, 0, context.weight_elements), *gradients], writes=gradients,
            flops=2 * context.weight_elements,
        )  # fmt: skip
