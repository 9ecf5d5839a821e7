"""The validated program: every name resolved, every value checked, repeats and defs expanded, shapes not yet known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from netspec.base.transform import Augmentation, Encoding, Flattening, Scaling, Transform
from netspec.catalog.registry import entries, entry_of
from netspec.frontend.space import Space, Tried


@dataclass(frozen=True, slots=True)
class UnitMark:
    """One level of grouping around a layer: the unit's text as the summary shows it, and its copy (1 of 1 where nothing repeats).

    `key` is the same for all layers of one expanded unit and copy, and differs between any two.
    """

    key: int
    text: str
    copy: int
    copies: int
    title: str = ""
    """The text with the values that its names stand for, where it has some: `rb(c=64)`."""


INPUT, UNKNOWN = -1, -2
"""What a call may read besides calls: an input row, and what stands behind something that is wrong."""


@dataclass(frozen=True, slots=True)
class Call:
    """One layer after expansion. `span` covers the name with its arguments; `arguments` the value of each argument as written; `source` is
    the text that they are in."""

    layer: Layer
    span: Span
    name_span: Span
    source: Source
    arguments: Mapping[str, Span] = field(default_factory=dict)
    explicit: frozenset[str] = frozenset()
    """Arguments that the call gives."""
    from_defaults: frozenset[str] = frozenset()
    """Arguments that the `defaults` section gives."""
    notes: tuple[str, ...] = ()
    """Where the words come from: `in copy 2 of 3 of [...]x3 (line 7), inside def rb(c=64) (line 3)`."""
    units: tuple[UnitMark, ...] = ()
    """Outermost first."""
    reads: tuple[int, ...] = (INPUT,)
    """The places of the calls whose values it takes: several for a merge."""
    label: str | None = None
    """Its name, where it is named alone: `affine(100) @enc`."""
    points: tuple[str, ...] = ()
    """Names of units of several layers that end in it."""
    copy_of: int | None = None
    """The call whose arrays it has, as a tied copy."""
    shares_weight_of: int | None = None
    """The affine whose W it has, by `tie`."""
    word: tuple[Source, Span] | None = None
    """The word that names the layer, where that stands elsewhere: in a `let`, or as the value of a parameter."""
    projects: bool = False
    """Whether it is the layer that `res[...](proj)` puts on the skip: it reads the skip, and the body for its shape alone."""

    @property
    def named_at(self) -> tuple[Source, Span]:
        """The word that names the layer, and the text that it is in."""
        return self.word or (self.source, self.name_span)

    @property
    def inputs(self) -> tuple[int, ...]:
        """What it computes with, of what it reads."""
        return self.reads[:1] if self.projects else self.reads


Chain = tuple[Call, ...]
"""Layers in reading order: each after all that it reads."""


def first_readers(net: Sequence[Call]) -> dict[int, int]:
    """For each call, by its place, the first one that takes its value."""
    found: dict[int, int] = {}
    for place, call in enumerate(net):
        for read in call.inputs:
            found.setdefault(read, place)
    return found


Fraction = Annotated[float, Field(gt=0, le=1)]


class DataSection(BaseModel):
    """The `data` section. `split` holds two or three parts: whole numbers are rows, decimals fractions."""

    model_config = CONFIG
    source: Annotated[DataSource | None, Field(description="where the rows come from; `netspec layers` lists the sources")] = None
    path: Annotated[str | None, Field(description="the file or folder, from the folder that the spec lies in")] = None
    x: Annotated[str | None, Field(description="the inputs: an array's name in an .npz, or an .npy file")] = None
    y: Annotated[str | None, Field(description="the labels, likewise")] = None
    target: Annotated[str | None, Field(description="the column of labels in a table, one; the last column if not given")] = None
    features: Annotated[tuple[str, ...] | None, Field(description="the columns of inputs in a table; all others if not given")] = None
    size: Annotated[Pair | None, Field(description="height x width that pictures are resized to, as 32x32")] = None
    split: Annotated[
        tuple[Count | Fraction, ...],
        Field(description="training / validation / test rows, as 80% / 10% / 10%; whole numbers count rows; two parts: no test"),
    ] = (0.8, 0.1, 0.1)
    normalize: Annotated[
        Literal["none", "per_feature", "per_channel", "rescale"], Field(description="the first of the transforms, by its older name")
    ] = "none"
    transforms: Annotated[
        tuple[Transform, ...] | None, Field(description="what rows go through, in order; `netspec layers` lists the transforms")
    ] = None

    @property
    def source_keys(self) -> dict[str, Any]:
        """The keys that are given and that the source takes."""
        names = self.source.keys if self.source is not None else ()
        return {name: getattr(self, name) for name in names if getattr(self, name, None) is not None}

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
    def statistics(self) -> Literal["per_feature", "per_channel", "rescale"] | None:
        """The kind of the last statistics that rows are scaled by."""
        kinds = [one.statistics for one in self.preparations if isinstance(one, Scaling)]
        return kinds[-1] if kinds else None

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
    optimizer: Annotated[Optimizer, Field(default_factory=_adam, description="the rule of updates; `lr = 1e-2` alone is adam's rate")]
    batch: Annotated[Count, Field(description="rows of a step")] = 100
    epochs: Annotated[Count, Field(description="passes over all training rows")] = 10
    lr_decay: Annotated[float, Field(gt=0, le=1, description="factor on the learning rate after each epoch")] = 1.0
    schedule: Annotated[RateSchedule | None, Field(description="how the learning rate changes, update by update")] = None
    l2: Annotated[float, Field(ge=0, description="adds 0.5 l2 |W|^2 of the weights, not of biases, to the loss")] = 0.0
    clip: Annotated[Clip | None, BeforeValidator(_clip), Field(description="bounds the gradient before the update")] = None
    loss: Annotated[Loss | None, Field(description="instead of the head's own; `netspec layers` lists the losses")] = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="share of each label that is spread over all classes")] = 0.0
    class_weights: Annotated[
        Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None,
        Field(description="factors on the losses of rows by their class, in the order of the classes"),
    ] = None
    drop_last: Annotated[bool, Field(description="leaves out the rows of an epoch that fill no batch")] = False
    monitor_rows: Annotated[
        int, Field(ge=0, description="training rows, drawn anew each epoch, that train_accuracy is measured on; 0: none")
    ] = 1000
    early_stop: Annotated[EarlyStop | None, Field(description="ends training when a figure no longer improves")] = None
    checkpoint: Annotated[Epochs | None, Field(description="keeps the weights of every so many epochs in the run folder")] = None
    dtype: Annotated[Literal["float32", "float64"], Field(description="of parameters and arithmetic")] = "float32"
    threads: Annotated[Count | None, Field(description="at most; all cores if not given; results do not depend on it")] = None
    fuse: Annotated[bool, Field(description="computes layers in common loops; false to compare")] = True


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
    uses: Mapping[str, str] = field(default_factory=dict)
    """The sha256 of each file that the text uses, by its path."""
    search: Space = field(default_factory=dict)
    """What a sweep may try, but for what a caller has given a value: this program has the text's own values."""
    resolved: str = ""
    """The same program as text with every default and override written out: parsing it gives an equal program."""


KeysBy = Literal["", "keywords", "text"]
"""Keys of sections are given by dotted names, as `netspec.train` takes them; or those of train in a text, as `netspec.compile` does."""


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
    keys_by: KeysBy = field(default="", compare=False)
    """How the caller gives keys of sections, for messages."""

    def with_values(self, values: Mapping[str, Tried]) -> Overrides:
        """The same with a value for each key of a search."""
        keys = {key: value for key, value in values.items() if "." in key}
        lets = {key: value for key, value in values.items() if "." not in key}
        return replace(self, keys={**self.keys, **keys}, lets={**self.lets, **lets})

    def fixes(self, key: str) -> bool:
        """Whether a `let`, or a key of train such as `train.lr`, is given a value here."""
        return key in self.lets or key in self.keys
