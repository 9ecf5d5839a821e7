"""The optimiser's update: one pass over the flat parameters, gradients and slots."""

from __future__ import annotations

from netspec.base.optimizer import Optimizer
from netspec.kernels.context import ELEMENT_GRAIN, Context, tasks_for
from netspec.kernels.launch import At, Entry
from netspec.kernels.native import CONTROL_WORDS
from netspec.kernels.source import Words, indent
from netspec.kernels.templates import template

UPDATE = """\
@cfunc(KERNEL, **OPTIONS)
def update(p, task, tasks):
    scalars = words(p[0], {control_words})
    total = p[1]
    first = share_start(total, task, tasks, LANES)
    count = share_end(total, task, tasks, LANES) - first
    w, g = floats(p[2] + first * ITEMSIZE, count), floats(p[3] + first * ITEMSIZE, count)
{setup}    for i in range(count):
        {results} = {update}
"""


def lower_update(context: Context, optimizer: Optimizer) -> None:
    """Appends the section `update`. The control block holds the scalars of a step: lr, then the optimiser's in their order."""
    kind = type(optimizer)
    part = template(kind.update, f"{kind.name}_update")
    scalars = ("lr", *optimizer.scalars(1))
    words = Words()
    slots = {name: context.buffer(f"slot.{name}", context.parameter_elements, kind="slots") for name in kind.slots}
    words.extend(At(context.control), context.parameter_elements, At(context.flat_parameters), At(context.flat_gradients))
    setup, values = [], {"w": "w[i]", "g": "g[i]"}
    for name, slot in slots.items():
        setup.append(f"{name}_slot = floats({words.add(At(slot))} + first * ITEMSIZE, count)")
        values[name] = f"{name}_slot[i]"
    for number, name in enumerate(scalars):
        setup.append(f"{name} = F(as_double(scalars[SCALARS + {number}]))")
        values[name] = name
    for name, constant in optimizer.constants().items():
        setup.append(f"{name} = {words.add_float(constant)}")
        values[name] = name
    results = ", ".join(["w[i]", *(f"{name}_slot[i]" for name in slots)])
    body = UPDATE.format(setup=indent("\n".join(setup), 1), results=results, update=part.call(values), control_words=CONTROL_WORDS)
    flat = [context.flat_parameters, *slots.values()]
    context.launch(
        kind.name, "update", Entry(context.emitted([part], body), "update"), words.values[1:],
        tasks_for(context.parameter_elements, ELEMENT_GRAIN), reads=[context.flat_gradients, *flat], writes=flat,
        flops=10 * context.parameter_elements,
    )  # fmt: skip
