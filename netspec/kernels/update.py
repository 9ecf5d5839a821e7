"""The optimiser's update: parameters, gradients and slots in one pass, with the l2 term and the bound on gradients.

Weights of products are updated as each block of their gradient becomes complete, which is then never stored; what remains of the flat
buffers is updated at the end of the step. Frozen arrays are left out. Where gradients are bounded by their norm, one more launch takes
the sum of squares in parts, which every task of the update adds in order.
"""

from __future__ import annotations

from collections.abc import Iterable

from netspec.kernels.context import Context, Run, Update, tasks_for
from netspec.kernels.launch import ELEMENT_GRAIN, At, Buffer, Entry, Word, float_bits
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import Template, template

CHANGE = """\
@njit(**INLINE)
def change(p, place, gradient, count, weight, scale, norm):
    # `count` parameters from `place` on, their gradients at an address; `weight` is 1 for weights, else 0, `scale` a factor on lr
    scalars = words(p[0], CONTROL_WORDS)
    g = floats(gradient, count)
{setup}    for i in range(count):
        {results} = {update}
"""

UPDATE = """\
@cfunc(KERNEL, **OPTIONS)
def update(p, task, tasks, worker):
    # p[2] parameters from p[1] on; their gradients at p[3]; p[5] runs at p[4]: (start, end, whether weights, factor on lr); p[7] parts of
    # the squared norm at p[6]
    first = p[1] + share_start(p[2], task, tasks, LANES)
    last = p[1] + share_end(p[2], task, tasks, LANES)
    squares = 0.0
    for part in range(p[7]):
        squares += doubles(p[6], p[7])[part]
    norm = F(math.sqrt(squares))
    for r in range(p[5]):
        run = words(p[4] + r * 32, 4)
        start, end = max(first, run[0]), min(last, run[1])
        if end > start:
            change(p, start, p[3] + (start - p[1]) * ITEMSIZE, end - start, F(run[2]), as_double(run[3]), norm)
"""

FINISH = """\
@cfunc(FINISH, **OPTIONS)
def finish(at, gradient, ldc, row, height, column, width):
    # a block of a weight's gradient; the weight starts at parameter {place} and has {columns} columns
    p = words(at, {count})
    columns, scale = {columns}, as_double({scale})
    if width == columns and ldc == columns:
        change(p, {place} + row * columns, gradient, height * columns, F(1), scale, F(0))
    else:
        for r in range(height):
            change(p, {place} + (row + r) * columns + column, gradient + r * ldc * ITEMSIZE, width, F(1), scale, F(0))
"""


class Change:
    """The source of `change` for one optimiser, and what it reads and writes."""

    def __init__(self, context: Context, update: Update) -> None:
        self.context, self.update = context, update
        self.optimizer, self.kind, self.clip = update.optimizer, type(update.optimizer), update.clip
        self.template: Template = template(self.kind.update, f"{self.kind.name}_update")
        self.bound = template(type(self.clip).clip, f"{self.clip.name}_clip") if self.clip else None
        self.templates = [self.template, *([self.bound] if self.bound else [])]
        self.slots = {name: context.slot(name) for name in self.optimizer.stored()}

    def buffers(self, names: Iterable[str]) -> list[Buffer]:
        """The parameters and slots that it changes for these arrays."""
        flats = (self.context.flat_parameters, *self.slots.values())
        return [self.context.part(flat, name, self.context.parameters[name]) for flat in flats for name in names]

    def source(self, words: Words) -> str:
        """The function; adds its words to those of the launch. The control block holds the scalars of a step: lr, then the optimiser's
        in their order."""
        setup = [f"w = floats({words.add(At(self.context.flat_parameters))} + place * ITEMSIZE, count)"]
        setup.append(f"rate = weight * {words.add_float(self.update.l2)}")
        values = {"w": "w[i]", "g": "(g[i] + rate * w[i])", **dict.fromkeys(self.kind.slots, "F(0)")}
        if self.clip and self.bound:
            constants = {name: words.add_float(constant) for name, constant in self.clip.constants().items()}
            values["g"] = self.bound.call({"g": values["g"], "norm": "norm", **constants})
        for name, slot in self.slots.items():
            setup.append(f"{name}_slot = floats({words.add(At(slot))} + place * ITEMSIZE, count)")
            values[name] = f"{name}_slot[i]"
        for number, name in enumerate(("lr", *self.optimizer.scalars(1))):
            factor = " * scale" if name == "lr" else ""
            setup.append(f"{name} = F(as_double(scalars[SCALARS + {number}]){factor})")
            values[name] = name
        for name, constant in self.optimizer.constants().items():
            of_weights = "weight * " if name in self.kind.of_weights else ""
            setup.append(f"{name} = {of_weights}{words.add_float(constant)}")
            values[name] = name
        results = ", ".join(["w[i]", *(f"{name}_slot[i]" if name in self.slots else "_" for name in self.kind.slots)])
        return CHANGE.format(setup=indent("\n".join(setup), 1), results=results, update=self.template.call(values))

    def finish(self, first_words: list[Word], name: str, columns: int) -> tuple[Entry, int, list[Word]]:
        """`finish` for a product whose result is the gradient of a weight; the words to append to the product's `first_words`; and how many
        of these, the first ones, say where the arrays lie that it will read."""
        words, place = Words(), self.context.parameters[name].offset
        words.extend(At(self.context.control), *first_words)
        before = len(words.values)
        words.extend(*(At(flat, place) for flat in (self.context.flat_parameters, *self.slots.values())))
        fields = {"place": words.add(place), "columns": words.add(columns), "scale": words.add(float(self.context.trained[name]))}
        change = self.source(words)
        body = change + "\n\n" + FINISH.format(count=len(words.values), **fields)
        return Entry(self.context.emitted(self.templates, body), "finish"), 1 + len(self.slots), words.values[before:]


def lower_update(context: Context, update: Update) -> None:
    """Appends the section `update`: all trained parameters but those that a product updates."""
    runs = context.runs()
    if not runs:
        return
    change, words, flat = Change(context, update), Words(), context.flat_gradients
    first, count, base = runs[0].start, runs[-1].end - runs[0].start, context.straight_elements
    names = [name for run in runs for name in run.names]
    gradients, changed = [context.part(flat, name, context.parameters[name], base) for name in names], change.buffers(names)
    words.extend(At(context.control), first, count, At(flat, first - base), *_table(context, runs))
    parts = _squares(context, update, words.values[1:], [*gradients, *changed]) if update.clip and update.clip.needs_norm() else None
    words.extend(*((At(parts), parts.count) if parts else (0, 0)))
    source = context.emitted(change.templates, change.source(words) + "\n\n" + UPDATE)
    context.launch(
        change.kind.name, "update", Entry(source, "update"), words.values[1:], tasks_for(count, ELEMENT_GRAIN),
        reads=[*gradients, *changed, *([parts] if parts else [])], writes=changed, flops=10 * count,
    )  # fmt: skip


def _table(context: Context, runs: list[Run]) -> tuple[Word, Word]:
    """Where the runs are listed, and how many there are."""
    words = tuple(word for run in runs for word in (run.start, run.end, int(run.weights), float_bits(run.scale)))
    return At(context.constants("update.runs", words)), len(runs)


def _squares(context: Context, update: Update, words: list[Word], reads: list[Buffer]) -> Buffer:
    """The parts of the squared norm of data plus l2 gradient; `words` as those of the update."""
    count = words[1]
    assert isinstance(count, int)
    tasks = tasks_for(count, ELEMENT_GRAIN)
    parts = context.buffer("gradient squares", tasks, 8)
    context.launch(
        "gradient norm", "update", context.library("rows", "gradient_squares"),
        (*words, At(context.flat_parameters), float(update.l2), At(parts)), tasks, reads=reads, writes=[parts], flops=4 * count,
    )  # fmt: skip
    return parts
