"""Groups to launches: every group forward in order, the loss, every group backward in the opposite order, l2 or the update."""

from __future__ import annotations

from netspec.base.errors import UsageError
from netspec.base.kinds import Contraction, Normalization, Pointwise, Rearrangement, Window
from netspec.base.shape import Shape, size
from netspec.graph.graph import Graph, Node
from netspec.groups.groups import Group, Grouping
from netspec.kernels import contraction, normalization, pointwise, rearrangement, window
from netspec.kernels.context import ELEMENT_GRAIN, Context, Update, tasks_for
from netspec.kernels.launch import At, Buffer, Lowered
from netspec.kernels.loss import lower_l2, lower_loss, lower_total
from netspec.kernels.update import lower_update


def _split(context: Context, group: Group) -> tuple[Node | None, Node | None, tuple[Node, ...]]:
    """(contraction, normalization, pointwise chain) of a group, without what this form leaves out."""
    nodes = [node for node in group.nodes if not context.leaves_out(node)]
    first = nodes.pop(0) if nodes and isinstance(nodes[0].layer, Contraction) else None
    second = nodes.pop(0) if nodes and isinstance(nodes[0].layer, Normalization) else None
    return first, second, tuple(nodes)


def _forward(context: Context, group: Group) -> None:
    node = group.nodes[0]
    if isinstance(node.layer, Window):
        window.forward(context, node)
    elif isinstance(node.layer, Rearrangement):
        if context.moves(node):
            rearrangement.forward(context, node)
    else:
        first, second, chain = _split(context, group)
        if first is not None:
            contraction.forward(context, first, () if second is not None else chain)
        if second is not None:
            normalization.forward(context, second, chain)
        if chain and first is None and second is None:
            pointwise.forward(context, chain)


def _backward(context: Context, group: Group) -> None:
    node = group.nodes[0]
    if isinstance(node.layer, Window):
        window.backward(context, node)
    elif isinstance(node.layer, Rearrangement):
        if context.moves(node):
            rearrangement.backward(context, node)
    else:
        first, second, chain = _split(context, group)
        if second is not None:
            normalization.backward(context, second, chain)
        if first is not None:
            contraction.backward(context, first, () if second is not None else chain)
        if chain and first is None and second is None:
            pointwise.backward(context, chain)


def _gather(context: Context, weighted: bool) -> None:
    """The section `gather`: rows `order[start : start + rows]` of the data, their labels and weights."""
    order = context.buffer("order", 1, 8, "data")

    def rows(name: str, per_row: int, target: Buffer) -> None:
        data = context.buffer(f"data.{name}", 1, kind="data")
        words = (At(order), At(data), per_row, At(target))
        tasks = tasks_for(context.batch * per_row, 2 * ELEMENT_GRAIN)
        context.launch(f"gather {name}", "gather", context.library("rows", "gather"), words, tasks, reads=[data], writes=[target])

    def images(name: str, shape: Shape, target: Buffer) -> None:
        data = context.buffer(f"data.{name}", 1, kind="data")
        words = (At(order), At(data), shape[0], size(shape[1:]), At(target))
        tasks = min(context.batch, tasks_for(context.batch * size(shape), ELEMENT_GRAIN))
        context.launch(f"gather {name}", "gather", context.library("images", "gather_images"), words, tasks, reads=[data], writes=[target])

    def values(name: str, shape: Shape, target: Buffer, flat: bool = False) -> None:
        """Images of several channels become channels last on their way."""
        if not flat and len(shape) == 3 and shape[0] > 1 and size(shape[1:]) > 1:
            images(name, shape, target)
        else:
            rows(name, size(shape), target)

    values("x", context.graph.input.shape, context.value(context.graph.input), context.input_is_flat)
    if "y" not in context.named:
        return
    labels = context.named["y"]
    if context.graph.loss.target == "class":
        data = context.buffer("data.y", 1, 8, "data")
        classes = context.library("rows", "gather_classes")
        context.launch("gather y", "gather", classes, (At(order), At(data), At(labels)), 1, reads=[data], writes=[labels])
    else:
        values("y", context.graph.output.shape, labels)
    if weighted:
        rows("weights", 1, context.named["row_weights"])


def lower(
    grouping: Grouping, batch: int, itemsize: int, *, update: Update | None = None, l2: float = 0.0,
    input_gradient: bool = False, weighted: bool = False, train: bool = True, whole: Graph | None = None,
) -> Lowered:  # fmt: skip
    """All launches for batches of at most `batch` rows: the train form with backward and either the update or, without one, gradients
    that are kept; or the test form with the loss alone. `l2` is the rate of the term in the loss and in kept gradients.

    With `whole` the grouping is the beginning of that graph, and only its forward pass is lowered, over the whole graph's parameters.
    """
    for node in grouping.graph.nodes:
        if not isinstance(node.layer, (Contraction, Normalization, Pointwise, Rearrangement, Window)):
            raise UsageError(f"layer {node.layer.name}: no kernels are known for the kind {node.layer.kind!r}")
    context = Context(
        grouping, batch, itemsize, train=train, input_gradient=input_gradient, whole=whole or grouping.graph, update=update
    )
    for group in grouping.groups:
        _forward(context, group)
    slots: tuple[str, ...] = ()
    if whole is None:
        lower_loss(context, weighted)
        lower_total(context, l2)
        if train:
            for group in reversed(grouping.groups):
                _backward(context, group)
            if update is None:
                lower_l2(context, l2)
            else:
                lower_update(context, update)
                slots = type(update.optimizer).slots
    done = len(context.launches)
    _gather(context, weighted)
    launches = (*context.launches[done:], *context.launches[:done])
    return Lowered(
        launches, context.named, context.parameters, context.states, context.parameter_elements, context.weight_elements,
        context.state_elements, slots, context.constant_words, context.input_is_flat,
    )  # fmt: skip
