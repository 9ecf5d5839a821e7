"""The optimiser's update: parameters, gradients and slots in one pass, with the l2 term.

Weights of products are updated as each block of their gradient becomes complete, which is then never stored; what remains of the flat
buffers is updated at the end of the step.
"""

from __future__ import annotations

from netspec.kernels.context import ELEMENT_GRAIN, Context, Update, tasks_for
from netspec.kernels.launch import At, Buffer, Entry, Word
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import Template, template

CHANGE = """\
@njit(**INLINE)
def change(p, place, gradient, count, rate):
    # `count` parameters from `place` on, their gradients at an address; rate is that of l2
    scalars = words(p[0], CONTROL_WORDS)
    g = floats(gradient, count)
{setup}    for i in range(count):
        {results} = {update}
"""

UPDATE = """\
@cfunc(KERNEL, **OPTIONS)
def update(p, task, tasks, worker):
    # parameters p[1] to p[3]; those before p[2] are weights, with the l2 rate p[5]
    first = p[1] + share_start(p[3] - p[1], task, tasks, LANES)
    last = p[1] + share_end(p[3] - p[1], task, tasks, LANES)
    border = max(first, min(last, p[2]))
    change(p, first, p[4] + (first - p[1]) * ITEMSIZE, border - first, F(as_double(p[5])))
    change(p, border, p[4] + (border - p[1]) * ITEMSIZE, last - border, F(0))
"""

FINISH = """\
@cfunc(FINISH, **OPTIONS)
def finish(at, gradient, ldc, row, height, column, width):
    # a block of a weight's gradient; the weight starts at parameter {place} and has {columns} columns
    p = words(at, {count})
    columns = {columns}
    if width == columns and ldc == columns:
        change(p, {place} + row * columns, gradient, height * columns, {rate})
    else:
        for r in range(height):
            change(p, {place} + (row + r) * columns + column, gradient + r * ldc * ITEMSIZE, width, {rate})
"""


class Change:
    """The source of `change` for one optimiser, and what it reads and writes."""

    def __init__(self, context: Context, update: Update) -> None:
        self.context, self.update = context, update
        self.optimizer, self.kind = update.optimizer, type(update.optimizer)
        self.template: Template = template(self.kind.update, f"{self.kind.name}_update")
        self.slots = {name: context.slot(name) for name in self.optimizer.stored()}

    def buffers(self, first: int, last: int) -> list[Buffer]:
        """The parameters and slots that it changes for the elements `first` to `last`."""
        return [part for flat in (self.context.flat_parameters, *self.slots.values()) for part in self.context.parts(flat, first, last)]

    def source(self, words: Words) -> str:
        """The function; adds its words to those of the launch. The control block holds the scalars of a step: lr, then the optimiser's
        in their order."""
        setup = [f"w = floats({words.add(At(self.context.flat_parameters))} + place * ITEMSIZE, count)"]
        values = {"w": "w[i]", "g": "(g[i] + rate * w[i])", **dict.fromkeys(self.kind.slots, "F(0)")}
        for name, slot in self.slots.items():
            setup.append(f"{name}_slot = floats({words.add(At(slot))} + place * ITEMSIZE, count)")
            values[name] = f"{name}_slot[i]"
        for number, name in enumerate(("lr", *self.optimizer.scalars(1))):
            setup.append(f"{name} = F(as_double(scalars[SCALARS + {number}]))")
            values[name] = name
        for name, constant in self.optimizer.constants().items():
            setup.append(f"{name} = {words.add_float(constant)}")
            values[name] = name
        results = ", ".join(["w[i]", *(f"{name}_slot[i]" if name in self.slots else "_" for name in self.kind.slots)])
        return CHANGE.format(setup=indent("\n".join(setup), 1), results=results, update=self.template.call(values))

    def finish(self, first_words: list[Word], place: int, columns: int) -> tuple[Entry, int, list[Word]]:
        """`finish` for a product whose result is the gradient of a weight; the words to append to the product's `first_words`; and how many
        of these, the first ones, say where the arrays lie that it will read."""
        words = Words()
        words.extend(At(self.context.control), *first_words)
        before = len(words.values)
        words.extend(*(At(flat, place) for flat in (self.context.flat_parameters, *self.slots.values())))
        fields = {"place": words.add(place), "columns": words.add(columns), "rate": words.add_float(self.update.l2)}
        change = self.source(words)
        body = change + "\n\n" + FINISH.format(count=len(words.values), **fields)
        return Entry(self.context.emitted([self.template], body), "finish"), 1 + len(self.slots), words.values[before:]


def lower_update(context: Context, update: Update) -> None:
    """Appends the section `update`: all parameters but those that a product updates."""
    change, words = Change(context, update), Words()
    first, last = context.straight_elements, context.parameter_elements
    if first == last:
        return
    words.extend(At(context.control), first, max(first, context.weight_elements), last, At(context.flat_gradients), update.l2)
    source, changed = context.emitted([change.template], change.source(words) + "\n\n" + UPDATE), change.buffers(first, last)
    context.launch(
        change.kind.name, "update", Entry(source, "update"), words.values[1:], tasks_for(last - first, ELEMENT_GRAIN),
        reads=[*context.parts(context.flat_gradients, first, base=first), *changed], writes=changed, flops=10 * (last - first),
    )  # fmt: skip
