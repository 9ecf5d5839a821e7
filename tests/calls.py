"""The calls of samples, read as a chain reads them."""

from __future__ import annotations

from netspec.base.kinds import Head
from netspec.base.layer import Layer
from netspec.base.text import Source
from netspec.frontend.bind import bind
from netspec.frontend.parse import parse_value
from netspec.frontend.values import Named, Scope, evaluate


def layer_of(call: str, kind: type[Layer] = Layer) -> Layer:
    """`conv(4, pad=1)` as a layer; as a head where `kind` is one. Raises SpecError with what is wrong."""
    source = Source(call)
    value = evaluate(parse_value(source), Scope(source, {}, 0))
    assert isinstance(value.content, Named), call
    layer = bind(Layer, value.content, value).entry
    assert isinstance(layer, Layer)
    return layer.head_form() if layer.head_form and issubclass(kind, Head) else layer


def as_kind(call: str, kind: type[Layer]) -> Layer:
    """The call's arguments given to `kind`, which may be a variant of the layer that the call names."""
    layer = layer_of(call, kind)
    return layer if type(layer) is kind else kind(**dict(layer))
