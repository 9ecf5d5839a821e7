"""Branches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from netspec.base.kinds import Concatenation
from netspec.base.layer import Array, BadSample, OnnxForm, OnnxNode, Sample
from netspec.base.shape import Shape


class Concat(Concatenation):
    """y = (a, b, ...): the channels of all branches, or their features, one after another.

    Shapes: images (C1, H, W), (C2, H, W), ... give (C1 + C2 + ..., H, W); vectors (D1,), (D2,), ... give (D1 + D2 + ...,).
    Source: the modules of Szegedy et al., Going deeper with convolutions, 2015.
    """

    name: ClassVar[str] = "concat"

    def merged_onnx(self, shapes: Sequence[Shape]) -> OnnxForm:
        return OnnxForm((OnnxNode("Concat", tuple(f"x{place}" for place in range(len(shapes))), ("y",), {"axis": 1}),))

    def merged_reference(self, xs: Sequence[Array]) -> Array:
        return np.concatenate(list(xs), axis=1)

    samples = (
        Sample("concat(tanh | id)", (5,)),
        Sample("concat(conv(3) | id | conv(5, kernel=1)-elu)", (2, 5, 4)),
        Sample("concat(id | id)", (3, 2, 2)),
        Sample("concat(affine(1) | affine(17) | id)", (33,)),
    )
    bad_samples = (
        BadSample(
            "concat(conv(3, stride=2) | id)", (2, 6, 6), "NS413", "concat joins channels, and the branches differ in height or width"
        ),
        BadSample("concat(globalpool | id)", (2, 6, 6), "NS413", "concat: a vector of 2 cannot stand beside an image 2x6x6"),
    )
