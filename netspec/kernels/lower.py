"""Groups to launches: every group forward in order, the loss, every group backward in the opposite order, l2 or the update."""

from __future__ import annotations

from types import ModuleType

from netspec.base.errors import UsageError
from netspec.base.kinds import Concatenation, Contraction, Elementwise, Normalization, Pointwise, Rearrangement, Upsampling, Window
from netspec.base.shape import Shape, show, size
from netspec.base.transform import Augmentation
from netspec.graph.graph import Graph, Node
from netspec.groups.groups import NORMALIZATIONS, Group, Grouping
from netspec.kernels import concatenation, contraction, normalization, pointwise, rearrangement, row_normalization, upsampling, window
from netspec.kernels.augmentation import gather_augmented
from netspec.kernels.chain import Chain
from netspec.kernels.context import Context, Update, tasks_for
from netspec.kernels.launch import ELEMENT_GRAIN, ROWS_CUT, SECTIONS, At, Buffer, Cut, Launch, Lowered, Section
from netspec.kernels.loss import lower_l2, lower_loss, lower_total
from netspec.kernels.update import lower_update


def _split(context: Context, group: Group) -> tuple[Node | None, Node | None, tuple[Node, ...]]:
    """(contraction, normalization, pointwise chain) of a group, without what this form leaves out."""
    nodes = [node for node in group.nodes if not context.leaves_out(node)]
    first = nodes.pop(0) if nodes and isinstance(nodes[0].layer, Contraction) else None
    second = nodes.pop(0) if nodes and isinstance(nodes[0].layer, NORMALIZATIONS) else None
    return first, second, tuple(nodes)


def _normalization(context: Context, node: Node, chain: tuple[Node, ...]) -> tuple[ModuleType, bool]:
    """The kernels of a normalization, by columns over the batch or by rows, and whether the chain goes apart: rows are taken in runs of
    several pixels, and a chain with numbers by column is not."""
    if isinstance(node.layer, Normalization):
        return normalization, False
    return row_normalization, Chain(context, chain, node.output).by_columns


def _forward(context: Context, group: Group) -> None:
    node = group.nodes[0]
    if isinstance(node.layer, Window):
        window.forward(context, node)
    elif isinstance(node.layer, Upsampling):
        upsampling.forward(context, node)
    elif isinstance(node.layer, Concatenation):
        concatenation.forward(context, node)
    elif isinstance(node.layer, Rearrangement):
        if context.moves(node):
            rearrangement.forward(context, node)
    else:
        first, second, chain = _split(context, group)
        if first is not None:
            contraction.forward(context, first, () if second is not None else chain)
        if second is not None:
            kernels, apart = _normalization(context, second, chain)
            kernels.forward(context, second, () if apart else chain)
            if apart:
                pointwise.forward(context, chain, second.output)
        if chain and first is None and second is None:
            pointwise.forward(context, chain, chain[0].input)


def _backward(context: Context, group: Group) -> None:
    node = group.nodes[0]
    if isinstance(node.layer, Window):
        window.backward(context, node)
    elif isinstance(node.layer, Upsampling):
        upsampling.backward(context, node)
    elif isinstance(node.layer, Concatenation):
        concatenation.backward(context, node)
    elif isinstance(node.layer, Rearrangement):
        if context.moves(node):
            rearrangement.backward(context, node)
    else:
        first, second, chain = _split(context, group)
        if second is not None:
            kernels, apart = _normalization(context, second, chain)
            if apart:
                pointwise.backward(context, chain, second.output)
            kernels.backward(context, second, () if apart else chain)
        if first is not None:
            contraction.backward(context, first, () if second is not None else chain)
        if chain and first is None and second is None:
            pointwise.backward(context, chain, chain[0].input)


class _Gather:
    """Launches that copy the batch's rows, `order[start : start + rows]` of the data. Each is cut as the first launch that reads the
    rows is, where that one is cut by rows or by columns of them: it finds its share in its own cache."""

    def __init__(self, context: Context) -> None:
        self.context, self.order = context, context.buffer("order", 1, 8, "data")

    def _cut(self, target: Buffer, work: int) -> tuple[int, Cut]:
        """(tasks, cut) of a copy."""
        for launch in self.context.launches:
            if target in launch.reads:
                if launch.cut and target in launch.own:
                    return launch.tasks, launch.cut
                break
        return min(self.context.batch, tasks_for(work, 2 * ELEMENT_GRAIN)), ROWS_CUT

    def rows(self, section: Section, name: str, per_row: int, target: Buffer, stride: int | None = None) -> None:
        data = self.context.buffer(f"data.{name}", 1, kind="data")
        tasks, cut = self._cut(target, self.context.batch * per_row)
        words = (At(self.order), At(data), per_row, At(target), 0 if cut == ROWS_CUT else cut[2], stride or per_row)
        kernel = self.context.library("rows", "gather")
        self.context.launch(f"gather {name}", section, kernel, words, tasks, reads=[data], writes=[target], cut=cut, own=[target])

    def values(self, section: Section, name: str, shape: Shape, target: Buffer, flat: bool = False, stride: int | None = None) -> None:
        """Images of several channels become channels last on their way."""
        if flat or len(shape) != 3 or shape[0] == 1 or size(shape[1:]) == 1:
            self.rows(section, name, size(shape), target, stride)
            return
        context = self.context
        data = context.buffer(f"data.{name}", 1, kind="data")
        words = (At(self.order), At(data), shape[0], size(shape[1:]), At(target))
        tasks = context.row_tasks(shape, context.batch * size(shape), ELEMENT_GRAIN)
        kernel = context.library("images", "gather_images")
        context.launch(f"gather {name}", section, kernel, words, tasks, reads=[data], writes=[target], cut=ROWS_CUT, own=[target])

    def input(self, augmentations: tuple[Augmentation, ...]) -> None:
        context, source = self.context, self.context.graph.input
        if augmentations:
            gather_augmented(context, self.order, augmentations, context.value(source))
            return
        self.values("forward", "x", source.shape, context.value(source), context.input_is_flat, context.row_stride(source))

    def labels(self, weighted: bool) -> None:
        context = self.context
        target = context.named["y"]
        if context.graph.loss.target == "class":
            data = context.buffer("data.y", 1, 8, "data")
            kernel = context.library("rows", "gather_classes")
            context.launch("gather y", "loss", kernel, (At(self.order), At(data), At(target)), 1, reads=[data], writes=[target])
        else:
            self.values("loss", "y", context.graph.output.shape, target)
        if weighted:
            self.rows("loss", "weights", 1, context.named["row_weights"])


def _require_kernels(node: Node) -> None:
    """Raises UsageError for a layer, of a user's, that no kernel can be made for."""
    layer = node.layer
    if not isinstance(layer, (Contraction, *NORMALIZATIONS, Pointwise, Rearrangement, Upsampling, Window, Elementwise, Concatenation)):
        raise UsageError(f"layer {layer.name}: no kernels are known for the kind {layer.kind!r}")
    for name, parameter in node.parameters.items() if isinstance(layer, Pointwise) else ():
        if parameter.shape != node.input.shape[:1]:
            message = f"{show(parameter.shape)} numbers, and here each of the {node.input.shape[0]} features or channels needs one"
            raise UsageError(f"layer {layer.name}: the parameter {name} of a pointwise layer has {message}")
        if not hasattr(layer, f"{name}_gradient"):
            raise UsageError(f"layer {layer.name}: the parameter {name} needs a template {name}_gradient")


def _in_order(context: Context, gathers: int) -> tuple[Launch, ...]:
    """The launches by section: those of the batch (the last `gathers`) go to its start, and before them those of parameters alone."""
    border = len(context.launches) - gathers
    every = [*context.first_launches, *context.launches[border:], *context.launches[:border]]
    return tuple(launch for section in SECTIONS for launch in every if launch.section == section)


def lower(
    grouping: Grouping, batch: int, itemsize: int, *, update: Update | None = None, l2: float = 0.0,
    input_gradient: bool = False, weighted: bool = False, train: bool = True, whole: Graph | None = None, workers: int = 1,
) -> Lowered:  # fmt: skip
    """All launches for batches of at most `batch` rows: the train form with backward and either the update or, without one, gradients
    that are kept; or the test form with the loss alone. `l2` is the rate of the term in the loss and in kept gradients.

    With `whole` the grouping is the beginning of that graph, and only its forward pass is lowered, over the whole graph's parameters.
    """
    for node in grouping.graph.nodes:
        _require_kernels(node)
    whole_graph = whole or grouping.graph
    context = Context(
        grouping, batch, itemsize, train=train, input_gradient=input_gradient, whole=whole_graph, update=update, workers=workers
    )
    for group in grouping.groups:
        _forward(context, group)
    slots: tuple[str, ...] = ()
    if whole is None:
        lower_loss(context, weighted)
        lower_total(context, l2)
        if train:
            for group in reversed(grouping.groups):
                if context.wants_gradient(group.nodes[-1].output):
                    _backward(context, group)
            context.catch_up()
            context.add_shared()
            if input_gradient:
                context.gradients.settle_input()
            if update is None:
                lower_l2(context, l2)
            else:
                lower_update(context, update)
                slots = update.optimizer.stored()
    done, gather = len(context.launches), _Gather(context)
    gather.input(update.augmentations if update else ())
    if "y" in context.named:
        gather.labels(weighted)
    return Lowered(
        _in_order(context, len(context.launches) - done), context.named, context.parameters, context.states, context.parameter_elements,
        context.weight_elements, context.state_elements, slots, context.constant_words, context.input_is_flat,
    )  # fmt: skip
