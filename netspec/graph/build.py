"""Validated program to graph: names, shapes, the implied flatten, the width of the last affine, head and loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, Problem, SpecError
from netspec.base.kinds import Contraction, Head
from netspec.base.loss import Loss
from netspec.base.shape import Shape, size
from netspec.catalog.layers.affine import Affine
from netspec.frontend.program import Call, Program
from netspec.frontend.settled import own_loss
from netspec.frontend.structure import harms_scores
from netspec.graph.counts import Counts, split_head
from netspec.graph.graph import Graph, Node, Value
from netspec.graph.nodes import Nodes
from netspec.graph.origin import diagnostic, with_origin

MOST_PARAMETERS = 200_000_000


@dataclass(frozen=True)
class Survey:
    """What is known of a net: its layers in reading order with their shapes, those behind an error left out, and the errors."""

    input: Shape
    nodes: tuple[Node, ...]
    errors: tuple[Diagnostic, ...]


def survey(program: Program, counts: Counts) -> Survey:
    """The layers of a program as far as they are right; raises nothing about the net."""
    nodes = _nodes(program, counts)
    return Survey(counts.input, tuple(nodes.made), tuple(nodes.errors))


def build(program: Program, counts: Counts, most_parameters: int = MOST_PARAMETERS) -> Graph:
    """The graph of a program. Raises SpecError with the places of all layers at fault, LimitError for too many parameters."""
    _, head, head_call = split_head(program)
    nodes = _nodes(program, counts)
    if nodes.errors:
        raise SpecError(nodes.errors)
    made, values = tuple(nodes.made), tuple(nodes.values)
    classes = _classes(program, head, head_call, made, values[-1], _target(head, counts))
    _check_class_weights(program, head, classes)
    graph = Graph(made, values, head, _loss(program, head), classes)
    _check_size(program, graph, most_parameters)
    return graph


def _nodes(program: Program, counts: Counts) -> Nodes:
    calls, head, _ = split_head(program)
    nodes = Nodes(program, calls, head, counts.input, _target(head, counts))
    nodes.make()
    return nodes


def _target(head: Head, counts: Counts) -> int | None:
    return counts.classes if head.target != "value" else counts.outputs


def _classes(program: Program, head: Head, head_call: Call | None, nodes: tuple[Node, ...], scores: Value, target: int | None) -> int:
    """The number of classes or outputs, checked against the scores that the net gives."""
    behind = list(takewhile(lambda node: not isinstance(node.layer, Contraction), reversed(nodes)))
    contraction = nodes[len(nodes) - len(behind) - 1] if len(behind) < len(nodes) else None
    last = (contraction.call if contraction is not None else None) or head_call
    shape = scores.shape
    try:
        head.output_shape(shape)
    except Problem as refused:
        raise SpecError(
            [diagnostic(program, with_origin(refused, scores, nodes, head_call.source if head_call else program.source), head_call)]
        ) from None
    if head.target == "value" and target is None:
        return size(shape)
    classes = target if target is not None else _classes_of_scores(head, shape[0])
    wanted = head.scores(classes) if head.target != "value" else classes
    got = shape[0] if len(shape) == 1 else size(shape)
    if wanted != got:
        word = "classes" if head.target != "value" else "outputs"
        found = Problem(
            "NS406", f"the net ends in {got} {'score' if got == 1 else 'scores'}, and {classes} {word} need {wanted}",
            help=_scores_help(last, wanted, head.name, behind), argument="width",
        )  # fmt: skip
        raise SpecError([diagnostic(program, found, last)])
    return classes


def _scores_help(last: Call | None, wanted: int, head: str, behind: Sequence[Node]) -> str:
    tie = getattr(last.layer, "tie", None) if last is not None else None
    if tie:
        return f"its W, which is that of {tie.layer}, gives its width: write -> affine behind it, or leave `tie` out"
    if last is None or not isinstance(last.layer, Affine) or any(harms_scores(node.layer) for node in behind):
        return f"put -> affine before {head}, which gives {wanted}"
    return f"leave the width of the last affine out, or give it {wanted}"


def _classes_of_scores(head: Head, scores: int) -> int:
    return 2 if head.scores(2) == scores else scores


def _loss(program: Program, head: Head) -> Loss:
    """The loss that the train section names, else the head's own, in its form for smoothed labels where they are."""
    loss = program.train.loss or own_loss(head)
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
    raise SpecError([diagnostic(program, found, None, program.spans.get("train.class_weights"))])


def _check_size(program: Program, graph: Graph, most_parameters: int) -> None:
    total = 0
    for node in graph.nodes:
        total += sum(size(parameter.shape) for parameter in node.own_parameters.values())
        if total > most_parameters:
            found = Problem(
                "NS806", f"{total:,} parameters up to here, and the limit is {most_parameters:,}",
                help="make the layer narrower, or pool more before it",
            )  # fmt: skip
            raise LimitError([diagnostic(program, found, node.call)])
