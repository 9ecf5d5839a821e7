"""Models of Keras, versions 2 and 3: the JSON of `model.to_json()`, which an archive `.keras` holds too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netspec.base.errors import DataError
from netspec.base.layer import Trained
from netspec.frontend.convert.config import Config
from netspec.frontend.convert.keras_layers import operation, words_of
from netspec.frontend.convert.rows import Row, Sides
from netspec.frontend.convert.sketch import INPUT, Made, NoChain, NotMapped, Sketch, Step

MODELS = ("Sequential", "Functional", "Model")
MOST_LAYERS = 5000
MOST_NESTING = 20
Call = tuple[str, int]
"""A layer's name, and which of its calls."""


def read_keras(root: Any, name: str) -> Sketch:
    """The sketch of a model that `to_json` wrote. Raises DataError where it is none, NoChain for several inputs or outputs."""
    if not isinstance(root, Mapping) or root.get("class_name") not in MODELS:
        found = str(root.get("class_name"))[:60] if isinstance(root, Mapping) else type(root).__name__
        advice = "write the text of model.to_json()"
        if isinstance(root, Mapping) and "class_name" in root:
            raise DataError(f"{name}: is a model of the class {found}, whose JSON does not say what it does; Sequential and Functional do")
        raise DataError(f"{name}: is no model of Keras (it has no class_name); {advice}")
    reader = _Reader(name, _channels_last(root))
    output = reader.model(root, INPUT, "", 0)
    shape = _input_shape(reader.input, reader.channels_last)
    head = _head(root.get("compile_config"))
    title = f"Keras, the {root['class_name']} model {_name_of(root, name)}"
    return Sketch("Keras", title, tuple(reader.steps), output, shape, len(reader.input or ()) == 2, head)


def _name_of(node: Mapping[str, Any], place: str) -> str:
    config = node.get("config")
    return str(config.get("name", "model"))[:60] if isinstance(config, Mapping) else "model"


def _channels_last(root: Any) -> bool:
    """The order of images that the first layer with one has."""
    for config in _configs(root, 0):
        found = config.get("data_format")
        if found in ("channels_last", "channels_first"):
            return bool(found == "channels_last")
    return True


def _configs(node: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > MOST_NESTING:
        return
    config = node.get("config") if isinstance(node, Mapping) else None
    layers = config.get("layers") if isinstance(config, Mapping) else config
    if isinstance(config, Mapping):
        yield config
    for layer in layers if isinstance(layers, list) else ():
        yield from _configs(layer, depth + 1)


def _input_shape(found: Sequence[int | None] | None, channels_last: bool) -> Sides | None:
    """Rows as they are here, of rows as Keras has them, without the batch."""
    if found is None:
        return None
    match len(found):
        case 1:
            return (found[0],)
        case 2:
            return (1, found[0], found[1])
        case 3:
            return (found[2], found[0], found[1]) if channels_last else (found[0], found[1], found[2])
        case _:
            raise NoChain(f"its rows have {len(found)} axes; a net here takes vectors, or images")


def _head(compiled: Any) -> str | None:
    """The head that a loss on scores asks for."""
    loss = compiled.get("loss") if isinstance(compiled, Mapping) else None
    if not isinstance(loss, Mapping) or not isinstance(loss.get("config"), Mapping) or loss["config"].get("from_logits") is not True:
        return None
    kinds = {"SparseCategoricalCrossentropy": "softmax", "CategoricalCrossentropy": "softmax", "BinaryCrossentropy": "sigmoid"}
    return kinds.get(str(loss.get("class_name")))


@dataclass
class _Reader:
    name: str
    channels_last: bool
    steps: list[Step] = field(default_factory=list)
    input: tuple[int | None, ...] | None = None
    names: set[str] = field(default_factory=set)

    def model(self, node: Mapping[str, Any], value: str, prefix: str, depth: int, training: bool | None = None) -> str:
        """Adds the steps of a model that reads `value`, and gives the name of its output. `training` is the mode that it is called in."""
        if depth > MOST_NESTING:
            raise NoChain(f"models lie more than {MOST_NESTING} deep in each other")
        config = node.get("config")
        if node.get("class_name") == "Sequential":
            layers = config if isinstance(config, list) else self._list(config, "layers")
            return self._sequential(layers, value, prefix, depth, training)
        return self._functional(config, value, prefix, depth, training)

    def _list(self, config: Any, key: str) -> list[Any]:
        found = config.get(key) if isinstance(config, Mapping) else None
        if not isinstance(found, list):
            raise DataError(f"{self.name}: a model without a list of {key}")
        return found

    def _layer(self, node: Any) -> tuple[str, Mapping[str, Any]]:
        config = node.get("config") if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping) or not isinstance(node.get("class_name"), str) or not isinstance(config, (Mapping, list)):
            raise DataError(f"{self.name}: one of its layers has no class_name, or no config")
        if len(self.steps) > MOST_LAYERS:
            raise NoChain(f"it has more than {MOST_LAYERS} layers")
        return node["class_name"], config if isinstance(config, Mapping) else {}

    def _sequential(self, layers: list[Any], value: str, prefix: str, depth: int, training: bool | None) -> str:
        for node in layers:
            kind, config = self._layer(node)
            self._note_input(config, node, depth)
            if kind == "InputLayer":
                continue
            own = f"{prefix}{config.get('name', kind)}"
            if kind in MODELS:
                value = self.model(node, value, f"{own}/", depth + 1, training)
            else:
                value = self._add(own, kind, config, (value,), False, training)
        return value

    def _note_input(self, config: Mapping[str, Any], node: Mapping[str, Any], depth: int) -> None:
        """Keeps the shape of the rows that the whole model takes, which its first layer tells."""
        if self.input is not None or self.steps or depth:
            return
        built = node.get("build_config")
        found = (
            config.get("batch_shape")
            or config.get("batch_input_shape")
            or (built.get("input_shape") if isinstance(built, Mapping) else None)
        )
        if isinstance(found, list) and found and all(side is None or (type(side) is int and side > 0) for side in found[1:]):
            self.input = tuple(found[1:])

    def _add(
        self, name: str, kind: str, values: Mapping[str, Any], inputs: tuple[str, ...], shared: bool, training: bool | None
    ) -> str:  # fmt: skip
        unique, number = name, 2
        while unique in self.names or unique == INPUT:
            unique, number = f"{name}_{number}", number + 1
        self.names.add(unique)
        place = f"layer {name}"
        at = f"{self.name}: {place}"

        def own(rows: Sequence[Row]) -> Made:
            made = operation(kind, Config(values, at, self.channels_last), rows, training)
            if shared and any(isinstance(layer, Trained) for layer in made.layers):
                raise NotMapped("it is called several times, with the same weights each time; copies here have weights of their own")
            return made

        self.steps.append(Step(unique, place, words_of(kind, values), own, inputs))
        return unique

    # functional models

    def _functional(self, config: Any, value: str, prefix: str, depth: int, training: bool | None) -> str:
        nodes: dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {}
        ways: dict[Call, tuple[Call, ...]] = {}
        given: dict[Call, dict[str, Any]] = {}
        for node in self._list(config, "layers"):
            kind, values = self._layer(node)
            name = str(node.get("name", values.get("name", kind)))
            nodes[name] = (kind, values, node)
            inbound_nodes = node.get("inbound_nodes")
            for number, inbound in enumerate(inbound_nodes if isinstance(inbound_nodes, list) else []):
                ways[name, number], given[name, number] = tuple(_tensors(inbound)), _arguments(inbound)
        source, target = (self._end(config, key) for key in ("input_layers", "output_layers"))
        self._note_input(nodes[source[0]][1] if source[0] in nodes else {}, {}, depth)
        counts = {name: sum(one == name for one, _ in ways) for name in nodes}
        ways = {call: tuple(_existing(one, counts) for one in inputs) for call, inputs in ways.items()}
        values_of: dict[Call, str] = {source: value}
        used = self._in_order(_existing(target, counts), source, ways)
        calls = [name for name, _ in used]
        for call in used:
            if call == source:
                continue
            kind, own, node = nodes[call[0]]
            inputs = tuple(values_of[one] for one in ways[call])
            shared = calls.count(call[0]) > 1
            told = given[call].pop("training", None)
            mode = told if isinstance(told, bool) else training
            if given[call]:
                own = {**own, "arguments": given[call]}
            if kind not in MODELS:
                values_of[call] = self._add(f"{prefix}{call[0]}", kind, own, inputs, shared, mode)
            elif len(inputs) != 1 or shared:
                raise NoChain(f"the model {call[0]} in it is called with several inputs, or several times with the same weights")
            else:
                values_of[call] = self.model(node, inputs[0], f"{prefix}{call[0]}/", depth + 1, mode)
        return values_of[_existing(target, counts)]

    def _end(self, config: Mapping[str, Any], key: str) -> Call:
        found = config.get(key)
        ends = list(_references(found))
        if len(ends) != 1:
            names = ", ".join(name for name, _ in ends)
            raise NoChain(f"it has {len(ends)} {key.split('_', maxsplit=1)[0]}s ({names}); a net here has one")
        return ends[0]

    def _in_order(self, target: Call, source: Call, ways: Mapping[Call, tuple[Call, ...]]) -> list[Call]:
        """The calls that lead to `target`, each after its inputs."""
        done: dict[Call, None] = {}
        open_, stack = set[Call](), [target]
        while stack:
            call = stack[-1]
            if call in done:
                stack.pop()
                continue
            if call != source and not ways.get(call):
                raise DataError(f"{self.name}: layer {call[0]}: nothing says what it reads")
            waiting = [one for one in (ways[call] if call != source else ()) if one not in done]
            if not waiting:
                done[call] = None
                stack.pop()
            elif call in open_ and any(one in open_ for one in waiting):
                raise DataError(f"{self.name}: layer {call[0]}: its inputs lead in a circle")
            else:
                open_.add(call)
                stack += reversed(waiting)
        return list(done)


def _existing(call: Call, counts: Mapping[str, int]) -> Call:
    """A call by its place among those that the file lists: a nested model's own input counts as one in Keras 2."""
    name, number = call
    return name, min(number, max(0, counts.get(name, 1) - 1))


def _references(found: Any) -> Iterator[Call]:
    """`["dense", 0, 0]`, or lists of such."""
    if isinstance(found, list) and len(found) >= 2 and isinstance(found[0], str) and type(found[1]) is int:
        yield found[0], found[1]
        if len(found) > 3:
            yield from _references(found[3])
    elif isinstance(found, Mapping):
        for one in found.values():
            yield from _references(one)
    elif isinstance(found, list):
        for one in found:
            yield from _references(one)


def _tensors(inbound: Any) -> Iterator[Call]:
    """The values that one call reads, in order: Keras 2 lists their names, Keras 3 has an object for each."""
    if not isinstance(inbound, Mapping):
        yield from _references(inbound)
    elif inbound.get("class_name") == "__keras_tensor__":
        config = inbound.get("config")
        yield from _references(config.get("keras_history") if isinstance(config, Mapping) else None)
    else:
        for one in inbound.values():
            for inner in one if isinstance(one, list) else [one]:
                yield from _nested(inner)


def _arguments(inbound: Any) -> dict[str, Any]:
    """What one call is given by key beside the values that it reads, such as `training`."""
    if isinstance(inbound, Mapping):
        given = inbound.get("kwargs")
    else:
        ends = [one for one in inbound if isinstance(one, list)] if isinstance(inbound, list) else []
        first = inbound if isinstance(inbound, list) and inbound and isinstance(inbound[0], str) else ends[0] if ends else []
        given = first[3] if len(first) > 3 else None
    if not isinstance(given, Mapping):
        return {}
    tensors = {key for key, value in given.items() if any(_references(value)) or any(_nested(value))}
    return {str(key): value for key, value in given.items() if key not in tensors and key != "name" and value is not None}


def _nested(found: Any) -> Iterator[Call]:
    if isinstance(found, Mapping):
        yield from _tensors(found)
    elif isinstance(found, list):
        for one in found:
            yield from _nested(one)
