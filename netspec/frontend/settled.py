"""What a program means where its words are silent and no single default stands: a stride that is the window's, the initial weights that
go with the activation behind, the loss of the head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netspec.base.initializer import Initializer
from netspec.base.kinds import Contraction, Head, Pointwise
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.catalog.inits.he import He
from netspec.catalog.inits.xavier import Xavier
from netspec.catalog.registry import entries
from netspec.frontend.program import Call, DataSection, TrainSection, first_readers


def deciding_activations(calls: Sequence[Call]) -> list[Call | None]:
    """Of each call the next activation behind it (past bn, dropout and merges), by which its initial weights are chosen."""
    readers = first_readers(calls)
    found: list[Call | None] = [None] * len(calls)
    for place in range(len(calls) - 1, -1, -1):
        reader = readers.get(place)
        if reader is None:
            continue
        layer = calls[reader].layer
        if isinstance(layer, Pointwise) and not layer.identity_in_test:
            found[place] = calls[reader]
        elif not isinstance(layer, Contraction):
            found[place] = found[reader]
    return found


def default_init(relu_like: bool) -> Initializer:
    """The initial weights before an activation."""
    return He() if relu_like else Xavier()


def settled(layer: Layer, relu_like: bool) -> Layer:
    """The layer with the values of arguments that follow from others, or from the activation behind it."""
    return layer.model_copy(update=dict(_left_open(layer, relu_like)))


def _left_open(layer: Layer, relu_like: bool) -> Iterator[tuple[str, Any]]:
    for name, other in layer.follows.items():
        if getattr(layer, name) is None:
            yield name, getattr(layer, other)
    shares = getattr(layer, "tie", None) is not None
    if isinstance(layer, Contraction) and not shares and getattr(layer, "init", layer) is None:
        yield "init", default_init(relu_like)


def own_loss(head: Head) -> Loss:
    """The loss of a head where the train section names none."""
    return entries(Loss)[head.losses[0]]()  # type: ignore[type-abstract]  # a contract, looked up by


def settled_train(section: TrainSection, head: Head) -> TrainSection:
    """The section with the loss of the head, and the figure that early stopping watches."""
    stop = section.early_stop
    if stop is not None and getattr(stop, "metric", stop) is None:
        stop = stop.model_copy(update={"metric": stop.watches(head.target == "value")})
    return section.model_copy(update={"loss": section.loss or own_loss(head), "early_stop": stop})


def settled_data(section: DataSection) -> DataSection:
    """The section with the names that its source looks for where none are given."""
    usual = section.source.usual if section.source is not None else {}
    return section.model_copy(update={key: value for key, value in usual.items() if getattr(section, key) is None})
