"""A chain of layers that work element by element as lines of kernel source, forward and backward, on one element.

Such a layer is pointwise, or it merges the chain's value with those of other branches. Backward computes the values inside the chain
again from its input instead of storing them: LLVM drops what no gradient needs. Masks are computed again from the counter generator too.

A kernel around a chain goes over spans of elements that lie side by side; `spans` has the lines at the start of each. A kernel around
a chain that goes `by_columns` runs over rows `r` of a matrix of `columns` columns, features or channels, from column `j0` on, `width` of
them, with `j` counted from `j0`; these names are in scope. Gradients of parameters are sums over rows: each task adds its own part of
them, and the parts are added in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.base.kinds import Elementwise, Pointwise
from netspec.base.shape import size
from netspec.graph.graph import Node, Value
from netspec.kernels.context import Context, columns_of
from netspec.kernels.launch import At, Buffer
from netspec.kernels.source import Words
from netspec.kernels.templates import Template, template


@dataclass(frozen=True)
class Step:
    """One function of the chain's value: a pointwise layer, or a merge with one more branch."""

    node: Node
    other: Value | None = None

    def part(self, name: str) -> Template:
        return template(getattr(type(self.node.layer), name), f"{self.node.layer.name}_{name}")

    @property
    def pointwise(self) -> Pointwise | None:
        return self.node.layer if isinstance(self.node.layer, Pointwise) else None

    @property
    def passes_gradient(self) -> bool:
        """Whether the gradient of what comes in is that of what goes out."""
        return isinstance(self.node.layer, Elementwise) and self.node.layer.passes_gradient

    @property
    def backward_parts(self) -> list[str]:
        gradients = [f"{name}_gradient" for name in self.node.parameters] if self.pointwise else []
        return ["backward", *gradients, *([] if self.other is None else ["other_backward"])]

    def needs(self, name: str) -> bool:
        """Whether a gradient takes this value: `x`, `y` or `other`."""
        return any(name in self.part(part).parameters for part in self.backward_parts)


def steps_of(context: Context, nodes: Sequence[Node], start: Value) -> list[Step]:
    """The layers of a chain that goes on from `start`, a merge as one step for each of its other branches."""
    steps, value = [], start
    for node in nodes:
        if isinstance(node.layer, Elementwise):
            place = next(place for place, one in enumerate(node.inputs) if context.same(one, value))
            steps += [Step(node, other) for other in (*node.inputs[:place], *node.inputs[place + 1 :])]
        else:
            steps.append(Step(node))
        value = node.output
    return steps


class Chain:
    """The layers `nodes` of one kernel, going on from the value `start`; `declare` adds their constants, parameters and the values of
    other branches to the words of a launch."""

    def __init__(self, context: Context, nodes: Sequence[Node], start: Value) -> None:
        self.context, self.nodes, self.start = context, tuple(nodes), start
        self.steps = steps_of(context, nodes, start)
        self.end = nodes[-1].output if nodes else start
        self._values: list[dict[str, str]] = []
        self._sums: list[tuple[int, str, Buffer]] = []
        self._places: dict[str, str] = {}
        """The words that say where arrays over the chain's elements lie, by the arrays' names."""
        self._more: list[Buffer] = []
        self._stores: dict[int, Buffer] = {}
        layers = [step.pointwise for step in self.steps if step.pointwise]
        self.random = any(layer.random for layer in layers)
        self.by_channel = any(layer.by_channel for layer in layers)
        self.trained = [(number, name) for number, step in enumerate(self.steps) if step.pointwise for name in step.node.parameters]
        self.by_columns = self.by_channel or bool(self.trained)

    @property
    def last(self) -> int:
        return len(self.steps)

    @property
    def templates(self) -> list[Template]:
        return [step.part(part) for step in self.steps for part in ("forward", *step.backward_parts)]

    @property
    def forward_templates(self) -> list[Template]:
        return [step.part("forward") for step in self.steps]

    @property
    def needs_input(self) -> bool:
        """Whether backward reads the chain's input; else its output is enough."""
        if not self.steps:
            return True
        inner = any(step.needs("x") or step.needs("y") for step in self.steps[:-1])
        return inner or self.steps[-1].needs("x")

    @property
    def reads(self) -> list[Buffer]:
        """The parameters."""
        return [self.context.parameter(self.steps[number].node, name).buffer for number, name in self.trained]

    @property
    def others(self) -> list[Buffer]:
        """The values of other branches."""
        return [self.context.value(step.other) for step in self.steps if step.other]

    @property
    def writes(self) -> list[Buffer]:
        """The parts of the parameters' gradients, and gradients of other branches."""
        return [*(parts for _, _, parts in self._sums), *self._stores.values()]

    @property
    def spread(self) -> list[Buffer]:
        """What backward reads and writes element by element besides the kernel's own arrays."""
        return [*self._more, *self._stores.values()]

    def reads_backward(self, computed_again: bool) -> list[Buffer]:
        """What backward reads besides the kernel's own arrays, where the chain is computed again from its input or not."""
        others = [self.context.value(step.other) for step in self.steps if step.other and (computed_again or step.needs("other"))]
        return [*self.reads, *others, *self._more]

    # gradients in and out

    @property
    def is_free(self) -> bool:
        """Whether the gradient of the start is that of the end, so that no kernel is needed."""
        return all(step.passes_gradient for step in self.steps)

    @property
    def wants_others(self) -> bool:
        """Whether some other branch has a gradient."""
        return any(step.other is not None and self.context.wants_gradient(step.other) for step in self.steps)

    def receive(self, lasting: Buffer | None) -> Buffer:
        """The gradient of the chain's end, in its first term; `backward` adds the others. Settles where the gradients of other branches go:
        where it passes through the chain unchanged, they are the one that comes in, or `lasting`, where d0 is kept for good."""
        gradients = self.context.gradients
        dy, *self._more = gradients.terms(self.end)
        for number, step in enumerate(self.steps):
            if step.other is None or not self.context.wants_gradient(step.other):
                continue
            if not self._more and all(later.passes_gradient for later in self.steps[number:]):
                gradients.give(step.other, dy)
            elif lasting is not None and all(before.passes_gradient for before in self.steps[: number + 1]):
                gradients.give(step.other, lasting)
            else:
                self._stores[number] = gradients.new(step.other)
        return dy

    # lines

    def declare(self, words: Words) -> str:
        """Lines that read the constants, the parameters and the stream keys, once a call. Needs `control` in scope."""
        lines = []
        self._values = []
        for number, step in enumerate(self.steps):
            values: dict[str, str] = {}
            layer = step.pointwise
            for name, constant in layer.constants().items() if layer else ():
                word = f"np.uint32({words.add(constant)})" if isinstance(constant, int) else words.add_float(constant)
                lines.append(f"{name}{number} = {word}")
                values[name] = f"{name}{number}"
            for name in step.node.parameters if layer else ():
                lines.append(f"{name}{number} = floats({words.add(self.context.parameter(step.node, name))} + j0 * ITEMSIZE, width)")
                values[name] = f"{name}{number}[j]"
            if layer and layer.random:
                lines.append(f"key{number} = stream_key(control[SEED], {words.add(step.node.place)}, control[STEP])")
                counters = columns_of(step.node.output.shape)[0] if layer.by_channel else size(step.node.output.shape)
                lines.append(f"first{number} = control[FIRST] * {words.add(counters)}")
                values["bits"] = f"bits{number}"
            if step.other:
                self._places[f"other{number}"] = words.add(At(self.context.value(step.other)))
            self._values.append(values)
        if self.by_channel:
            lines.append(f"pixels = {words.add(columns_of(self.start.shape)[1])}")
        return "\n".join(lines)

    def declare_gradients(self, words: Words) -> None:
        """After `receive`: the words of further terms and of other branches' gradients."""
        self._places |= {f"more{number}": words.add(At(buffer)) for number, buffer in enumerate(self._more)}
        self._places |= {f"store{number}": words.add(At(buffer)) for number, buffer in self._stores.items()}

    def declare_sums(self, words: Words, tasks: int) -> str:
        """Lines that clear part number `part`, which is in scope, of each parameter's gradient; a single part is the gradient itself."""
        lines = []
        for number, name in self.trained:
            node = self.steps[number].node
            columns = node.input.shape[0]
            parts = self.context.gradient(node, name) if tasks == 1 else At(self.context.buffer("parts", tasks * columns))
            self._sums.append((number, name, parts.buffer))
            own = f"{name}{number}_sum"
            lines.append(f"{own} = floats({words.add(parts)} + (part * {words.add(columns)} + j0) * ITEMSIZE, width)\nclear({own})")
        return "\n".join(lines)

    def add_parts(self, tasks: int) -> None:
        """Launches that add the parts of the parameters' gradients, which nothing but the update waits for."""
        for number, name, parts in self._sums if tasks > 1 else ():
            node = self.steps[number].node
            add_parts(self.context, node, name, At(parts), tasks, node.input.shape[0], self.context.gradient(node, name))

    def spans(self, start: str, count: str) -> str:
        """Lines at the start of a span of `count` elements from number `start` of the batch on: arrays over it, and where the counters of
        a row's channels begin."""
        lines = [f"{name} = floats({word} + ({start}) * ITEMSIZE, {count})" for name, word in self._places.items()]
        return "\n".join([*lines, *(["image = r // pixels * columns + j0"] if self.by_channel else [])])

    def forward(self, counter: str, at: str = "j") -> str:
        """Lines from `v0` to `v<n>`; `counter` is the element's number in the batch, `at` in its span."""
        lines = []
        for number, step in enumerate(self.steps):
            lines += self._bits(number, counter)
            lines.append(f"v{number + 1} = {step.part('forward').call(self._of(number, at))}")
        return "\n".join(lines)

    def _of(self, number: int, at: str) -> dict[str, str]:
        values = {"x": f"v{number}", "y": f"v{number + 1}", "dy": f"d{number + 1}", "other": f"other{number}[{at}]"}
        return {**self._values[number], **values}

    def from_output(self, counter: str) -> str:
        """Lines that backward needs where the chain's output, in scope, is enough: the random words."""
        return "\n".join(line for number in range(len(self.steps)) for line in self._bits(number, counter))

    def _bits(self, number: int, counter: str) -> list[str]:
        layer = self.steps[number].pointwise
        if layer is None or not layer.random:
            return []
        return [f"bits{number} = random_bits(key{number}, first{number} + {'image + j' if layer.by_channel else counter})"]

    def incoming(self, at: str = "j") -> str:
        """The gradient of the chain's end, whose first term is the kernel's `dy`."""
        return " + ".join([f"dy[{at}]", *(f"more{number}[{at}]" for number in range(len(self._more)))])

    def backward(self, at: str = "j") -> str:
        """Lines from `d<n>` (gradient of the output) to `d0`; `v0`, ..., `v<n>` are in scope."""
        lines = []
        for number in range(len(self.steps) - 1, -1, -1):
            step, values = self.steps[number], self._of(number, at)
            for name in step.node.parameters if step.pointwise else ():
                lines.append(f"{name}{number}_sum[j] += {step.part(f'{name}_gradient').call(values)}")
            if number in self._stores:
                lines.append(f"store{number}[{at}] = {step.part('other_backward').call(values)}")
            lines.append(f"d{number} = {step.part('backward').call(values)}")
        return "\n".join(lines)


def add_parts(context: Context, node: Node, what: str, parts: At, tasks: int, columns: int, target: At) -> None:
    """A launch that adds the tasks' parts of a gradient, each of `columns` elements, in order; nothing but the update waits for it."""
    context.launch(
        f"{node.layer.name} {what} gradient parts", "backward", context.library("rows", "add_parts"), (parts, columns, tasks, target), 1,
        reads=[parts.buffer], writes=[target.buffer], layers=[node.name], later=True,
    )  # fmt: skip
