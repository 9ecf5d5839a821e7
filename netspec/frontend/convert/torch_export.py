"""PyTorch's exported programs: of an archive that `torch.export.save` writes (.pt2) the file models/model.json alone, which lists the
operations with their shapes. The archive's weights, and whatever else lies in it, are never opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.base.errors import DataError
from netspec.frontend.convert import build
from netspec.frontend.convert.config import Config
from netspec.frontend.convert.rows import Row, Sides
from netspec.frontend.convert.sketch import INPUT, Finding, Made, NoChain, NotMapped, Sketch, Step
from netspec.frontend.convert.torch_layers import operation

Sizes = tuple[int | None, ...]
MOST_STEPS = 5000
AS_TRAINED = "it was exported in its test form (eval()); dropout and batch normalisation are written as they train"


@dataclass(frozen=True)
class Call:
    """One operation: `tensors` are the values that it reads, `given` its other arguments, `sizes` the shapes of values by name."""

    target: str
    config: Config
    tensors: Mapping[str, tuple[str, ...]]
    sizes: Mapping[str, Sizes]
    output: str

    def size(self, key: str) -> Sizes:
        """The shape of a tensor argument; empty where there is none."""
        names = self.tensors.get(key, ())
        return self.sizes.get(names[0], ()) if names else ()


def read_export(root: Any, name: str) -> Sketch:
    """The sketch of a program. Raises DataError where the JSON is none, NoChain for several inputs or outputs."""
    try:
        module = root["graph_module"]
        graph, specs = module["graph"], module["signature"]
        inputs = [str(spec["user_input"]["arg"]["as_tensor"]["name"]) for spec in specs["input_specs"] if "user_input" in spec]
        outputs = [str(spec["user_output"]["arg"]["as_tensor"]["name"]) for spec in specs["output_specs"] if "user_output" in spec]
        arrays = _arrays(specs["input_specs"])
        sizes = {key: _sizes(value["sizes"]) for key, value in graph["tensor_values"].items()}
        nodes = list(graph["nodes"])
    except (LookupError, TypeError, AttributeError):
        raise DataError(f"{name}: models/model.json is not that of a program of torch.export, or of a version that is not known") from None
    for found, what in ((inputs, "input"), (outputs, "output")):
        if len(found) != 1:
            raise NoChain(f"it has {len(found)} {what}s ({', '.join(found)}); a net here has one")
    reader = _Reader(name, sizes, {inputs[0]: INPUT}, arrays)
    for node in nodes:
        reader.add(node)
    if outputs[0] not in reader.values:
        raise NoChain("its output does not come from its input")
    shape = _row(sizes.get(inputs[0], ()))
    findings = (Finding(False, "", "", AS_TRAINED),) if reader.tested else ()
    steps = tuple(reader.steps)
    modules = tuple(dict.fromkeys(reader.modules)) if _is_chain(steps) else ()
    title = "PyTorch, a program of torch.export"
    return Sketch("PyTorch", title, steps, reader.values[outputs[0]], shape, findings=findings, modules=modules)


def _arrays(specs: Any) -> dict[str, str]:
    """The names in the state dict of the program's arrays, by those that its operations read; nothing of those without a name."""
    found: dict[str, str] = {}
    for spec in specs:
        for kind in ("parameter", "buffer"):
            one = spec.get(kind)
            if isinstance(one, Mapping) and isinstance(one.get("arg"), Mapping):
                found[str(one["arg"].get("name"))] = str(one.get(f"{kind}_name", ""))
    return found


def _is_chain(steps: Sequence[Step]) -> bool:
    """Whether each step reads the one before it, and nothing else."""
    return all(step.inputs == (before,) for step, before in zip(steps, (INPUT, *(step.name for step in steps)), strict=False))


def _sizes(found: Any) -> Sizes:
    return tuple(side.get("as_int") if isinstance(side, Mapping) else None for side in found)


def _row(sizes: Sizes) -> Sides | None:
    if len(sizes) not in (2, 3, 4):
        raise NoChain(f"its rows have {max(0, len(sizes) - 1)} axes; a net here takes vectors, or images of channels x height x width")
    return (1, *sizes[1:]) if len(sizes) == 3 else sizes[1:]


@dataclass
class _Reader:
    name: str
    sizes: Mapping[str, Sizes]
    values: dict[str, str]
    """The step that gives each tensor which depends on the input."""
    arrays: Mapping[str, str] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    """The paths of those whose arrays are read, in order."""
    steps: list[Step] = field(default_factory=list)
    tested: bool = False
    weights: dict[str, str] = field(default_factory=dict)

    def add(self, node: Any) -> None:
        """One node of the graph; those that do not depend on the input, such as counters of batches, are passed over."""
        try:
            target, given = str(node["target"]), node["inputs"]
            output = str(node["outputs"][0]["as_tensor"]["name"]) if node["outputs"] and "as_tensor" in node["outputs"][0] else ""
            tensors, plain = _arguments(given)
        except (LookupError, TypeError, AttributeError):
            raise DataError(f"{self.name}: models/model.json holds an operation without a target, inputs or outputs") from None
        reads = tuple(self.values[one] for names in tensors.values() for one in names if one in self.values)
        if not reads:
            return
        self.modules += [self.arrays[one].rpartition(".")[0] for names in tensors.values() for one in names if one in self.arrays]
        if len(self.steps) >= MOST_STEPS:
            raise NoChain(f"it has more than {MOST_STEPS} operations")
        operator = target.removeprefix("torch.ops.").removeprefix("aten.").rsplit(".", 1)[0].rstrip("_")
        place = f"operation {output or operator}"
        shared = self._is_shared(tensors, output)
        self.tested |= plain.get("train", plain.get("training", True)) is False and operator in ("dropout", "batch_norm", "feature_dropout")
        call = Call(operator, Config(plain, f"{self.name}: {place}"), tensors, self.sizes, output)

        def own(rows: Sequence[Row]) -> Made:
            if shared:
                raise NotMapped("it has the weights of another operation; copies here have weights of their own")
            if operator not in OPERATORS:
                raise NotMapped("no layer here is the same as this operation of ATen")
            return OPERATORS[operator](call, rows)

        name = output or f"value {len(self.steps)}"
        if name in self.values:
            raise DataError(f"{self.name}: models/model.json gives {name} twice")
        self.steps.append(Step(name, place, operator, own, reads))
        self.values[name] = name

    def _is_shared(self, tensors: Mapping[str, tuple[str, ...]], output: str) -> bool:
        names = [one for key, found in tensors.items() if key == "weight" for one in found]
        return any(self.weights.setdefault(one, output) != output for one in names)


def _arguments(given: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
    """Tensor arguments by name, and the others as Python's plain values."""
    tensors: dict[str, tuple[str, ...]] = {}
    plain: dict[str, Any] = {}
    for one in given:
        (kind, value), *_ = one["arg"].items()
        if kind == "as_tensor":
            tensors[one["name"]] = (str(value["name"]),)
        elif kind == "as_tensors":
            tensors[one["name"]] = tuple(str(tensor["name"]) for tensor in value)
        elif kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_string"):
            plain[one["name"]] = value
        elif kind == "as_sym_ints":
            plain[one["name"]] = [side.get("as_int", -1) for side in value]
    return tensors, plain


def _as_module(name: str, **renamed: Any) -> Operator:
    """The operation as the module that calls it: `renamed` are the module's arguments by those of the operation."""

    def own(call: Call, rows: Sequence[Row]) -> Made:
        values = {renamed.get(key, key): value for key, value in call.config.values.items()}
        return operation(name, Config(values, call.config.place), rows)

    return own


def _module(call: Call, rows: Sequence[Row], name: str, **values: Any) -> Made:
    return operation(name, Config({**call.config.values, **values}, call.config.place), rows)


def _linear(call: Call, rows: Sequence[Row]) -> Made:
    width, inputs = (*call.size("weight"), None, None)[:2]
    return _module(call, rows, "Linear", in_features=inputs, out_features=width, bias="bias" in call.tensors)


def _conv2d(call: Call, rows: Sequence[Row]) -> Made:
    filters, _, *kernel = (*call.size("weight"), None, None)[:4]
    return _module(call, rows, "Conv2d", out_channels=filters, kernel_size=kernel, bias="bias" in call.tensors)


def _batch_norm(call: Call, rows: Sequence[Row]) -> Made:
    tracked = "running_mean" in call.tensors
    return _module(call, rows, "BatchNorm2d", affine="weight" in call.tensors, bias="bias" in call.tensors, track_running_stats=tracked)


def _layer_norm(call: Call, rows: Sequence[Row]) -> Made:
    return _module(call, rows, "LayerNorm", elementwise_affine="weight" in call.tensors, bias="bias" in call.tensors)


def _group_norm(call: Call, rows: Sequence[Row]) -> Made:
    return _module(call, rows, "GroupNorm", affine="weight" in call.tensors, bias="bias" in call.tensors)


def _instance_norm(call: Call, rows: Sequence[Row]) -> Made:
    features, tracked = (*call.size("input"), 0, 0)[1], "running_mean" in call.tensors
    has = {"affine": "weight" in call.tensors, "bias": "bias" in call.tensors}
    return _module(call, rows, "InstanceNorm2d", num_features=features, track_running_stats=tracked, **has)


def _mean(call: Call, rows: Sequence[Row]) -> Made:
    axes = call.config.wholes("dim", ())
    if len(call.size("self")) != 4 or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise NotMapped("a mean over other axes than height and width")
    return build.global_mean(rows[0], keeps_image=call.config.truth("keepdim", False))


def _view(call: Call, rows: Sequence[Row]) -> Made:
    sizes, row = call.sizes.get(call.output, ()), rows[0]
    if len(sizes) == 2 and len(call.size("self")) in (3, 4):
        return build.flatten(row)
    known = tuple(-1 if side is None else side for side in sizes[1:])
    if len(sizes) in (2, 4) and known.count(-1) < 2:
        return build.reshape(row, known)
    raise NotMapped("rows in another shape than vectors, or images of channels x height x width")


def _merge(name: str) -> Operator:
    def own(call: Call, rows: Sequence[Row]) -> Made:
        if len(rows) < 2:
            raise NotMapped(f"one of what it merges is a number or a weight; {name} here takes branches")
        if call.config.raw("alpha", 1) != 1:
            raise NotMapped("it adds a multiple (alpha)")
        return build.merged(name, rows)

    return own


def _cat(call: Call, rows: Sequence[Row]) -> Made:
    if call.config.wholes("dim", 0) not in ((1,), (1 - len(call.sizes.get(call.output, ())),)):
        raise NotMapped("concat here joins channels, or features of vectors; this joins another axis")
    if len(rows) != len(call.tensors.get("tensors", ())):
        raise NotMapped("one of what it joins does not come from the input")
    return build.merged("concat", rows)


def _upsample(call: Call, rows: Sequence[Row]) -> Made:
    before, behind = call.size("self") or call.size("input"), call.sizes.get(call.output, ())
    factors = [one / other if one and other else 0.0 for one, other in zip(behind[2:], before[2:], strict=False)]
    return _module(call, rows, "Upsample", scale_factor=factors)


def _pad(call: Call, rows: Sequence[Row]) -> Made:
    margins = call.config.wholes("pad")
    if call.config.word("mode", "constant") != "constant" or call.config.number("value", 0.0) or len(margins) != 4:
        raise NotMapped("padding with other than zeros around images")
    left, right, top, bottom = margins
    return build.padded(rows[0], (top, bottom, left, right))


def _prelu(call: Call, rows: Sequence[Row]) -> Made:
    return _module(call, rows, "PReLU", num_parameters=call.size("weight")[0] or 1)


def _elu(call: Call, rows: Sequence[Row]) -> Made:
    if call.config.number("scale", 1.0) != 1 or call.config.number("input_scale", 1.0) != 1:
        raise NotMapped("elu with a scale of its own")
    return _module(call, rows, "ELU")


def _nothing(call: Call, rows: Sequence[Row]) -> Made:
    return Made()


Operator = Callable[[Call, Sequence[Row]], Made]
OPERATORS: dict[str, Operator] = {
    "linear": _linear, "conv2d": _conv2d, "batch_norm": _batch_norm, "layer_norm": _layer_norm, "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "max_pool2d": _as_module("MaxPool2d"), "avg_pool2d": _as_module("AvgPool2d"), "adaptive_avg_pool2d": _as_module("AdaptiveAvgPool2d"),
    "adaptive_max_pool2d": _as_module("AdaptiveMaxPool2d"), "mean": _mean,
    "flatten": _as_module("Flatten"), "view": _view, "reshape": _view, "unflatten": _view, "squeeze": _view,
    "dropout": _as_module("Dropout"), "feature_dropout": _as_module("Dropout2d"),
    "relu": _as_module("ReLU"), "leaky_relu": _as_module("LeakyReLU"), "elu": _elu, "silu": _as_module("SiLU"),
    "gelu": _as_module("GELU"), "softplus": _as_module("Softplus"), "tanh": _as_module("Tanh"), "sigmoid": _as_module("Sigmoid"),
    "prelu": _prelu, "softmax": _as_module("Softmax"), "log_softmax": _as_module("LogSoftmax"),
    "add": _merge("add"), "mul": _merge("mul"), "cat": _cat, "concat": _cat,
    "upsample_nearest2d": _upsample, "pad": _pad, "constant_pad_nd": _pad,
    "contiguous": _nothing, "clone": _nothing, "detach": _nothing, "alias": _nothing,
}  # fmt: skip
"""Operations of ATen by their names, without the overload, and without the underscore of those that work in place."""
