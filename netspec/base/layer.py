"""The Layer contract: everything that one layer is, in one class, in one file.

A file in catalog/layers declares, in this order: docstring with formula, shapes and source; `name`; arguments (fields with ranges);
parameters and state; the shape rule; the kernel templates of its kind; cost; ONNX form; an independent float64 reference; samples and
bad samples. The kinds in base/kinds.py supply what can be derived. A missing part fails when the class is created.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from netspec.base.entry import Entry, refuse_unfinished
from netspec.base.errors import Problem
from netspec.base.initializer import Initializer
from netspec.base.shape import Shape

Array = NDArray[np.float64]
Role = Literal["weight", "bias", "scale", "shift", "slope"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A trained array. Only the role `weight` gets l2; `fan_in`, `fan_out` are what the initializers scale by.

    `constant` is the initial value of the roles that are not drawn (0 for bias and shift, 1 for scale, 0.25 for slope).
    """

    shape: Shape
    role: Role
    fan_in: int = 1
    fan_out: int = 1
    init: Initializer | None = None

    @property
    def constant(self) -> float:
        return {"scale": 1.0, "slope": 0.25}.get(self.role, 0.0)


@dataclass(frozen=True, slots=True)
class State:
    """An array that training updates without a gradient (running averages); `least` is the smallest number that it can have."""

    shape: Shape
    initial: float
    least: float = -inf


@dataclass(frozen=True)
class Sample:
    """A use of the layer that the laws run: the call as text, that of a merge with its branches, and the shape of one input row."""

    call: str
    shape: Shape


@dataclass(frozen=True)
class BadSample:
    """A use that must be refused: the call, the input row's shape, the diagnostic's code and a part of its message."""

    call: str
    shape: Shape
    code: str
    message: str


@dataclass(frozen=True)
class OnnxNode:
    """One ONNX operator (opset 17). Inputs and outputs are names: `x`, `y`, parameter names, keys of `constants`, or inner names."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OnnxForm:
    """The test form of a layer as ONNX operators over (N, ...) arrays in interface layout, from `x` to `y`."""

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ReferenceContext:
    """What a reference may need beyond its input: the form, and the uniform 32-bit words of a random layer, shaped like x."""

    train: bool
    bits: NDArray[np.uint32] | None = None


class Layer(Entry):
    """One layer of the language. Subclass a kind of base/kinds.py: Pointwise, Normalization, RowNormalization, Contraction, Window,
    Upsampling, Rearrangement, Elementwise (of several branches) or Head."""

    kind: ClassVar[str] = ""
    samples: ClassVar[tuple[Sample, ...]]
    bad_samples: ClassVar[tuple[BadSample, ...]]
    relu_like: ClassVar[bool] = False
    """Whether weights before it start from he (else from xavier)."""
    keeps_shape: ClassVar[bool] = False
    """Whether an affine followed only by such layers and a head is the last affine."""
    head_form: ClassVar[type[Layer] | None] = None
    """The head that the same word means as the last layer of a net (`sigmoid`); it has no arguments."""
    follows: ClassVar[Mapping[str, str]] = {}
    """Arguments that have another one's value where they are left out: `{"stride": "window"}`."""
    parts: ClassVar[tuple[str, ...]] = ()
    """Class members that a kind asks of its layers: the templates, what a head says of its scores."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" not in cls.__dict__:  # an abstract kind
            return
        missing = [part for part in (*cls.parts, "samples", "bad_samples") if not hasattr(cls, part)]
        missing += sorted(getattr(cls, "__abstractmethods__", ()))
        abstract = [name for name, member in inspect.getmembers(cls) if getattr(member, "__isabstractmethod__", False)]
        missing += [name for name in abstract if name not in missing]
        if not (cls.__doc__ or "").strip():
            missing.append("docstring")
        if not cls.kind:
            kinds = "Pointwise, Normalization, RowNormalization, Contraction, Window, Upsampling, Rearrangement, Elementwise or Head"
            missing.append(f"a kind to derive from: {kinds}")
        refuse_unfinished(cls, missing)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Trained arrays by name, for one input row of `shape`."""
        return {}

    def state(self, shape: Shape) -> dict[str, State]:
        """Running arrays by name."""
        return {}

    @abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """Shape of one output row; raises Problem where the layer cannot take `shape`."""

    @abstractmethod
    def flops(self, shape: Shape) -> int:
        """Floating-point operations of the forward pass on one row; a multiply-add is 2."""

    @abstractmethod
    def onnx(self, shape: Shape) -> OnnxForm:
        """The test form as ONNX operators."""

    @abstractmethod
    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        """The forward pass in float64 NumPy on (N, ...) arrays in interface layout, written independently of the kernels."""


class Trained(Layer):
    """A layer with parameters: they may be frozen, or move by a rate of their own. Both arguments come after the layer's own ones."""

    frozen: Annotated[bool, Field(description="whether training leaves the layer as it is; a frozen bn uses its running values")] = False
    lr_scale: Annotated[float, Field(gt=0, description="factor on the learning rate of the layer's parameters")] = 1.0

    @classmethod
    def positionals(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.model_fields if name not in Trained.__annotations__)[:1]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        fields = cls.__pydantic_fields__
        for name in Trained.__annotations__:  # pydantic lists those of a base class first, and the first is the positional argument
            fields[name] = fields.pop(name)


def problem(code: str, message: str, **more: Any) -> Problem:
    """Shorthand for the shape rules: `raise problem("NS401", ...)`."""
    return Problem(code, message, **more)
