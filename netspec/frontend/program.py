"""The validated program: every name resolved, every value checked, repeats and defs expanded, shapes not yet known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from netspec.base.clip import Clip
from netspec.base.dataset import DataSource
from netspec.base.diagnostic import Diagnostic
from netspec.base.duration import Duration, Epochs
from netspec.base.entry import CONFIG, Count, Pair
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.schedule import RateSchedule
from netspec.base.shape import Shape, size
from netspec.base.stopping import StoppingRule
from netspec.base.text import Source, Span
from netspec.base.transform import Augmentation, Encoding, Flattening, Transform
from netspec.catalog.registry import entries, entry_of


@dataclass(frozen=True, slots=True)
class UnitMark:
    """One level of grouping around a layer: the unit's text as the summary shows it, and its copy (1 of 1 where nothing repeats).

    `key` is the same for all layers of one expanded unit and copy, and differs between any two.
    """

    key: int
    text: str
    copy: int
    copies: int


@dataclass(frozen=True, slots=True)
class Call:
    """One layer after expansion. `span` covers the name with its arguments; `arguments` the value of each argument as written."""

    layer: Layer
    span: Span
    name_span: Span
    arguments: Mapping[str, Span] = field(default_factory=dict)
    explicit: frozenset[str] = frozenset()
    """Arguments that the call gives."""
    from_defaults: frozenset[str] = frozenset()
    """Arguments that the `defaults` section gives."""
    notes: tuple[str, ...] = ()
    """Where the words come from: `in copy 2 of 3 of [...]x3 (line 7), inside def rb(c=64) (line 3)`."""
    units: tuple[UnitMark, ...] = ()
    """Outermost first."""


Chain = tuple[Call, ...]
"""Layers in order. A later element type, branches merged by a layer, joins Call here."""

Fraction = Annotated[float, Field(gt=0, le=1)]


class DataSection(BaseModel):
    """The `data` section. `split` holds two or three parts: whole numbers are rows, decimals fractions."""

    model_config = CONFIG
    source: DataSource | None = None
    path: str | None = None
    x: str | None = None
    y: str | None = None
    target: str | None = None
    features: tuple[str, ...] | None = None
    size: Pair | None = None
    split: tuple[Count | Fraction, ...] = (0.8, 0.1, 0.1)
    normalize: Literal["none", "per_feature", "per_channel", "rescale"] = "none"
    transforms: tuple[Transform, ...] | None = None

    @property
    def preparations(self) -> tuple[Transform, ...]:
        """What every row goes through, in order; `normalize` comes first."""
        first = () if self.normalize == "none" else (entries(Transform)[self.normalize](),)
        return (*first, *(one for one in self.transforms or () if not isinstance(one, Augmentation)))

    @property
    def augmentations(self) -> tuple[Augmentation, ...]:
        """What rows of a training step go through besides, in order."""
        return tuple(one for one in self.transforms or () if isinstance(one, Augmentation))

    @property
    def encodes(self) -> bool:
        """Whether columns of text become numbers."""
        return any(isinstance(one, Encoding) for one in self.transforms or ())

    def prepared_shape(self, row: Shape) -> Shape:
        """The shape of a row of the data once it is prepared."""
        return (size(row),) if any(isinstance(one, Flattening) for one in self.preparations) else row


def _adam() -> Optimizer:
    adam = entry_of(Optimizer, "adam")
    assert adam is not None, "the default optimizer is in the catalogue"
    return adam.model_validate({})


def _clip(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return entries(Clip)["norm"].model_validate({"bound": float(value)})
    if value is None or isinstance(value, Clip):
        return value
    raise PydanticCustomError("clip", "a number above 0 (the norm's bound), norm(1.0) or value(0.5)")


def _stop(value: Any) -> Any:
    if isinstance(value, StoppingRule):
        return value
    if isinstance(value, Duration) and value.amount >= 1:
        return entries(StoppingRule)["stop"].model_validate({"patience": value})  # type: ignore[type-abstract]  # the contract is not made
    raise PydanticCustomError("stop", "a patience such as 5ep, or a rule such as stop(val_loss, patience=5ep)")


EarlyStop = Annotated[StoppingRule, BeforeValidator(_stop)]
"""A stopping rule; a length alone is the patience of `stop`."""


class TrainSection(BaseModel):
    """The `train` section, as language.md lists it."""

    model_config = CONFIG
    optimizer: Annotated[Optimizer, Field(default_factory=_adam)]
    batch: Count = 100
    epochs: Count = 10
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    schedule: RateSchedule | None = None
    l2: Annotated[float, Field(ge=0)] = 0.0
    clip: Annotated[Clip | None, BeforeValidator(_clip)] = None
    loss: Loss | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None = None
    drop_last: bool = False
    monitor_rows: Annotated[int, Field(ge=0)] = 1000
    early_stop: EarlyStop | None = None
    checkpoint: Epochs | None = None
    dtype: Literal["float32", "float64"] = "float32"
    threads: Count | None = None
    fuse: bool = True


@dataclass(frozen=True)
class Program:
    """What graph, data and training are built from. `spans` finds the words of a key: `train.batch`, `data.source`, `input`, `net`."""

    source: Source
    net: Chain
    train: TrainSection
    data: DataSection | None = None
    input: Shape | None = None
    classes: int | None = None
    outputs: int | None = None
    seed: int = 0
    version: int | None = None
    lets: Mapping[str, Any] = field(default_factory=dict)
    spans: Mapping[str, Span] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()
    resolved: str = ""
    """The same program as text with every default and override written out: parsing it gives an equal program."""


@dataclass(frozen=True)
class Overrides:
    """What a caller changes from outside, before validation. `train` is the text between the braces of a train section;
    `keys` are section keys by dotted name (`train.epochs`, `data.path`, `train.lr`, `seed`) with values as texts or Python values;
    `lets` are let values by name, ints, floats, bools, strings, or texts of the language when they come from the command line.
    """

    input: Shape | None = None
    classes: int | None = None
    outputs: int | None = None
    seed: int | None = None
    train: str | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    lets: Mapping[str, Any] = field(default_factory=dict)
