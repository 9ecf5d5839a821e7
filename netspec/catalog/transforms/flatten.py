"""Images to vectors, before the net."""

from __future__ import annotations

from typing import ClassVar

from netspec.base.transform import Flattening


class FlattenRows(Flattening):
    """(N, C, H, W) to (N, C H W), in C order; vectors stay as they are.

    Source: NumPy's reshape(N, -1).
    """

    name: ClassVar[str] = "flatten"
