"""Normalisation of each row by its own mean and variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.kinds import RowNormalization, onnx_of_groups
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, ReferenceContext, Sample
from netspec.base.shape import Shape


class LayerNorm(RowNormalization):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with the mean and the biased variance of each row.

    On vectors they are over the features, and gamma and beta belong to a feature; on images over all channels and pixels of the row, and
    gamma and beta belong to a channel: that is groupnorm(1). Nothing depends on the batch, so the train and the test form are the same.
    Shapes: x, y (N, D) or (N, C, H, W); gamma, beta (D,) or (C,).
    Source: Ba, Kiros and Hinton, Layer normalization, 2016, section 3.
    """

    name: ClassVar[str] = "layernorm"
    eps: Annotated[float, Field(gt=0, description="added to the variance under the root")] = 1e-5

    def groups_of(self, shape: Shape) -> int:
        return 1

    def onnx(self, shape: Shape) -> OnnxForm:
        if len(shape) == 3:  # ONNX has a scale for each element of the row there
            return onnx_of_groups(1, self.eps, shape)
        return OnnxForm((OnnxNode("LayerNormalization", ("x", "gamma", "beta"), ("y",), {"axis": 1, "epsilon": self.eps}),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        over = tuple(range(1, x.ndim))
        centred = x - x.mean(axis=over, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=over, keepdims=True) + self.eps)
        gamma, beta = (np.expand_dims(parameters[key], over[:-1]) for key in ("gamma", "beta"))
        return np.asarray(gamma * centred / deviation + beta)

    samples = (
        Sample("layernorm", (7,)),
        Sample("layernorm(1e-3)", (33,)),
        Sample("layernorm", (130,)),
        Sample("layernorm", (3, 5, 7)),
        Sample("layernorm(eps=1e-2)", (17, 1, 3)),
    )
    bad_samples = (
        BadSample("layernorm(0)", (5,), "NS302", "`eps` of layernorm must be a number above 0; this is 0"),
        BadSample("layernorm(groups=2)", (4,), "NS303", "layernorm has no argument `groups`"),
    )
