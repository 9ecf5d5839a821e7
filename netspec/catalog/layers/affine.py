"""A fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from netspec.base.entry import Count
from netspec.base.initializer import Initializer
from netspec.base.kinds import Contraction, Product, require_vector
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Parameter, ReferenceContext, Sample
from netspec.base.shape import Shape
from netspec.base.tie import Tie


def _tie(value: Any) -> Any:
    if value is None or (isinstance(value, Tie) and value.removesuffix(".T").isidentifier()):
        return value
    raise PydanticCustomError("tie", "the name of an affine before, as enc, or enc.T for its transpose")


class Affine(Contraction):
    """y = x W + b.

    Shapes: x (N, D), W (D, width), b (width,), y (N, width). An image before it is flattened in C order. With `tie` W belongs to another
    affine, whose shape gives the width, and which says how it starts, and whether and how fast it is trained; the bias stays its own.
    Source: the perceptron layer, Rosenblatt 1958, in its matrix form.
    """

    name: ClassVar[str] = "affine"
    width: Annotated[Count, Field(description="number of outputs")] = 100
    bias: Annotated[bool, Field(description="whether b is added")] = True
    init: Annotated[
        Initializer | None, Field(description="initial values of W; default: he before a relu-like activation, else xavier")
    ] = None
    tie: Annotated[
        Tie | None, BeforeValidator(_tie), Field(description="the affine, by its @name, whose W this one has too; with .T its transpose")
    ] = None

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        product = self.geometry(shape)
        weight = Parameter((product.depth, product.width), "weight", product.depth, product.width, self.init)
        return {"W": weight, "b": Parameter((product.width,), "bias")} if self.bias else {"W": weight}

    def output_shape(self, shape: Shape) -> Shape:
        return (self.geometry(shape).width,)

    def geometry(self, shape: Shape) -> Product:
        require_vector(self.name, shape)
        return Product(shape[0], self.width)

    def flops(self, shape: Shape) -> int:
        return 2 * shape[0] * self.width + self.width * self.bias

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Gemm", ("x", *self.parameters(shape)), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        product: Array = np.einsum("nd,dm->nm", x, parameters["W"])
        return product + parameters["b"] if self.bias else product

    samples = (Sample("affine(7)", (5,)), Sample("affine(1, bias=false)", (33,)), Sample("affine(width=19, init=zeros)", (1,)))
    bad_samples = (
        BadSample("affine(0)", (5,), "NS302", "`width` of affine must be a whole number of at least 1; this is 0"),
        BadSample("affine(1.5)", (5,), "NS301", "`width` of affine must be a whole number"),
        BadSample("affine(tie=3)", (5,), "NS301", "`tie` of affine must be the name of an affine before"),
        BadSample("affine(wdith=5)", (5,), "NS303", "affine has no argument `wdith`"),
    )
