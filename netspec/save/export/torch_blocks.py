"""A graph as modules that hold modules: what each holds, and the lines of its `forward`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netspec.base.errors import UsageError
from netspec.base.kinds import Merge, Window2D
from netspec.graph.graph import Graph, Node
from netspec.save.export.torch_calls import HOLDERS, MERGES, NAMES, Call, calls_of, is_of_catalogue, side, without_counterpart
from netspec.save.export.torch_scopes import Scope, Several, Zeros
from netspec.save.export.torch_units import Unit, Whole, def_of, is_tied
from netspec.save.export.words import identifier, literal, shorten

VARIABLES = ("x", "y", "z", "u", "v", "w")
LOCALS = {*VARIABLES, "self", "torch", "nn", "F", "range", "_"}
MODULE_WORDS = frozenset(
    (
        "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu", "cuda", "double",
        "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state", "get_parameter", "get_submodule",
        "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers", "named_children", "named_modules", "named_parameters",
        "parameters", "register_backward_hook", "register_buffer", "register_forward_hook", "register_forward_pre_hook",
        "register_full_backward_hook", "register_full_backward_pre_hook", "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook", "register_module", "register_parameter", "register_state_dict_post_hook",
        "register_state_dict_pre_hook", "requires_grad_", "set_extra_state", "set_submodule", "share_memory", "state_dict", "to",
        "to_empty", "train", "training", "type", "xpu", "zero_grad",
    )
)  # fmt: skip
"""What PyTorch's modules have already; a layer of such a name gets an underline."""
OWN_WORDS = frozenset(("shift", "scale", "prepare", "predict", "predict_proba"))
PLAIN = {
    "ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "GELU": "gelu", "SiLU": "silu", "Softplus": "softplus", "Sigmoid": "sigmoid",
    "Tanh": "tanh", "Flatten": "flatten", "Unflatten": "unflatten", "Upsample": "upsample", "MaxPool2d": "pool", "AvgPool2d": "avgpool",
    "MeanOfWindow": "avgpool", "AdaptiveAvgPool2d": "globalpool", "ConstantPad2d": "pad", "Dropout": "dropout", "Dropout2d": "dropout2d",
}  # fmt: skip
"""What modules without arrays are called. One serves all places of a block where the same is computed."""


def blocks_of(graph: Graph) -> Scope:
    """The whole net. Raises UsageError for what PyTorch has no counterpart of."""
    return _Writer(Whole(graph), graph.nodes, 0, graph.input.index, graph.output.index, "Net", True).scope


class _Writer:
    """One scope. `outermost` layers keep their names; inside a block they are counted anew."""

    def __init__(
        self, whole: Whole, nodes: Sequence[Node], level: int, entry: int, output: int, title: str, outermost: bool, told: str = ""
    ) -> None:
        self.whole, self.graph, self.nodes, self.outermost = whole, whole.graph, nodes, outermost
        self.scope = Scope(title, told)
        self.attributes: dict[str, str] = {}
        """Of nodes that hold arrays, by their netspec names."""
        self.shared_calls: dict[Call, str] = {}
        self.last = self._last_readers(output)
        self.variables = {whole.roots[entry]: "x"}
        items = list(whole.items(nodes, level))
        self.counts = Counter(self._kind(item) for item in items if isinstance(item, Node) and item.parameters and not item.shared)
        self.numbers: Counter[str] = Counter()
        self.reserve = MODULE_WORDS | OWN_WORDS if outermost else MODULE_WORDS
        for item in items:
            if isinstance(item, Node):
                self._node(item)
            else:
                self._run(item)
        self.scope.lines.append(f"return {self.variables[whole.roots[output]]}")
        shorten(self.scope.lines)

    # names

    def _kind(self, node: Node) -> str:
        call = node.call
        if call is not None and call.label is not None:
            return call.label
        return "proj" if call is not None and call.projects else node.layer.name

    def _attribute(self, node: Node) -> str:
        """Of a node with arrays of its own."""
        name = node.name.partition("#")[0]
        if not self.outermost:
            name = self._kind(node)
            if self.counts[name] > 1:
                self.numbers[name] += 1
                name = f"{name}{self.numbers[name]}"
        return self._fresh(name)

    def _fresh(self, name: str) -> str:
        name = f"layer{name}" if name.startswith("_") else name  # PyTorch's modules keep what is theirs under such names
        number, found = 2, identifier(name, self.reserve)
        while found in self.scope.held:
            found, number = identifier(f"{name}_{number}" if name[-1].isdigit() else f"{name}{number}", self.reserve), number + 1
        return found

    # variables

    def _last_readers(self, output: int) -> dict[int, int]:
        """The place of the node behind which a value is not needed here."""
        roots, places = self.whole.roots, self.whole.places
        last = {roots[value.index]: places[node.name] for node in self.nodes for value in node.inputs}
        return {**last, roots[output]: len(self.graph.nodes)}

    def _assign(self, reads: Sequence[int], at: Node) -> str:
        """The variable of the node's value: one whose value is needed no more, else a new one."""
        output, place = self.whole.roots[at.output.index], self.whole.places[at.name]
        ended = [read for read in reads if self.last[read] <= place]
        free = [self.variables.pop(read) for read in dict.fromkeys(ended)]
        used, label = set(self.variables.values()), at.call.label if at.call is not None else None
        if label is not None and len(self.whole.readers[at.output.index]) > 1 and label not in used | LOCALS:
            name = identifier(label, used)
        else:
            numbered = (f"v{number}" for number in range(1, len(used) + 2))
            name = next(one for one in (*(one for one in VARIABLES if one in free), *VARIABLES, *numbered) if one not in used)
        self.variables[output] = name
        return name

    # lines

    def _node(self, node: Node) -> None:
        reads = [self.whole.roots[value.index] for value in node.inputs]
        taken = [self.variables[read] for read in reads]
        if isinstance(node.layer, Merge):
            text = self._merged(node, taken)
            self.scope.lines.append(f"{self._assign(reads, node)} = {text}")
            return
        steps = self._steps(node)
        if not steps:
            return
        value, name = taken[0], self._assign(reads, node)
        for step in steps:
            self.scope.lines.append(f"{name} = {step.format(value)}")
            value = name

    def _merged(self, node: Node, taken: Sequence[str]) -> str:
        how = MERGES.get(node.layer.name)
        if how is None or not is_of_catalogue(node):
            raise without_counterpart(node)
        if len(taken) == 1:
            return taken[0]
        return f"torch.cat(({', '.join(taken)}), 1)" if how == "cat" else how.join(taken)

    def _steps(self, node: Node) -> list[str]:
        """Expressions one after another, `{0}` for the value that each takes."""
        calls = calls_of(node)
        if node.shared:
            return self._shared(node, calls)
        return [f"self.{self._held(node, call)}({{0}})" for call in calls]

    def _held(self, node: Node, call: Call) -> str:
        if call.name in HOLDERS:
            name = self._attribute(node)
            self.scope.held[name] = call
            self.attributes[node.name] = name
            self.scope.arrays |= {node.array(key): f"{name}.{NAMES[key]}" for key in (*node.parameters, *node.state)}
            return name
        if call not in self.shared_calls:
            name = self._fresh(PLAIN[call.name])
            self.scope.held[name] = call
            self.shared_calls[call] = name
        return self.shared_calls[call]

    def _shared(self, node: Node, calls: Sequence[Call]) -> list[str]:
        """A layer with arrays of another one: its module, where that computes the same; else the function, with these arrays."""
        holder = next(call for call in calls if call.name in HOLDERS)
        before = [f"self.{self._held(node, call)}({{0}})" for call in calls if call.name not in HOLDERS]
        owner = next((name for name in self.attributes if {node.array(key) for key in node.parameters} == self._arrays_of(name)), None)
        if owner is not None and not node.turned and self.scope.held[self.attributes[owner]] == holder:
            return [*before, f"self.{self.attributes[owner]}({{0}})"]
        bias = "None"
        if "b" in node.parameters:
            if "b" not in node.shared:
                name = self._fresh(f"{node.name.partition('#')[0]}_bias")
                self.scope.held[name] = Zeros(node.parameters["b"].shape[0])
                self.scope.arrays[node.array("b")] = name
            bias = f"self.{self.scope.arrays[node.array('b')]}"
        if holder.name == "Linear":
            weight = f"self.{self.scope.arrays[node.array('W')]}" + (".t()" if node.turned else "")
            return [f"F.linear({{0}}, {weight}" + ("" if bias == "None" else f", {bias}") + ")"]
        if holder.name == "Conv2d":
            window: Window2D = node.layer.geometry(node.input.shape)  # type: ignore[attr-defined]
            more = {"stride": side(window.stride), "padding": holder.more.get("padding", 0), "groups": window.groups}
            told = "".join(f", {key}={literal(value)}" for key, value in more.items())
            return [*before, f"F.conv2d({{0}}, self.{self.scope.arrays[node.array('W')]}, {bias}{told})"]
        raise UsageError(f"--torch: {node.name} has the arrays of a layer that PyTorch computes by another module, {holder.name}")

    def _arrays_of(self, name: str) -> set[str]:
        node = next(one for one in self.nodes if one.name == name)
        return {node.array(key) for key in node.parameters}

    def _run(self, units: list[Unit]) -> None:
        first, tied = units[0], is_tied(units)
        title = def_of(first.mark)
        made = [self._block(unit, title) for unit in (units[:1] if tied else units)]
        name = self._fresh(title.lower() or ("blocks" if len(made) > 1 else "block"))
        self.scope.held[name] = made[0] if len(made) == 1 else Several(tuple(made))
        read = self.whole.roots[first.entry]
        value = self.variables[read]
        if self.whole.roots[units[-1].output] == read:
            return
        variable = self._assign([read], units[-1].nodes[-1])
        if not tied:
            self.scope.lines.append(f"{variable} = self.{name}({value})")
            return
        self.scope.lines += [f"{variable} = {value}"] if variable != value else []
        self.scope.lines += [f"for _ in range({len(units)}):", f"    {variable} = self.{name}({variable})"]

    def _block(self, unit: Unit, title: str) -> Scope:
        return _Writer(self.whole, unit.nodes, unit.level + 1, unit.entry, unit.output, title, False, unit.mark.text).scope
