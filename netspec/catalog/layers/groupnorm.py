"""Normalisation of groups of a row's channels by their own mean and variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from netspec.base.entry import Count
from netspec.base.kinds import RowNormalization, onnx_of_groups, require_groups
from netspec.base.layer import Array, BadSample, OnnxForm, ReferenceContext, Sample
from netspec.base.shape import Shape


class GroupNorm(RowNormalization):
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with the mean and the biased variance of each row's groups of C / groups channels.

    A group is a run of neighbouring channels with all their pixels; on vectors, of neighbouring features. One group is layernorm, as many
    groups as channels is instance normalisation. Nothing depends on the batch, so the train and the test form are the same.
    Shapes: x, y (N, C, H, W) or (N, D); gamma, beta (C,) or (D,); groups divides C or D.
    Source: Wu and He, Group normalization, 2018, equations 1, 2, 3 and 7; its default of 32 groups.
    """

    name: ClassVar[str] = "groupnorm"
    groups: Annotated[Count, Field(description="groups of equal size that the channels are cut into")] = 32
    eps: Annotated[float, Field(gt=0, description="added to the variance under the root")] = 1e-5

    def groups_of(self, shape: Shape) -> int:
        require_groups(self.name, self.groups, shape)
        return self.groups

    def onnx(self, shape: Shape) -> OnnxForm:
        """Opset 17 has no operator of this name."""
        return onnx_of_groups(self.groups_of(shape), self.eps, shape)

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        grouped = x.reshape(len(x), self.groups, -1)
        mean, variance = grouped.mean(axis=2, keepdims=True), grouped.var(axis=2, keepdims=True)
        xhat = ((grouped - mean) / np.sqrt(variance + self.eps)).reshape(*x.shape[:2], -1)
        return np.asarray(xhat * parameters["gamma"][:, None] + parameters["beta"][:, None]).reshape(x.shape)

    samples = (
        Sample("groupnorm(2)", (6, 5, 7)),
        Sample("groupnorm(1, eps=1e-3)", (3, 4, 4)),
        Sample("groupnorm(5)", (5, 9, 4)),
        Sample("groupnorm(3)", (300, 2, 1)),
        Sample("groupnorm(2)", (34, 1, 1)),
        Sample("groupnorm(3)", (24,)),
    )
    bad_samples = (
        BadSample("groupnorm(5)", (12, 4, 4), "NS411", "12 channels do not fall into 5 equal groups"),
        BadSample("groupnorm", (100,), "NS411", "100 features do not fall into 32 equal groups"),
        BadSample("groupnorm(0)", (4,), "NS302", "`groups` of groupnorm must be"),
        BadSample("groupnorm(2, eps=-1)", (4,), "NS302", "`eps` of groupnorm must be a number above 0; this is -1"),
    )
