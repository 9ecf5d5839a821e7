"""What can be said about a chain of layers without shapes: where a head may stand, what goes with it, and lint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from netspec.base.diagnostic import Diagnostic
from netspec.base.kinds import Contraction, Head, Merge, Normalization, Pointwise, Rearrangement
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.base.shape import Shape, show
from netspec.base.text import Source, Span
from netspec.catalog.registry import entries
from netspec.frontend.bind import layers
from netspec.frontend.habits import channels_last
from netspec.frontend.program import Call, Chain, TrainSection, first_readers
from netspec.frontend.words import listing


def with_head_form(net: Chain) -> Chain:
    """The chain with a last layer that is also a head (sigmoid) as that head."""
    form = getattr(net[-1].layer, "head_form", None) if net else None
    return (*net[:-1], replace(net[-1], layer=form())) if form is not None else net


def check_heads(net: Chain) -> list[Diagnostic]:
    """A head stands at the end, and there is one."""
    readers = first_readers(net)
    inner = {at for at in readers if at >= 0 and isinstance(net[at].layer, Head) and isinstance(net[readers[at]].layer, Merge)}
    found = [_in_branch(net[at], net[readers[at]]) for at in sorted(inner)]
    heads = [at for at, call in enumerate(net) if isinstance(call.layer, Head) and at not in inner]
    early = [at for at in heads[:-1] if at + 1 not in heads and net[at].named_at != net[heads[-1]].named_at]
    found += [_early(net[at], net[at + 1], net[heads[-1]]) for at in early]
    heads = [at for at in heads if at not in early]
    for order, at in enumerate(heads):
        call = net[at]
        if order:
            first = net[heads[0]]
            line = first.source.position(first.name_span.start)[0]
            message = f"a second head: the net already ends in {first.layer.name} (line {line})"
            copied = (first.source, first.name_span) == (call.source, call.name_span)
            help_text = f"write {call.layer.name} behind what repeats" if copied else "keep one head"
            found.append(Diagnostic("NS503", message, call.source, call.name_span, notes=call.notes, help=help_text))
        elif at != len(net) - 1 and heads[-1] == at:
            message = f"{call.layer.name} is a head and stands at the end of the net; here {net[at + 1].layer.name} follows"
            found.append(
                Diagnostic("NS502", message, call.source, call.name_span, notes=call.notes, help=f"move {call.layer.name} to the end")
            )
    return found


def _early(head: Call, after: Call, last: Call) -> Diagnostic:
    """For one of several heads with other layers behind it."""
    line = last.source.position(last.name_span.start)[0]
    message = f"{head.layer.name} is a head and stands at the end of the net; here {after.layer.name} follows"
    help_text = f"leave it out: the net ends in {last.layer.name} (line {line})"
    return Diagnostic("NS502", message, head.source, head.name_span, notes=head.notes, help=help_text)


def _in_branch(head: Call, merge: Call) -> Diagnostic:
    name = head.layer.name
    message = f"{name} is a head, and a head stands at the end of the net, not in a branch of {merge.layer.name}"
    help_text = f"write {name} behind the branches, or sigmoid or tanh for a gate"
    return Diagnostic("NS502", message, head.source, head.name_span, notes=head.notes, help=help_text)


def head_of(net: Chain) -> Head:
    """The head at the end; `linear` where there is none."""
    if net and isinstance(net[-1].layer, Head):
        return net[-1].layer
    linear = layers()["linear"]()
    assert isinstance(linear, Head)
    return linear


def check_counts(head: Head, classes: tuple[Source, Span] | None, outputs: tuple[Source, Span] | None) -> list[Diagnostic]:
    """`classes` goes with a head for classes, `outputs` with values."""
    found = []
    values = head.target == "value"
    if classes and outputs:
        message = "`classes` and `outputs` are both given"
        found.append(Diagnostic("NS506", message, *outputs, help="classes goes with softmax, svm and sigmoid, outputs with linear"))
    elif classes and values:
        message = f"`classes` goes with a head for classes, and this net ends in values ({head.name})"
        found.append(Diagnostic("NS506", message, *classes, help="end the net in softmax, svm or sigmoid, or write outputs"))
    elif outputs and not values:
        message = f"`outputs` goes with values, and this net ends in {head.name}"
        layer = layers().get(head.name)
        own = f", or -> linear behind {head.name} for values" if layer is not None and layer.head_form is not None else ""
        found.append(Diagnostic("NS506", message, *outputs, help=f"write classes{own}"))
    return found


def check_loss(head: Head, train: TrainSection, places: Mapping[str, tuple[Source, Span]]) -> list[Diagnostic]:
    """The loss is one that the head allows, and so is what changes its labels and the weights of rows. `places` are the values of keys."""
    if train.loss is not None and train.loss.name not in head.losses:
        message = f"{head.name} cannot be trained with the loss {train.loss.name}"
        return [_about("NS508", message, places.get("loss"), f"{head.name} takes {' or '.join(head.losses)}")]
    found = []
    if train.label_smoothing > 0:
        loss = type(train.loss) if train.loss is not None else entries(Loss)[head.losses[0]]  # type: ignore[type-abstract]
        if loss.smoothed is None:
            message = f"`label_smoothing` spreads a label over exclusive classes, and {head.name} is trained with the loss {loss.name}"
            help_text = "end the net in softmax, or leave label_smoothing out"
            found.append(_about("NS515", message, places.get("label_smoothing"), help_text))
    if train.class_weights is not None and head.target == "value":
        message = f"`class_weights` go with classes, and this net ends in values ({head.name})"
        help_text = "leave class_weights out; rows are weighed by sample_weight of fit"
        found.append(_about("NS515", message, places.get("class_weights"), help_text))
    return found


def _about(code: str, message: str, place: tuple[Source, Span] | None, help_text: str) -> Diagnostic:
    source, span = place or (None, None)
    return Diagnostic(code, message, source, span, help=help_text)


def check_early_stop(head: Head, train: TrainSection, place: tuple[Source, Span] | None) -> list[Diagnostic]:
    """The figure that `early_stop` watches is one that this training has."""
    if train.early_stop is None:
        return []
    values = head.target == "value"
    figure = train.early_stop.watches(values)
    source, span = place or (None, None)
    if values and figure.endswith("accuracy"):
        message = f"early_stop watches {figure}, and a net that ends in numbers ({head.name}) has no accuracy"
        return [Diagnostic("NS605", message, source, span, help="watch val_loss or loss")]
    if figure == "train_accuracy" and train.monitor_rows == 0:
        message = "early_stop watches train_accuracy, and monitor_rows = 0 leaves it out"
        return [Diagnostic("NS605", message, source, span, help="give monitor_rows, or watch loss")]
    return []


HIGH_DROPOUT = 0.6


def lint(net: Chain) -> list[Diagnostic]:
    """Warnings about what is allowed and probably not meant."""
    found = _activation_on_scores(net)
    readers = first_readers(net)
    for at, call in enumerate(net):
        if has_cancelled_bias(net, readers, at):
            found += _cancelled_bias(call, net[readers[at]].layer.name)
        if call.layer.name.startswith("dropout"):
            found += _dropout(call, _behind(net, readers, at))
        if call.copy_of is not None and _uses_batch(call.layer):
            message = f"{call.layer.name} in tied copies: one set of running averages for values that differ from copy to copy"
            help_text = "write layernorm or groupnorm, which keep none, or leave `tied` out"
            found.append(Diagnostic("W105", message, call.source, call.name_span, help=help_text))
    return _once(found)


def harms_scores(layer: Layer) -> bool:
    """Whether a layer is wrong behind the last weights of a net: it cuts scores off below zero, or puts zeros in their place."""
    return layer.relu_like or (isinstance(layer, Pointwise) and layer.identity_in_test)


def _activation_on_scores(net: Chain) -> list[Diagnostic]:
    """For `affine-relu-dropout -> softmax`: the activations of the scores themselves, which a head takes as they are."""
    if not net or not isinstance(net[-1].layer, Head):
        return []
    head, place, on_scores = net[-1], len(net) - 2, list[Call]()
    while place >= 0 and len(net[place].reads) == 1 and (net[place].layer.keeps_shape or isinstance(net[place].layer, Rearrangement)):
        if harms_scores(net[place].layer):
            on_scores.insert(0, net[place])
        place = net[place].reads[0]
    if not on_scores or place < 0 or not isinstance(net[place].layer, Contraction):
        return []
    names = listing(list(dict.fromkeys(call.layer.name for call in on_scores)), "and")
    first, last = on_scores[0], net[place].layer.name
    message = f"{names} on the scores: {head.layer.name} takes what the last {last} gives, as it is"
    return [Diagnostic("W106", message, first.source, first.name_span, notes=first.notes, help=f"end in -> affine -> {head.layer.name}")]


def check_input_order(shape: Shape, place: tuple[Source, Span]) -> list[Diagnostic]:
    """A warning for an image whose channels seem to stand last."""
    if not channels_last(shape):
        return []
    rows, columns, channels = shape
    message = f"{rows} channels of {columns}x{channels} pixels: the order is channels x height x width"
    return [Diagnostic("W107", message, *place, help=f"write input {show((channels, rows, columns))}, and give the rows in that order")]


def has_cancelled_bias(net: Chain, readers: Mapping[int, int], at: int) -> bool:
    """Whether call number `at` has a bias that the bn behind it subtracts again. `readers` as `first_readers` gives them."""
    layer = net[at].layer
    return isinstance(layer, Contraction) and getattr(layer, "bias", False) and at in readers and _uses_batch(net[readers[at]].layer)


def _behind(net: Chain, readers: Mapping[int, int], at: int) -> Iterator[Call]:
    """The call that reads the value of call number `at`, the one that reads its value, and so on; the first of several."""
    while at in readers:
        at = readers[at]
        yield net[at]


def _uses_batch(layer: Layer) -> bool:
    """Whether a layer takes the statistics of the batch: a normalization that is not frozen."""
    return isinstance(layer, Normalization) and not layer.frozen


def _cancelled_bias(call: Call, name: str) -> list[Diagnostic]:
    # the default bias is left alone: affine-bn is the usual chain, and its gradient costs nothing
    if "bias" not in call.explicit:
        return []
    message = f"the bias of {call.layer.name} has no effect: {name} subtracts it"
    return [Diagnostic("W101", message, call.source, call.arguments.get("bias", call.span), notes=call.notes, help="leave `bias` out")]


def _dropout(call: Call, rest: Iterable[Call]) -> list[Diagnostic]:
    found = []
    p = getattr(call.layer, "p", 0.0)
    if p > HIGH_DROPOUT:
        message = f"{call.layer.name} drops {100 * p:g}% of the values, more than 60%"
        span = call.arguments.get("p", call.span)
        found.append(Diagnostic("W103", message, call.source, span, notes=call.notes, help="p is what is dropped, not kept"))
    after = next((other.layer for other in rest if not other.layer.keeps_shape or isinstance(other.layer, Normalization)), None)
    if after is not None and _uses_batch(after):
        message = f"{call.layer.name} stands before {after.name}, whose statistics then differ between training and test"
        help_text = f"write {after.name} before {call.layer.name}"
        found.append(Diagnostic("W102", message, call.source, call.name_span, notes=call.notes, help=help_text))
    return found


def _once(found: list[Diagnostic]) -> list[Diagnostic]:
    """Of the copies of a repeat the first is told."""
    seen: set[tuple[str, Span | None]] = set()
    kept = []
    for diagnostic in found:
        if (diagnostic.code, diagnostic.span) not in seen:
            seen.add((diagnostic.code, diagnostic.span))
            kept.append(diagnostic)
    return kept
