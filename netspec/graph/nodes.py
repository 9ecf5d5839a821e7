"""Calls to nodes, in reading order: names, shapes, shared arrays, the implied flatten, the projection of a skip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import Problem
from netspec.base.kinds import Elementwise, Head, Merge
from netspec.base.layer import Layer, Parameter, State
from netspec.base.shape import Shape, is_image, show
from netspec.catalog.layers.affine import Affine
from netspec.catalog.layers.flatten import Flatten
from netspec.frontend.program import INPUT, Call, Program
from netspec.frontend.settled import deciding_activations
from netspec.graph.graph import Node, Value, output_shape
from netspec.graph.merges import explained, projection
from netspec.graph.origin import diagnostic, with_origin


class Nodes:
    """The nodes of a program's calls. What is wrong with one is an error of its own, and leaves out all that depends on it."""

    def __init__(self, program: Program, calls: Sequence[Call], head: Head, input_shape: Shape, target: int | None) -> None:
        self.program, self.calls, self.head, self.target = program, calls, head, target
        self.last_affines = set(last_affines(calls))
        self.next_relu_like = [call is not None and call.layer.relu_like for call in deciding_activations(calls)]
        self.values = [Value(0, input_shape)]
        self.made: list[Node] = []
        self.errors: list[Diagnostic] = []
        self._behind: dict[int, Value] = {INPUT: self.values[0]}
        """The value behind each call."""
        self._of: dict[int, Node] = {}
        self._place = 0
        self._numbers: Counter[str] = Counter()
        self._uses: Counter[str] = Counter()
        self._names: set[str] = set()

    def make(self) -> None:
        for place, call in enumerate(self.calls):
            owner = call.shares_weight_of
            if all(read in self._behind for read in call.reads) and (owner is None or owner in self._of):
                try:
                    self._call(place, call)
                except Problem as found:
                    self.errors.append(diagnostic(self.program, found, call))

    def _call(self, place: int, call: Call) -> None:
        taken = tuple(self._behind[read] for read in call.reads)
        layer = self._layer(place, call, taken)
        if isinstance(layer, Affine) and is_image(taken[0].shape):
            taken = (self._add("flatten", Flatten(), taken, None).output,)
        layer = self._tied(call, layer, taken[0])
        inputs = taken[:1] if call.projects else taken
        try:
            output_shape(layer, [value.shape for value in inputs])
        except Problem as found:
            if isinstance(layer, Merge):
                raise explained(found, call, taken, self.made) from None
            raise with_origin(found, taken[0], self.made, call.source) from None
        node = self._add(self._name(call, layer), layer, inputs, call, self.next_relu_like[place])
        self._of[place], self._behind[place] = node, node.output

    def _add(self, name: str, layer: Layer, inputs: tuple[Value, ...], call: Call | None, relu_like: bool = False) -> Node:
        if call is None:
            self._numbers[name] += 1
            name = f"{name}{self._numbers[name]}"
        shapes = [value.shape for value in inputs]
        output = Value(len(self.values), output_shape(layer, shapes))
        parameters, state = layer.parameters(shapes[0]), layer.state(shapes[0])
        shared, turned = self._shared(call, shapes[0], parameters, state)
        node = Node(name, layer, self._place, inputs, output, parameters, state, call, relu_like, shared, turned)
        self._names.add(name)
        self.values.append(output)
        self.made.append(node)
        self._place += not node.is_nothing
        return node

    # what a layer is called

    def _name(self, call: Call, layer: Layer) -> str:
        """`affine2`; the name that it is given, with a number from its second copy on; `affine1#2` for the second of tied copies."""
        if call.copy_of is not None:
            first = self._of[call.copy_of].name
            self._uses[first] += 1
            return f"{first}#{self._uses[first] + 1}"
        kind = "proj" if call.projects else layer.name
        self._numbers[kind] += 1
        if call.label is None:
            return f"{kind}{self._numbers[kind]}"
        self._uses[f"@{call.label}"] += 1
        number = self._uses[f"@{call.label}"]
        name = call.label if number == 1 else f"{call.label}{number}"
        if name in self._names:
            message = f"two layers are named {name}: copy {number} of `@{call.label}`, and one before"
            raise Problem("NS213", message, help="choose another name for one of them")
        return name

    # what it is

    def _layer(self, place: int, call: Call, taken: tuple[Value, ...]) -> Layer:
        if call.projects:
            return projection(call, taken[0], taken[1], self.made)
        return self._sized(call) if place in self.last_affines else call.layer

    def _sized(self, call: Call) -> Layer:
        """A last affine with its width: its own, else what the counts ask for, else 1 output of a linear head."""
        layer = call.layer
        assert isinstance(layer, Affine)
        if "width" in call.explicit or layer.tie:
            return layer
        if self.target is not None:
            return layer.model_copy(update={"width": self.head.scores(self.target)})
        if self.head.target == "value":
            return layer.model_copy(update={"width": 1})
        raise Problem(
            "NS405", f"how many classes are there? Nothing gives the width of the affine before {self.head.name}",
            help="add `classes 10` to the text, --classes 10 on the command line, classes=10 in Python, or write the width",
        )  # fmt: skip

    def _tied(self, call: Call, layer: Layer, value: Value) -> Layer:
        """An affine that has another's W, with the width that this gives; any other layer as it is."""
        if call.shares_weight_of is None or not isinstance(layer, Affine) or layer.tie is None:
            return layer
        owner = self._of[call.shares_weight_of]
        if "init" in call.explicit:
            message = f"affine: `init` is for a W of its own, and this W belongs to {owner.name}"
            raise Problem("NS414", message, argument="init", help=f"give `init` to {owner.name}")
        depth, width = owner.parameters["W"].shape
        told = f"W of {owner.name} is {show((depth, width))}"
        if layer.tie.transposed:
            depth, width = width, depth
            told += f", its transpose {show((depth, width))}"
        if value.shape != (depth,):
            what = "an image" if is_image(value.shape) else "a vector"
            raise Problem("NS414", f"affine: {told}, and here it gets {what} of {show(value.shape)}", argument="tie", help=_turned(layer))
        if "width" in call.explicit and layer.width != width:
            message = f"affine: {told}, so that the width is {width}; this is {layer.width}"
            raise Problem("NS414", message, argument="width", help="leave the width out")
        return layer.model_copy(update={"width": width})

    def _shared(
        self, call: Call | None, shape: Shape, parameters: Mapping[str, Parameter], state: Mapping[str, State]
    ) -> tuple[dict[str, str], bool]:
        """The arrays that belong to another node, and whether its W is the transpose."""
        if call is None:
            return {}, False
        if call.copy_of is not None:
            return self._copied(call.copy_of, shape, parameters, state)
        if call.shares_weight_of is not None and isinstance(call.layer, Affine) and call.layer.tie:
            owner = self._of[call.shares_weight_of]
            return {"W": owner.array("W")}, owner.turned != call.layer.tie.transposed
        return {}, False

    def _copied(
        self, place: int, shape: Shape, parameters: Mapping[str, Parameter], state: Mapping[str, State]
    ) -> tuple[dict[str, str], bool]:
        first = self._of[place]
        for key, parameter in parameters.items():
            if parameter.shape != first.parameters[key].shape:
                message = f"tied copies share their arrays: {key} of {first.name} is {show(first.parameters[key].shape)}"
                wide = f"{'conv' if is_image(shape) else 'affine'}({shape[0]})"
                help_text = f"write {wide} -> before what repeats, so that the first copy takes what the others take, or leave `tied` out"
                raise Problem("NS415", f"{message}, and this copy needs {show(parameter.shape)}", help=help_text)
        return {key: first.array(key) for key in (*parameters, *state)}, first.turned


def _turned(layer: Affine) -> str:
    assert layer.tie is not None
    other = layer.tie.layer if layer.tie.transposed else f"{layer.tie}.T"
    return f"write tie = {other} for the transpose, or put an affine before that gives the shape"


def last_affines(calls: Sequence[Call]) -> Iterator[int]:
    """Places of the affines that give the scores: only layers that keep the shape, and sums of branches, stand behind them."""
    waiting, seen = [len(calls) - 1], set[int]()
    while waiting:
        place = waiting.pop()
        if place < 0 or place in seen:
            continue
        seen.add(place)
        call = calls[place]
        if isinstance(call.layer, Affine):
            yield place
        elif not call.projects and (call.layer.keeps_shape or isinstance(call.layer, Elementwise)):
            waiting += call.reads
