"""Validated program to graph: names, shapes, the implied flatten, the width of the last affine, head and loss."""

from __future__ import annotations

from collections import Counter

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, Problem, SpecError
from netspec.base.kinds import Contraction, Head, Pointwise
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.base.shape import Shape, is_image, size
from netspec.base.text import Span
from netspec.catalog.layers.affine import Affine
from netspec.catalog.layers.flatten import Flatten
from netspec.catalog.registry import entries
from netspec.frontend.program import Call, Program
from netspec.graph.counts import Counts, split_head
from netspec.graph.graph import Graph, Node, Value

MOST_PARAMETERS = 200_000_000


def build(program: Program, counts: Counts, most_parameters: int = MOST_PARAMETERS) -> Graph:
    """The graph of a program. Raises SpecError with the place of the layer at fault, LimitError for too many parameters."""
    calls, head, head_call = split_head(program)
    target = counts.classes if head.target != "value" else counts.outputs
    nodes = _nodes(program, calls, head, head_call, counts, target)
    values = (Value(0, counts.input), *(node.output for node in nodes))
    classes = _classes(program, head, head_call, nodes, values[-1].shape, target)
    _check_class_weights(program, head, classes)
    loss = _loss(program, head)
    graph = Graph(tuple(nodes), values, head, loss, classes)
    _check_size(program, graph, most_parameters)
    return graph


def _diagnostic(program: Program, found: Problem, call: Call | None, span: Span | None = None) -> Diagnostic:
    """The bare fact with its place: the argument at fault, else the layer, else the key of a section."""
    if span is None and call is not None:
        span = call.arguments.get(found.argument, call.span) if found.argument else call.name_span
    notes = call.notes if call is not None else ()
    return Diagnostic(found.code, found.message, program.source, span or program.spans.get("net"), notes=notes, help=found.help)


def _last_affine(calls: list[Call]) -> int | None:
    """Place of the affine that gives the scores: only shape-keeping layers stand behind it."""
    for place in range(len(calls) - 1, -1, -1):
        layer = calls[place].layer
        if isinstance(layer, Affine):
            return place
        if not layer.keeps_shape:
            return None
    return None


def _sized_affine(program: Program, call: Call, head: Head, head_call: Call | None, target: int | None) -> Layer:
    """The last affine with its width: its own, else what the counts ask for, else 1 output of a linear head."""
    layer = call.layer
    assert isinstance(layer, Affine)
    if "width" in call.explicit:
        return layer
    if target is not None:
        return layer.model_copy(update={"width": head.scores(target)})
    if head.target == "value":
        return layer.model_copy(update={"width": 1})
    found = Problem(
        "NS405", f"how many classes are there? Nothing gives the width of the affine before {head.name}",
        help="add `classes 10` to the text, --classes 10 on the command line, classes=10 in Python, or write the width",
    )  # fmt: skip
    raise SpecError([_diagnostic(program, found, call)])


def _next_relu_like(calls: list[Call], place: int) -> bool:
    """Whether the next activation behind a layer (past bn and dropout) is relu-like."""
    for call in calls[place + 1 :]:
        layer = call.layer
        if isinstance(layer, Contraction):
            return False
        if isinstance(layer, Pointwise) and not layer.identity_in_test:
            return layer.relu_like
    return False


def _nodes(program: Program, calls: list[Call], head: Head, head_call: Call | None, counts: Counts, target: int | None) -> list[Node]:
    last_affine = _last_affine(calls)
    numbers: Counter[str] = Counter()
    nodes: list[Node] = []
    value = Value(0, counts.input)

    def add(layer: Layer, call: Call | None, relu_like: bool) -> None:
        nonlocal value
        shape = value.shape
        output = Value(value.index + 1, layer.output_shape(shape))
        numbers[layer.name] += 1
        name = f"{layer.name}{numbers[layer.name]}"
        nodes.append(Node(name, layer, len(nodes), (value,), output, layer.parameters(shape), layer.state(shape), call, relu_like))
        value = output

    for place, call in enumerate(calls):
        layer = _sized_affine(program, call, head, head_call, target) if place == last_affine else call.layer
        try:
            if isinstance(layer, Affine) and is_image(value.shape):
                add(Flatten(), None, False)
            add(layer, call, _next_relu_like(calls, place))
        except Problem as found:
            raise SpecError([_diagnostic(program, _with_origin(found, nodes), call)]) from None
    return nodes


def _with_origin(found: Problem, nodes: list[Node]) -> Problem:
    """The fact, with the layer that the shape comes from."""
    if not nodes:
        return found
    return Problem(found.code, f"{found.message}, from {nodes[-1].name}", help=found.help, argument=found.argument)


def _classes(program: Program, head: Head, head_call: Call | None, nodes: list[Node], shape: Shape, target: int | None) -> int:
    """The number of classes or outputs, checked against the scores that the net gives."""
    last = next((node.call for node in reversed(nodes) if isinstance(node.layer, Contraction)), None) or head_call
    try:
        head.output_shape(shape)
    except Problem as refused:
        raise SpecError([_diagnostic(program, _with_origin(refused, nodes), head_call)]) from None
    if head.target == "value" and target is None:
        return size(shape)
    classes = target if target is not None else _classes_of_scores(head, shape[0])
    wanted = head.scores(classes) if head.target != "value" else classes
    got = shape[0] if len(shape) == 1 else size(shape)
    if wanted != got:
        word = "classes" if head.target != "value" else "outputs"
        found = Problem(
            "NS406", f"the net ends in {got} {'score' if got == 1 else 'scores'}, and {classes} {word} need {wanted}",
            help=f"leave the width of the last affine out, or give it {wanted}", argument="width",
        )  # fmt: skip
        raise SpecError([_diagnostic(program, found, last)])
    return classes


def _classes_of_scores(head: Head, scores: int) -> int:
    return 2 if head.scores(2) == scores else scores


def _loss(program: Program, head: Head) -> Loss:
    """The loss that the train section names, else the head's own, in its form for smoothed labels where they are."""
    loss = program.train.loss or entries(Loss)[head.losses[0]]()  # type: ignore[type-abstract]  # a contract, looked up by
    smoothing = program.train.label_smoothing
    return loss.smoothed.model_validate({"label_smoothing": smoothing}) if smoothing > 0 and loss.smoothed is not None else loss


def _check_class_weights(program: Program, head: Head, classes: int) -> None:
    """Raises SpecError where the train section weighs classes, and its weights are not one for each of exclusive classes."""
    weights = program.train.class_weights
    if weights is None:
        return
    if head.target == "binary" and classes > 2:
        code, message = "NS515", f"`class_weights` go with classes of which a row has one; here it has {classes} answers, each yes or no"
        help_text = "end the net in softmax, or leave class_weights out"
    elif weights != "balanced" and len(weights) != classes:
        count = f"{len(weights)} number{'' if len(weights) == 1 else 's'}"
        code, message = "NS611", f"`class_weights` has {count}, and there are {classes} classes"
        help_text = f"write {classes} numbers in the order of the classes, or class_weights = balanced"
    else:
        return
    found = Problem(code, message, help=help_text)
    raise SpecError([_diagnostic(program, found, None, program.spans.get("train.class_weights"))])


def _check_size(program: Program, graph: Graph, most_parameters: int) -> None:
    total = 0
    for node in graph.nodes:
        total += sum(size(parameter.shape) for parameter in node.parameters.values())
        if total > most_parameters:
            found = Problem(
                "NS806", f"{total:,} parameters up to here, and the limit is {most_parameters:,}",
                help="make the layer narrower, or pool more before it",
            )  # fmt: skip
            raise LimitError([_diagnostic(program, found, node.call)])
